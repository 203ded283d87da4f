"""A masked autoregressive flow of rational-quadratic splines, whose permutations stay inside groups of features."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import torch
from nflows.transforms.made import MADE
from torch import Tensor, nn
from torch.nn.functional import linear

from adtoolkit.nn.flows_spline import Compress
from adtoolkit.nn.spline import parameters_per_dimension, rational_quadratic
from adtoolkit.nn.tools import isolated_rng


@dataclass(frozen=True, kw_only=True)
class FlowShape:
    """What a flow is made from; plain numbers, so that JSON holds it.

    Attributes:
        groups: Features in each group; permutations stay inside (the layers of a detector), and D is their sum.
        conditions: Numbers that the density is conditional on.
        blocks: Autoregressive layers.
        hidden: Units of their hidden layers.
        depth: Hidden layers after the first.
        bins: Of the splines.
        bound: The splines act between -bound and bound.
        knee: Before the splines, features further out than this are compressed logarithmically, see `Compress`; 0: none is.
        dropout: Share of hidden units left out at a training step.
        alternate: Reverse each group after even blocks, shuffle it after odd ones (none after the last); else shuffle after each.
    """

    groups: tuple[int, ...]
    conditions: int
    blocks: int
    hidden: int
    depth: int
    bins: int = 8
    bound: float = 14.0
    knee: float = 0.0
    dropout: float = 0.0
    alternate: bool = True

    @property
    def features(self) -> int:
        """D."""
        return sum(self.groups)


class SplineBlock(nn.Module):
    """Every feature through a spline that is made of the features before it and of the conditions.

    The network is the MADE of nflows with sequential masks, as published: ReLU, no normalisation, conditions added to the first hidden
    layer. Its last layer is applied here, to make the parameters with events along the last axis, where the spline is fastest.

    References:
        | Germain, Gregor, Murray, Larochelle, "MADE", arXiv:1502.03509
        | Durkan, Bekasov, Murray, Papamakarios, "Neural Spline Flows", arXiv:1906.04032
    """

    damp: Tensor

    def __init__(self, shape: FlowShape) -> None:
        super().__init__()
        self.bound, self.per = shape.bound, parameters_per_dimension(shape.bins)
        self.made = MADE(
            shape.features,
            shape.hidden,
            context_features=shape.conditions,
            num_blocks=shape.depth,
            output_multiplier=self.per,
            use_residual_blocks=False,
            dropout_probability=shape.dropout,
        )
        # raw widths and heights over sqrt(hidden), as nflows does it; slopes as they are
        damp = torch.ones(self.per)
        damp[: 2 * shape.bins] = 1 / math.sqrt(shape.hidden)
        self.register_buffer("damp", damp.repeat(shape.features)[:, None], persistent=False)

    def _last(self) -> tuple[Tensor, Tensor]:
        """Weights [D P, H] and biases [D P, 1] of the last layer."""
        layer = self.made.final_layer
        return layer.weight * (layer.mask * self.damp), layer.bias[:, None] * self.damp

    def forward(self, x: Tensor, cond: Tensor) -> tuple[Tensor, Tensor]:
        """[N, D], [N, C] -> [N, D] and the log of the absolute determinant [N]."""
        made = self.made
        hidden = torch.relu(made.initial_layer(x) + torch.relu(made.context_layer(cond)))
        for layer in made.blocks:
            hidden = layer(hidden)
        weight, bias = self._last()
        parameters = torch.unflatten(torch.addmm(bias, weight, hidden.t()), 0, (-1, self.per))
        out, log_slope = rational_quadratic(x.t().contiguous(), parameters, self.bound)
        return out.t(), log_slope.sum(0)

    def inverse(self, u: Tensor, cond: Tensor) -> Tensor:
        """[N, D], [N, C] -> [N, D]: feature by feature; each adds its own column to the first hidden layer."""
        made = self.made
        first = made.initial_layer.weight * made.initial_layer.mask
        middle = [(layer.linear.weight * layer.linear.mask, layer.linear.bias) for layer in made.blocks]
        weight, bias = (torch.unflatten(part, 0, (-1, self.per)) for part in self._last())
        total = made.initial_layer.bias + torch.relu(made.context_layer(cond))
        found = []
        for i, value in enumerate(u.t()):
            hidden = torch.relu(total)
            for w, b in middle:
                hidden = torch.relu(linear(hidden, w, b))
            x, _ = rational_quadratic(value, torch.addmm(bias[i], weight[i], hidden.t()), self.bound, inverse=True)
            total = torch.addcmul(total, x[:, None], first[:, i])
            found.append(x)
        return torch.stack(found, 1)


class SplineFlow(nn.Module):
    """p(x | cond): blocks that carry x to standard normal noise. Calling it gives the log-density of the x given.

    Args:
        shape: What it is made from.
        shift: [D] subtracted from x before the first block.
        scale: [D] divides it then.
    """

    shift: Tensor
    scale: Tensor
    turns: Tensor

    def __init__(self, shape: FlowShape, shift: Tensor, scale: Tensor) -> None:
        super().__init__()
        self.shape = shape
        self.compress = Compress(shape.knee or 1.0)
        self.blocks = nn.ModuleList(SplineBlock(shape) for _ in range(shape.blocks))
        self.register_buffer("shift", shift)
        self.register_buffer("scale", scale)
        self.register_buffer("turns", torch.stack([self._turn(i) for i in range(shape.blocks)]))

    def _turn(self, block: int) -> Tensor:
        """[D] where each feature of the next block comes from."""
        last, parts, start = block == self.shape.blocks - 1, [], 0
        for n in self.shape.groups:
            still = torch.arange(n)
            if self.shape.alternate:
                order = still if last else still.flip(0) if block % 2 == 0 else torch.randperm(n)
            else:
                order = torch.randperm(n)
            parts.append(start + order)
            start += n
        return torch.cat(parts)

    def forward(self, x: Tensor, cond: Tensor) -> Tensor:
        """[N, D], [N, C] -> [N] natural log of p(x | cond)."""
        z, log_det = self.to_noise(x, cond)
        return log_det - 0.5 * (z.square() + math.log(2 * math.pi)).sum(1)

    def to_noise(self, x: Tensor, cond: Tensor) -> tuple[Tensor, Tensor]:
        """[N, D], [N, C] -> [N, D] noise, each in the place of the feature it was made of, and the log-determinant [N]."""
        z, total = (x - self.shift) / self.scale, -self.scale.log().sum().expand(len(x))
        if self.shape.knee:
            z, log_slope = self.compress(z)
            total = total + log_slope
        whence = torch.arange(x.shape[1], device=x.device)
        for block, turn in zip(self.blocks, self.turns, strict=True):
            z, log_slope = block(z, cond)
            z, whence, total = z[:, turn], whence[turn], total + log_slope
        return torch.empty_like(z).index_copy(1, whence, z), total

    def to_data(self, noise: Tensor, cond: Tensor) -> Tensor:
        """[N, D], [N, C] -> [N, D]: the inverse; draws where the noise is standard normal."""
        whence = torch.arange(noise.shape[1], device=noise.device)
        for turn in self.turns:
            whence = whence[turn]
        z = noise[:, whence]
        for block, turn in zip(reversed(list(self.blocks)), self.turns.flip(0), strict=True):
            z = cast("SplineBlock", block).inverse(torch.empty_like(z).index_copy(1, turn, z), cond)
        if self.shape.knee:
            z, _ = self.compress.inverse(z)
        return z * self.scale + self.shift


def make_flow(shape: FlowShape, seed: int, shift: Tensor | None = None, scale: Tensor | None = None) -> SplineFlow:
    """An untrained flow, on the cpu; weights and permutations depend on the seed alone."""
    with isolated_rng(seed):  # nflows and torch initialise from the default generator only
        shift = torch.zeros(shape.features) if shift is None else shift
        return SplineFlow(shape, shift, torch.ones(shape.features) if scale is None else scale)
