"""Conditional normalizing flows over nflows: the affine MAF of ANODE and CATHODE, and two kinds made of splines."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast

import torch
from nflows.transforms.base import Transform
from nflows.transforms.permutations import ReversePermutation
from torch import Tensor, nn

from adtoolkit.errors import ConfigError
from adtoolkit.nn.flows_affine import AffineAutoregressive, FlowBatchNorm, refresh_statistics
from adtoolkit.nn.flows_nets import MaskedNet, PlainNet
from adtoolkit.nn.flows_spline import Compress, SplineAutoregressive, SplineCoupling
from adtoolkit.nn.tools import isolated_rng

__all__ = ["ConditionalFlow", "FlowShape", "Kind", "flow_loss", "make_flow"]

Kind = Literal["maf", "rqs-autoregressive", "rqs-coupling"]


@dataclass(frozen=True, kw_only=True)
class FlowShape:
    """All that the layers of a flow are made from; plain numbers, so that JSON holds it.

    Attributes:
        kind: ``maf`` (affine autoregressive, with batch normalisation as a layer, as published for ANODE and CATHODE),
            ``rqs-autoregressive`` or ``rqs-coupling`` (rational-quadratic splines).
        features: D.
        conditions: Numbers that the density is conditional on; the first is m.
        blocks: Layers that transform.
        hidden: Width of their networks.
        bins: Of the splines.
        bound: The splines act between -bound and bound.
        knee: Before splines, features further out than this are compressed logarithmically, see `Compress`.

    Raises:
        ConfigError: if the splines would have too many bins for their least width, or a number is not positive.

    Example:
        >>> shape = FlowShape(kind="maf", features=4)
        >>> sum(p.numel() for p in make_flow(shape, seed=0).parameters())
        274800
    """

    kind: Kind
    features: int
    conditions: int = 1
    blocks: int = 15
    hidden: int = 128
    bins: int = 8
    bound: float = 6.0
    knee: float = 2.0

    def __post_init__(self) -> None:
        if (
            min(self.features, self.conditions, self.blocks, self.hidden) < 1
            or min(self.bound, self.knee) <= 0
            or not 2 <= self.bins <= 100
        ):
            raise ConfigError(f"There is no flow with {self}.", "Use positive numbers, and 2 to 100 bins.")


class ConditionalFlow(nn.Module):
    """p(x | cond): layers that carry x to standard normal noise. Calling it gives the log-density.

    Args:
        shape: What the layers are made from.
        shift: [C] subtracted from the conditions before the layers see them.
        scale: [C] divides them then.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, shape: FlowShape, shift: Sequence[float], scale: Sequence[float]) -> None:
        super().__init__()
        self.shape = shape
        self.layers = nn.ModuleList(_layers(shape))
        self.register_buffer("shift", torch.tensor(list(shift)))
        self.register_buffer("scale", torch.tensor(list(scale)))

    def forward(self, x: Tensor, cond: Tensor) -> Tensor:
        """[N, D], [N, C] -> [N] natural log of p(x | cond)."""
        cond = (cond - self.shift) / self.scale
        total = x.new_full((len(x),), -0.5 * self.shape.features * math.log(2 * math.pi))
        for layer in self.layers:
            x, log_det = layer(x, cond)
            total = total + log_det
        return total - 0.5 * x.square().sum(1)

    def to_noise(self, x: Tensor, cond: Tensor) -> Tensor:
        """[N, D], [N, C] -> [N, D]."""
        cond = (cond - self.shift) / self.scale
        for layer in self.layers:
            x, _ = layer(x, cond)
        return x

    def to_data(self, noise: Tensor, cond: Tensor) -> Tensor:
        """[N, D], [N, C] -> [N, D]: the inverse; draws where the noise is standard normal."""
        cond = (cond - self.shift) / self.scale
        for layer in reversed(list(self.layers)):
            noise, _ = cast("Transform", layer).inverse(noise, cond)
        return noise

    def refresh(self, x: Tensor, cond: Tensor) -> None:
        """Give flow batch normalisation the statistics of all [N] training events; nothing to do where there is none."""
        if any(isinstance(layer, FlowBatchNorm) for layer in self.layers):
            refresh_statistics(self.layers, x, (cond - self.shift) / self.scale)


def _layers(shape: FlowShape) -> list[nn.Module]:
    """Transforms in the order of the density direction."""
    d, c = shape.features, shape.conditions
    found: list[nn.Module] = [] if shape.kind == "maf" else [Compress(shape.knee)]
    for i in range(shape.blocks):
        if shape.kind == "maf":
            found += [AffineAutoregressive(d, c, shape.hidden), FlowBatchNorm(d), ReversePermutation(d)]
        elif shape.kind == "rqs-autoregressive":
            masked = MaskedNet(d, c, shape.hidden, 3 * shape.bins - 1)
            found += [SplineAutoregressive(masked, d, shape.bound), ReversePermutation(d)]
        else:

            def net(inputs: int, outputs: int) -> nn.Module:
                return PlainNet(inputs, c, shape.hidden, outputs)

            found.append(SplineCoupling(_mask(d, i), net, shape.bins, shape.bound))
    return found


def _mask(features: int, layer: int) -> list[int]:
    """Which features a coupling layer transforms: by a binary digit of their number, then those of the other digit.

    After two layers per digit every feature has seen every other (i-flow, arXiv:2001.05486, section II).
    """
    if features == 1:
        return [1]
    digits = (features - 1).bit_length()
    return [(j >> (layer // 2 % digits) & 1) ^ (layer % 2) for j in range(features)]


def make_flow(shape: FlowShape, seed: int, shift: Sequence[float] = (), scale: Sequence[float] = ()) -> ConditionalFlow:
    """An untrained flow, on the cpu; its weights depend on the seed alone.

    Args:
        shape: What it is made from.
        seed: Of the initial weights.
        shift: [C] subtracted from the conditions; empty: nothing.
        scale: [C] divides them; empty: ones.
    """
    with isolated_rng(seed):  # nflows and torch initialise from the default generator only
        return ConditionalFlow(shape, shift or [0.0] * shape.conditions, scale or [1.0] * shape.conditions)


def flow_loss(model: nn.Module, x: Tensor, cond: Tensor, weight: Tensor | None, generator: torch.Generator) -> Tensor:  # noqa: ARG001
    """Mean negative log-likelihood, a `adtoolkit.nn.training.Loss`."""
    loss: Tensor = -model(x, cond)
    return loss.mean() if weight is None else (loss * weight).mean()
