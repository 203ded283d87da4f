"""What every component's configuration has in common. Importing it costs pydantic, never torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, model_validator

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


class TrainedFor(ComponentConfig):
    """Base of options whose training is as long as ``steps`` or ``epochs`` say: one of them is above 0, and giving it makes the other 0."""

    @model_validator(mode="before")
    @classmethod
    def _the_other_is_zero(cls, given: Any) -> Any:
        if isinstance(given, Mapping):
            for name, other in (("steps", "epochs"), ("epochs", "steps")):
                if given.get(name) and other not in given:
                    return {**given, other: 0}
        return given

    @model_validator(mode="after")
    def _one_is_not(self) -> Self:
        steps, epochs = (getattr(self, name) for name in ("steps", "epochs"))
        if (steps > 0) == (epochs > 0):
            message = f"a training needs either steps or epochs, not {steps} steps and {epochs} epochs; set the other to 0"
            raise ValueError(message)
        return self


class NoOptions(ComponentConfig):
    """For components that have nothing to set."""
