"""Checks of metrics, on toy scores of which the right order is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from adtoolkit.data import toy_bump
from adtoolkit.scored import Scored
from adtoolkit.testing.checks import NotApplicable, conformance, require
from adtoolkit.testing.guards import OtherGlobalSeeds
from adtoolkit.testing.subject import Call, lasting, watch
from adtoolkit.testing.worlds import toy_world
from adtoolkit.types import Array, Sample

if TYPE_CHECKING:
    from adtoolkit.testing.subject import Subject

#: What a metric may say it needs.
_NEEDS = frozenset({"truth", "template", "log-ratio"})
_FOLDS = 3


def toy_scored(subject: Subject) -> Scored:
    """The toy world, scored by the optimal score with some noise, in three folds."""

    def make() -> Scored:
        world = toy_world(seed=1, n=8000, n_signal=250, n_test=16_000)
        rng = np.random.default_rng(21)
        events, test = world.dataset.events, world.dataset.test
        m = rng.uniform(world.the_window.lo, world.the_window.hi, 3000).astype(np.float32)
        template = world.background(m, rng)

        def score(sample: Sample) -> Array:
            best = toy_bump.optimal_score(sample.x, sample.m)
            return np.asarray(best + 1.5 * rng.standard_normal(len(sample)), np.float32)

        def fold(sample: Sample) -> Any:
            return rng.integers(0, _FOLDS, len(sample)).astype(np.int8)

        return Scored(
            events=events,
            score=score(events),
            fold=fold(events),
            test=test,
            test_score=np.column_stack([score(test) for _ in range(_FOLDS)]),
            features=world.dataset.features,
            window=world.window,
            template=template,
            template_score=score(template),
            template_fold=fold(template),
            mass="m",
            unit="TeV",
            log_ratio=True,
            fits=({"w": 0.1},) * _FOLDS,
        )

    return cast("Scored", subject.once("scored", make))


def _compute(subject: Subject) -> Call:
    return cast("Call", subject.once("computed", lambda: _watched_compute(subject)))


def _watched_compute(subject: Subject) -> Call:
    scored = toy_scored(subject)
    instance, context = subject.make(), subject.context()
    return watch(lambda: instance.compute(scored, context), scored)


@conformance("metric")
def check_metric_is_flat_finite_floats(subject: Subject) -> None:
    """``compute`` returns at least one number, all finite, under names without blanks."""
    values = _compute(subject).result
    require(isinstance(values, Mapping) and values, f"It returned {values!r}.")
    for name, value in values.items():
        require(isinstance(name, str) and name and not any(c.isspace() for c in name), f"A name is {name!r}.")
        require(isinstance(value, (int, float, np.floating)) and not isinstance(value, bool), f"{name} is {value!r}, no number.")
        require(np.isfinite(value), f"{name} is {value}.")


@conformance("metric")
def check_metric_intervals_named(subject: Subject) -> None:
    """An interval of NAME is NAME-lo and NAME-hi, both there, with NAME between them."""
    values = _compute(subject).result
    stems = {name[:-3] for name in values if name.endswith(("-lo", "-hi"))}
    for stem in sorted(stems):
        for name in (stem, f"{stem}-lo", f"{stem}-hi"):
            require(name in values, f"There is an interval of '{stem}' but no '{name}'.")
        lo, value, hi = values[f"{stem}-lo"], values[stem], values[f"{stem}-hi"]
        require(lo <= value <= hi, f"{stem} = {value:.4g} is outside {lo:.4g} to {hi:.4g}.")


@conformance("metric")
def check_metric_is_deterministic(subject: Subject) -> None:
    """The same scores and seed give the same numbers, wherever the global generators stand."""
    first = dict(_compute(subject).result)
    with OtherGlobalSeeds():
        again = dict(subject.make().compute(toy_scored(subject), subject.context()))
    different = sorted(name for name in first.keys() | again.keys() if first.get(name) != again.get(name))
    require(not different, f"Between two calls these differ: {', '.join(different)}.")


@conformance("metric")
def check_metric_leaves_inputs_alone(subject: Subject) -> None:
    """Computing changes neither the scored events nor any global state."""
    call = _compute(subject)
    require(not call.written, f"Changed: {', '.join(call.written)}.")
    touched = lasting(call, lambda: _watched_compute(subject))
    require(not touched, f"Changed: {', '.join(touched)}.")


@conformance("metric")
def check_metric_needs_are_enough(subject: Subject) -> None:
    """A metric computes from what it says it needs: without truth labels, or without a template, where it does not name them."""
    needs = frozenset(subject.target.needs)
    unknown = sorted(needs - _NEEDS)
    require(not unknown, f"It needs {', '.join(unknown)}; known are {', '.join(sorted(_NEEDS))}.")
    if needs >= {"truth", "template"}:
        reason = "it needs both truth and template"
        raise NotApplicable(reason)
    scored = toy_scored(subject)
    if "truth" not in needs:
        scored = replace(scored, events=scored.events.blind(), test=scored.test[:0], test_score=scored.test_score[:0])
    if "template" not in needs:
        scored = replace(scored, template=None, template_score=None, template_fold=None)
    if "log-ratio" not in needs:
        scored = replace(scored, log_ratio=False, fits=())
    values = subject.make().compute(scored, subject.context())
    require(all(np.isfinite(value) for value in values.values()), "Without them some numbers are not finite.")
