"""Control regions: the search repeated beside the window, where data tell whether the template is right.

A template that differs from the background makes an excess behind any cut that a classifier found by that very difference. Beside the
window no signal is expected, so what a classifier finds there, data against template, measures that bias.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np

from adtoolkit.arrays import read_arrays, sample_arrays, to_sample, write_arrays
from adtoolkit.background import Background
from adtoolkit.control_plan import regions
from adtoolkit.errors import CacheError, DataError
from adtoolkit.events import Event
from adtoolkit.folds import assign, template_folds
from adtoolkit.interfaces import Model
from adtoolkit.mass import Empirical, MassConfig, fit_mass
from adtoolkit.preprocess import Preprocess
from adtoolkit.scored import Control
from adtoolkit.scoring import Pool, score_fold
from adtoolkit.stages import FINITE, PIPELINE_VERSION, Part, Workshop, read_densities, tabulate_densities
from adtoolkit.store import Entry
from adtoolkit.types import Sample, Window, shares

#: Fewer events of the data say nothing of a bias.
LEAST: Final = 500

T = TypeVar("T")


def check_region(events: Sample, region: Window) -> None:
    """Refuse a control region that says nothing of a bias.

    Raises:
        DataError: if it holds too few events of the data.
    """
    inside = region.contains(events.m)
    if (n := int(inside.sum())) < LEAST:
        raise DataError(f"The data have {n} events there, fewer than {LEAST}.")
    if not events.weights[inside].sum() > 0:
        raise DataError("The data have no event of weight above zero there.")


def _where(region: Window) -> str:
    return f"from {region.lo:g} to {region.hi:g}"


def in_region(shop: Workshop, region: Window) -> Workshop:
    """The same workshop, whose notes say that they are of a control region."""

    def tell(event: Event) -> None:
        text = f"In the control region {_where(region)}: {event.text}"
        shop.context.tell(replace(event, text=text) if event.kind == "note" else event)

    return replace(shop, context=replace(shop.context, tell=tell))


@dataclass(frozen=True)
class Search:
    """The search in the window, which is to be repeated beside it.

    Attributes:
        window: Where.
        events: [N] the data, preprocessed and blind.
        width: Of the control regions, in widths of the window.
        oversample: Template events per event of the data.
        mass: The model of p(m).
        prep: How features were preprocessed.
        densities: Whether the scorer needs densities of the background.
    """

    window: Window
    events: Sample
    width: float
    oversample: float
    mass: MassConfig
    prep: Preprocess
    densities: bool


@dataclass(frozen=True)
class ControlRegion:
    """One control region.

    Attributes:
        window: The region.
        data: [E] events there, preprocessed and blind, at most as many as the data have in the window.
        background: What the model says there, with a template [C] drawn at masses of these data.
        entries: The stages that were made for it.
    """

    window: Window
    data: Sample
    background: Background
    entries: tuple[Entry, ...]


@dataclass(frozen=True)
class ControlRegions:
    """Those that could be made, of one or two.

    Attributes:
        regions: In order of m.
        not_finite: Draws that were dropped, in all of them.
    """

    regions: tuple[ControlRegion, ...]
    not_finite: int

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All stages."""
        return tuple({entry.path: entry for region in self.regions for entry in region.entries}.values())


def draw_control(
    shop: Workshop,
    interpolator: Part,
    model: Callable[[Window], tuple[Model, Entry | None]],
    search: Search,
    given: Mapping[str, Any],
    workdir: Path,
) -> ControlRegions:
    """Draw the template beside the window, by the same rule as inside: an interpolator goes around a control region as around the window.

    What fails here ends no search. A region where the rule cannot go (an anchor outside the training masses), or with few events, is left
    out, which is noted.

    Args:
        shop: Where.
        interpolator: The rule.
        model: What the estimator fitted, for each region; and the stage that fitted it for this region alone, if one did.
        search: What is repeated.
        given: What the window's template is made from.
        workdir: A folder for the interpolator.
    """
    context = replace(shop.context, scope=("control",), stage="template")
    choice = context.rng("data")

    def bound(region: Window) -> ControlRegion:
        check_region(search.events, region)
        inside = np.flatnonzero(region.contains(search.events.m))
        fitted, refit = model(region)
        there = replace(in_region(shop, region).context, scope=context.scope, stage=context.stage, workdir=workdir)
        rule = interpolator.instance.bind(fitted, region, there)
        mass = fit_mass(search.mass, search.events.m, region, search.events.weight) if search.densities else None
        most = int(search.window.contains(search.events.m).sum())
        data = search.events[np.sort(choice.permutation(inside)[:most])]
        background = Background(
            model=rule,
            mass=mass or Empirical(data.m, data.weight),  # the masses that the template is drawn at
            conditions=None if data.context is None else data.cond,
            weights=data.weight,
            prep=search.prep,
        )
        return ControlRegion(region, data, background, () if refit is None else (refit,))

    def tried(region: Window, work: Callable[[], T]) -> T | None:
        return _tried(f"No control region {_where(region)}", context.note, work)

    found = [there for region in regions(search.window, search.width) if (there := tried(region, partial(bound, region))) is not None]
    entry = _tried("No control regions", context.note, lambda: _templates(shop, interpolator, found, search, given)) if found else None
    if entry is None:
        return ControlRegions((), 0)

    def whole(number: int, region: ControlRegion) -> ControlRegion:
        template = to_sample(read_arrays(entry.path / f"control{number}.h5"))
        if len(template) < FINITE * _size(region.data, search):
            raise DataError(f"{len(template):,} of {_size(region.data, search):,} drawn events are finite.")
        background, entries = replace(region.background, drawn=template), (entry, *region.entries)
        if search.densities:
            known = Sample.concat(*(Sample(s.x, s.m, s.context) for s in (region.data, template)))
            where, named = _where(region.window), {**given, "control": [entry.digest, number]}
            made = tabulate_densities(shop, interpolator, background, known, named, where)
            background, entries = replace(background, known=read_densities(made, known)), (*entries, made)
        return replace(region, background=background, entries=entries)

    drawn = [done for i, region in enumerate(found) if (done := tried(region.window, partial(whole, i, region))) is not None]
    return ControlRegions(tuple(drawn), int(entry.meta["not_finite"]))


