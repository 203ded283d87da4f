"""Options of the estimator ``sigma`` and of the interpolator ``context``. Importing it costs no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from adtoolkit.cfm_config import REFERENCE, SMOKE, CfmConfig
from adtoolkit.interpolators.config import AnchorConfig


class SigmaConfig(CfmConfig):
    """Network, training and solver of SIGMA. The defaults are tuned for minutes on two CPU cores; see ``benchmarks/``."""

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "smoke": SMOKE,
        # The mass is scaled to [-1/2, 1/2] where the reference takes [-1, 1], whose ends cannot be told apart (see
        # `adtoolkit.nn.velocity.FrequencyEmbedding`): one more octave, 10 for 9, keeps the resolution.
        "paper": {**REFERENCE, "mass_frequencies": 10},
    }

    mass_embedding: Literal["raw", "frequencies"] = Field("frequencies", description="how the network sees m: as it is, or by frequencies")
    mass_frequencies: int = Field(
        0, ge=0, le=16, description="octaves of the mass embedding by frequencies; 0: as many as the events can resolve"
    )


class ContextConfig(AnchorConfig):
    """Options of ``context``: where the anchors lie. Solver and steps are the model's own."""
