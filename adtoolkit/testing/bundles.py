"""What the checks work on, each made once per component: fitted models, bound models, fitted scorers, and their answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
from numpy.typing import NDArray

from adtoolkit.capabilities import Cap, Caps
from adtoolkit.interfaces import PROTOCOLS, ScorerData
from adtoolkit.plugin import Component, Region
from adtoolkit.records import makes_nothing
from adtoolkit.testing.checks import CheckFailure, NotApplicable
from adtoolkit.testing.guards import OtherGlobalSeeds
from adtoolkit.testing.subject import Call, Subject, watch
from adtoolkit.testing.worlds import LineModel, World, reference_world, toy_world
from adtoolkit.types import Array, Sample

if TYPE_CHECKING:
    from adtoolkit.background import Background

#: Distance, in every feature, between the two populations of the weights check.
SHIFT: Final = 2.5

_EXACT: Final[Caps] = frozenset({Cap.SAMPLE, Cap.NOISE, Cap.LOG_PROB})


def world_of(subject: Subject) -> World:
    """The toy world that a component is tried on: plenty of signal for scorers, none for the others."""
    n, n_signal = (8000, 250) if subject.component.kind == "scorer" else (3000, 0)
    return cast("World", subject.once("world", lambda: make_world(subject)(seed=1, n=n, n_signal=n_signal)))


def make_world(subject: Subject) -> Callable[..., World]:
    """What makes worlds of the component's kind.

    Without a window for estimators that prefer to be trained on a reference, and for scorers that look into their models.
    """
    tried = subject.component
    if tried.kind == "scorer":
        tried = _host(subject, _wanted(tried)) or tried
    return reference_world if tried.trains_on[:1] == (Region.REFERENCE,) else toy_world


def real_caps(model: Any) -> frozenset[Cap]:
    """What a model really can do, by its methods."""
    return frozenset(cap for cap, protocol in PROTOCOLS.items() if isinstance(model, protocol))


# estimators


def region_of(component: Component) -> Region:
    """What an estimator prefers to be trained on.

    Raises:
        NotApplicable: if it makes no model.
    """
    if makes_nothing(component):
        reason = "it makes no model"
        raise NotApplicable(reason)
    return component.trains_on[0]


def fit_estimator(subject: Subject, samples: tuple[Sample, Sample], *, seed: int = 0, device: str = "cpu") -> Call:
    """Train a fresh instance, watched."""
    train, val = samples
    instance, context = subject.make(), subject.context(seed, device)
    return watch(lambda: instance.fit(train, val, context), train, val)


def first_fit(subject: Subject) -> Call:
    """The one fit that most checks of estimators and scorers share."""
    if subject.component.kind == "scorer":
        return cast("Call", subject.once("fit", lambda: fit_scorer(subject, scorer_data(subject))))
    return cast("Call", subject.once("fit", lambda: fit_estimator(subject, world_of(subject).training(region_of(subject.component)))))


def second_fit(subject: Subject) -> Call:
    """The same again, with the same seed, while the global generators stand elsewhere."""

    def again() -> Call:
        with OtherGlobalSeeds():
            if subject.component.kind == "scorer":
                return fit_scorer(subject, scorer_data(subject))
            return fit_estimator(subject, world_of(subject).training(region_of(subject.component)))

    return cast("Call", subject.once("refit", again))


# interpolators


def model_offering(subject: Subject, wanted: Caps) -> tuple[Any, str]:
    """A model with these capabilities and where it came from: the exact toy model, else a registered estimator, fitted on the toy.

    Raises:
        CheckFailure: if nothing registered offers them.
    """
    if wanted <= _EXACT:
        return world_of(subject).model(), "the exact toy model"
    if wanted <= _EXACT | {Cap.FIELD}:
        return LineModel(), "a model in closed form"
    host = _host(subject, wanted)
    if host is not None:
        return first_fit(subject.pool.of(host)).result, f"estimator '{host.name}'"
    message = f"No registered estimator offers {', '.join(sorted(wanted))}, so there is nothing to try it on."
    raise CheckFailure(message)


def _host(subject: Subject, wanted: Caps) -> Component | None:
    """The first registered estimator that offers what no model in closed form does; None if there is none, or no need of it."""
    if wanted <= _EXACT | {Cap.FIELD}:
        return None
    for estimator in (registered.component for registered in subject.registry.components("estimator")):
        fits = not subject.component.accepts or subject.component.accepts & set(estimator.trains_on)
        if wanted <= estimator.provides and fits:
            return estimator
    return None


def base_model(subject: Subject) -> Any:
    """The model that an interpolator is tried on: one that meets all its rules at once, else its first rule."""

    def choose() -> Any:
        rules = subject.component.rules
        if not rules:
            return model_offering(subject, _EXACT)[0]
        try:
            return model_offering(subject, frozenset().union(*(needs for needs, _ in rules)))[0]
        except CheckFailure:
            return model_offering(subject, rules[0][0])[0]

    return subject.once("base", choose)


def base_caps(subject: Subject) -> Caps:
    """What the model under an interpolator can do, by its methods and, for what no method tells, by its estimator's record."""
    model = base_model(subject)
    for estimator in (registered.component for registered in subject.registry.components("estimator")):
        first = subject.pool.of(estimator).peek("fit")
        if first and first.result is model:
            return frozenset(cap for cap in estimator.provides if cap not in PROTOCOLS) | real_caps(model)
    return frozenset({Cap.NOISE}) | real_caps(model)  # a model in closed form


