"""Which parts may work together. Decided from the records alone, before anything is loaded or trained; pure, no torch.

One chain is walked: what the data offer, what the estimator is trained on and its model can do, what the interpolator makes
of that in the window, what the scorer needs. All faults are collected, and for each the changes of one part that would mend it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from adtoolkit.capabilities import DATA_CAPS, Cap, Caps
from adtoolkit.plugin import Component, Kind, Region
from adtoolkit.records import makes_nothing
from adtoolkit.registry import Registry

#: What a fault is about: the letter it has in the legality table.
CODES: Final = {
    "d": "the data lack something",
    "r": "the interpolator does not accept models of the estimator's regions",
    "i": "the interpolator cannot carry such a model into the window",
    "s": "the background lacks what the scorer needs",
    "n": "the scorer uses no background model, but one would be made",
    "m": "there is no model to interpolate",
}


@dataclass(frozen=True)
class Fault:
    """One reason why a mix cannot run.

    Attributes:
        code: One of `CODES`.
        text: The reason, one sentence.
    """

    code: str
    text: str


@dataclass(frozen=True)
class Plan:
    """A mix that can run, and what it amounts to.

    Attributes:
        data: The data source.
        estimator: The background estimator.
        interpolator: The interpolator.
        scorer: The scorer.
        have: What the data offer.
        region: What the estimator is trained on; None where no model is made.
        background: What the background can do in the window.
    """

    data: Component
    estimator: Component
    interpolator: Component
    scorer: Component
    have: Caps
    region: Region | None
    background: Caps

    @property
    def estimates(self) -> bool:
        """Whether a background model is made at all."""
        return self.region is not None

    @property
    def window_in_fit(self) -> bool:
        """Whether the trained model depends on the window; one that does not serves a whole scan."""
        return self.region is Region.SIDEBAND

    def describe(self) -> dict[str, Any]:
        """For manifests and ``--json``."""
        return {
            "data": self.data.name,
            "estimator": self.estimator.name,
            "interpolator": self.interpolator.name if self.estimates else None,
            "scorer": self.scorer.name,
            "have": sorted(map(str, self.have)),
            "region": self.region and str(self.region),
            "background": sorted(map(str, self.background)),
            "window_in_fit": self.window_in_fit,
        }


@dataclass(frozen=True)
class Blocked:
    """A mix that cannot run.

    Attributes:
        faults: Every reason.
        fixes: ``(label, names)``: changes of one part after which it could run.
    """

    faults: tuple[Fault, ...]
    fixes: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @property
    def reason(self) -> str:
        """All reasons in one line."""
        return "; ".join(" ".join(fault.text.split()) for fault in self.faults)

    @property
    def message(self) -> str:
        """What the command line prints."""
        if len(self.faults) == 1:
            lines = [f"This mix cannot run: {self.faults[0].text}."]
        else:
            lines = [
                f"This mix cannot run, for {len(self.faults)} reasons:",
                *(f"{n}. {fault.text}." for n, fault in enumerate(self.faults, 1)),
            ]
        width = max((len(label) for label, _ in self.fixes), default=0) + 1
        return "\n".join([*lines, *(f"  {f'{label}:':<{width}} {', '.join(names)}" for label, names in self.fixes)])


@dataclass(frozen=True)
class _Mix:
    data: Component
    estimator: Component
    interpolator: Component
    scorer: Component
    have: Caps


def resolve(
    registry: Registry,
    data: str,
    estimator: str,
    interpolator: str | None,
    scorer: str | None,
    have: Caps | None = None,
    *,
    advise: bool = True,
) -> Plan | Blocked:
    """Whether these parts can work together.

    Args:
        registry: Where they come from.
        data: Name of the data source.
        estimator: Name of the estimator.
        interpolator: Name of the interpolator; None: the estimator's own.
        scorer: Name of the scorer; None: the estimator's own.
        have: What the data offer with their options and window; None: all that their record declares.
        advise: Whether to look for what would mend a mix that cannot run, which means resolving many others.

    Raises:
        UnknownNameError: if there is no such part.
    """
    source, method = registry.get("data", data).component, registry.get("estimator", estimator).component
    mix = _Mix(
        data=source,
        estimator=method,
        interpolator=registry.get("interpolator", interpolator or method.default_interpolator).component,
        scorer=registry.get("scorer", scorer or method.default_scorer).component,
        have=source.provides if have is None else have,
    )
    if faults := tuple(_faults(mix)):
        return Blocked(faults, tuple(_fixes(registry, mix, faults)) if advise else ())
    return Plan(mix.data, mix.estimator, mix.interpolator, mix.scorer, mix.have, _region(mix), _background(mix))


#: What the data must offer for a region to have events.
_EVENTS_OF: Final[dict[Region, Caps]] = {
    Region.ALL: frozenset(),
    Region.SIDEBAND: frozenset({Cap.WINDOW}),
    Region.REFERENCE: frozenset({Cap.REFERENCE}),
}


def _accepted(mix: _Mix) -> tuple[Region, ...]:
    """The estimator's regions, in its order, whose models the interpolator takes."""
    return tuple(region for region in mix.estimator.trains_on if region in mix.interpolator.accepts)


