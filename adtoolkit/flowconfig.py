"""Options of everything that trains a conditional flow. Importing this costs no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final, Literal

from pydantic import Field

from adtoolkit.config import TrainedFor

#: The flow of ANODE (arXiv:2001.04990) with the training of CATHODE (arXiv:2109.00546), by their public code.
PUBLISHED: Final[Mapping[str, Any]] = {
    "flow": "maf",
    "blocks": 15,  # each an affine MADE, batch normalisation as a layer of the flow, and reversal of the features
    "hidden": 128,  # units of both hidden layers
    "raw_mass": True,  # m enters in TeV
    "steps": 0,
    "epochs": 100,
    "batch": 256,
    "lr": 1e-4,
    "weight_decay": 1e-6,
    "decoupled": False,  # Adam
    "schedule": "constant",
    "clip": 0.0,
    "ema": 0.0,
    "validate_every": 1,
    "keep": "best",
    "best_epochs": 10,
}


class FlowConfig(TrainedFor):
    """A conditional normalizing flow and its training; see `adtoolkit.nn.mixture.fit_flow`."""

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "smoke": {"blocks": 4, "hidden": 32, "steps": 300, "epochs": 0, "batch": 256},
        "paper": PUBLISHED,
    }

    flow: Literal["maf", "rqs-autoregressive", "rqs-coupling"] = Field("rqs-autoregressive", description="kind of flow")
    blocks: int = Field(3, ge=1, description="layers that transform")
    hidden: int = Field(64, ge=1, description="width of their networks")
    bins: int = Field(8, ge=2, le=100, description="bins of the splines")
    bound: float = Field(6.0, gt=0, description="the splines act between -bound and bound, after the compression")
    knee: float = Field(2.0, gt=0, description="before splines, features further out than this are compressed: knee asinh(x / knee)")
    raw_mass: bool = Field(False, description="give m to the network in its own unit; else standardised")
    steps: int = Field(4000, ge=0, description="optimiser steps, however many events there are; 0: use epochs")
    epochs: int = Field(0, ge=0, description="passes over the events, instead of steps")
    batch: int = Field(512, ge=1, description="events per step")
    lr: float = Field(2e-3, gt=0, description="highest learning rate")
    weight_decay: float = Field(1e-4, ge=0, description="weight decay")
    decoupled: bool = Field(True, description="AdamW; else Adam, with the weight decay as an L2 penalty")
    schedule: Literal["one-cycle", "cosine", "constant", "plateau"] = Field("one-cycle", description="course of the learning rate")
    clip: float = Field(5.0, ge=0, description="largest norm of the gradient; 0: does not clip")
    ema: float = Field(0.999, ge=0, lt=1, description="decay of the averaged weights; 0: none")
    validate_every: int = Field(5, ge=0, description="epochs between looks at the validation loss; 0: never")
    keep: Literal["last", "best"] = Field("last", description="weights to keep: the last, or those of the best epochs")
    best_epochs: int = Field(10, ge=1, description="with keep = best: average the densities of so many epochs of lowest validation loss")

    def shape(self) -> dict[str, Any]:
        """What of it makes an `adtoolkit.nn.flows.FlowShape`, besides the numbers of features and conditions."""
        return {"kind": self.flow, "blocks": self.blocks, "hidden": self.hidden, "bins": self.bins, "bound": self.bound, "knee": self.knee}

    def training(self) -> dict[str, Any]:
        """What of it makes an `adtoolkit.nn.plan.TrainingPlan`."""
        names = {"steps", "epochs", "batch", "lr", "weight_decay", "decoupled", "schedule", "clip", "ema", "validate_every", "keep"}
        return {**self.model_dump(include=names), "keep_best": self.best_epochs}
