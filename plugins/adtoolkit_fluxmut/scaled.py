"""A flow together with the scale of what it was trained on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray

from adtoolkit.flowconfig import FlowConfig
from adtoolkit.interfaces import Context, Model
from adtoolkit.nn import load_tensors, save_tensors
from adtoolkit.nn.mixture import FlowMixture, fit_flow
from adtoolkit.types import Array, Sample

__all__ = ["ScaledFlow", "fit_scaled"]


@dataclass(frozen=True)
class ScaledFlow(Model):
    """p(a | cond) of values a of any location and spread.

    Attributes:
        flow: Of ``(a - mean) / std``.
        mean: [K].
        std: [K].
    """

    flow: FlowMixture
    mean: NDArray[np.float32]
    std: NDArray[np.float32]

    def scale(self, a: Array) -> Array:
        """[N, K] -> [N, K] what the flow sees."""
        return (a - self.mean) / self.std

    def sample(self, cond: Array, rng: np.random.Generator) -> Array:
        """[N, C] -> [N, K]."""
        return self.flow.sample(cond, rng) * self.std + self.mean

    def log_prob(self, a: Array, cond: Array) -> Array:
        """[N, K], [N, C] -> [N] natural log of the density of a itself."""
        return np.asarray(self.flow.log_prob(self.scale(a), cond) - np.log(self.std).sum(), np.float32)

    def save(self, directory: Path) -> None:
        self.flow.save(directory)
        save_tensors(directory / "scale.safetensors", {"mean": torch.as_tensor(self.mean), "std": torch.as_tensor(self.std)})

    @classmethod
    def load(cls, directory: Path, device: str) -> Self:
        scale = load_tensors(directory / "scale.safetensors")
        return cls(FlowMixture.load(directory, device), scale["mean"].numpy(), scale["std"].numpy())


def fit_scaled(config: FlowConfig, train: Sample, val: Sample, ctx: Context, *, name: str, jitter: float = 0.0) -> ScaledFlow:
    """Train a flow of the events' x, whatever their scale.

    Args:
        config: Flow and training.
        train: [N] events.
        val: Events that judge the training.
        ctx: See `adtoolkit.nn.training.train`.
        name: Part of seeds and checkpoint.
        jitter: Spread of the normal noise added to both samples, in units of the spread of each column.

    Raises:
        DataError: if there are no events, or values that are not finite.
        RunError: if the training diverges.
    """
    mean = np.average(train.x, 0, train.weights)
    std = np.sqrt(np.average((train.x - mean) ** 2, 0, train.weights))
    mean, std = mean.astype(np.float32), np.maximum(std, 1e-6).astype(np.float32)

    def scaled(sample: Sample, purpose: str) -> Sample:
        noise = ctx.rng(name, "jitter", purpose).standard_normal(sample.x.shape, dtype=np.float32)
        return replace(sample, x=(sample.x - mean) / std + np.float32(jitter) * noise)

    flow, _ = fit_flow(config, scaled(train, "train"), scaled(val, "val"), ctx, name=name)
    return ScaledFlow(flow, mean, std)
