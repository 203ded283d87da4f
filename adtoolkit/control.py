"""Control regions: the search repeated beside the window, where data tell whether the template is right.

A template that differs from the background makes an excess behind any cut that a classifier found by that very difference. Beside the
window no signal is expected, so what a classifier finds there, data against template, measures that bias.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from adtoolkit.arrays import read_arrays, sample_arrays, to_sample, write_arrays
from adtoolkit.background import Background
from adtoolkit.capabilities import Cap
from adtoolkit.errors import DataError, RunError
from adtoolkit.events import Event
from adtoolkit.folds import assign, template_folds
from adtoolkit.interfaces import Metric, Model
from adtoolkit.mass import MassConfig, fit_mass
from adtoolkit.preprocess import Preprocess
from adtoolkit.scored import Control
from adtoolkit.scoring import Pool, score_fold
from adtoolkit.stages import PIPELINE_VERSION, Part, Workshop, read_densities, tabulate_densities
from adtoolkit.store import Entry
from adtoolkit.types import Sample, Window, shares

if TYPE_CHECKING:
    from adtoolkit.runconfig import TemplateTable

#: Between window and control region, in widths of the window: room for an anchor, and for signal that leaks out of the window.
GAP: Final = 0.25
#: Fewer events of the data say nothing of a bias.
LEAST: Final = 500


def width_of(table: TemplateTable, metrics: Iterable[Metric[Any]], scorer: Part, note: Callable[[str], None]) -> float:
    """How wide the control regions are, in widths of the window; 0 for none: no metric wants them, or the scorer learns from truth.

    Scorers of the window alone train densities, which takes long: by default they are not trained there, and a note says so.
    """
    if Cap.TRUTH in scorer.record.needs or not any("control" in metric.wants for metric in metrics):
        return 0.0
    if table.control != "auto":
        return table.control
    if scorer.instance.outside or not scorer.instance.trains:
        return 1.0
    note(f"No control regions: '{scorer.record.name}' would be trained three times as often. To have them: --set template.control=1")
    return 0.0


def regions(window: Window, width: float) -> tuple[Window, Window]:
    """One on each side of the window, ``width`` times as wide."""
    gap, wide = GAP * window.width, width * window.width
    return Window(window.lo - gap - wide, window.lo - gap), Window(window.hi + gap, window.hi + gap + wide)


def beside_the_window(shop: Workshop, side: Window) -> Workshop:
    """The same workshop, where notes say that they are of a control region."""

    def tell(event: Event) -> None:
        where = f"In the control region from {side.lo:g} to {side.hi:g}: "
        shop.context.tell(replace(event, text=where + event.text) if event.kind == "note" else event)

    return replace(shop, context=replace(shop.context, tell=tell))


@dataclass(frozen=True)
class Search:
    """What is searched for in the window, to be repeated beside it.

    Attributes:
        window: Where.
        events: [N] the data, preprocessed and blind.
        width: Of the control regions, in widths of the window.
        oversample: Template events per event of the data.
        mass: The model of p(m).
        prep: How features were preprocessed.
    """

    window: Window
    events: Sample
    width: float
    oversample: float
    mass: MassConfig
    prep: Preprocess


@dataclass(frozen=True)
class Side:
    """One control region.

    Attributes:
        window: The region.
        data: [E] events there, preprocessed and blind, at most as many as the data have in the window.
        background: What the model says there, with a template [C] drawn at masses of these data.
    """

    window: Window
    data: Sample
    background: Background


@dataclass(frozen=True)
class Beside:
    """The control regions, and the stages that made their backgrounds; the first of them drew the templates."""

    sides: tuple[Side, ...]
    entries: tuple[Entry, ...]


def draw_control(
    shop: Workshop,
    interpolator: Part,
    model: Callable[[Window], tuple[Model, Entry | None]],
    search: Search,
    given: Mapping[str, Any],
    workdir: Path,
    densities: bool = False,
) -> Beside | None:
    """Draw the template beside the window, by the same rule as inside: an interpolator goes around a control region as around the window.

    A side where the rule cannot go (an anchor outside the training masses), or with few events, is left out, which is noted.

    Args:
        shop: Where.
        interpolator: The rule.
        model: What the estimator fitted, for each region; and the stage that fitted it for this region alone, if one did.
        search: What is searched beside.
        given: What the window's template is made from.
        workdir: A folder for the interpolator.
        densities: Whether the scorer needs densities too.

    Returns:
        None where no side is left.
    """
    context = replace(shop.context, scope=("control",), stage="template", workdir=workdir)
    window, events = search.window, search.events

    def left_out(side: Window, error: Exception) -> None:
        context.note(f"No control region from {side.lo:g} to {side.hi:g}: {' '.join(str(error).split())}")

    found: dict[Window, tuple[NDArray[np.intp], Background, Entry | None]] = {}
    for side in regions(window, search.width):
        inside = np.flatnonzero(side.contains(events.m))
        try:
            if len(inside) < LEAST:
                raise DataError(f"The data have {len(inside)} events there, fewer than {LEAST}.")
            fitted, refit = model(side)
            mass = fit_mass(search.mass, events.m, side, events.weight)
            found[side] = inside, Background(interpolator.instance.bind(fitted, side, context), mass, prep=search.prep), refit
        except Exception as error:  # noqa: BLE001  # what a part refuses here was no fault in the window
            left_out(side, error)
    if not found:
        return None
    most, choice = int(window.contains(events.m).sum()), context.rng("data")
    data = [events[np.sort(choice.permutation(inside)[:most])] for inside, _, _ in found.values()]
    refits = [refit for _, _, refit in found.values() if refit is not None]
    key = {
        "pipeline": PIPELINE_VERSION,
        "given": given,
        "control": [[side.lo, side.hi] for side in found],
        "data": [sample.digest for sample in data],
        "oversample": search.oversample,
        "seed": context.seed,
        **({"refit": [refit.digest for refit in refits]} if refits else {}),
    }

    def make(folder: Any, work: Any) -> Mapping[str, Any]:
        del work
        rng, lost = context.rng("draw"), 0
        for number, (sample, (_, background, _)) in enumerate(zip(data, found.values(), strict=True)):
            n = round(search.oversample * len(sample))
            rows = rng.choice(len(sample), n, p=shares(sample.weight))
            drawn = background.sample_at(sample.cond[rows], rng)
            good = np.isfinite(drawn.x).all(1)
            lost += int((~good).sum())
            write_arrays(folder / f"control{number}.h5", sample_arrays(drawn[good]))
        return {"not_finite": lost}

    entry = shop.stage("template", key, make, f"{interpolator.record.name} beside the window", (interpolator,))
    sides, entries = [], [entry, *refits]
    for number, (side, (_, background, _)) in enumerate(found.items()):
        there = replace(background, drawn=to_sample(read_arrays(entry.path / f"control{number}.h5")))
        if densities:
            known = Sample.concat(*(Sample(s.x, s.m, s.context) for s in (data[number], there.template)))
            try:
                made = tabulate_densities(shop, interpolator, there, known, {**given, "control": [entry.digest, number]})
            except RunError as error:
                left_out(side, error)
                continue
            there = replace(there, known=read_densities(made, known))
            entries.append(made)
        sides.append(Side(side, data[number], there))
    return Beside(tuple(sides), tuple(entries)) if sides else None


def score_control(shop: Workshop, scorer: Part, beside: Beside, folds: int, given: Mapping[str, Any]) -> tuple[Control | None, list[Entry]]:
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
    for number, side in enumerate(beside.sides):
        data, template = side.data, side.background.template
        pool = Pool(
            events=data,
            fold=assign(np.zeros(len(data), np.int8), folds, context.rng(f"events{number}")),
            test=data[:0],
            test_fold=np.zeros(0, np.int8),
            reference=None,
            template=template,
            template_fold=template_folds(template, folds, context.rng(f"template{number}")),
            window=None if scorer.instance.outside else side.window,
        )
        score, template_score = (np.full(len(sample), np.nan, np.float32) for sample in (data, template))
        key = {**given, "control": [*(entry.digest for entry in beside.entries), number]}
        where, there = f"from {side.window.lo:g} to {side.window.hi:g}", beside_the_window(shop, side.window)
        try:
            for k in range(folds):
                done = score_fold(there, scorer, pool, side.background, k, folds, key, where)
                score[pool.fold == k], template_score[pool.template_fold == k] = done.events, done.template
                entries.append(done.entry)
        except Exception as error:  # noqa: BLE001
            context.note(f"No control regions: '{scorer.record.name}' failed there. {' '.join(str(error).split())}")
            return None, entries
        first = np.int16(number * folds)
        scored_there = Control(
            windows=(side.window,),
            m=data.m,
            score=score,
            fold=pool.fold + first,
            template_m=template.m,
            template_score=template_score,
            template_fold=pool.template_fold + first,
            folds=folds,
            template_group=template.group,
            weight=data.weight,
        )
        found.append(scored_there)
    return _joined(found), entries


def _joined(parts: list[Control]) -> Control:
    weights = [part.weight for part in parts if part.weight is not None]
    groups, first = [], 0
    for part in parts:
        if part.template_group is not None:
            groups.append(part.template_group + first)
            first = int(groups[-1].max()) + 1
    return Control(
        windows=tuple(side for part in parts for side in part.windows),
        m=np.concatenate([part.m for part in parts]),
        score=np.concatenate([part.score for part in parts]),
        fold=np.concatenate([part.fold for part in parts]),
        template_m=np.concatenate([part.template_m for part in parts]),
        template_score=np.concatenate([part.template_score for part in parts]),
        template_fold=np.concatenate([part.template_fold for part in parts]),
        folds=sum(part.folds for part in parts),
        template_group=np.concatenate(groups) if groups else None,
        weight=np.concatenate(weights) if weights else None,
    )
