"""Training of all members at once: one stack of flows, each with its own events, signal fraction and best epochs."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from adtoolkit.context import seed_of
from adtoolkit.interfaces import Context
from adtoolkit.nn.checkpoint import Checkpoint
from adtoolkit.nn.stacked import StackedAdamW
from adtoolkit.nn.tools import cpu_threads, generator
from adtoolkit_ranode.config import RAnodeConfig
from adtoolkit_ranode.flow import StackedFlow
from adtoolkit_ranode.mixture import log_mixture, responsibility

_CHECKPOINT_SECONDS = 20.0
#: A learned signal fraction stays between these.
_RANGE = (1e-5, 0.9)


@dataclass(frozen=True)
class Events:
    """What the members learn from, on the device.

    Attributes:
        z: [D, N] coordinates.
        background: [N] log density of the background in these coordinates, evaluated once.
        weight: [N] of mean 1.
    """

    z: Tensor
    background: Tensor
    weight: Tensor


@dataclass(frozen=True)
class Member:
    """One flow to train.

    Attributes:
        seed: Of its first parameters, the order of its events and its dropout.
        train: [T] which events it learns from; equally many for all members.
        val: [V] which events judge it; equally many for all members.
        w: Its (first) signal fraction.
    """

    seed: int
    train: Tensor
    val: Tensor
    w: float


@dataclass(frozen=True)
class Trained:
    """What a training gives, members in order.

    Attributes:
        rows: [P, best, n] parameters of the best epochs.
        gain: [P, best] their mean log(1 + w (R - 1)) on the validation events.
        w: [P, best] their signal fractions.
        skipped: [P] steps that were not taken because the gradient was not finite.
        epochs: [P] epochs trained.
    """

    rows: Tensor
    gain: Tensor
    w: Tensor
    skipped: Tensor
    epochs: Tensor


def train(flow: StackedFlow, events: Events, members: Sequence[Member], config: RAnodeConfig, ctx: Context) -> Trained:
    """Minimise each member's mean of -log(w p_sig + (1-w) p_bg) over its events (arXiv:2312.11629, eq. 5).

    A step whose gradient is not finite is not taken. A member that takes less than half of the steps of an epoch ends there and keeps
    what it had before; without a whole epoch its gain is -inf.
    """
    with cpu_threads(len(members) * min(config.batch, len(members[0].train)) * flow.size):
        return _Loop(flow, events, members, config, ctx).run()


class _Loop:
    """State of one training; see `train`. Stopped members leave the stack."""

    def __init__(self, flow: StackedFlow, events: Events, members: Sequence[Member], config: RAnodeConfig, ctx: Context) -> None:
        self.flow, self.events, self.members, self.config, self.ctx = flow, events, members, config, ctx
        device = events.z.device
        self.train = torch.stack([member.train for member in members]).to(device)
        self.val = torch.stack([member.val for member in members]).to(device)
        rows = torch.stack([flow.start(generator(seed_of(member.seed, "start") >> 1)) for member in members]).to(device)
        self.optimiser = StackedAdamW(rows, config.lr, config.weight_decay, config.clip)
        self.batch = min(config.batch, self.train.shape[1])
        self.steps = self.train.shape[1] // self.batch  # a rest of less than a batch comes up in other epochs
        n, best = len(members), min(config.best_epochs, config.epochs)
        self.active = torch.arange(n, device=device)
        self.logit = torch.tensor([math.log(member.w / (1 - member.w)) for member in members], device=device)
        self.best = torch.full((n, best), math.inf, device=device)
        self.best_rows, self.best_logit = rows[:, None].repeat(1, best, 1), self.logit[:, None].repeat(1, best)
        self.lowest, self.bad = torch.full((n,), math.inf, device=device), torch.zeros(n, dtype=torch.long, device=device)
        self.skipped, self.epochs = torch.zeros(n, device=device), torch.zeros(n, dtype=torch.long, device=device)
        self.epoch = 0
        self.checkpoint = Checkpoint(ctx.workdir / "r-anode.ckpt", _CHECKPOINT_SECONDS, self._identity(), device)

    def _identity(self) -> str:
        """sha256 of all that the training starts from."""
        sha = hashlib.sha256(repr((self.flow, self.config, [(m.seed, m.w) for m in self.members])).encode())
        for tensor in (self.events.z, self.events.background, self.events.weight, self.train, self.val):
            sha.update(str(tuple(tensor.shape)).encode())
            sha.update(tensor.cpu().contiguous().numpy().tobytes())
        return sha.hexdigest()

    def run(self) -> Trained:
        self._restore()
        while self.epoch < self.config.epochs and len(self.active):
            loss = self._train_epoch()
            gain = self._judge() if len(self.active) else torch.full((), math.nan)
            self.epoch += 1
            if self.checkpoint.due() or self.epoch == self.config.epochs:
                self._store()
            self.ctx.log(self.epoch, steps=float(self.config.epochs), loss=float(loss), gain=float(gain))
        self._leave(torch.ones(len(self.active), dtype=torch.bool, device=self.active.device))
        return Trained(self.best_rows, -self.best, self.best_logit.sigmoid(), self.skipped, self.epochs)

    def _scale(self, step: int) -> float:
        """Of the learning rate at a step, counted from 0."""
        if self.config.schedule == "constant":
            return 1.0
        total = self.config.epochs * self.steps
        rise = 0.1 * total
        return (step + 1) / (rise + 1) if step < rise else 0.5 * (1 + math.cos(math.pi * (step - rise) / (total - rise)))

    def _annealed(self, logit: Tensor) -> Tensor:
        """Logits of the fractions that an epoch trains with: on the way from ``start`` to their own, evenly in log w.

        With R = 1 everywhere the residual density grows by (1 + excess) per step of expectation and maximisation, whatever
        w: too slowly to be found where the excess is small. A large w pulls the excess out at once, as (p_data - (1-w) p_bg) / w,
        and each smaller one starts from there.
        """
        own = logit.sigmoid()
        reached = min(self.epoch / (self.config.anneal * self.config.epochs), 1.0) if self.config.anneal else 1.0
        return (own * (self.config.start / own).clamp_min(1.0) ** (1 - reached)).logit()

    def _train_epoch(self) -> Tensor:
        """One pass of each active member over its events, in an order that depends on its seed and the epoch alone."""
        seeds = [self.members[i].seed for i in self.active.tolist()]
        shuffles = [generator(seed_of(seed, self.epoch) >> 1) for seed in seeds]
        order = torch.stack([torch.randperm(self.train.shape[1], generator=g) for g in shuffles]).to(self.train.device)
        dropouts = [generator(seed_of(seed, "dropout", self.epoch) >> 1, self.train.device) for seed in seeds]
        index = self.train[self.active].gather(1, order)
        logit, total = self._annealed(self.logit[self.active, None]), torch.zeros((), device=index.device)
        before = self.optimiser.skipped.clone()
        for step in range(self.steps):
            chosen = index[:, step * self.batch : (step + 1) * self.batch]
            rows = self.optimiser.rows.detach().requires_grad_()
            signal = self.flow.log_prob(rows, self.events.z[:, chosen].transpose(0, 1), dropouts)
            losses = -(log_mixture(signal, self.events.background[chosen], logit) * self.events.weight[chosen]).mean(1)
            (gradient,) = torch.autograd.grad(losses.sum(), rows)
            self.optimiser.step(gradient, self._scale(self.epoch * self.steps + step))
            total += losses.detach().mean()
        failed = 2 * (self.optimiser.skipped - before) > self.steps
        if failed.any():
            self._leave(failed)
        return total / self.steps

    @torch.no_grad()
    def _judge(self) -> Tensor:
        """Gain on the validation events; keeps the best epochs, moves learned signal fractions, lets members stop."""
        active, index = self.active, self.val[self.active]
        logit, background, weight = self.logit[active, None], self.events.background[index], self.events.weight[index]
        rows = self.optimiser.rows
        signal = self.flow.log_prob(rows, self.events.z[:, index].transpose(0, 1))
        gain = ((log_mixture(signal, background, logit) - background) * weight).sum(1) / weight.sum(1).clamp_min(1e-12)
        loss = torch.where(gain.isfinite(), -gain, math.inf)
        worst = self.best[active].argmax(1)
        better = loss < self.best[active, worst]
        self.best[active, worst] = torch.where(better, loss, self.best[active, worst])
        self.best_rows[active, worst] = torch.where(better[:, None], rows, self.best_rows[active, worst])
        self.best_logit[active, worst] = torch.where(better, logit[:, 0], self.best_logit[active, worst])
        improved = loss < self.lowest[active]
        self.lowest[active] = torch.where(improved, loss, self.lowest[active])
        self.bad[active] = torch.where(improved, 0, self.bad[active] + 1)
        if self.config.mode == "learned" and self.epoch + 1 >= self.config.anneal * self.config.epochs:
            share = (responsibility(signal, background, logit) * weight).sum(1) / weight.sum(1).clamp_min(1e-12)
            self.logit[active] = torch.where(share.isfinite(), share, logit[:, 0].sigmoid()).clamp(*_RANGE).logit()
        if self.config.patience:
            stopped = self.bad[active] >= self.config.patience
            if stopped.any():
                self._leave(stopped)
        return gain.mean()

    def _leave(self, stopped: Tensor) -> None:
        """Take members out of the stack."""
        self.skipped[self.active[stopped]] = self.optimiser.skipped[stopped]
        self.epochs[self.active[stopped]] = self.epoch + (self.epoch < self.config.epochs)
        self.active = self.active[~stopped]
        self.optimiser.keep(~stopped)

    def _state(self) -> dict[str, Tensor]:
        names = ("active", "logit", "best", "best_rows", "best_logit", "lowest", "bad", "skipped", "epochs")
        return {name: getattr(self, name) for name in names}

    def _store(self) -> None:
        self.checkpoint.write({"epoch": self.epoch, "state": self._state(), "optimiser": self.optimiser.state()})

    def _restore(self) -> None:
        saved = self.checkpoint.read(self.ctx.note)
        if saved is None:
            return
        self.epoch = int(saved["epoch"])
        for name, value in saved["state"].items():
            setattr(self, name, value)
        self.optimiser.restore(saved["optimiser"])
        self.ctx.note(f"r-anode goes on from its checkpoint after epoch {self.epoch} of {self.config.epochs}.")
