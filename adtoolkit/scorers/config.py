"""Options of the scorers. Importing this costs no torch and no scikit-learn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field, PositiveFloat, PositiveInt

from adtoolkit.config import ComponentConfig


class ClassifierConfig(ComponentConfig):
    """Options of the classifier that tells two samples apart; shared by all scorers that train one.

    The preset ``paper`` is the network of CATHODE (arXiv:2109.00546 and its public code): three hidden layers of 64 ReLU units, Adam at
    1e-3, batches of 128, 100 epochs, balanced classes, half of the events for validation, the mean over the 10 epochs of lowest
    validation loss. The default is the ensemble of histogram-boosted trees of arXiv:2309.13111: 127 bins, 31 leaves, rate 0.1, patience
    10, each member with a random half of the events for validation.

    Attributes:
        classifier: ``hgb`` (boosted trees) or ``mlp`` (neural network).
        members: How many classifiers, each with a train/validation split of its own, are averaged.
        mass_input: Give m (standardised) to the classifier too; risky, since a template's m may differ from the data's.
        validation: Share of the events that each member keeps for early stopping or for choosing epochs.
        iterations: Trees per member at most (hgb).
        patience: Stop after so many trees without a better validation loss (hgb).
        learning_rate: Shrinkage of each tree (hgb).
        bins: Bins per feature (hgb).
        leaves: Leaves per tree (hgb).
        leaf_events: Events per leaf at least (hgb).
        best_iteration: Predict with the trees up to the lowest validation loss instead of all (hgb). Off: an average over members is no
            worse with all of them (see docs/explanation/metrics.md).
        epochs: Passes over the training events (mlp).
        batch: Events per step (mlp).
        hidden: Units per hidden layer (mlp).
        layers: Hidden layers (mlp).
        rate: Adam's learning rate (mlp).
        best_epochs: Average over so many epochs of lowest validation loss (mlp).
    """

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "smoke": {"members": 2, "iterations": 40, "epochs": 8, "best_epochs": 3},
        "paper": {
            "classifier": "mlp",
            "members": 1,
            "batch": 128,
            "epochs": 100,
            "best_epochs": 10,
            "rate": 1e-3,
            "hidden": 64,
            "layers": 3,
        },
    }

    classifier: Literal["hgb", "mlp"] = "hgb"
    members: PositiveInt = 10
    mass_input: bool = False
    validation: float = Field(default=0.5, gt=0.0, lt=1.0)
    iterations: PositiveInt = 200
    patience: PositiveInt = 10
    learning_rate: PositiveFloat = 0.1
    bins: int = Field(default=127, ge=2, le=255)
    leaves: int = Field(default=31, ge=2)
    leaf_events: PositiveInt = 20
    best_iteration: bool = False
    epochs: PositiveInt = 60
    batch: PositiveInt = 512
    hidden: PositiveInt = 64
    layers: PositiveInt = 3
    rate: PositiveFloat = 1e-3
    best_epochs: PositiveInt = 10


class CwolaConfig(ClassifierConfig):
    """Options of `adtoolkit.scorers.baselines.Cwola`.

    Attributes:
        sideband: Width of the sideband on each side of the window, in the unit of m; 0 stands for half the window's width
            (0.2 TeV for 3.3 to 3.7 TeV, as in arXiv:2109.00546).
    """

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        **ClassifierConfig.presets,
        "paper": {**ClassifierConfig.presets["paper"], "sideband": 0.2},  # arXiv:2109.00546: 3.1 to 3.3 and 3.7 to 3.9 TeV
    }

    sideband: float = Field(default=0.0, ge=0.0)


class LikelihoodConfig(ComponentConfig):
    """Options of `adtoolkit.scorers.likelihood.Likelihood`.

    Attributes:
        mass: Add -log p(m), so that the score is that of p(x, m) instead of p(x | m).
        jacobian: The density of x in physical units. Off: in the coordinates that the model works in, as published for CaloFlow
            (arXiv:2312.11618). The two rank events differently: a density is no invariant.
        rank_bins: Replace the score by its rank among the data in so many bins of m, equally filled; 0 does not. A score whose usual
            size depends on m (an energy, say) then no longer prefers events for their m.
    """

    mass: bool = False
    jacobian: bool = False
    rank_bins: int = Field(default=0, ge=0, le=1000)
