"""The estimator ``rad-ot``: pairs of sideband events by optimal transport."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from adtoolkit.errors import DataError
from adtoolkit.interfaces import BackgroundEstimator, Context
from adtoolkit.types import Array, Mask, Sample, Window
from adtoolkit_rad_ot.config import RadOtConfig
from adtoolkit_rad_ot.gap import find_gap
from adtoolkit_rad_ot.matching import Points, in_blocks, split
from adtoolkit_rad_ot.model import RadOtModel

#: Fewer events than this on a side are refused.
LEAST = 50

#: So many events of either side at least make a group.
LEAST_OF_GROUP = 10

#: From this ratio of the two sides on, a note says how often the events of the smaller one are matched.
UNEQUAL = 10


class RadOt(BackgroundEstimator[RadOtConfig]):
    """Pairs events below and above the window by exact optimal transport and draws from the lines between them.

    Along the transport path a density varies about linearly with m even where the density itself does not, so edges and peaks that
    move with m are moved, not blended. Distances are those of preprocessed features, standardised over the events that are paired.
    Nothing is trained, and there is nothing to validate: the validation events are paired too.

    The window is found as the gap between the masses (see `adtoolkit_rad_ot.gap.find_gap`), since sideband events are all that an
    estimator is given. Draws are averages of two events that are near each other but not equal, which makes them narrower than the
    background, the less the nearer pairs are; larger blocks have nearer pairs.

    An event is part of several pairs, so pairs are made within groups of events that share none, and the template's events carry their
    group: a classifier is never tested with an event that it was trained on (see `adtoolkit.interfaces.DrawsFromEvents`).

    References:
        Leigh, Sengupta, Nachman, Golling, "Accelerating template generation in resonant anomaly detection searches with optimal
        transport", arXiv:2407.19818.
    """

    def check(self, events: Sample, window: Window | None) -> None:
        if window is None:
            raise DataError("RAD-OT pairs events below and above a window, but there is no window.", "Give one: --window LO HI")
        m = events.m[(events.weights > 0) & ~window.contains(events.m)]
        low, high = _sides(m, (window.lo, window.hi), self.config.width)
        _check_sides(low, high, self.config.width or window.width)
        fewest = int(min(low.sum(), high.sum()))
        if fewest < LEAST_OF_GROUP * self.config.groups:
            message = f"RAD-OT would split {fewest:,} events of one side into {self.config.groups} groups; each needs {LEAST_OF_GROUP}."
            raise DataError(message, f"Give at most --set estimator.groups={fewest // LEAST_OF_GROUP}, or wider sidebands.")
        _check_conditions(events)
        gap = find_gap(m)  # as the fit will
        if gap[0] > window.lo or gap[1] < window.hi:
            where = f"{gap[0]:.4g} to {gap[1]:.4g}, which is not the window {window.label}"
            message = f"RAD-OT pairs events around the largest gap in the masses, {where}."
            raise DataError(message, "Cut away the events on one side of that gap, or choose another estimator: adtool list estimators")

    def independent_groups(self) -> int:
        return self.config.groups

    def fit(self, train: Sample, val: Sample, ctx: Context) -> RadOtModel:
        c = self.config
        events = Sample.concat(train, val)
        _check_conditions(events)
        events = events[events.weights > 0]
        if not len(events):
            raise DataError("There are no events to pair.", "Check the window and the cuts.")
        if not (np.isfinite(events.x).all() and np.isfinite(events.m).all() and np.isfinite(events.weights).all()):
            raise DataError("Events to be paired hold values that are not finite.", "Clip or drop such events before.")
        gap = find_gap(events.m)
        low, high = _sides(events.m, gap, c.width)
        _check_sides(low, high, c.width or gap[1] - gap[0])
        below, above = events[low], events[high]
        both = events[low | high]
        x = both.x.astype(np.float64)
        mean = np.average(x, axis=0, weights=both.weights)
        spread = np.sqrt(np.average((x - mean) ** 2, axis=0, weights=both.weights))
        scale = np.where(spread > 0, spread, 1.0)
        rng, found = ctx.rng("blocks"), []
        for number, (i, j) in enumerate(split(len(below), len(above), c.groups, rng)):
            for _ in range(c.repeats):
                matched, moved = in_blocks(_points(below[i], scale), _points(above[j], scale), c.block, rng)
                found.append((np.column_stack([i[matched[:, 0]], j[matched[:, 1]]]), moved, np.full(len(matched), number, np.int8)))
            ctx.log(number + 1, steps=c.groups)
        pairs, weight, group = (np.concatenate(part) for part in zip(*found, strict=True))
        sides = f"{len(below):,} events below and {len(above):,} above the gap from {gap[0]:.4g} to {gap[1]:.4g}"
        ctx.note(f"rad-ot: {len(pairs):,} pairs of {sides}.")
        (few, where), (many, _) = sorted([(len(below), "below"), (len(above), "above")])
        if many >= UNEQUAL * few:
            ctx.note(f"rad-ot: the {few:,} events {where} are matched with about {many / few:.0f} others each: draws repeat them.")
        return RadOtModel(_rows(below), _rows(above), pairs.astype(np.int32), weight.astype(np.float32), group)


def _check_conditions(events: Sample) -> None:
    if events.context is not None:
        raise DataError("RAD-OT knows no condition but the mass, and these events have more.", "Choose another estimator.")


def _sides(m: Array, gap: tuple[float, float], width: float) -> tuple[Mask, Mask]:
    """[N] which masses lie in the sideband below, and which in that above."""
    width = width or gap[1] - gap[0]
    return np.asarray((m <= gap[0]) & (m >= gap[0] - width)), np.asarray((m >= gap[1]) & (m <= gap[1] + width))


def _check_sides(low: Mask, high: Mask, width: float) -> None:
    for side, mask in (("below", low), ("above", high)):
        if (n := int(mask.sum())) < LEAST:
            raise DataError(
                f"RAD-OT finds {n} events within {width:.3g} {side} the window; it needs at least {LEAST} on each side.",
                "Widen the sidebands: --set estimator.width=WIDTH",
            )


def _points(sample: Sample, scale: NDArray[np.float64]) -> Points:
    return Points(sample.x / scale, sample.weights.astype(np.float64))


def _rows(sample: Sample) -> Array:
    return np.column_stack([sample.m, sample.x])
