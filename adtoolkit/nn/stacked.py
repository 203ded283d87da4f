"""Many networks of one shape trained side by side: one flat row of parameters each, batched products, an optimiser per row.

A row evolves as if it were alone: its own first weights, gradient norm, moments and step count. A step whose gradient is
not finite leaves its row as it was, and is counted. Nothing here waits for the device.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor


@dataclass(frozen=True)
class Layout:
    """Where the tensors of one network lie in its row.

    Attributes:
        shapes: Of each tensor, in order.
        fan_in: Inputs that each tensor's start is scaled by; 0 starts it at zero.
        scale: Factor on that start.
    """

    shapes: tuple[tuple[int, ...], ...]
    fan_in: tuple[int, ...]
    scale: tuple[float, ...]

    @property
    def sizes(self) -> list[int]:
        return [math.prod(shape) for shape in self.shapes]

    @property
    def size(self) -> int:
        """Parameters of one network."""
        return sum(self.sizes)

    def start(self, generator: torch.Generator) -> Tensor:
        """[n] first parameters of one network: uniform within 1/sqrt(fan_in), torch's own rule for linear layers."""
        parts = []
        for size, fan_in, scale in zip(self.sizes, self.fan_in, self.scale, strict=True):
            drawn = torch.rand(size, generator=generator) * 2 - 1
            parts.append(drawn * (scale / math.sqrt(fan_in) if fan_in else 0.0))
        return torch.cat(parts)

    def views(self, rows: Tensor) -> list[Tensor]:
        """[P, n] rows -> the tensors, each ``[P, *shape]``."""
        parts = torch.split(rows, self.sizes, dim=1)
        return [torch.unflatten(part, 1, shape) for part, shape in zip(parts, self.shapes, strict=True)]


class StackedAdamW:
    """AdamW with a gradient norm, and moments, per row.

    Args:
        rows: [P, n] first parameters.
        lr: Learning rate.
        weight_decay: Decoupled decay.
        clip: Largest norm of a row's gradient; 0 does not clip.

    References:
        Loshchilov, Hutter, "Decoupled weight decay regularization", arXiv:1711.05101.
    """

    def __init__(self, rows: Tensor, lr: float, weight_decay: float, clip: float = 0.0) -> None:
        self.rows, self.lr, self.decay, self.clip = rows, lr, weight_decay, clip
        self.mean, self.square = torch.zeros_like(rows), torch.zeros_like(rows)
        self.steps = torch.zeros(len(rows), 1, device=rows.device)
        self.skipped = torch.zeros(len(rows), device=rows.device)

    @torch.no_grad()
    def step(self, gradient: Tensor, scale: float = 1.0) -> None:
        """Take a step along [P, n] gradients at ``scale`` times the learning rate, but for rows where they are not finite."""
        norm = gradient.norm(dim=1, keepdim=True)
        good = norm.isfinite()
        self.skipped += ~good[:, 0]
        g = torch.where(good, gradient, 0.0)
        if self.clip:
            g = g * (self.clip / torch.where(good, norm, 1.0)).clamp_max(1.0)
        self.steps += good
        on = good.to(g)
        self.mean.lerp_(g, 0.1 * on)
        self.square.lerp_(g.square_(), 0.001 * on)
        n = self.steps.clamp_min(1.0)
        rate = self.lr * scale * on
        size = (self.square / (1 - 0.999**n)).sqrt_().add_(1e-8)
        self.rows = self.rows * (1 - rate * self.decay) - self.mean / size * (rate / (1 - 0.9**n))

    def keep(self, index: Tensor) -> None:
        """Go on with some of the rows only."""
        self.restore({name: tensor[index] for name, tensor in self.state().items()})

    def state(self) -> dict[str, Tensor]:
        """For a checkpoint, parameters included."""
        return {"rows": self.rows, "mean": self.mean, "square": self.square, "steps": self.steps, "skipped": self.skipped}

    def restore(self, state: dict[str, Tensor]) -> None:
        """What `state` gave."""
        self.rows, self.mean, self.square, self.steps, self.skipped = (state[k] for k in ("rows", "mean", "square", "steps", "skipped"))


def mlp_layout(sizes: Sequence[int], last: float = 1.0) -> Layout:
    """Weights [out, in] and biases [out, 1] of a plain network that acts on columns.

    ``last`` scales the start of the last layer's weights; its biases start at zero.
    """
    shapes: list[tuple[int, ...]] = []
    fan: list[int] = []
    scale: list[float] = []
    for i, (n_in, n_out) in enumerate(pairwise(sizes)):
        final = i == len(sizes) - 2
        shapes += [(n_out, n_in), (n_out, 1)]
        fan += [n_in, 0 if final else n_in]
        scale += [last if final else 1.0, 1.0]
    return Layout(tuple(shapes), tuple(fan), tuple(scale))
