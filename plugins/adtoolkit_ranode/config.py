"""Options of R-ANODE. Importing it costs no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from adtoolkit.config import ComponentConfig

Fraction = Annotated[float, Field(gt=0.0, lt=1.0)]


class RAnodeConfig(ComponentConfig):
    """Options of `adtoolkit_ranode.scorer.RAnode`.

    Attributes:
        mode: What is known of the signal fraction w while the signal density is trained. ``fixed``: it is ``w``. ``learned``: it starts at
            ``w`` and, once it is annealed, follows the mean responsibility of the member's validation events. ``scan``: every w of
            ``grid`` is trained, and the one of highest held-out likelihood is taken.
        w: Signal fraction (or its first value).
        grid: Signal fractions of the scan.
        start: Signal fraction that the training begins with, whatever the mode; smaller than ``w`` it does nothing.
        anneal: Share of the epochs in which the signal fraction goes from ``start`` to its own; 0 begins with its own. Without it more
            members never find a weak signal, see docs/explanation/r-anode.md.
        members: Flows, each with a train/validation split of its own, averaged in probability.
        validation: Share of the events that a member keeps for validation; the shares of successive members cover all events.
        best_epochs: Epochs of lowest validation loss that are averaged, in probability, per member.
        guard: Share of a broad density (Student's t with two degrees of freedom, in every feature) that is mixed into the background's, so
            that events in tails where its model gives hardly any density do not pass for signal; 0 mixes nothing.
        flow: ``coupling`` or ``autoregressive``.
        layers: Of the flow.
        hidden: Width of its networks.
        depth: Hidden layers of its networks.
        bins: Bins of its splines.
        bound: The splines act within +-bound, in units of the features' spread.
        dropout: Share of hidden units that are left out at a training step.
        epochs: Passes over the training events.
        batch: Events per step.
        lr: Highest learning rate.
        schedule: ``one-cycle`` (a tenth of the steps to warm up, then a cosine to zero) or ``constant``.
        weight_decay: Of AdamW; the signal fraction never decays.
        clip: Largest norm of a member's gradient; 0 does not clip.
        patience: Epochs without a better validation loss before a member stops; 0 never stops early.
    """

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "smoke": {"mode": "fixed", "w": 0.05, "members": 2, "epochs": 15, "best_epochs": 3, "layers": 2, "hidden": 32, "batch": 128},
        # Reference code of arXiv:2312.11629 (rd804/R-ANODE). What differs is listed in docs/explanation/r-anode.md.
        "paper": {
            "mode": "learned",
            "w": 0.005,  # it draws the start from 0.001 to 0.01
            "members": 20,
            "validation": 0.2,
            "best_epochs": 10,
            "anneal": 0.0,
            "guard": 0.0,
            "flow": "autoregressive",
            "layers": 6,
            "hidden": 64,
            "depth": 3,  # a masked linear layer and two blocks
            "bins": 8,
            "bound": 8.0,
            "dropout": 0.2,
            "epochs": 300,
            "batch": 256,
            "lr": 3e-4,
            "schedule": "constant",
            "weight_decay": 1e-2,
            "clip": 1.0,
            "patience": 0,
        },
    }

    mode: Literal["fixed", "learned", "scan"] = "learned"
    w: Fraction = 0.01
    grid: tuple[Fraction, ...] = (1e-3, 3e-3, 1e-2, 3e-2)
    start: Fraction = 0.1
    anneal: float = Field(0.3, ge=0.0, lt=1.0)
    members: PositiveInt = 5
    validation: float = Field(0.2, gt=0.0, le=0.5)
    best_epochs: PositiveInt = 8
    guard: float = Field(0.01, ge=0.0, le=0.5)
    flow: Literal["coupling", "autoregressive"] = "coupling"
    layers: PositiveInt = 4
    hidden: PositiveInt = 64
    depth: PositiveInt = 2
    bins: int = Field(8, ge=2)
    bound: PositiveFloat = 8.0
    dropout: float = Field(0.0, ge=0.0, lt=1.0)
    epochs: PositiveInt = 24
    batch: PositiveInt = 256
    lr: PositiveFloat = 1e-3
    schedule: Literal["one-cycle", "constant"] = "one-cycle"
    weight_decay: float = Field(1e-2, ge=0.0)
    clip: float = Field(1.0, ge=0.0)
    patience: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _scan_has_a_grid(self) -> Self:
        if self.mode == "scan" and len(set(self.grid)) < 2:
            message = "a scan needs at least two signal fractions in grid"
            raise ValueError(message)
        return self

    @property
    def fractions(self) -> tuple[float, ...]:
        """Signal fractions that are trained, in order."""
        return tuple(sorted(set(self.grid))) if self.mode == "scan" else (self.w,)
