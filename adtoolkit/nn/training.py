"""The one training loop: data resident on the device, no waiting for it inside an epoch, resumable bit for bit."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from adtoolkit.context import seed_of
from adtoolkit.errors import DataError, RunError
from adtoolkit.interfaces import Context
from adtoolkit.nn.checkpoint import Checkpoint
from adtoolkit.nn.guard import StepGuard
from adtoolkit.nn.plan import TrainingPlan
from adtoolkit.nn.tools import cpu_threads, generator, isolated_rng, seed_from, to_tensor, torch_device
from adtoolkit.types import Sample

__all__ = ["Loss", "Refresh", "TrainingPlan", "TrainingReport", "train"]

#: ``loss(model, x [B, D], cond [B, C], weight [B] or None, generator) -> []``: the mean of the events' losses times their
#: weights, which have mean 1 over the sample. All randomness of its own comes from the generator.
Loss = Callable[[nn.Module, Tensor, Tensor, Tensor | None, torch.Generator], Tensor]

#: ``refresh(x [N, D], cond [N, C])``: brings what a model knows of the whole training sample in line with its weights. Called
#: before every look at the validation events, and at the end. It may change buffers alone.
Refresh = Callable[[Tensor, Tensor], None]

_VALIDATION_CHUNK = 32_768

#: So many looks in a row without a finite validation loss end a training.
_LOST = 3


@dataclass(frozen=True)
class TrainingReport:
    """What a training came to.

    Attributes:
        steps: Optimiser steps taken.
        epochs: Passes over the events (the last may be a part).
        kept_epoch: Epoch whose weights the model has now. Epochs are counted from 1: untrained weights are never among them.
        train_loss: Mean loss of each epoch.
        val_loss: ``[epoch, loss]`` of each look at the validation events.
        stopped_early: Whether patience ended it.
        skipped: Steps that changed nothing, because the loss or its gradient was not a finite number.
        kept: The weights that the plan keeps, as state dicts on the training's device, best first; what comes first is in
            the model.
        kept_epochs: The epochs they are of.
    """

    steps: int
    epochs: int
    kept_epoch: int
    train_loss: tuple[float, ...]
    val_loss: tuple[tuple[int, float], ...]
    stopped_early: bool
    skipped: int = 0
    kept_epochs: tuple[int, ...] = ()
    kept: tuple[dict[str, Tensor], ...] = field(default=(), compare=False, repr=False)


@dataclass(frozen=True)
class _Events:
    """A sample on the device; weights are scaled to mean 1, and None where all are equal."""

    x: Tensor
    cond: Tensor
    weight: Tensor | None

    @classmethod
    def of(cls, sample: Sample, device: torch.device, what: str) -> _Events:
        for name, array in (("x", sample.x), ("cond", sample.cond), ("weight", sample.weights)):
            if bad := int((~np.isfinite(array)).sum()):
                raise DataError(
                    f"The {what} events have {bad} values in {name} that are not finite numbers.", "Drop those events: --drop-invalid"
                )
        weights = sample.weights.astype(np.float64)
        if len(sample) and (weights.min() < 0 or not weights.sum()):
            raise DataError(f"The {what} events have negative weights or none above zero.", "Use weights that are zero or larger.")
        uniform = sample.weight is None or bool(np.all(weights == weights[:1]))
        weight = None if uniform else to_tensor(weights / weights.mean(), device)
        return cls(to_tensor(sample.x, device), to_tensor(sample.cond, device), weight)

    def __len__(self) -> int:
        return len(self.x)

    def take(self, index: Tensor | slice) -> tuple[Tensor, Tensor, Tensor | None]:
        return self.x[index], self.cond[index], None if self.weight is None else self.weight[index]


def train(
    model: nn.Module,
    loss: Loss,
    train: Sample,
    val: Sample,
    plan: TrainingPlan,
    ctx: Context,
    *,
    name: str = "training",
    refresh: Refresh | None = None,
) -> TrainingReport:
    """Train ``model`` in place; afterwards it holds the weights that the plan keeps, on ``ctx.device``, in evaluation mode.

    Each epoch draws its order, noise and dropout from a generator seeded by (seed, epoch) alone. A checkpoint in
    ``ctx.workdir`` therefore lets a killed training end with the very weights of an undisturbed one. The runner removes
    the folder when the result is stored.

    A step whose loss or gradient is not a finite number is skipped: weights, moments and batch statistics stay as they
    were. The decision is the device's own, so that nothing waits for it; how many there were is noted at the end. An
    epoch that skips more than half of its steps ends the training. A validation loss that is not finite is never chosen.

    Args:
        model: The module; trained in float32.
        loss: See `Loss`; the model must not be wrapped in it, because validation uses the averaged weights.
        train: [N] events, preprocessed.
        val: Events for the validation loss, always judged with the same draws; may be empty.
        plan: The numbers of the training.
        ctx: Device, seeds, folder; hears ``log(epoch, steps=epochs, loss=..., val_loss=...)`` once per epoch.
        name: Distinguishes several trainings of one call: part of seed and checkpoint.
        refresh: For models with statistics of the whole training sample, see `Refresh`.

    Raises:
        DataError: if there are no events, or values that are not finite.
        RunError: if the loss stops being a finite number, or the validation loss never is one.
    """
    if not len(train):
        raise DataError("There are no events to train on.", "Check the window and the cuts.")
    device = torch_device(ctx.device)
    events, held_out = _Events.of(train, device, "training"), _Events.of(val, device, "validation")
    loop = _Loop(model.to(device), loss, events, held_out, plan, ctx, name, refresh)
    with cpu_threads(loop.batch * sum(p.numel() for p in loop.parameters)):
        return loop.run()


class _Loop:
    """State of one training; see `train`."""

    def __init__(
        self,
        model: nn.Module,
        loss: Loss,
        events: _Events,
        val: _Events,
        plan: TrainingPlan,
        ctx: Context,
        name: str,
        refresh: Refresh | None,
    ) -> None:
        self.model, self.loss, self.events, self.val, self.plan, self.ctx, self.name = model, loss, events, val, plan, ctx, name
        self.refresh = refresh
        self.device = events.x.device
        self.seed = seed_from(ctx.rng(name))
        self.batch, self.per_epoch, self.total = plan.size(len(events))
        self.epochs = math.ceil(self.total / self.per_epoch)
        self.parameters: list[Tensor] = [p for p in model.parameters() if p.requires_grad]
        kind = torch.optim.AdamW if plan.decoupled else torch.optim.Adam
        self.optimizer = kind(self.parameters, lr=plan.lr, weight_decay=plan.weight_decay, fused=True)
        self.guard = StepGuard(model, self.parameters, self.optimizer, plan.clip)
        self.average = [p.detach().clone() for p in self.parameters] if plan.ema else []
        self.best: list[dict[str, Any]] = []  # epoch, loss and weights of the best looks, best first
        self.state: dict[str, Any] = {
            "epoch": 0,
            "scale": 1.0,
            "best_loss": math.inf,
            "bad": 0,
            "flat": 0,
            "lost": 0,  # looks in a row that saw no finite loss
            "skipped": 0,
            "stopped": False,
            "train_loss": [],
            "val_loss": [],
        }
        self.checkpoint = Checkpoint(ctx.workdir / f"{name}.ckpt", plan.checkpoint_seconds, self._identity(), self.device)

    def _identity(self) -> str:
        """sha256 of all that the training starts from: plan, seed, first weights, events. A resumed call makes them again."""
        sha = hashlib.sha256(json.dumps([asdict(self.plan), self.seed]).encode())
        weights = (part.weight for part in (self.events, self.val) if part.weight is not None)
        for tensor in (*self.model.state_dict().values(), self.events.x, self.events.cond, self.val.x, self.val.cond, *weights):
            sha.update(str(tuple(tensor.shape)).encode())
            sha.update(tensor.detach().cpu().contiguous().numpy().tobytes())
        return sha.hexdigest()

    def run(self) -> TrainingReport:
        self._restore()
        state = self.state
        while state["epoch"] < self.epochs and not state["stopped"]:
            train_loss = self._epoch(state["epoch"])
            state["epoch"] += 1
            state["train_loss"].append(train_loss)
            values = {"steps": float(self.epochs), "loss": train_loss}
            if (val_loss := self._validate()) is not None and math.isfinite(val_loss):
                values["val_loss"] = val_loss
            if self.checkpoint.due() or state["stopped"] or state["epoch"] == self.epochs:
                self._store()
            self.ctx.log(state["epoch"], **values)
        return self._finish()

    def _epoch(self, epoch: int) -> float:
        """One pass; returns its mean loss. The device is waited for at its end only."""
        first = epoch * self.per_epoch
        count = min(self.per_epoch, self.total - first)
        seed = seed_of(self.seed, epoch) >> 1
        g = generator(seed, self.device)
        order = torch.randperm(len(self.events), generator=g, device=self.device)
        self.guard.reset()
        self.model.train(not 0 <= self.plan.freeze_epoch <= epoch)
        with isolated_rng(seed, self.device):  # dropout knows the default generator only
            for i in range(count):
                for group in self.optimizer.param_groups:
                    group["lr"] = self.plan.rate(first + i, self.total, self.state["scale"])
                self.guard.remember()
                value = self.loss(self.model, *self.events.take(order[i * self.batch : (i + 1) * self.batch]), g)
                self.optimizer.zero_grad(set_to_none=True)
                value.backward()  # type: ignore[no-untyped-call]
                self.guard.step(value)
                if self.average:
                    k = first + i + 1  # a short memory at first, so that the start does not linger in the average
                    with torch.no_grad():
                        torch._foreach_lerp_(self.average, self.parameters, 1 - min(self.plan.ema, (1 + k) / (10 + k)))
        skipped = int(self.guard.skipped)
        if 2 * skipped > count:
            raise RunError(
                f"The loss of '{self.name}' or its gradient became nan or infinite in {skipped:,} of {count:,} steps "
                f"of epoch {epoch + 1} of {self.epochs}.",
                f"Lower the learning rate, now {self.plan.lr:g}.",
            )
        self.state["skipped"] += skipped
        return float(self.guard.running) / (count - skipped)

    @torch.no_grad()
    def _swap(self) -> None:
        """Exchange weights and averaged weights."""
        for p, q in zip(self.parameters, self.average, strict=False):
            kept = p.clone()
            p.copy_(q)
            q.copy_(kept)

    def _validate(self) -> float | None:
        """Loss of the averaged weights on the validation events with fixed draws, when it is time to look."""
        plan, state = self.plan, self.state
        epoch: int = state["epoch"]
        due = (
            plan.validate_every
            and epoch >= plan.validate_from
            and ((epoch - plan.validate_from) % plan.validate_every == 0 or epoch == self.epochs)
        )
        if not due or not len(self.val):
            return None
        self._swap()
        self._refresh()
        self.model.eval()
        g = generator(seed_of(self.seed, "validation") >> 1, self.device)
        total = torch.zeros((), device=self.device, dtype=torch.float32)
        with torch.no_grad():
            for start in range(0, len(self.val), _VALIDATION_CHUNK):
                part = self.val.take(slice(start, start + _VALIDATION_CHUNK))
                total += self.loss(self.model, *part, g) * len(part[0])
        value = float(total) / len(self.val)
        state["val_loss"].append([epoch, value])
        self._look(epoch, value)
        if plan.schedule == "plateau" and state["flat"] > plan.plateau_patience:
            state.update(scale=state["scale"] * plan.factor, flat=0)
        state["stopped"] = bool(plan.patience) and state["bad"] >= plan.patience
        self._swap()
        return value

    def _look(self, epoch: int, value: float) -> None:
        """Judge the weights that were just looked at; a loss that is not finite beats nothing, so it is never chosen."""
        plan, state = self.plan, self.state
        state["lost"] = 0 if math.isfinite(value) else state["lost"] + 1
        if state["lost"] == _LOST or (epoch == self.epochs and not any(math.isfinite(v) for _, v in state["val_loss"])):
            raise RunError(
                f"The validation loss of '{self.name}' became {value} in epoch {epoch}, at {state['lost']} looks in a row.",
                f"Lower the learning rate, now {plan.lr:g}.",
            )
        if value < state["best_loss"]:
            state.update(best_loss=value, bad=0, flat=0)
        else:
            state["bad"] += 1
            state["flat"] += 1
        if plan.keep == "best" and math.isfinite(value) and (len(self.best) < plan.keep_best or value < self.best[-1]["loss"]):
            weights = {k: v.clone() for k, v in self.model.state_dict().items()}
            self.best = sorted([*self.best, {"epoch": epoch, "loss": value, "weights": weights}], key=lambda s: s["loss"])[: plan.keep_best]

    def _refresh(self) -> None:
        if self.refresh is not None:
            self.refresh(self.events.x, self.events.cond)

    def _store(self) -> None:
        self.checkpoint.write(
            {
                "model": self.model.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "average": self.average,
                "best": self.best,
                "state": self.state,
            }
        )

    def _restore(self) -> None:
        saved = self.checkpoint.read(self.ctx.note)
        if saved is None:
            return
        self.model.load_state_dict(saved["model"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.average, self.best, self.state = saved["average"], saved["best"], saved["state"]
        self.ctx.note(f"'{self.name}' goes on from its checkpoint after epoch {self.state['epoch']} of {self.epochs}.")

    def _finish(self) -> TrainingReport:
        state = self.state
        if self.best:
            kept = [(int(s["epoch"]), s["weights"]) for s in self.best]
            self.model.load_state_dict(kept[0][1])
        else:
            with torch.no_grad():
                for p, q in zip(self.parameters, self.average, strict=False):
                    p.copy_(q)
            self._refresh()
            kept = [(int(state["epoch"]), {k: v.clone() for k, v in self.model.state_dict().items()})]
        self.model.eval()
        if state["skipped"]:
            steps = min(state["epoch"] * self.per_epoch, self.total)
            self.ctx.note(f"'{self.name}' skipped {state['skipped']:,} of {steps:,} steps: loss or gradient was not a finite number.")
        if lost := sum(not math.isfinite(v) for _, v in state["val_loss"]):
            self.ctx.note(f"'{self.name}' had no finite validation loss at {lost} of {len(state['val_loss'])} looks; none was chosen.")
        return TrainingReport(
            steps=min(state["epoch"] * self.per_epoch, self.total),
            epochs=state["epoch"],
            kept_epoch=kept[0][0],
            train_loss=tuple(state["train_loss"]),
            val_loss=tuple((int(e), float(v)) for e, v in state["val_loss"]),
            stopped_early=bool(state["stopped"]),
            skipped=state["skipped"],
            kept_epochs=tuple(epoch for epoch, _ in kept),
            kept=tuple(weights for _, weights in kept),
        )
