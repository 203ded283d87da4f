"""Several networks of one shape trained as one: stacked parameters, one batched step for all.

Each member keeps its own events, order, noise and first weights, and draws them as `adtoolkit.nn.training.train` does, so
that its result is, but for rounding, that of a training alone. AdamW and the average of the weights work element by
element, and the loss is a sum: no member feels the others. What a training decides from its own course (early stopping,
the best weights, plateaus), or does not do element by element (clipping), is left to the ordinary loop.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import asdict
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from adtoolkit.context import seed_of
from adtoolkit.interfaces import Context
from adtoolkit.nn.checkpoint import Checkpoint
from adtoolkit.nn.plan import TrainingPlan
from adtoolkit.nn.pool import pool
from adtoolkit.nn.tools import cpu_threads, generator, seed_from, to_tensor, torch_device
from adtoolkit.types import Sample

#: Events times width of a member's step above which members on a CPU are faster one after another: from there on a layer's
#: activations fill a core's cache, and the products have nothing to gain from each other (``benchmarks/window_scan.py``).
_CPU_STEP = 1 << 15

#: The same, for all members together, on other devices: some 30 float32 activations of a step stay below 8 GB.
_DEVICE_STEP = 1 << 26


class StackableLoss(Protocol):
    """A loss whose random part can be drawn apart."""

    def draw(self, x: Tensor, generator: torch.Generator, /) -> tuple[Tensor, ...]:
        """Random numbers of a batch of [B, D] data."""

    def value(self, model: Any, x: Tensor, cond: Tensor, weight: Tensor | None, drawn: tuple[Tensor, ...], /) -> Tensor:
        """The loss [] of a batch, with these numbers."""


def same_as_alone(plan: TrainingPlan) -> bool:
    """Whether members of a stack end as they would alone."""
    own_course = plan.keep != "last" or plan.schedule == "plateau" or plan.patience
    return not own_course and not plan.clip and plan.freeze_epoch < 0 and plan.decoupled


def groups(plan: TrainingPlan, events: Sequence[int], width: int, device: torch.device, most: int = 0) -> list[list[int]]:
    """Which trainings to stack: those of equal batches and steps, as many as pay on the device; the rest is left out.

    Args:
        plan: Of all of them.
        events: [W] training events of each.
        width: Of the networks.
        device: Where.
        most: Largest stack; 0: as many as pay.
    """
    alike: dict[tuple[int, int], list[int]] = {}
    for i, n in enumerate(events):
        batch, _, total = plan.size(n)
        alike.setdefault((batch, total), []).append(i)
    found = []
    for (batch, _), members in alike.items():
        size = most or _paying(batch * width, device)
        found += [members[k : k + size] for k in range(0, len(members), size)]
    return [group for group in found if len(group) > 1]


def _paying(step: int, device: torch.device) -> int:
    """Members of a stack: all, or none, on a CPU; elsewhere as many as memory holds."""
    if device.type == "cpu":
        return _DEVICE_STEP // step if step <= _CPU_STEP else 1
    return max(1, _DEVICE_STEP // step)


def train_together(
    models: Sequence[nn.Module],
    loss: StackableLoss,
    samples: Sequence[Sample],
    plan: TrainingPlan,
    ctxs: Sequence[Context],
    *,
    name: str = "training",
) -> list[bool]:
    """Train all models in place, as `adtoolkit.nn.training.train` would each.

    The validation events of the ordinary loop decide nothing under the plans that stack, and are not looked at. The
    checkpoint lies in the first context's folder.

    Args:
        models: [W] of one architecture, without batch statistics or dropout.
        loss: Of one member.
        samples: [W] training events; what they share is kept once.
        plan: One for which `same_as_alone` holds; batch and steps must be the same for all samples.
        ctxs: [W] seeds of the members; each hears of its own loss.
        name: As there.

    Returns:
        [W] whether the member's loss stayed finite; the others are left in a state of no use.
    """
    stack = _Stack(models, loss, samples, plan, ctxs, name)
    with cpu_threads(stack.batch * sum(p.numel() for p in stack.parameters.values())):
        return stack.run()


class _Stack:
    """State of one training of several members."""

    def __init__(
        self,
        models: Sequence[nn.Module],
        loss: StackableLoss,
        samples: Sequence[Sample],
        plan: TrainingPlan,
        ctxs: Sequence[Context],
        name: str,
    ) -> None:
        self.models, self.loss, self.plan, self.ctxs = models, loss, plan, ctxs
        self.device = torch_device(ctxs[0].device)
        self.seeds = [seed_from(ctx.rng(name)) for ctx in ctxs]
        table, rows = pool(samples)
        self.table = to_tensor(table, self.device)  # [U, D + 1 + C + 1]: features, conditions, weight
        self.rows = [torch.as_tensor(r).to(self.device) for r in rows]
        self.features = samples[0].x.shape[1]
        means = [float(s.weights.mean(dtype="f8")) for s in samples]
        equal = all(s.weight is None or bool((s.weights == s.weights[0]).all()) for s in samples)
        self.scale = None if equal else torch.tensor(means, device=self.device)[:, None]
        sizes = [plan.size(len(s)) for s in samples]
        self.batch, self.total = sizes[0][0], sizes[0][2]
        self.per_epoch = [size[1] for size in sizes]
        self.look = min(self.per_epoch)
        self.skeleton = deepcopy(models[0]).to("meta").train()
        parameters, self.buffers = torch.func.stack_module_state([m.to(self.device).requires_grad_(True) for m in models])
        self.parameters: dict[str, Tensor] = {k: p.detach().requires_grad_() for k, p in parameters.items()}
        values = list(self.parameters.values())
        self.optimizer = torch.optim.AdamW(values, lr=plan.lr, weight_decay=plan.weight_decay, fused=True)
        self.average = [p.detach().clone() for p in values] if plan.ema else []
        self.step = 0
        self.generators: list[torch.Generator] = [torch.Generator(self.device) for _ in models]
        self.order: list[Tensor] = [r[:0] for r in self.rows]
        self.finite = torch.ones(len(models), dtype=torch.bool, device=self.device)
        self.checkpoint = Checkpoint(ctxs[0].workdir / f"{name}-together.ckpt", plan.checkpoint_seconds, self._identity(), self.device)

    def _identity(self) -> str:
        """sha256 of all that the training starts from."""
        sha = hashlib.sha256(json.dumps([asdict(self.plan), self.seeds]).encode())
        for tensor in (*self.parameters.values(), *self.buffers.values(), self.table, *self.rows):
            sha.update(str(tuple(tensor.shape)).encode())
            sha.update(tensor.detach().cpu().contiguous().numpy().tobytes())
        return sha.hexdigest()

    def run(self) -> list[bool]:
        self._restore()
        running = torch.zeros(len(self.models), device=self.device)
        begun = self.step
        while self.step < self.total:
            running += self._step()
            self.step += 1
            if self.step % self.look == 0 or self.step == self.total:
                self.finite &= torch.isfinite(running)
                for ctx, mean in zip(self.ctxs, (running / (self.step - begun)).tolist(), strict=True):
                    ctx.log(math.ceil(self.step / self.look), steps=float(math.ceil(self.total / self.look)), loss=mean)
                running.zero_()
                begun = self.step
                if self.checkpoint.due():
                    self._store()
        return self._finish()

    def _step(self) -> Tensor:
        """One step of all; returns their losses [W]."""
        for w, per_epoch in enumerate(self.per_epoch):
            if self.step % per_epoch == 0:
                self._shuffle(w, self.step // per_epoch)
        starts = [self.step % n * self.batch for n in self.per_epoch]
        batch = self.table[torch.stack([order[a : a + self.batch] for order, a in zip(self.order, starts, strict=True)])]
        x, cond, weight = batch[..., : self.features], batch[..., self.features : -1], batch[..., -1]
        drawn = tuple(torch.stack(parts) for parts in zip(*map(self.loss.draw, x, self.generators), strict=True))
        for group in self.optimizer.param_groups:
            group["lr"] = self.plan.rate(self.step, self.total)
        if self.scale is None:
            weights, along = None, None
        else:
            weights, along = weight / self.scale, 0
        members = torch.func.vmap(self._value, in_dims=(0, 0, 0, 0, along, 0))
        losses = members(self.parameters, self.buffers, x, cond, weights, drawn)
        self.optimizer.zero_grad(set_to_none=True)
        losses.sum().backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        if self.average:
            k = self.step + 1
            with torch.no_grad():
                values = list(self.parameters.values())
                torch._foreach_lerp_(self.average, values, 1 - min(self.plan.ema, (1 + k) / (10 + k)))
        return losses.detach()

    def _value(self, parameters: Any, buffers: Any, x: Tensor, cond: Tensor, weight: Tensor | None, drawn: tuple[Tensor, ...]) -> Tensor:
        """The loss of one member."""

        def field(*place: Tensor) -> Any:
            return torch.func.functional_call(self.skeleton, (parameters, buffers), place)

        return self.loss.value(field, x, cond, weight, drawn)

    def _shuffle(self, w: int, epoch: int) -> None:
        """Order and noise of a member's epoch, as `adtoolkit.nn.training.train` draws them."""
        g = generator(seed_of(self.seeds[w], epoch) >> 1, self.device)
        self.order[w] = self.rows[w][torch.randperm(len(self.rows[w]), generator=g, device=self.device)]
        self.generators[w] = g

    def _store(self) -> None:
        self.checkpoint.write(
            {
                "parameters": [p.detach() for p in self.parameters.values()],
                "optimizer": self.optimizer.state_dict(),
                "average": self.average,
                "step": self.step,
                "generators": [g.get_state() for g in self.generators],
                "finite": self.finite,
            }
        )

    def _restore(self) -> None:
        saved = self.checkpoint.read(self.ctxs[0].note)
        if saved is None:
            return
        with torch.no_grad():
            for p, q in zip(self.parameters.values(), saved["parameters"], strict=True):
                p.copy_(q)
        self.optimizer.load_state_dict(saved["optimizer"])
        self.average, self.step, self.finite = saved["average"], saved["step"], saved["finite"]
        for w, state in enumerate(saved["generators"]):
            self._shuffle(w, max(self.step - 1, 0) // self.per_epoch[w])  # of the last step taken
            self.generators[w].set_state(state.cpu())
        self.ctxs[0].note(f"{len(self.models)} trainings go on from their checkpoint after step {self.step} of {self.total}.")

    @torch.no_grad()
    def _finish(self) -> list[bool]:
        kept = dict(zip(self.parameters, self.average or self.parameters.values(), strict=True))
        for w, model in enumerate(self.models):
            for name, p in model.named_parameters():
                p.copy_(kept[name][w])
                self.finite[w] &= torch.isfinite(p).all()
            model.eval()
        return [bool(f) for f in self.finite.tolist()]
