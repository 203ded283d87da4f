"""Control regions: the template beside the window, where data tell whether it is right.

A template that differs from the background makes an excess behind any cut that a classifier found by that very difference. Beside the
window no signal is expected, so what passes the same cut there, data against template, measures that bias.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from adtoolkit.arrays import read_arrays, sample_arrays, to_sample, write_arrays
from adtoolkit.errors import DataError
from adtoolkit.interfaces import DrawsFromEvents, Model
from adtoolkit.scored import Control
from adtoolkit.scoring import Pool
from adtoolkit.stages import PIPELINE_VERSION, Part, Workshop
from adtoolkit.store import Entry
from adtoolkit.types import Array, Sample, Window

if TYPE_CHECKING:
    from adtoolkit.runconfig import TemplateTable

#: Between window and control region, in widths of the window: room for an anchor, and for signal that leaks out of the window.
GAP: Final = 0.25
#: Fewer events of the data say nothing of a bias.
LEAST: Final = 500


def regions(window: Window, width: float) -> tuple[Window, Window]:
    """One on each side of the window, ``width`` times as wide."""
    gap, wide = GAP * window.width, width * window.width
    return Window(window.lo - gap - wide, window.lo - gap), Window(window.hi + gap, window.hi + gap + wide)


def draw_control(
    shop: Workshop,
    interpolator: Part,
    model: Model,
    events: Sample,
    window: Window,
    table: TemplateTable,
    given: Mapping[str, Any],
    workdir: Path,
) -> tuple[Entry, Sample] | None:
    """Draw the template beside the window, by the same rule as inside: an interpolator goes around a control region as around the window.

    A side where the rule cannot go (an anchor outside the training masses), or with few events, is left out, which is noted.

    Args:
        shop: Where.
        interpolator: The rule.
        model: What the estimator fitted.
        events: The data.
        window: Of the search.
        table: Width of the control regions, and template events per event of the data there.
        given: What the template is made from.
        workdir: A folder for the interpolator.

    Returns:
        The stage and [C] preprocessed events; None where no side is left, or the model can only move events that it was made from.
    """
    if isinstance(model, DrawsFromEvents):
        return None
    context = replace(shop.context, scope=("control",), stage="template", workdir=workdir)
    bound = {}
    for side in regions(window, table.control):
        inside = events[side.contains(events.m)]
        try:
            if len(inside) < LEAST:
                raise DataError(f"The data have {len(inside)} events there, fewer than {LEAST}.")
            bound[side] = interpolator.instance.bind(model, side, context), inside
        except Exception as error:  # noqa: BLE001  # what an interpolator refuses here was no fault in the window
            context.note(f"No control region from {side.lo:g} to {side.hi:g}: {' '.join(str(error).split())}")
    if not bound:
        return None
    sides = [[side.lo, side.hi] for side in bound]
    key = {"pipeline": PIPELINE_VERSION, "given": given, "control": sides, "oversample": table.oversample, "seed": context.seed}

    def make(folder: Any, work: Any) -> Mapping[str, Any]:
        del work
        rng, drawn = context.rng("draw"), []
        for rule, inside in bound.values():
            rows = rng.integers(len(inside), size=round(table.oversample * len(inside)))
            cond = inside.cond[rows]
            drawn.append(Sample(rule.sample(cond, rng), cond[:, 0], cond[:, 1:] if cond.shape[1] > 1 else None))
        both = Sample.concat(*drawn)
        good = np.isfinite(both.x).all(1)
        write_arrays(folder / "control.h5", sample_arrays(both[good]))
        return {"not_finite": int((~good).sum())}

    entry = shop.stage("template", key, make, f"{interpolator.record.name} beside the window", (interpolator,))
    return entry, to_sample(read_arrays(entry.path / "control.h5"))


def scored_control(pool: Pool, score: Array, width: float) -> Control | None:
    """The control events with their scores, and the regions that have any."""
    if pool.window is None or pool.control is None or pool.control_fold is None:
        return None
    there = tuple(side for side in regions(pool.window, width) if side.contains(pool.control.m).any())
    return Control(there, pool.control.m, score, pool.control_fold)
