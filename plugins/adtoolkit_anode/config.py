"""Options of ANODE. Importing it costs no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from adtoolkit.flowconfig import PUBLISHED, FlowConfig


class AnodeConfig(FlowConfig):
    """Options of `adtoolkit_anode.scorer.Anode`: those of the flow of the window's events.

    The preset ``paper`` is ANODE as CATHODE's authors repeated it (arXiv:2109.00546, appendix): the same flow as for the sidebands, half of
    the window's events to choose ten of 100 epochs.
    """

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "smoke": {"blocks": 3, "hidden": 32, "epochs": 12, "batch": 128, "lr": 5e-3},
        "paper": {**PUBLISHED, "validation": 0.5, "members": 1},
    }

    flow: Literal["maf", "rqs-autoregressive", "rqs-coupling"] = Field("rqs-coupling", description="kind of flow")
    blocks: int = Field(4, ge=1, description="layers that transform")
    hidden: int = Field(48, ge=1, description="width of their networks")
    steps: int = Field(0, ge=0, description="optimiser steps, instead of epochs")
    epochs: int = Field(40, ge=0, description="passes over the window's events; 0: use steps")
    batch: int = Field(256, ge=1, description="events per step")
    lr: float = Field(2e-3, gt=0, description="highest learning rate")
    ema: float = Field(0.99, ge=0, lt=1, description="decay of the averaged weights; 0: none")
    validate_every: int = Field(1, ge=1, description="epochs between looks at the validation loss")
    keep: Literal["last", "best"] = Field("best", description="weights to keep: the last, or those of the best epochs")
    validation: float = Field(0.2, gt=0, lt=1, description="share of the events that each member keeps to choose its epochs")
    members: int = Field(1, ge=1, description="trainings, each with another split, that are averaged in probability")
