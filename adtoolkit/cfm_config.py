"""Options that all flow-matching estimators have. Importing it costs no torch."""

from __future__ import annotations

from typing import Any, Final, Literal

from pydantic import Field

from adtoolkit.config import TrainedFor

#: Reference code of SIGMA (arXiv:2410.20537), commit de52953. What a method has of its own, its preset adds. Two things
#: differ on purpose: the weights are judged by the flow-matching loss on fixed draws where the reference solves the full
#: likelihood of the validation events; and the best weights alone are kept where the reference mixes draws of the ten best.
REFERENCE: Final[dict[str, Any]] = {
    "hidden": 256,  # width of the trunk
    "blocks": 4,  # residual blocks
    "norm": "batch",  # before both layers of a block, eps 1e-3
    "activation": "relu",
    "gate_activation": True,  # the "non-linear context"
    "normal_base": False,
    "dropout": 0.2,
    "frozen_from": 100,  # its first validation puts the model into evaluation mode for good: epoch 100
    "time_frequencies": 3,
    "sigma_min": 1e-3,
    "steps": 0,
    "epochs": 2000,  # at most
    "batch": 4096,
    "lr": 3e-4,
    "weight_decay": 1e-2,  # AdamW's default, as there
    "schedule": "plateau",  # factor 0.3 after 10 looks without improvement
    "ema": 0.0,
    "validate_every": 5,
    "validate_from": 100,
    "patience": 21,  # stops after more than 20 looks without improvement
    "keep": "best",
    "precision": "float32",
    "solver": "dopri5",  # adaptive, absolute tolerance 1e-6, relative 1e-5
}

#: Seconds, for tests.
SMOKE: Final[dict[str, Any]] = {"hidden": 32, "blocks": 2, "steps": 300, "batch": 512, "solver_steps": 5}


_NETWORK: Final = (
    "hidden", "blocks", "norm", "activation", "dropout", "gate_activation", "normal_base", "mass_embedding", "mass_frequencies",
    "time_frequencies",
)  # fmt: skip


class CfmConfig(TrainedFor):
    """Network, training and solver of a flow-matching model of p(x | m)."""

    hidden: int = Field(64, ge=1, description="width of the network")
    blocks: int = Field(3, ge=1, description="residual blocks")
    norm: Literal["none", "layer", "batch"] = Field("layer", description="normalisation inside the blocks")
    activation: Literal["relu", "silu"] = Field("relu", description="activation of trunk and context")
    gate_activation: bool = Field(True, description="whether gates pass through the activation before the sigmoid")
    normal_base: bool = Field(True, description="build in the field of standard normal data, so that the network learns the difference")
    dropout: float = Field(0.0, ge=0, lt=1, description="dropout inside the blocks")
    frozen_from: int = Field(-1, description="epoch from which dropout is off and batch statistics are frozen; -1: never")
    mass_embedding: Literal["raw", "frequencies"] = Field("raw", description="how the network sees m: as it is, or by frequencies")
    mass_frequencies: int = Field(
        2, ge=0, le=16, description="octaves of the mass embedding by frequencies; 0: as many as the events can resolve"
    )
    time_frequencies: int = Field(3, ge=1, le=16, description="harmonics of the time embedding")
    sigma_min: float = Field(1e-3, gt=0, lt=1, description="width of the path at the data")
    steps: int = Field(14_000, ge=0, description="optimiser steps, however many events there are; 0: use epochs")
    epochs: int = Field(0, ge=0, description="passes over the events, instead of steps")
    batch: int = Field(1024, ge=1, description="events per step")
    lr: float = Field(2e-3, gt=0, description="highest learning rate")
    weight_decay: float = Field(1e-2, ge=0, description="weight decay of AdamW")
    schedule: Literal["one-cycle", "cosine", "constant", "plateau"] = Field("one-cycle", description="course of the learning rate")
    ema: float = Field(0.999, ge=0, lt=1, description="decay of the averaged weights; 0: none")
    validate_every: int = Field(10, ge=0, description="epochs between looks at the validation loss; 0: never")
    validate_from: int = Field(1, ge=1, description="first epoch with such a look")
    patience: int = Field(0, ge=0, description="looks without improvement before the training stops; 0: never stops early")
    keep: Literal["last", "best"] = Field("last", description="weights to keep: the last, or the best on the validation events")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="arithmetic of the trunk in training; auto: bfloat16 where the device multiplies it in hardware"
    )
    solver: Literal["midpoint", "heun", "rk4", "dopri5"] = Field("midpoint", description="ODE solver")
    solver_steps: int = Field(10, ge=1, description="its steps for draws; dopri5 ignores it")
    density_steps: int = Field(0, ge=0, description="its steps for densities; 0: twice those for draws; dopri5 ignores it")
    trace: Literal["exact", "hutchinson"] = Field(
        "exact", description="divergence in densities: exact, or estimated along one direction (faster with many features, noisy)"
    )

    def network(self, features: int, octaves: int = 1) -> dict[str, Any]:
        """What `adtoolkit.nn.velocity.build` makes the network of, for so many features; ``octaves`` stand in for a 0 of the options."""
        options = {"features": features, **self.model_dump(include=set(_NETWORK))}
        return options | {"mass_frequencies": self.mass_frequencies or octaves}