def _region(mix: _Mix) -> Region | None:
    """The first of them that the data have."""
    return next((region for region in _accepted(mix) if _EVENTS_OF[region] <= mix.have), None)


def _background(mix: _Mix) -> Caps:
    """What the background can do: all that the model can, or what the rules give for it."""
    model, rules = mix.estimator.provides, mix.interpolator.rules
    return model if not rules else frozenset[str]().union(*(gives for needs, gives in rules if needs <= model))


def needs_model(scorer: Component) -> bool:
    """Whether a scorer uses a background model."""
    return not scorer.needs <= DATA_CAPS


def _faults(mix: _Mix) -> Iterator[Fault]:
    estimator, interpolator, scorer = mix.estimator, mix.interpolator, mix.scorer
    nothing = makes_nothing(estimator)
    parts = [estimator, scorer] if nothing else [estimator, interpolator, scorer]
    asked = frozenset[str]().union(*(part.needs for part in parts))
    for cap in sorted(asked & DATA_CAPS - mix.have):
        *most, last = (_name(part) for part in parts if cap in part.needs)
        who = f"{', '.join(most)} and {last} need" if most else f"{last} needs"
        yield Fault("d", f"{who} {_explain([cap])},\nbut {_offer(mix)}")
    if Cap.CELLS in mix.have and not nothing and Cap.CELLS not in estimator.needs:
        yield Fault("d", f"{_name(estimator)} models preprocessed features,\nbut data '{mix.data.name}' offer {_explain([Cap.CELLS])}")
    if nothing:
        if needs_model(scorer):
            yield Fault(
                "s", f"{_name(scorer)} needs {_explain(scorer.needs - DATA_CAPS)},\nbut {_name(estimator)} makes no background model"
            )
        if interpolator.name != estimator.default_interpolator:
            yield Fault("m", f"{_name(estimator)} makes no model that {_name(interpolator)} could carry into the window")
        return
    if not needs_model(scorer):
        yield Fault("n", f"{_name(scorer)} uses no background model, so that of {_name(estimator)} would be trained for nothing")
    if not (accepted := _accepted(mix)):
        trained, accepts = " or ".join(estimator.trains_on), " or ".join(sorted(interpolator.accepts))
        why = ""
        if Region.ALL in estimator.trains_on:
            why = ":\ntrained on all events, it has learnt the window's own signal as background"
        yield Fault("r", f"{_name(interpolator)} accepts models trained on {accepts} only, but {_name(estimator)} trains on {trained}{why}")
    elif _region(mix) is None and not asked & DATA_CAPS - mix.have:
        events = " or ".join(f"{region.meaning} ({region})" for region in accepted)
        yield Fault("d", f"{_name(estimator)} is trained on {events},\nbut {_offer(mix)}")
    given = _background(mix)
    if not given:
        wants = " or ".join(_list(needs) for needs, _ in interpolator.rules)
        yield Fault(
            "i",
            f"{_name(interpolator)} works on models with {wants},\nbut that of {_name(estimator)} has only: {_list(estimator.provides)}",
        )
    # without any background, only what the model itself lacks is a fault of its own
    if lacking := scorer.needs - DATA_CAPS - (given or estimator.provides):
        through = f"{_name(estimator)} through '{interpolator.name}' gives" if given else f"the model of {_name(estimator)} has"
        yield Fault("s", f"{_name(scorer)} needs {_explain(lacking)},\nbut {through} only: {_list(given or estimator.provides)}")


