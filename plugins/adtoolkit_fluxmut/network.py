"""The autoencoder that is given the conditions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from adtoolkit.nn import chunk_size, isolated_rng, to_numpy, to_tensor
from adtoolkit.types import Array

__all__ = ["Autoencoder", "AutoencoderShape", "in_chunks", "make_autoencoder", "reconstruction_loss"]


@dataclass(frozen=True, kw_only=True)
class AutoencoderShape:
    """All that the layers are made from; plain numbers, so that JSON holds it.

    Attributes:
        features: D.
        conditions: C, known to encoder and decoder.
        latent: Width of the code.
        widths: Of the encoder's layers; the decoder has them in reverse.
    """

    features: int
    conditions: int
    latent: int
    widths: tuple[int, ...]


class Autoencoder(nn.Module):
    """``h = enc(x, k)``, ``xhat = dec(h, k)``: what of x a few numbers tell, given the conditions k. Calling it gives xhat.

    Args:
        shape: What the layers are made from.
        shift: [C] subtracted from the conditions before the layers see them.
        scale: [C] divides them then.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, shape: AutoencoderShape, shift: Sequence[float], scale: Sequence[float]) -> None:
        super().__init__()
        self.shape = shape
        self.encoder = _layers([shape.features + shape.conditions, *shape.widths, shape.latent])
        self.decoder = _layers([shape.latent + shape.conditions, *reversed(shape.widths), shape.features])
        self.register_buffer("shift", torch.tensor(list(shift)))
        self.register_buffer("scale", torch.tensor(list(scale)))

    def encode(self, x: Tensor, cond: Tensor) -> Tensor:
        """[N, D], [N, C] -> [N, latent]."""
        code: Tensor = self.encoder(torch.cat([x, (cond - self.shift) / self.scale], 1))
        return code

    def decode(self, code: Tensor, cond: Tensor) -> Tensor:
        """[N, latent], [N, C] -> [N, D]."""
        x: Tensor = self.decoder(torch.cat([code, (cond - self.shift) / self.scale], 1))
        return x

    def forward(self, x: Tensor, cond: Tensor) -> Tensor:
        return self.decode(self.encode(x, cond), cond)


def _layers(sizes: Sequence[int]) -> nn.Sequential:
    found: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes):
        found += [nn.Linear(inputs, outputs), nn.SELU()]
    return nn.Sequential(*found[:-1])


def make_autoencoder(shape: AutoencoderShape, seed: int, shift: Sequence[float] = (), scale: Sequence[float] = ()) -> Autoencoder:
    """An untrained autoencoder, on the cpu; its weights depend on the seed alone.

    Args:
        shape: What it is made from.
        seed: Of the initial weights.
        shift: [C] subtracted from the conditions; empty: nothing.
        scale: [C] divides them; empty: ones.
    """
    with isolated_rng(seed):  # torch initialises from the default generator only
        return Autoencoder(shape, shift or [0.0] * shape.conditions, scale or [1.0] * shape.conditions)


def reconstruction_loss(
    model: nn.Module,
    x: Tensor,
    cond: Tensor,
    weight: Tensor | None,
    generator: torch.Generator,  # noqa: ARG001
) -> Tensor:
    """Mean squared error per feature, a `adtoolkit.nn.training.Loss`."""
    error: Tensor = (model(x, cond) - x).square().mean(1)
    return error.mean() if weight is None else (error * weight).mean()


@torch.no_grad()
def in_chunks(function: Callable[[Tensor, Tensor], Tensor], x: Array, cond: Array, device: torch.device) -> Array:
    """[N, A], [N, C] -> [N, B]: a function of tensors, on arrays."""
    step = chunk_size(device)
    pairs = zip(torch.split(to_tensor(x, device), step), torch.split(to_tensor(cond, device), step), strict=True)
    return to_numpy(torch.cat([function(a, b) for a, b in pairs]))
