"""The signal density: P spline flows of one shape, evaluated and inverted side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Literal

import torch
from torch import Tensor

from adtoolkit.nn import index_on
from adtoolkit.nn.spline import parameters_per_dimension, rational_quadratic
from adtoolkit.nn.stacked import Layout, mlp_layout


@dataclass(frozen=True)
class StackedFlow:
    """Spline flows from data [D] to a standard normal; the parameters of P of them are the rows of [P, n].

    ``coupling``: a layer leaves half of the dimensions alone and maps the others by splines whose parameters a network
    makes of the first half. ``autoregressive``: it maps every dimension by a spline made of those before it, in an order
    that alternates, through a masked network (MADE); its inverse takes D passes.

    Attributes:
        dimensions: D.
        kind: See above.
        layers: How many.
        hidden: Width of the networks.
        depth: Their hidden layers.
        bins: Bins of the splines.
        bound: Their box is [-bound, bound]; the identity outside.
        dropout: Share of hidden units left out where `log_prob` is given generators.

    References:
        | Durkan, Bekasov, Murray, Papamakarios, "Neural Spline Flows", arXiv:1906.04032
        | Germain, Gregor, Murray, Larochelle, "MADE", arXiv:1502.03509
    """

    dimensions: int
    kind: Literal["coupling", "autoregressive"] = "coupling"
    layers: int = 4
    hidden: int = 64
    depth: int = 2
    bins: int = 8
    bound: float = 8.0
    dropout: float = 0.0

    @cached_property
    def _splits(self) -> list[tuple[list[int], list[int]]]:
        """Per coupling layer: dimensions left alone and dimensions mapped, halves of an order that turns by one every other layer."""
        d, half = self.dimensions, self.dimensions // 2
        out = []
        for layer in range(self.layers):
            order = [(i + layer // 2) % d for i in range(d)]
            low, high = order[:half], order[half:]
            out.append((low, high) if layer % 2 == 0 else (high, low))
        return out

    def order(self, layer: int) -> list[int]:
        """Dimensions in the order of an autoregressive layer: forwards, backwards, both turned by one each second layer."""
        order = [(i + layer // 2) % self.dimensions for i in range(self.dimensions)]
        return order if layer % 2 == 0 else order[::-1]

    @cached_property
    def _layouts(self) -> list[Layout]:
        per = parameters_per_dimension(self.bins)
        middle = [self.hidden] * self.depth
        if self.kind == "autoregressive":
            return [mlp_layout([self.dimensions, *middle, self.dimensions * per], 0.1)] * self.layers
        return [mlp_layout([len(a), *middle, len(b) * per], 0.1) for a, b in self._splits]

    @property
    def size(self) -> int:
        """Parameters of one flow."""
        return sum(layout.size for layout in self._layouts)

    def start(self, generator: torch.Generator) -> Tensor:
        """[n] first parameters of one flow: close to the identity."""
        return torch.cat([layout.start(generator) for layout in self._layouts])

    def _splines(self, layer: int, rows: Tensor, given: Tensor, generators: Sequence[torch.Generator] = ()) -> Tensor:
        """[P, inputs, B] -> [P, outputs, 3 K - 1, B]."""
        tensors = self._layouts[layer].views(rows)
        weights, biases = tensors[::2], tensors[1::2]
        if self.kind == "autoregressive":
            weights = [w * m for w, m in zip(weights, _masks(self, layer, rows.device, rows.dtype), strict=True)]
        for w, b in zip(weights[:-1], biases[:-1], strict=True):
            given = torch.nn.functional.leaky_relu_(torch.baddbmm(b, w, given), 0.01)
            if generators and self.dropout:
                draws = [torch.rand(given.shape[1:], generator=g, device=given.device) for g in generators]
                kept = torch.stack(draws).to(given) >= self.dropout
                given = given * kept / (1 - self.dropout)
        return torch.unflatten(torch.baddbmm(biases[-1], weights[-1], given), 1, (-1, parameters_per_dimension(self.bins)))

    def _rows(self, rows: Tensor) -> tuple[Tensor, ...]:
        return torch.split(rows, [layout.size for layout in self._layouts], dim=1)

    def log_prob(self, rows: Tensor, z: Tensor, generators: Sequence[torch.Generator] = ()) -> Tensor:
        """[P, n] parameters, [P, D, B] events -> [P, B] natural log of the density; with a generator per flow, under dropout."""
        total = torch.zeros((len(z), z.shape[-1]), dtype=z.dtype, device=z.device)
        for layer, own in enumerate(self._rows(rows)):
            if self.kind == "coupling":
                still, moved = self._splits[layer]
                given, at = (z.index_select(1, index_on(tuple(part), z.device)) for part in (still, moved))
                value, slope = rational_quadratic(at, self._splines(layer, own, given, generators), self.bound)
                z = torch.cat([given, value], 1).index_select(1, index_on(_inverse([*still, *moved]), z.device))
            else:
                z, slope = rational_quadratic(z, self._splines(layer, own, z, generators), self.bound)
            total = total + slope.sum(1)
        return total - 0.5 * (z.square() + math.log(2 * math.pi)).sum(1)

    def inverse(self, rows: Tensor, noise: Tensor) -> Tensor:
        """[P, n] parameters, [P, D, B] draws of a standard normal -> [P, D, B] draws of the densities."""
        z = noise
        for layer, own in reversed(list(enumerate(self._rows(rows)))):
            if self.kind == "coupling":
                still, moved = self._splits[layer]
                given, at = (z.index_select(1, index_on(tuple(part), z.device)) for part in (still, moved))
                value, _ = rational_quadratic(at, self._splines(layer, own, given), self.bound, inverse=True)
                z = torch.cat([given, value], 1).index_select(1, index_on(_inverse([*still, *moved]), z.device))
                continue
            x = torch.zeros_like(z)
            for _ in range(self.dimensions):  # after pass i the first i dimensions of the order are right
                x, _ = rational_quadratic(z, self._splines(layer, own, x), self.bound, inverse=True)
            z = x
        return z


def _inverse(order: list[int]) -> tuple[int, ...]:
    """The permutation that undoes ``order``."""
    out = [0] * len(order)
    for place, value in enumerate(order):
        out[value] = place
    return tuple(out)


@cache
def _masks(flow: StackedFlow, layer: int, device: torch.device, dtype: torch.dtype) -> tuple[Tensor, ...]:
    """Of an autoregressive layer: which input reaches which output, per weight matrix."""
    d = flow.dimensions
    degree = torch.empty(d, dtype=torch.long)
    degree[torch.tensor(flow.order(layer))] = torch.arange(1, d + 1)
    inner = torch.arange(flow.hidden) % max(d - 1, 1) + 1
    out = degree.repeat_interleave(parameters_per_dimension(flow.bins))
    masks = [degree[None] <= inner[:, None], *[inner[None] <= inner[:, None]] * (flow.depth - 1), inner[None] < out[:, None]]
    return tuple(mask.to(device, dtype) for mask in masks)
