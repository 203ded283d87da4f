"""A trained flow as a model: the average, in probability, of the weights of its best epochs; or of several trainings."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from adtoolkit.densities import LOWEST
from adtoolkit.errors import DataError
from adtoolkit.flowconfig import FlowConfig
from adtoolkit.interfaces import Context, Model
from adtoolkit.nn.flows import ConditionalFlow, FlowShape, flow_loss, make_flow
from adtoolkit.nn.plan import TrainingPlan
from adtoolkit.nn.store import load_tensors, save_tensors
from adtoolkit.nn.tools import chunk_size, seed_from, to_numpy, to_tensor, torch_device
from adtoolkit.nn.training import TrainingReport, train
from adtoolkit.types import Array, Sample

__all__ = ["FlowMixture", "fit_flow"]

#: Constant buffers of nflows, made again from the shape.
_MADE_AGAIN = (".mask", ".degrees", "._permutation", ".identity_features", ".transform_features")


class FlowMixture(Model):
    """``p = mean_k p_k``: densities are averaged, not their logarithms, and each member draws equally many events.

    Args:
        members: Trained flows of one shape; put into evaluation mode.
        epochs: Which epoch each is of, counted from 1.

    References:
        | ANODE (Nachman, Shih), arXiv:2001.04990
        | CATHODE (Hallin et al.), arXiv:2109.00546: the ten epochs of lowest validation loss
    """

    def __init__(self, members: Sequence[ConditionalFlow], epochs: Sequence[int] = ()) -> None:
        self.members = [flow.eval().requires_grad_(False) for flow in members]
        self.epochs = tuple(epochs)

    @property
    def device(self) -> torch.device:
        return self.members[0].shift.device

    @property
    def shape(self) -> FlowShape:
        return self.members[0].shape

    @torch.no_grad()
    def sample(self, cond: Array, rng: np.random.Generator) -> Array:
        """[N, C] -> [N, D]; noise and members come from the generator alone, the same on every device and for any chunk."""
        noise = rng.standard_normal((len(cond), self.shape.features), dtype=np.float32)
        chosen = rng.permutation(np.arange(len(cond)) % len(self.members))
        out = np.empty_like(noise)
        for k, flow in enumerate(self.members):
            rows = np.flatnonzero(chosen == k)
            u, c = to_tensor(noise[rows], self.device), to_tensor(cond[rows], self.device)
            step = chunk_size(self.device)
            if len(rows):
                out[rows] = to_numpy(
                    torch.cat([flow.to_data(a, b) for a, b in zip(torch.split(u, step), torch.split(c, step), strict=True)])
                )
        return out

    @torch.no_grad()
    def log_prob(self, x: Array, cond: Array) -> Array:
        """[N, D], [N, C] -> [N] natural log; `adtoolkit.densities.LOWEST` where it is less, or not a number."""
        if not len(x):
            return np.zeros(0, np.float32)
        inputs, conditions = to_tensor(x, self.device), to_tensor(cond, self.device)
        step = chunk_size(self.device)
        return to_numpy(
            torch.cat(
                [self.log_density(a, b) for a, b in zip(torch.split(inputs, step), torch.split(conditions, step), strict=True)]
            ).clamp_min(LOWEST)
        )

    def log_density(self, x: Tensor, cond: Tensor) -> Tensor:
        """[N, D], [N, C] -> [N] log of the mean density; a member that is not a number counts as zero."""
        terms = torch.stack([flow(x, cond) for flow in self.members])
        terms = torch.where(terms.isfinite(), terms, -torch.inf)
        return terms.logsumexp(0) - math.log(len(self.members))

    def save(self, directory: Path) -> None:
        """Write weights and the numbers that the layers are made from."""
        tensors = {
            f"{k}.{name}": value
            for k, flow in enumerate(self.members)
            for name, value in flow.state_dict().items()
            if not name.endswith(_MADE_AGAIN)
        }
        save_tensors(directory / "flow.safetensors", tensors)
        meta = {"shape": asdict(self.shape), "members": len(self.members), "epochs": self.epochs}
        (directory / "flow.json").write_text(json.dumps(meta, indent=1), encoding="utf-8")

    @classmethod
    def load(cls, directory: Path, device: str) -> Self:
        """Read what `save` wrote."""
        meta: dict[str, Any] = json.loads((directory / "flow.json").read_text(encoding="utf-8"))
        tensors = load_tensors(directory / "flow.safetensors")
        where, members = torch_device(device), []
        for k in range(meta["members"]):
            flow = make_flow(FlowShape(**meta["shape"]), seed=0)
            own = {name.partition(".")[2]: value for name, value in tensors.items() if name.partition(".")[0] == str(k)}
            flow.load_state_dict({**flow.state_dict(), **own})
            members.append(flow.to(where))
        return cls(members, meta["epochs"])

    @classmethod
    def joined(cls, models: Sequence[FlowMixture]) -> FlowMixture:
        """One mixture of the members of several, each member with the same share."""
        return cls([flow for model in models for flow in model.members], [epoch for model in models for epoch in model.epochs])


def fit_flow(config: FlowConfig, train_on: Sample, val: Sample, ctx: Context, *, name: str = "flow") -> tuple[FlowMixture, TrainingReport]:
    """Train a flow of the events by maximum likelihood; the model is the mixture of the weights that the plan keeps.

    Args:
        config: Flow and training.
        train_on: [N] preprocessed events.
        val: Events that choose the epochs.
        ctx: See `adtoolkit.nn.training.train`.
        name: Part of seeds and checkpoint.

    Raises:
        DataError: if there are no events, or values that are not finite.
        RunError: if the training diverges.
    """
    if not len(train_on):
        raise DataError("There are no events to train on.", "Check the window and the cuts.")
    cond = train_on.cond.astype(np.float64)
    if bad := int((~np.isfinite(cond).all(1)).sum()):
        raise DataError(f"{bad} events have a mass or condition that is not a finite number.", "Drop those events: --drop-invalid")
    shape = FlowShape(features=train_on.x.shape[1], conditions=cond.shape[1], **config.shape())
    shift, scale = cond.mean(0), cond.std(0)
    scale = np.where(scale > 0, scale, 1.0)
    seed = seed_from(ctx.rng(name, "initial weights"))
    flow = make_flow(shape, seed) if config.raw_mass else make_flow(shape, seed, shift.tolist(), scale.tolist())
    report = train(flow, flow_loss, train_on, val, TrainingPlan(**config.training()), ctx, name=name, refresh=flow.refresh)
    members = []
    for weights in report.kept:
        member = make_flow(shape, seed)
        member.load_state_dict(weights)
        members.append(member.to(flow.shift.device))
    return FlowMixture(members, report.kept_epochs), report
