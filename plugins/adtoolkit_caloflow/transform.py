"""From voxels to the coordinates of the flows and back. There is one such class, so training, scoring and drawing cannot differ in it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from adtoolkit.nn import index_on
from adtoolkit.types import Array

Shares = Literal["rest", "layer"]

#: Keeps shares away from 0 and 1 before the logit; also why noise hardly moves the shares of empty voxels.
ALPHA: Final = 1e-6
#: Added to energies before logarithms, so that nothing is infinite (in MeV and in units of 100 GeV).
_TINY: Final = 1e-8
#: An incident energy is taken to be at least this, in GeV.
_LEAST: Final = 1e-6


@dataclass(frozen=True)
class ShowerTransform:
    """Voxel energies [N, D] in MeV <-> log layer energies [N, L] and logits of shares [N, K].

    Every voxel has uniform noise added, in training and in scoring, then

    - ``v_i = 2 (log10(E_i / MeV + 1e-8) - 1)`` of the energy of each layer, the coordinates of the first flow;
    - ``y = logit(alpha + (1 - 2 alpha) s)`` of shares s, those of the second.

    Shares are of two kinds. ``layer``, as published: every voxel over its layer's energy. The n shares of a layer add up to one, so
    that a density of them as n free numbers, which the published one is, integrates to one over more than there are showers. ``rest``: a
    voxel over what it and the brighter voxels of its layer hold together, from the dimmest (on the mean of the training showers) up; the
    brightest is what remains. This is one to one (n - 1 numbers), so the density is a density; and as a layer's energy lies in few
    voxels, shares of the others hardly differ from the published ones.

    The layer energies of the publication's default are instead shares of the incident energy; with sampling fluctuations they can be above
    one, and its anomaly scores use logarithms. Here both trainings and scores do.

    Attributes:
        layers: Voxels of each.
        order: [D] places of voxels, layer by layer, from the dimmest up.
        shares: ``rest`` or ``layer``.
        noise: Width of the noise in MeV.
        threshold: Drawn voxels below it are empty, in MeV.
        most: [L + 1] largest shares of the incident energy that the training has in a layer, and in all: what draws may reach.

    References:
        Krause, Nachman, Pang, Shih, Zhu, "Anomaly detection with flow-based fast calorimeter simulators", arXiv:2312.11618, section III.
        Krause, Shih, "CaloFlow", arXiv:2106.05285, section III.
    """

    layers: tuple[int, ...]
    order: tuple[int, ...]
    shares: Shares = "rest"
    noise: float = 1e-3
    threshold: float = 1e-2
    most: tuple[float, ...] = ()

    @classmethod
    def fit(
        cls, x: Array, energy: Array, weight: Array, layers: Sequence[int], shares: Shares, noise: float, threshold: float
    ) -> ShowerTransform:
        """Learn the order of the voxels, and what a layer can hold, from [N, D] showers at [N] energies in GeV with [N] weights."""
        mean = np.average(x, axis=0, weights=weight if weight.any() else None)
        ends = np.cumsum([0, *layers])
        order = [ends[i] + np.argsort(mean[ends[i] : ends[i + 1]], kind="stable") for i in range(len(layers))]
        parts = np.add.reduceat(x.astype(np.float64), ends[:-1], axis=1) / (1e3 * np.maximum(energy.astype(np.float64), _LEAST)[:, None])
        most = np.column_stack([parts, parts.sum(1)])[weight > 0].max(0, initial=0)
        return cls(tuple(layers), tuple(int(k) for k in np.concatenate(order)), shares, noise, threshold, tuple(most.tolist()))

    @property
    def coordinates(self) -> tuple[int, ...]:
        """Shares of each layer."""
        return self.layers if self.shares == "layer" else tuple(n - 1 for n in self.layers)

    @cached_property
    def kept(self) -> NDArray[np.int64]:
        """[K] the voxel that each share is of."""
        ends = np.cumsum([0, *self.layers])
        return np.concatenate([np.array(self.order[a : a + n], np.int64) for a, n in zip(ends[:-1], self.coordinates, strict=True)])

    def energies(self, voxels: Tensor) -> Tensor:
        """[N, D] -> [N, L] in MeV."""
        return torch.stack([part.sum(1) for part in torch.split(voxels, list(self.layers), 1)], 1)

    def log_energies(self, energies: Tensor) -> Tensor:
        """[N, L] in MeV -> [N, L] coordinates of the first flow."""
        return 2 * ((energies + _TINY).log10() - 1)

    def from_log_energies(self, v: Tensor) -> Tensor:
        """The inverse of `log_energies`."""
        return ((10 ** (v / 2 + 1)) - _TINY).clamp_min(0)

    def possible(self, energies: Tensor, cond: Tensor) -> Tensor:
        """[N, L] in MeV, [N, 1] in GeV -> [N]: whether layers and their sum stay within a twentieth above the most of the training."""
        parts = torch.cat([energies, energies.sum(1, keepdim=True)], 1)
        limit = 1.05e3 * cond.clamp_min(_LEAST) * torch.tensor(self.most, device=energies.device, dtype=energies.dtype)
        return (parts <= limit).all(1)

    def incident(self, cond: Tensor) -> Tensor:
        """[N, 1] incident energy in GeV -> [N, 1] condition of the first flow."""
        return (cond.clamp_min(_LEAST) / 10).log10()

    def condition(self, cond: Tensor, energies: Tensor) -> Tensor:
        """[N, 1] in GeV, [N, L] in MeV -> [N, 1 + L] conditions of the second flow."""
        return torch.cat([self.incident(cond), (energies / 1e5 + _TINY).log10() + 2], 1)

    def _parts(self, voxels: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Per layer: shares [N, k] and the energies they are of, [N, k] or [N, 1]."""
        found = []
        for part in torch.split(voxels.index_select(1, index_on(self.order, voxels.device)), list(self.layers), 1):
            if self.shares == "layer":
                whole = part.sum(1, keepdim=True)
                found.append((part / whole, whole))
            else:
                rest = part.flip(1).cumsum(1).flip(1)[:, :-1]
                found.append((part[:, :-1] / rest, rest))
        return found

    def logits(self, voxels: Tensor) -> Tensor:
        """[N, D] voxels with noise, in MeV -> [N, K] coordinates of the second flow."""
        u = ALPHA + (1 - 2 * ALPHA) * torch.cat([share for share, _ in self._parts(voxels)], 1)
        return u.log() - torch.log1p(-u)

    def log_det(self, voxels: Tensor) -> Tensor:
        """[N, D] voxels with noise -> [N] log of the volume that the transform makes of one MeV^D around them.

        That is log |det J| for ``rest``. With ``layer`` there are more coordinates than voxels, and it is log sqrt(det J^T J), the area
        of the surface that the showers lie on: the slopes g of the n logits of a layer give prod g^2 times sum 1 / g^2.
        """
        e = self.energies(voxels) + _TINY
        total = (math.log(2 / math.log(10)) - e.log()).sum(1)
        for (share, whole), n in zip(self._parts(voxels), self.layers, strict=True):
            u = ALPHA + (1 - 2 * ALPHA) * share
            slope = math.log1p(-2 * ALPHA) - u.log() - torch.log1p(-u)
            total = total + slope.sum(1) - (whole.log().sum(1) if self.shares == "rest" else (n - 1) * whole.log().sum(1))
            if self.shares == "layer":
                total = total + 0.5 * torch.logsumexp(-2 * slope, 1)
        return total

    def showers(self, energies: Tensor, logits: Tensor) -> Tensor:
        """[N, L] in MeV, [N, K] -> [N, D] voxels: the inverse, with shares in 0 to 1, layers that add up, and faint voxels set to zero."""
        found = []
        for energy, y in zip(torch.split(energies, 1, 1), torch.split(logits, list(self.coordinates), 1), strict=True):
            share = ((y.sigmoid() - ALPHA) / (1 - 2 * ALPHA)).clamp(0, 1)
            if self.shares == "layer":
                found.append(energy * share / share.sum(1, keepdim=True).clamp_min(_TINY))
            else:
                left = torch.cat([torch.ones_like(energy), (1 - share).cumprod(1)], 1)  # of the layer, before each voxel
                found.append(energy * left * torch.cat([share, torch.ones_like(energy)], 1))
        ordered = torch.cat(found, 1)
        voxels = torch.empty_like(ordered)
        voxels[:, torch.tensor(self.order, device=ordered.device)] = ordered
        return torch.where(voxels < self.threshold, 0.0, voxels)


def content_noise(x: Array, seed: int) -> NDArray[np.float64]:
    """[N, D] -> [N, D] uniform numbers from 0 to 1 that depend on the seed and on the event's own bits, on nothing else.

    So a shower has the same score again, alone and among others. Two rounds of a 64-bit mixer: the first makes a key of each row,
    the second a stream of each key.

    References:
        Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014 (SplitMix64).
    """
    golden = np.uint64(0x9E3779B97F4A7C15)
    step = np.arange(1, x.shape[1] + 1, dtype=np.uint64) * golden
    bits = np.ascontiguousarray(x + np.float32(0), np.float32).view(np.uint32).astype(np.uint64)  # + 0: there is one zero
    keys = _mix(bits + step + np.uint64(seed)).sum(1, dtype=np.uint64)
    return (_mix(keys[:, None] + step) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _mix(z: NDArray[np.uint64]) -> NDArray[np.uint64]:
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
