"""The networks inside the layers of spline flows."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, silu

#: Factor on the first weights of the last layer: splines start near the identity.
_SMALL = 0.01


class PlainNet(nn.Module):
    """[N, inputs], [N, C] -> [N, outputs]: two hidden layers."""

    def __init__(self, inputs: int, conditions: int, hidden: int, outputs: int) -> None:
        super().__init__()
        last = nn.Linear(hidden, outputs)
        with torch.no_grad():
            last.weight.mul_(_SMALL)
            last.bias.zero_()
        self.layers = nn.Sequential(nn.Linear(inputs + conditions, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU(), last)

    def forward(self, x: Tensor, cond: Tensor) -> Tensor:
        out: Tensor = self.layers(torch.cat([x, cond], 1))
        return out


class MaskedNet(nn.Module):
    """[N, D], [N, C] -> [N, D K]: K numbers per feature, made of the features before it and of the condition.

    Hidden units have degrees 0 to D - 1 in turn, and see as many features; those of degree 0 see the condition alone, so that the
    first feature depends on it too (in the usual masked networks, degrees start at 1, and it does not).

    Args:
        features: D.
        conditions: C.
        hidden: Units of both hidden layers.
        multiplier: K.
    """

    inward: Tensor
    across: Tensor
    outward: Tensor

    def __init__(self, features: int, conditions: int, hidden: int, multiplier: int) -> None:
        super().__init__()
        self.multiplier = multiplier
        degrees = torch.arange(hidden) % features
        self.register_buffer("inward", (degrees[:, None] > torch.arange(features)).float(), persistent=False)
        self.register_buffer("across", (degrees[:, None] >= degrees).float(), persistent=False)
        outputs = torch.arange(features).repeat_interleave(multiplier)
        self.register_buffer("outward", (outputs[:, None] >= degrees).float(), persistent=False)
        self.join = nn.Linear(features + conditions, hidden)
        self.middle = nn.Linear(hidden, hidden)
        self.leave = nn.Linear(hidden, features * multiplier)
        with torch.no_grad():
            self.leave.weight.mul_(_SMALL)
            self.leave.bias.zero_()

    def forward(self, x: Tensor, cond: Tensor, only: int | None = None) -> Tensor:
        """[N, D], [N, C] -> [N, D K], or [N, K] for ``only`` this feature."""
        features = x.shape[1]
        weight = self.join.weight
        hidden = silu(linear(x, weight[:, :features] * self.inward, self.join.bias) + linear(cond, weight[:, features:]))
        hidden = silu(linear(hidden, self.middle.weight * self.across, self.middle.bias))
        rows = slice(None) if only is None else slice(only * self.multiplier, (only + 1) * self.multiplier)
        return linear(hidden, self.leave.weight[rows] * self.outward[rows], self.leave.bias[rows])
