"""Control regions: the search repeated beside the window, where data tell whether the template is right.

A template that differs from the background makes an excess behind any cut that a classifier found by that very difference. Beside the
window no signal is expected, so what a classifier finds there, data against template, measures that bias.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from adtoolkit.arrays import read_arrays, sample_arrays, to_sample, write_arrays
from adtoolkit.background import Background
from adtoolkit.capabilities import Cap
from adtoolkit.errors import DataError
from adtoolkit.folds import assign, template_folds
from adtoolkit.interfaces import DrawsFromEvents, Metric, Model
from adtoolkit.scored import Control
from adtoolkit.scoring import Pool, score_fold
from adtoolkit.stages import PIPELINE_VERSION, Part, Workshop
from adtoolkit.store import Entry
from adtoolkit.types import Sample, Window

if TYPE_CHECKING:
    from adtoolkit.runconfig import TemplateTable

#: Between window and control region, in widths of the window: room for an anchor, and for signal that leaks out of the window.
GAP: Final = 0.25
#: Fewer events of the data say nothing of a bias.
LEAST: Final = 500


def asked(table: TemplateTable, metrics: Iterable[Metric[Any]], scorer: Part) -> bool:
    """Whether to repeat the search beside the window: a metric wants it, and the scorer means something there and learns without truth."""
    possible = table.control > 0 and scorer.instance.outside and Cap.TRUTH not in scorer.record.needs
    return possible and any("control" in metric.wants for metric in metrics)


def regions(window: Window, width: float) -> tuple[Window, Window]:
    """One on each side of the window, ``width`` times as wide."""
    gap, wide = GAP * window.width, width * window.width
    return Window(window.lo - gap - wide, window.lo - gap), Window(window.hi + gap, window.hi + gap + wide)


@dataclass(frozen=True)
class Beside:
    """Data and template of the control regions, preprocessed and blind.

    Attributes:
        windows: The regions.
        data: Of each region [E], at most as many events as the data have in the window.
        template: Of each region [C], drawn at their masses.
        entry: The stage that drew them.
    """

    windows: tuple[Window, ...]
    data: tuple[Sample, ...]
    template: tuple[Sample, ...]
    entry: Entry


def draw_control(
    shop: Workshop,
    interpolator: Part,
    model: Model,
    events: Sample,
    window: Window,
    table: TemplateTable,
    given: Mapping[str, Any],
    workdir: Path,
) -> Beside | None:
    """Draw the template beside the window, by the same rule as inside: an interpolator goes around a control region as around the window.

    A side where the rule cannot go (an anchor outside the training masses), or with few events, is left out, which is noted.

    Args:
        shop: Where.
        interpolator: The rule.
        model: What the estimator fitted.
        events: The data, preprocessed and blind.
        window: Of the search.
        table: Width of the control regions, and template events per event of the data there.
        given: What the template is made from.
        workdir: A folder for the interpolator.

    Returns:
        None where no side is left, or the model can only move events that it was made from.
    """
    if isinstance(model, DrawsFromEvents):
        return None
    context = replace(shop.context, scope=("control",), stage="template", workdir=workdir)
    bound = {}
    for side in regions(window, table.control):
        inside = np.flatnonzero(side.contains(events.m))
        try:
            if len(inside) < LEAST:
                raise DataError(f"The data have {len(inside)} events there, fewer than {LEAST}.")
            bound[side] = interpolator.instance.bind(model, side, context), inside
        except Exception as error:  # noqa: BLE001  # what an interpolator refuses here was no fault in the window
            context.note(f"No control region from {side.lo:g} to {side.hi:g}: {' '.join(str(error).split())}")
    if not bound:
        return None
    most, choice = int(window.contains(events.m).sum()), context.rng("data")
    data = {side: events[np.sort(choice.permutation(inside)[:most])] for side, (_, inside) in bound.items()}
    key = {
        "pipeline": PIPELINE_VERSION,
        "given": given,
        "control": [[side.lo, side.hi] for side in bound],
        "data": [sample.digest for sample in data.values()],
        "oversample": table.oversample,
        "seed": context.seed,
    }

    def make(folder: Any, work: Any) -> Mapping[str, Any]:
        del work
        rng, lost = context.rng("draw"), 0
        for number, (side, sample) in enumerate(data.items()):
            cond = sample.cond[rng.integers(len(sample), size=round(table.oversample * len(sample)))]
            drawn = Sample(bound[side][0].sample(cond, rng), cond[:, 0], cond[:, 1:] if cond.shape[1] > 1 else None)
            good = np.isfinite(drawn.x).all(1)
            lost += int((~good).sum())
            write_arrays(folder / f"control{number}.h5", sample_arrays(drawn[good]))
        return {"not_finite": lost}

    entry = shop.stage("template", key, make, f"{interpolator.record.name} beside the window", (interpolator,))
    template = tuple(to_sample(read_arrays(entry.path / f"control{number}.h5")) for number in range(len(data)))
    return Beside(tuple(bound), tuple(data.values()), template, entry)


def score_control(
    shop: Workshop, scorer: Part, beside: Beside, background: Background, folds: int, given: Mapping[str, Any]
) -> tuple[Control | None, list[Entry]]:
    """Train the scorer anew in each control region, on its data and template, and score both by folds as in the window.

    A scorer that fails there ends no search: it is noted.

    Returns:
        None if it failed; and the stages.

    References:
        arXiv:2411.00085, where the sidebands are one region, of as many events as the window. What a model has learnt of single events is
        different at each place: one classifier for two finds less of it than each would, and less than that of the window.
    """
    context = replace(shop.context, scope=("control",), stage="score")
    found: list[Control] = []
    entries: list[Entry] = []
    for number, (side, data, template) in enumerate(zip(beside.windows, beside.data, beside.template, strict=True)):
        pool = Pool(
            events=data,
            fold=assign(np.zeros(len(data), np.int8), folds, context.rng(f"events{number}")),
            test=data[:0],
            test_fold=np.zeros(0, np.int8),
            reference=None,
            template=template,
            template_fold=template_folds(template, folds, context.rng(f"template{number}")),
            window=None,
        )
        score, template_score = (np.full(len(sample), np.nan, np.float32) for sample in (data, template))
        there, key = replace(background, drawn=template), {**given, "control": [beside.entry.digest, number]}
        try:
            for k in range(folds):
                done = score_fold(shop, scorer, pool, there, k, folds, key, f"from {side.lo:g} to {side.hi:g}")
                score[pool.fold == k], template_score[pool.template_fold == k] = done.events, done.template
                entries.append(done.entry)
        except Exception as error:  # noqa: BLE001
            context.note(f"No control regions: '{scorer.record.name}' failed there. {' '.join(str(error).split())}")
            return None, entries
        first = np.int16(number * folds)
        found.append(Control((side,), data.m, score, pool.fold + first, template.m, template_score, pool.template_fold + first, folds))
    return _joined(found), entries


def _joined(parts: list[Control]) -> Control:
    return Control(
        windows=tuple(side for part in parts for side in part.windows),
        m=np.concatenate([part.m for part in parts]),
        score=np.concatenate([part.score for part in parts]),
        fold=np.concatenate([part.fold for part in parts]),
        template_m=np.concatenate([part.template_m for part in parts]),
        template_score=np.concatenate([part.template_score for part in parts]),
        template_fold=np.concatenate([part.template_fold for part in parts]),
        folds=sum(part.folds for part in parts),
    )
