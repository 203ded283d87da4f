"""What every component's configuration has in common. Importing it costs pydantic, never torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict

from adtoolkit.capabilities import Caps


class ComponentConfig(BaseModel):
    """Base of the options of a component: frozen, typed, unknown keys refused.

    Options are scalars or flat lists, so that a one-level TOML table holds them. ``presets`` names bundles of values;
    ``smoke`` (seconds, for tests) and ``paper`` (every value with its source) exist for every component, and a preset
    without an entry stands for the defaults.

    Example:
        >>> class Options(ComponentConfig):
        ...     presets = {"smoke": {"epochs": 2}}
        ...     epochs: int = 100
        >>> Options.preset("smoke").epochs
        2
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}

    @classmethod
    def preset(cls, name: str, **values: Any) -> ComponentConfig:
        """The options of a preset, with ``values`` on top."""
        return cls(**{**cls.presets.get(name, {}), **values})

    def offers(self, declared: Caps) -> Caps:
        """Which of the capabilities its record declares are really there with these options (data sources)."""
        return declared


class NoOptions(ComponentConfig):
    """For components that have nothing to set."""
