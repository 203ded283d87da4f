"""From the text ``package.module:Class`` to the class, with a clear sentence when that fails."""

from __future__ import annotations

from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from adtoolkit.errors import PluginError

if TYPE_CHECKING:
    from adtoolkit.config import ComponentConfig
    from adtoolkit.plugin import Component

#: Class that a component of each kind derives from.
BASES: Final = {
    "data": "DataSource",
    "estimator": "BackgroundEstimator",
    "interpolator": "Interpolator",
    "scorer": "Scorer",
    "metric": "Metric",
}

#: Keys of a component's table that belong to the run, so that no component may use them for its options.
RESERVED: Final = {
    "data": frozenset({"name", "preset", "seed"}),
    "estimator": frozenset({"name", "preset"}),
    "interpolator": frozenset({"name", "preset"}),
    "scorer": frozenset({"name", "preset", "folds"}),
    "metric": frozenset[str](),
}


def load_class(component: Component, whose: str) -> type[Any]:
    """The class behind ``component.target``.

    Raises:
        PluginError: if it is not there, cannot be imported, or is not of its kind.
    """
    who = f"{component.kind} '{component.name}' of {whose}"
    if not component.target:
        raise PluginError(f"There is no code behind {who}: it makes no model.")
    loaded = _import(component.target, f"The target of {who}")
    base = BASES[component.kind]
    if not issubclass(loaded, getattr(import_module("adtoolkit.interfaces"), base)):
        raise PluginError(f"The target of {who}, {component.target}, is no {base}; it must derive from adtoolkit.interfaces.{base}.")
    return loaded


def load_config(component: Component, whose: str) -> type[ComponentConfig]:
    """The class of a component's options.

    Raises:
        PluginError: if it is not there, cannot be imported, or is no usable `ComponentConfig`.
    """
    from adtoolkit.config import ComponentConfig

    who = f"{component.kind} '{component.name}' of {whose}"
    loaded = _import(component.config, f"The config of {who}")
    if not issubclass(loaded, ComponentConfig):
        raise PluginError(f"The config of {who}, {component.config}, must derive from adtoolkit.config.ComponentConfig.")
    if taken := RESERVED[component.kind] & set(loaded.model_fields):
        raise PluginError(f"The config of {who} has an option named {', '.join(sorted(taken))}, which the run itself uses; rename it.")
    return loaded


def _import(target: str, what: str) -> type[Any]:
    module_name, _, attribute = target.partition(":")
    try:
        module = import_module(module_name)
    except (Exception, SystemExit) as error:  # a stranger's module may raise anything
        raise PluginError(f"{what}, {target}, cannot be imported: {type(error).__name__}: {' '.join(str(error).split())}.") from error
    found = getattr(module, attribute, None)
    if not isinstance(found, type):
        classes = [name for name, value in vars(module).items() if isinstance(value, type) and value.__module__ == module.__name__]
        near = get_close_matches(attribute, classes, n=1, cutoff=0.5)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        has = ", ".join(sorted(classes)) or "none"
        raise PluginError(f"{what}, {target}, does not exist: module '{module_name}' has no class '{attribute}'; it has: {has}.{hint}")
    return found