def _size(data: Sample, search: Search) -> int:
    return round(search.oversample * len(data))


def _templates(shop: Workshop, interpolator: Part, found: list[ControlRegion], search: Search, given: Mapping[str, Any]) -> Entry:
    """Draw for each region, at masses of its data."""
    context = replace(shop.context, scope=("control",), stage="template")
    refits = [entry.digest for region in found for entry in region.entries]
    key = {
        "pipeline": PIPELINE_VERSION,
        "given": given,
        "control": [[region.window.lo, region.window.hi] for region in found],
        "data": [region.data.digest for region in found],
        "oversample": search.oversample,
        "seed": context.seed,
        **({"refit": refits} if refits else {}),
        **({} if search.events.weight is None else {"masses": "by weight"}),
    }

    def make(folder: Any, work: Any) -> Mapping[str, Any]:
        del work
        rng, lost = context.rng("draw"), 0
        for number, region in enumerate(found):
            rows = rng.choice(len(region.data), _size(region.data, search), p=shares(region.data.weight))
            drawn = region.background.sample_at(region.data.cond[rows], rng)
            good = np.isfinite(drawn.x).all(1)
            lost += int((~good).sum())
            write_arrays(folder / f"control{number}.h5", sample_arrays(drawn[good]))
        return {"not_finite": lost}

    return shop.stage("template", key, make, f"{interpolator.record.name} beside the window", (interpolator,))


def _tried(what: str, note: Callable[[str], None], work: Callable[[], T]) -> T | None:
    """What ``work`` gives; None, and a note why, where a part refuses or fails: it was no fault in the window."""
    try:
        return work()
    except CacheError:
        raise
    except Exception as error:  # noqa: BLE001
        note(f"{what}: {' '.join(str(error).split())}")
        return None


def score_control(
    shop: Workshop, scorer: Part, control: ControlRegions, folds: int, given: Mapping[str, Any]
) -> tuple[Control | None, list[Entry]]:
    """Train the scorer anew in each control region, on its data and template, and score both by folds as in the window.

    A scorer that fails there ends no search: it is noted.

    Returns:
        None if it failed, or there is no region; and the stages.

    References:
        arXiv:2411.00085, where the sidebands are one region, of as many events as the window. What a model has learnt of single events is
        different at each place: one classifier for two finds less of it than each would, and less than that of the window.
    """
    context = replace(shop.context, scope=("control",), stage="score")
    found: list[Control] = []
    entries: list[Entry] = []

    def scored(number: int, region: ControlRegion) -> Control:
        data, template = region.data, region.background.template
        pool = Pool(
            events=data,
            fold=assign(np.zeros(len(data), np.int8), folds, context.rng(f"events{number}")),
            test=data[:0],
            test_fold=np.zeros(0, np.int8),
            reference=None,
            template=template,
            template_fold=template_folds(template, folds, context.rng(f"template{number}")),
            window=None if scorer.instance.outside else region.window,
        )
        score, template_score = (np.full(len(sample), np.nan, np.float32) for sample in (data, template))
        key = {**given, "control": [*(entry.digest for entry in control.entries), number]}
        where, there = _where(region.window), in_region(shop, region.window)
        for k in range(folds):
            done = score_fold(there, scorer, pool, region.background, k, folds, key, where)
            score[pool.fold == k], template_score[pool.template_fold == k] = done.events, done.template
            entries.append(done.entry)
        first = np.int16(number * folds)
        return Control(
            windows=(region.window,),
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

    for number, region in enumerate(control.regions):
        one = _tried(f"No control regions: '{scorer.record.name}' failed there", context.note, partial(scored, number, region))
        if one is None:
            return None, entries
        found.append(one)
    return _joined(found) if found else None, entries


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