def bind(subject: Subject, seed: int = 0) -> Call:
    """Bind the model to the window of the toy world, watched."""
    instance, model, context = subject.make(), base_model(subject), subject.context(seed)
    return watch(lambda: instance.bind(model, world_of(subject).window, context))


def first_bind(subject: Subject) -> Call:
    """The bound model that most checks of interpolators share."""
    return cast("Call", subject.once("bind", lambda: bind(subject)))


def declared_caps(subject: Subject) -> frozenset[Cap]:
    """What the model under test should be able to do, by the record."""
    component = subject.component
    if component.kind == "estimator":
        caps: Caps = component.provides
    elif not component.rules:
        caps = real_caps(base_model(subject))
    else:
        have = base_caps(subject)
        caps = frozenset().union(*(gives for needs, gives in component.rules if needs <= have))
    return frozenset(cap for cap in PROTOCOLS if cap in caps)


# models, fitted or bound


def model_of(subject: Subject) -> Any:
    """The model under test: fitted for estimators, bound for interpolators."""
    return first_fit(subject).result if subject.component.kind == "estimator" else first_bind(subject).result


def points(subject: Subject, n: int, seed: int = 5) -> Sample:
    """n background events at masses where the model under test must answer: the window for interpolators, else the training range."""
    world = world_of(subject)
    rng = np.random.default_rng(seed)
    if subject.component.kind == "interpolator" and world.window is not None:
        m = rng.uniform(world.window.lo, world.window.hi, n)
    else:
        m = rng.choice(world.training(region_of(subject.component))[0].m, n)
    return world.background(m, rng)


def answers(subject: Subject, model: Any, n: int = 100) -> dict[str, Array]:
    """What a model says at fixed points with fixed seeds, per capability: equal if and only if the models are the same."""
    at = points(subject, n)
    found: dict[str, Array] = {}
    if Cap.SAMPLE in real_caps(model):
        found["sample"] = model.sample(at.cond, np.random.default_rng(11))
    if Cap.LOG_PROB in real_caps(model):
        found["log_prob"] = model.log_prob(at.x, at.cond)
    if Cap.RECONSTRUCT in real_caps(model):
        found["reconstruct"] = model.reconstruct(at.x, at.cond)
    return found


# scorers


def _wanted(scorer: Component) -> Caps:
    """What a scorer needs of a model."""
    return scorer.needs - {Cap.WINDOW, Cap.REFERENCE, Cap.TRUTH}


def needs_background(component: Component) -> bool:
    """Whether a scorer is given a background at all."""
    return bool(component.needs & set(PROTOCOLS)) or any(":" in cap for cap in component.needs)


def must_learn(subject: Subject) -> None:
    """Stop a check of what a scorer makes of its training events if it says that it learns nothing from them.

    Raises:
        NotApplicable: if its class says ``trains = False``.
    """
    if not subject.target.trains:
        reason = "it learns nothing from the data (trains = False)"
        raise NotApplicable(reason)


def scorer_data(subject: Subject) -> ScorerData:
    """What the runner would give the scorer."""
    needs = subject.component.needs
    return world_of(subject).scorer_data(reference=Cap.REFERENCE in needs, truth=Cap.TRUTH in needs)


def background_of(subject: Subject, data: ScorerData) -> Background | None:
    """The exact toy background with a template four times the window, or None for scorers that need no model."""
    from adtoolkit.background import Background
    from adtoolkit.mass import MassConfig, fit_mass

    component = subject.component
    if not needs_background(component):
        return None
    world = world_of(subject)
    model, _ = model_offering(subject, _wanted(component))
    background = Background(model=model, mass=fit_mass(MassConfig.model_validate({}), data.window.m, world.window))
    if Cap.SAMPLE not in real_caps(model):
        return background
    return replace(background, drawn=background.sample(4 * len(data.window), np.random.default_rng(7)))


def fit_scorer(subject: Subject, data: ScorerData, *, seed: int = 0, device: str = "cpu", background: Background | None = None) -> Call:
    """Train a fresh instance, watched."""
    background = background or background_of(subject, data)
    drawn = None if background is None else background.drawn
    instance, context = subject.make(), subject.context(seed, device)
    return watch(lambda: instance.fit(data, background, context), data, drawn)


@dataclass(frozen=True)
class Judged:
    """Events of the toy world in the window, one class each."""

    background: Sample
    signal: Sample


def judged(subject: Subject) -> Judged:
    """Labelled events that no fit has seen, to try a fitted scorer on; blinded."""

    def make() -> Judged:
        world = make_world(subject)(seed=2, n=0)
        test = world.inside(world.dataset.test)
        return Judged(test[test.truth == 0].blind(), test[test.truth == 1].blind())

    return cast("Judged", subject.once("judged", make))


def scores(subject: Subject, fitted: Any) -> Array:
    """[N] scores at fixed events."""
    events = judged(subject)
    return cast("Array", fitted.score(Sample.concat(events.background[:150], events.signal[:150])))


def auc(low: NDArray[Any], high: NDArray[Any]) -> float:
    """Share of pairs in which ``high`` is above ``low``; ties count half."""
    from scipy.stats import rankdata

    ranks = rankdata(np.concatenate([low, high]))[len(low) :]
    return float((ranks.sum() - len(high) * (len(high) + 1) / 2) / (len(low) * len(high)))


def refused(call: Callable[[], Any]) -> str:
    """Empty if the call raises an AdtoolError or ValueError, else what it did instead."""
    from adtoolkit.errors import AdtoolError

    try:
        call()
    except (AdtoolError, ValueError):
        return ""
    except Exception as error:  # noqa: BLE001  (any other kind is the finding)
        return f"raised {type(error).__name__} ({error})"
    return "went through"
