"""How a model is trained: the numbers of the loop, and the learning rate they imply. No torch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from adtoolkit.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class TrainingPlan:
    """All numbers of a training. Give ``steps`` (the cost does not grow with the events) or ``epochs``.

    Attributes:
        steps: Optimiser steps in all; 0 where ``epochs`` are given.
        epochs: Passes over the events; 0 where ``steps`` are given.
        batch: Events per step; at most as many as there are.
        lr: Highest learning rate.
        weight_decay: Of AdamW; or, if not ``decoupled``, of Adam, where it is an L2 penalty.
        decoupled: AdamW; else Adam.
        schedule: ``one-cycle`` (warm-up, then a cosine to zero), ``cosine``, ``constant``, ``plateau`` (times ``factor``
            whenever the validation loss has not improved for ``plateau_patience`` looks), ``drops`` (times ``factor`` after
            each of ``drops``).
        warmup: Share of the steps in which a one-cycle rate rises.
        factor: See ``plateau`` and ``drops``.
        drops: Shares of the steps, see ``drops`` of the schedule.
        plateau_patience: See ``plateau``.
        clip: Largest norm of the gradient; 0 does not clip.
        ema: Decay of the exponential moving average of the weights; 0 uses the weights themselves.
        validate_every: Epochs between two looks at the validation loss; 0 never looks.
        validate_from: First epoch (counted from 1) with such a look.
        patience: Looks without improvement before the training stops; 0 never stops early.
        keep: ``last`` weights, or those with the ``best`` validation loss.
        keep_best: With ``best``: how many of the best looks to keep the weights of, for an average over them.
        freeze_epoch: From this epoch (counted from 0) on the model trains in evaluation mode, that is without dropout and
            with frozen batch statistics; negative: never.
        checkpoint_seconds: Seconds between two checkpoints; 0 writes none.

    Raises:
        ConfigError: if the numbers contradict each other.

    Example:
        >>> TrainingPlan(steps=4500).size(100_000)
        (2048, 48, 4500)
    """

    steps: int = 0
    epochs: int = 0
    batch: int = 2048
    lr: float = 1e-3
    weight_decay: float = 1e-2
    decoupled: bool = True
    schedule: Literal["one-cycle", "cosine", "constant", "plateau", "drops"] = "one-cycle"
    warmup: float = 0.3
    factor: float = 0.3
    drops: tuple[float, ...] = ()
    plateau_patience: int = 10
    clip: float = 0.0
    ema: float = 0.999
    validate_every: int = 5
    validate_from: int = 1
    patience: int = 0
    keep: Literal["last", "best"] = "last"
    keep_best: int = 1
    freeze_epoch: int = -1
    checkpoint_seconds: float = 20.0

    def __post_init__(self) -> None:
        if (self.steps > 0) == (self.epochs > 0):
            raise ConfigError(
                f"A training needs either steps or epochs, not {self.steps} steps and {self.epochs} epochs.", "Set one of them to 0."
            )
        if self.batch < 1:
            raise ConfigError(f"A batch of {self.batch} events cannot be trained on.", "Use at least 1.")
        if self.keep_best < 1:
            raise ConfigError(f"The weights of {self.keep_best} looks cannot be kept.", "Use at least 1.")

    def size(self, n: int) -> tuple[int, int, int]:
        """For ``n`` events: events per step, steps per epoch (a rest smaller than a batch is left out) and steps in all."""
        batch = min(self.batch, n)
        per_epoch = n // batch
        return batch, per_epoch, self.steps or self.epochs * per_epoch

    def rate(self, step: int, total: int, scale: float = 1.0) -> float:
        """Learning rate of a step (counted from 0); ``scale`` is what plateaus have left of it."""
        if self.schedule in ("constant", "plateau"):
            return self.lr * scale
        if self.schedule == "drops":
            return self.lr * self.factor ** sum(step >= share * total for share in self.drops)
        if self.schedule == "cosine":
            return self.lr * 0.5 * (1 + math.cos(math.pi * step / total))
        rise = self.warmup * total
        if step < rise:  # from 1/25 of the highest rate, as in Smith and Topin's one-cycle policy (arXiv:1708.07120)
            return self.lr * (0.04 + 0.96 * 0.5 * (1 - math.cos(math.pi * (step + 1) / (rise + 1))))
        return self.lr * 0.5 * (1 + math.cos(math.pi * (step - rise) / max(total - rise, 1)))
