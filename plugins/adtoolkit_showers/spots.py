"""Showers as energy spots: many of them at once, in flat arrays in single precision."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from adtoolkit_showers.gflash import Medium, Values, draw_longitudinal, longitudinal, mean_spots, radial, spot_shape

Flat = NDArray[np.float32]

#: Spots held at a time: about as many as fit into the cache of a core, in a dozen arrays.
BLOCK: Final = 1 << 15

_MIN_SPOTS: Final = 10
_MAX_TAU: Final = 10.0


class Spots(NamedTuple):
    """The spots of a block of showers, shower by shower.

    Attributes:
        first: Index of the first shower of the block.
        size: [n] spots of each of its showers.
        depth: [K] path from where the shower starts, cm.
        radius: [K] distance from its axis, cm.
        energy: [K] GeV.
    """

    first: int
    size: NDArray[np.int64]
    depth: Flat
    radius: Flat
    energy: Flat


def draw_spots(energy: Values, medium: Medium, rng: np.random.Generator, across: Medium | None = None) -> Iterator[Spots]:
    """[N] energies in GeV -> the spots of N showers, in blocks; ``across`` is a medium of its own for the radial profile.

    Each shower has fluctuations of its own: of T and alpha, which are correlated; of its total energy, by the sampling, a gamma
    distribution of relative width c / sqrt(E); of the number of spots, and of their places.
    Instead of sharing out the energy of each step in depth over the spots that lie in it, as the paper does, all spots are drawn at
    once from their own profile in depth and weighted by that of the energy: the same in the mean, without a loop over steps.
    """
    moments = longitudinal(energy, medium)
    t, alpha = draw_longitudinal(moments, rng)
    beta = (alpha - 1) / t
    t_spot, alpha_spot = spot_shape(t, alpha, medium)
    beta_spot = (alpha_spot - 1) / t_spot
    mean_alpha = np.maximum(np.exp(moments.ln_alpha), 1.1)
    noise = medium.resolution**2
    total = noise * rng.standard_gamma(energy / noise)
    count = np.maximum(rng.poisson(mean_spots(energy, medium)), _MIN_SPOTS)

    # Per shower, and repeated for each of its spots: the few numbers that the formulas need.
    table = np.stack(
        [
            alpha_spot,
            alpha - alpha_spot,
            beta / beta_spot - 1,
            1 / beta_spot,
            # tau = (t / <t>) abar / (abar - 1)
            beta / alpha * mean_alpha / (mean_alpha - 1),
            np.log(energy),
        ]
    ).astype(np.float32)
    ends = np.cumsum(count)
    first = 0
    while first < len(energy):
        last = max(int(np.searchsorted(ends, (ends[first - 1] if first else 0) + BLOCK, side="right")), first + 1)
        n = count[first:last]
        shape, excess, stretch, per_beta, per_t, ln_energy = np.repeat(table[:, first:last], n, axis=1)
        g = np.maximum(rng.standard_gamma(shape, dtype=np.float32), np.float32(1e-6))
        weight = np.exp(excess * np.log(g) - stretch * g)
        share = total[first:last] / np.add.reduceat(weight, np.cumsum(n) - n, dtype=np.float64)
        depth = g * per_beta
        core, tail, p = radial(ln_energy, np.minimum(depth * per_t, np.float32(_MAX_TAU)), across or medium)
        u = rng.random((2, len(g)), dtype=np.float32)
        radius = tail + (core - tail) * (u[0] < p)
        radius *= np.sqrt(u[1] / (1 - u[1])) * np.float32(medium.moliere)
        yield Spots(first, n, depth * np.float32(medium.x0), radius, weight * np.repeat(share.astype(np.float32), n))
        first = last
