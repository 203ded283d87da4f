"""Sculpting: does a cut on the score shape the mass spectrum?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from adtoolkit.interfaces import Context, Metric
from adtoolkit.metrics.closure import equal_edges
from adtoolkit.metrics.config import SculptingConfig
from adtoolkit.metrics.selection import threshold, truth_is
from adtoolkit.scored import Scored


def chi2_per_degree(
    everything: NDArray[np.number], kept: NDArray[np.number], squares: NDArray[np.number] | None = None
) -> NDArray[np.float64]:
    """Of the hypothesis that every bin keeps the same share: [B] events per bin, [..., B] of them selected -> [...].

    Of weighted events these are sums of weights, and ``squares`` [B] the sums of their squares.
    """
    share = kept.sum(-1, keepdims=True) / everything.sum()
    variance = (everything if squares is None else squares) * share * (1 - share)
    return np.asarray(((kept - everything * share) ** 2 / variance).sum(-1) / (len(everything) - 1))


def weighted(
    index: NDArray[np.integer], selected: NDArray[np.bool_], weight: NDArray[np.floating], trials: int, rng: np.random.Generator
) -> tuple[float, NDArray[np.float64]]:
    """`chi2_per_degree` of weighted events, and of [trials] random selections of as many events."""
    bins = int(index.max()) + 1
    everything, squares = (np.bincount(index, values, bins) for values in (weight, weight**2))

    def chi2(chosen: NDArray[np.integer]) -> float:
        return float(chi2_per_degree(everything, np.bincount(index[chosen], weight[chosen], bins), squares))

    drawn = [chi2(rng.choice(len(index), int(selected.sum()), replace=False)) for _ in range(trials)]
    return chi2(np.flatnonzero(selected)), np.asarray(drawn)


class Sculpting(Metric[SculptingConfig]):
    """chi2 per degree of freedom of a flat efficiency against m, in bins of equal population over all masses that are scored.

    For scorers that score the window alone that is the window, and the names begin with ``sculpting-window``.

    Thresholds are set per fold, at background efficiency ``at`` in the window. With truth at hand only background counts, so that a
    signal peak is no sculpting. ``sculpting-p`` is the share of random selections of the same size with at least this chi2. Weights
    count, but thresholds and bins are those of the events.

    References:
        Hallin, Kasieczka, Quadfasel, Shih, Sommerhalder, "Resonant anomaly detection without background sculpting", arXiv:2210.14924.
    """

    needs: ClassVar[frozenset[str]] = frozenset()

    def compute(self, scored: Scored, ctx: Context) -> Mapping[str, float]:
        known = scored.events.truth is not None
        counted = np.isfinite(scored.score) & (truth_is(scored.events, 0) if known else True)
        inside = scored.inside(scored.events)
        selected = np.zeros(len(scored.events), bool)
        for k in range(scored.folds):
            own = scored.fold == k
            selected |= own & (scored.score > threshold(scored.score[own & counted & inside], self.config.at))
        m, selected = scored.events.m[counted], selected[counted]
        bins = min(self.config.bins, int(selected.sum()) // 10)
        edges = equal_edges(m, max(bins, 1))
        if bins < 2 or len(edges) < 3:
            ctx.note(f"sculpting: not computed, since a cut at eps_B = {self.config.at:g} leaves {int(selected.sum())} events.")
            return {}
        if not known:
            ctx.note("sculpting: truth is not known, so that a signal peak would count as sculpting.")
        index = np.searchsorted(edges[1:-1], m, "right")
        name = "sculpting" if np.isfinite(scored.score[~inside]).any() or inside.all() else "sculpting-window"
        rng = ctx.rng("random selections")
        if scored.events.weight is not None:
            value, trials = weighted(index, selected, scored.events.weight[counted].astype(np.float64), self.config.trials, rng)
            return {f"{name}-chi2": value, f"{name}-p": float(1 + (trials >= value).sum()) / (1 + len(trials))}
        everything, kept = (np.bincount(of, minlength=len(edges) - 1) for of in (index, index[selected]))
        value = float(chi2_per_degree(everything, kept))
        # counts per bin of a random selection of the same size: exact, without shuffling all events for each
        trials = chi2_per_degree(everything, rng.multivariate_hypergeometric(everything, int(kept.sum()), self.config.trials))
        return {f"{name}-chi2": value, f"{name}-p": float(1 + (trials >= value).sum()) / (1 + len(trials))}
