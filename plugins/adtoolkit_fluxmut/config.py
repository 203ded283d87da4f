"""Options of ``flux-mutability`` and ``mutability``. Importing it costs no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, PositiveFloat, PositiveInt

from adtoolkit.config import ComponentConfig
from adtoolkit.flowconfig import FlowConfig


class FluxConfig(FlowConfig):
    """Options of the estimator `adtoolkit_fluxmut.estimator.Flux`: its autoencoder, and the flow of what that leaves.

    The preset ``paper`` takes the scheme of arXiv:2204.08609 at full size. The numbers of the published networks (layers, widths,
    learning rates) were not available, so that all of them are choices of this implementation.

    Attributes:
        space: What the flow is of: the residuals r = x - xhat, or ``augmented`` by the reconstruction, [xhat, r].
        latent: Width of the autoencoder's code; 0: two sevenths of the number of features, at least 1.
        widths: Of the encoder's layers; the decoder has them in reverse.
        ae_steps: Optimiser steps of the autoencoder, at most.
        ae_batch: Events per step.
        ae_lr: Highest learning rate.
        patience: Looks at the validation loss without improvement before the autoencoder's training stops.
        jitter: Spread of the noise added to what the flow is trained on, in units of its own: residuals lie on a surface wherever
            features depend on each other, and so do reconstructions; no flow has a density there.
    """

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "smoke": {"blocks": 2, "hidden": 16, "bins": 4, "steps": 80, "batch": 256, "ae_steps": 100, "ae_batch": 256, "widths": [16]},
        "paper": {
            "flow": "maf",
            "blocks": 6,
            "hidden": 128,
            "steps": 0,
            "epochs": 100,
            "batch": 512,
            "lr": 1e-3,
            "schedule": "cosine",
            "weight_decay": 0.0,
            "ema": 0.0,
            "validate_every": 1,
            "keep": "best",
            "best_epochs": 1,
            "space": "augmented",
            "ae_steps": 20_000,
        },
    }

    flow: Literal["maf", "rqs-autoregressive", "rqs-coupling"] = Field("rqs-coupling", description="kind of flow; couplings draw fastest")
    blocks: int = Field(4, ge=1, description="layers that transform")
    bins: int = Field(6, ge=2, le=100, description="bins of the splines")
    steps: int = Field(1200, ge=0, description="optimiser steps, however many events there are; 0: use epochs")
    validate_every: int = Field(2, ge=0, description="epochs between looks at the validation loss; 0: never")
    keep: Literal["last", "best"] = Field("best", description="weights to keep: the last, or those of the best epochs")
    best_epochs: int = Field(1, ge=1, description="with keep = best: average the densities of so many epochs of lowest validation loss")
    space: Literal["residual", "augmented"] = "residual"
    latent: Annotated[int, Field(ge=0)] = 0
    widths: tuple[PositiveInt, ...] = (64, 32)
    ae_steps: PositiveInt = 2000
    ae_batch: PositiveInt = 512
    ae_lr: PositiveFloat = 1e-3
    patience: Annotated[int, Field(ge=0)] = 10
    jitter: Annotated[float, Field(ge=0)] = 0.02


class MutabilityConfig(ComponentConfig):
    """Options of the scorer `adtoolkit_fluxmut.scorer.Mutability`.

    The preset ``paper`` clusters each object anew with a population of its own. The published sizes were not available.

    Attributes:
        mode: ``cached``: a reference population per cell of the conditions, clustered once, to which objects are added;
            ``exact``: every object is clustered with a population drawn at its own conditions.
        score: ``outlier``: the outlier score of the object in the clustering; ``p-value``: 1 - p.
        acceptance: Share q of the reference to accept: an object is accepted where its p-value is above 1 - q.
        population: Size N of a reference population.
        calibration: With ``cached``: further draws per cell, which give the p-values.
        depth: With ``cached``: at most so many times the conditions are split in halves of equal population, one after the other.
        neighbours: The core distance of a point is that to its neighbour of this order (``min_samples``).
        cluster_share: Least share of the population that is a cluster; never less than 20 points.
    """

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "smoke": {"depth": 3, "population": 200, "calibration": 200},
        "paper": {"mode": "exact"},
    }

    mode: Literal["cached", "exact"] = "cached"
    score: Literal["outlier", "p-value"] = "outlier"
    acceptance: Annotated[float, Field(gt=0, lt=1)] = 0.95
    population: Annotated[int, Field(ge=100)] = 500
    calibration: Annotated[int, Field(ge=100)] = 500
    depth: Annotated[int, Field(ge=0, le=16)] = 6
    neighbours: Annotated[int, Field(ge=1, le=50)] = 10
    cluster_share: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
