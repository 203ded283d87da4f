"""What ``adtool show`` says of a component: facts of its record, options of its config, partners it can work with."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from itertools import product
from typing import Final

from adtoolkit.capabilities import DATA_CAPS, Cap, Caps
from adtoolkit.config import ComponentConfig
from adtoolkit.errors import AdtoolError
from adtoolkit.mix import Plan, resolve
from adtoolkit.overrides import allowed, presets_of, show_value
from adtoolkit.plugin import Component
from adtoolkit.registry import Registry

#: What metrics need of a run.
_NEEDS: Final = {
    "template": "draws of the background model, in runs that make one",
    "truth": "events of known truth",
    "log-ratio": "a scorer whose score is a log-ratio of densities",
}
_ENTRY: Final = re.compile(r"^    (\w+): (.*(?:\n {8,}\S.*)*)", re.MULTILINE)


def facts(component: Component) -> Iterator[tuple[str, str]]:
    """What stands in the record."""
    if component.cite:
        yield "source", component.cite
    if component.needs:
        yield "needs", _caps(component.needs)
    if component.trains_on:
        yield "trained on", ", else on ".join(region.meaning for region in component.trains_on)
    if component.accepts:
        yield "accepts", "models trained on " + ", or on ".join(region.meaning for region in sorted(component.accepts))
    for needs, gives in component.rules:
        yield "gives", f"{_caps(gives)}, for models with {', '.join(sorted(needs))}"
    if component.kind == "interpolator" and not component.rules:
        yield "gives", "everything that the model can do"
    if component.provides:
        yield "gives" if component.kind == "estimator" else "offers", _caps(component.provides)
    if component.kind == "estimator":
        yield "usually with", f"interpolator {component.default_interpolator}, scorer {component.default_scorer}"
    if component.default_estimator:
        yield "usually with", f"estimator {component.default_estimator}"
    for check, reason in component.expected_failures.items():
        yield "known gap", f"{check}: {reason}"


def _caps(caps: Caps) -> str:
    return ", ".join(f"{cap} ({Cap(cap).meaning})" if ":" not in cap else cap for cap in sorted(caps))


def needs_of_metric(registry: Registry, component: Component) -> list[str]:
    """What a metric needs of a run; its class says so. Nothing if the class cannot be imported, which ``adtool check`` explains."""
    try:
        needs = registry.load(component).needs
    except AdtoolError:
        return []
    return sorted(needs)


def meant(needs: list[str]) -> str:
    """The needs of a metric with what they mean."""
    return ", ".join(f"{need} ({_NEEDS[need]})" if need in _NEEDS else need for need in needs)


def options(config: type[ComponentConfig]) -> list[dict[str, str]]:
    """Name, type, default and help of each option."""
    helps = _documented(config)
    rows = []
    for name, field in config.model_fields.items():
        default = "(required)" if field.is_required() else show_value(field.get_default(call_default_factory=True))
        rows.append({"name": name, "type": allowed(field), "default": default, "help": field.description or helps.get(name, "")})
    return rows


def _documented(config: type[ComponentConfig]) -> dict[str, str]:
    """Help from the ``Attributes`` sections of the class and its bases."""
    helps: dict[str, str] = {}
    for cls in reversed(config.__mro__):
        if issubclass(cls, ComponentConfig) and cls.__doc__:
            _, _, section = inspect.cleandoc(cls.__doc__).partition("Attributes:\n")
            helps |= {name: " ".join(text.replace("``", "").split()) for name, text in _ENTRY.findall(section.split("\n\n")[0])}
    return helps


def presets(config: type[ComponentConfig]) -> dict[str, dict[str, str]]:
    """The values of each preset that differ from the defaults."""
    return {name: {k: show_value(v) for k, v in config.presets.get(name, {}).items()} for name in presets_of(config) if name != "default"}


def partners(registry: Registry, component: Component) -> dict[str, list[str]]:
    """Components of the other kinds that it can work with, on data that have everything (cells only where the estimator wants them)."""
    if component.kind in {"data", "metric"}:
        return {}
    source = registry.names("data")[0]
    found: dict[str, dict[str, None]] = {kind: {} for kind in ("estimator", "interpolator", "scorer") if kind != component.kind}
    for mix in product(registry.names("estimator"), registry.names("interpolator"), registry.names("scorer")):
        wanted = registry.get("estimator", mix[0]).component.needs
        plan = resolve(registry, source, *mix, have=DATA_CAPS - ({Cap.CELLS} - wanted), advise=False)
        if isinstance(plan, Plan) and getattr(plan, component.kind) == component:
            for kind, names in found.items():
                if kind != "interpolator" or plan.estimates:
                    names[getattr(plan, kind).name] = None
    return {f"{kind}s": list(names) for kind, names in found.items()}
