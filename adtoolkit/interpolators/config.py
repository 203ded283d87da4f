"""Options of the core's interpolators. Importing it costs no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from adtoolkit.config import ComponentConfig


class AnchorConfig(ComponentConfig):
    """Where the two anchors of an interpolation lie: ``margin`` outside the window, or at ``lo`` and ``hi``.

    A quarter of the window's width is the published choice: 0.1 TeV around 3.3 to 3.7 TeV.
    """

    margin: float | None = Field(
        None, gt=0, description="distance of the anchors from the window, in the unit of m; not set: a quarter of its width"
    )
    lo: float | None = Field(None, description="the lower anchor itself, instead of margin")
    hi: float | None = Field(None, description="the upper anchor itself, instead of margin")


class LinearConfig(AnchorConfig):
    """Options of ``linear``; the preset ``paper`` has the solver of the other templates there."""

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"paper": {"solver": "dopri5"}}

    solver: Literal["midpoint", "heun", "rk4", "dopri5"] = Field("midpoint", description="ODE solver")
    solver_steps: int = Field(10, ge=1, description="its steps for draws; dopri5 ignores it")
    density_steps: int = Field(0, ge=0, description="its steps for densities; 0: twice those for draws; dopri5 ignores it")
    trace: Literal["exact", "hutchinson"] = Field(
        "exact", description="divergence in densities: exact, or estimated along one direction (faster with many features, noisy)"
    )


class DisplacementConfig(AnchorConfig):
    """Options of ``displacement``."""
