"""Options of ANODE. Importing it costs no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from adtoolkit.flowconfig import PUBLISHED, FlowConfig


class AnodeConfig(FlowConfig):
    """Options of `adtoolkit_anode.scorer.Anode`: those of the flow of the window's events.

    The preset ``paper`` is ANODE as repeated with the public code of CATHODE (arXiv:2109.00546): the same flow as for the sidebands,
    with half of the window's events to choose ten of 100 epochs.
    """

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "smoke": {"blocks": 2, "hidden": 32, "epochs": 12, "batch": 128, "lr": 5e-3, "members": 1},
        "paper": {**PUBLISHED, "validation": 0.5, "members": 1},
    }

    hidden: int = Field(48, ge=1, description="width of their networks")
    steps: int = Field(0, ge=0, description="optimiser steps, instead of epochs")
    epochs: int = Field(16, ge=0, description="passes over the window's events; 0: use steps")
    batch: int = Field(256, ge=1, description="events per step")
    lr: float = Field(3e-3, gt=0, description="highest learning rate")
    ema: float = Field(0.99, ge=0, lt=1, description="decay of the averaged weights; 0: none")
    validate_every: int = Field(1, ge=1, description="epochs between looks at the validation loss")
    keep: Literal["last", "best"] = Field("best", description="weights to keep: the last, or those of the best epochs")
    best_epochs: int = Field(2, ge=1, description="with keep = best: average the densities of so many epochs of lowest validation loss")
    validation: float = Field(0.1, gt=0, lt=1, description="share of the events that each member keeps to choose its epochs")
    members: int = Field(3, ge=1, description="trainings, each with another split, that are averaged in probability")
