"""Options of CaloFlow and of the scorer of its parts. Importing it costs no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from adtoolkit.config import ComponentConfig

Share = Annotated[float, Field(gt=0.0, lt=1.0)]


class CaloFlowConfig(ComponentConfig):
    """Options of `adtoolkit_caloflow.estimator.CaloFlowEstimator`. The defaults suit 108 voxels on one CPU core.

    Options that begin with ``energy_`` are of the flow of the layer energies; the others of the flow of the voxels, or of both.
    """

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "mini": {},  # the defaults, by the name that goes with ``paper``
        "smoke": {
            "energy_blocks": 2,
            "energy_hidden": 32,
            "energy_epochs": 15,
            "energy_batch": 200,
            "hidden": 32,
            "epochs": 10,
            "lr": 5e-3,
        },
        # arXiv:2312.11618 with the networks of CaloFlow's teacher (arXiv:2106.05285) and their public code. 504 voxels; for a GPU.
        "paper": {
            "shares": "layer",
            "standardise": False,
            "energy_blocks": 6,
            "energy_hidden": 64,
            "energy_depth": 2,
            "energy_epochs": 75,
            "energy_batch": 200,
            "energy_lr": 1e-4,
            "energy_drops": [5 / 75, 15 / 75, 40 / 75, 60 / 75],
            "blocks": 8,
            "hidden": 378,
            "depth": 1,
            "bound": 14.0,
            "knee": 0.0,
            "bins": 8,
            "dropout": 0.05,
            "epochs": 100,
            "lr": 1e-4,
            "drops": [0.5],
            "batch": 200,
            "schedule": "drops",
            "weight_decay": 0.0,
            "clip": 0.0,
            "ema": 0.0,
            "validate_every": 1,
        },
    }

    layers: tuple[PositiveInt, ...] = Field((), description="voxels of each layer; none: those of 504 or 108 voxels, else one layer")
    shares: Literal["rest", "layer"] = Field(
        "rest", description="a voxel over what the brighter ones of its layer hold with it (one to one), or over its layer (as published)"
    )
    noise: float = Field(1.0, gt=0, description="width of the uniform noise added to every voxel, in keV")
    threshold: float = Field(10.0, ge=0, description="drawn voxels below it are empty, in keV")
    standardise: bool = Field(True, description="give the flows coordinates of mean 0 and spread 1; else as they are")
    energy_blocks: PositiveInt = Field(6, description="autoregressive layers of the first flow")
    energy_hidden: PositiveInt = Field(64, description="width of its networks")
    energy_depth: NonNegativeInt = Field(1, description="their hidden layers after the first")
    energy_epochs: PositiveInt = Field(60, description="passes over the showers")
    energy_batch: PositiveInt = Field(500, description="showers per step")
    energy_lr: PositiveFloat = Field(5e-3, description="highest learning rate")
    energy_drops: tuple[Share, ...] = Field((), description="with schedule = drops: shares of the training after which the rate is halved")
    blocks: PositiveInt = Field(2, description="autoregressive layers of the second flow")
    hidden: PositiveInt = Field(192, description="width of its networks")
    depth: NonNegativeInt = Field(1, description="their hidden layers after the first")
    bins: int = Field(6, ge=2, le=100, description="bins of the splines of both flows")
    bound: PositiveFloat = Field(8.0, description="the splines of both flows act between -bound and bound")
    knee: float = Field(2.0, ge=0, description="before the splines of both flows, coordinates further out are compressed; 0: none is")
    dropout: float = Field(0.0, ge=0, lt=1, description="share of hidden units of the second flow left out at a training step")
    epochs: PositiveInt = Field(25, description="passes over the showers")
    lr: PositiveFloat = Field(2e-3, description="highest learning rate")
    drops: tuple[Share, ...] = Field((), description="with schedule = drops: shares of the training after which the rate is halved")
    batch: PositiveInt = Field(200, description="showers per step")
    schedule: Literal["one-cycle", "cosine", "constant", "drops"] = Field("one-cycle", description="course of the learning rates")
    weight_decay: float = Field(1e-4, ge=0, description="of AdamW; with 0 it is Adam")
    clip: float = Field(100.0, ge=0, description="largest norm of the gradient; 0: does not clip")
    ema: float = Field(0.99, ge=0, lt=1, description="decay of the averaged weights; 0: none")
    validate_every: PositiveInt = Field(2, description="epochs between looks at the validation likelihood; the best weights are kept")

    def plan(self, *, energy: bool) -> dict[str, Any]:
        """What makes the `adtoolkit.nn.plan.TrainingPlan` of one of the flows."""
        shared = self.model_dump(include={"schedule", "weight_decay", "clip", "ema", "validate_every"})
        names = ("epochs", "batch", "lr", "drops")
        own = {name: getattr(self, f"energy_{name}" if energy else name) for name in names}
        return {**shared, **own, "factor": 0.5, "keep": "best", "decoupled": self.weight_decay > 0}


class PartsConfig(ComponentConfig):
    """Options of `adtoolkit_caloflow.scorer.ShowerParts`."""

    part: Literal["norm", "flow-1", "flow-2", "occupancy", "layer-0", "layer-1", "layer-2", "core", "middle", "outer", "left", "right"] = (
        Field("norm", description="what is scored; norm: the largest latent norm of all regions")
    )
    bins: PositiveInt = Field(5, description="bins of equal population in m in which scores are calibrated")
