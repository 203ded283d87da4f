"""adtoolkit: resonant anomaly searches from exchangeable parts. Importing it costs neither numpy nor torch."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from adtoolkit.background import Background as Background
    from adtoolkit.errors import AdtoolError as AdtoolError
    from adtoolkit.mix import Blocked as Blocked
    from adtoolkit.mix import Plan as Plan
    from adtoolkit.mix import resolve as resolve
    from adtoolkit.plugin import Cap as Cap
    from adtoolkit.plugin import Component as Component
    from adtoolkit.plugin import Region as Region
    from adtoolkit.plugin import hookimpl as hookimpl
    from adtoolkit.registry import Registry as Registry
    from adtoolkit.registry import default_registry as default_registry
    from adtoolkit.runconfig import RunConfig as RunConfig
    from adtoolkit.types import Dataset as Dataset
    from adtoolkit.types import Sample as Sample
    from adtoolkit.types import Window as Window

__version__ = "0.1.0"

#: Public name -> the module it is taken from at first use.
_HOMES: Final = {
    "AdtoolError": "errors",
    "Background": "background",
    "Blocked": "mix",
    "Cap": "plugin",
    "Component": "plugin",
    "Dataset": "types",
    "Plan": "mix",
    "Region": "plugin",
    "Registry": "registry",
    "RunConfig": "runconfig",
    "Sample": "types",
    "Window": "types",
    "default_registry": "registry",
    "hookimpl": "plugin",
    "resolve": "mix",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"adtoolkit.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'adtoolkit' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted([*_HOMES, "__version__"])