def _fixes(registry: Registry, mix: _Mix, faults: tuple[Fault, ...]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Changes of one part after which the mix runs; an estimator brings its own interpolator where it must."""
    if "d" in {fault.code for fault in faults}:
        yield from _data_fixes(registry, mix)
    estimator, scorer = mix.estimator.name, mix.scorer.name
    if names := _others(registry, "scorer", mix):
        yield f"Scorers that work with {estimator} here", names
    if not makes_nothing(mix.estimator) and (names := _others(registry, "interpolator", mix)):
        yield f"Interpolators that work with {estimator} and {scorer}", names
    if names := tuple(_estimators(registry, mix)):
        yield f"Estimators that work with {scorer} here", names
    if makes_nothing(mix.estimator) and "m" in {fault.code for fault in faults}:
        yield f"With {estimator} there is nothing to interpolate: leave --interpolator away, or at", (mix.estimator.default_interpolator,)


def _data_fixes(registry: Registry, mix: _Mix) -> Iterator[tuple[str, tuple[str, ...]]]:
    lacking = frozenset[str]().union(*(part.needs & DATA_CAPS for part in (mix.estimator, mix.interpolator, mix.scorer))) - mix.have
    if not lacking and _region(mix) is None:
        lacking = frozenset[str]().union(*(_EVENTS_OF[region] for region in _accepted(mix)[:1]))
    if Cap.WINDOW in lacking & mix.data.provides:
        yield "Give a window (and leave --no-window away)", ("--window LO HI",)
    if options := lacking & mix.data.provides - {Cap.WINDOW}:
        yield f"Options of {mix.data.name} decide on {_list(options)}", (f"adtool show data {mix.data.name}",)
    elsewhere = (other.component for other in registry.components("data") if other.component != mix.data)
    if lacking - mix.data.provides and (names := tuple(c.name for c in elsewhere if lacking <= c.provides)):
        yield f"Data that may offer {_list(lacking)}", names


def _estimators(registry: Registry, mix: _Mix) -> Iterator[str]:
    for other in registry.components("estimator"):
        component = other.component
        if component == mix.estimator:
            continue
        own = registry.get("interpolator", component.default_interpolator).component
        for interpolator in (mix.interpolator, own):
            if not any(_faults(replace(mix, estimator=component, interpolator=interpolator))):
                carried = makes_nothing(component) or interpolator == mix.interpolator
                yield component.name if carried else f"{component.name} (through {interpolator.name})"
                break


def _others(registry: Registry, kind: Kind, mix: _Mix, **also: Any) -> tuple[str, ...]:
    """Which other components of a kind would mend the mix."""
    there = (other.component for other in registry.components(kind))
    return tuple(c.name for c in there if c != getattr(mix, kind) and not any(_faults(replace(mix, **{kind: c, **also}))))


def _offer(mix: _Mix) -> str:
    """What the data have, for a fault of theirs."""
    return f"data '{mix.data.name}' as given offer {f'only: {_list(mix.have)}' if mix.have else 'none of its kind'}"


def _name(component: Component) -> str:
    return f"{component.kind} '{component.name}'"


def _list(caps: Iterable[str]) -> str:
    return ", ".join(sorted(caps))


def _explain(caps: Iterable[str]) -> str:
    """The capabilities with their meaning, as far as the core knows it."""
    return " and ".join(f"{cap} ({Cap(cap).meaning})" if ":" not in cap else str(cap) for cap in sorted(caps))
