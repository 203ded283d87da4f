"""Options of the estimator ``sigma`` and of the interpolator ``context``. Importing it costs no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from adtoolkit.config import ComponentConfig
from adtoolkit.interpolators.config import AnchorConfig


class SigmaConfig(ComponentConfig):
    """Network, training and solver of SIGMA. The defaults are tuned for minutes on two CPU cores; see ``benchmarks/``."""

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "smoke": {"hidden": 32, "blocks": 2, "steps": 300, "batch": 512, "solver_steps": 5},
        # Reference code of SIGMA (arXiv:2410.20537), commit de52953. Three things differ from it on purpose: the mass is
        # scaled to [-1/2, 1/2] (see `Embedding`; one more octave, 10 for 9, keeps the resolution); the weights are judged by
        # the flow-matching loss on fixed draws where the reference solves the full likelihood of the validation events;
        # and the best weights alone are kept where the reference mixes draws of the ten best.
        "paper": {
            "hidden": 256,  # width of the trunk
            "blocks": 4,  # residual blocks
            "norm": "batch",  # before both layers of a block, eps 1e-3
            "activation": "relu",
            "gate_activation": True,  # the "non-linear context"
            "dropout": 0.2,
            "frozen_from": 100,  # its first validation puts the model into evaluation mode for good: epoch 100
            "mass_frequencies": 10,  # 9 octaves on [-1, 1]
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
        },
    }

    hidden: int = Field(128, ge=1, description="width of the network")
    blocks: int = Field(4, ge=1, description="residual blocks")
    norm: Literal["none", "layer", "batch"] = Field("layer", description="normalisation inside the blocks")
    activation: Literal["relu", "silu"] = Field("relu", description="activation of trunk and context")
    gate_activation: bool = Field(True, description="whether gates pass through the activation before the sigmoid")
    dropout: float = Field(0.0, ge=0, lt=1, description="dropout inside the blocks")
    frozen_from: int = Field(-1, description="epoch from which dropout is off and batch statistics are frozen; -1: never")
    mass_frequencies: int = Field(9, ge=1, le=16, description="octaves of the mass embedding")
    time_frequencies: int = Field(3, ge=1, le=16, description="harmonics of the time embedding")
    sigma_min: float = Field(1e-3, gt=0, lt=1, description="width of the path at the data")
    steps: int = Field(7000, ge=0, description="optimiser steps, however many events there are; 0: use epochs")
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
    solver: Literal["midpoint", "heun", "rk4", "dopri5"] = Field("midpoint", description="ODE solver of draws")
    solver_steps: int = Field(10, ge=1, description="its steps; densities take twice as many; dopri5 ignores it")


class ContextConfig(AnchorConfig):
    """Options of ``context``: where the anchors lie. Solver and steps are the model's own."""
