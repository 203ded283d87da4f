"""Photons in a sampling calorimeter: energies of its voxels."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from adtoolkit_showers.geometry import FINE
from adtoolkit_showers.gflash import Material, Medium
from adtoolkit_showers.spots import draw_spots

Values = NDArray[np.float64]

LEAD: Final = Material(z=82, a=207.2, density=11.35, x0=6.37, thickness=0.2)
ARGON: Final = Material(z=18, a=39.95, density=1.390, x0=19.55, thickness=0.4)

#: The stack of CaloGAN, with sampling fluctuations of 11 % / sqrt(E / GeV).
STACK: Final = Medium.of(LEAD, ARGON, resolution=0.11)

#: Energy in the voxels over incident energy, once the energy seen in the argon is multiplied by 5 (arXiv:2312.11618).
RESPONSE: Final = 0.937

#: Photons convert after 9/7 radiation lengths, in the mean.
_CONVERSION: Final = 9 / 7 * STACK.x0

#: Median share of the energy that returns to the first layer, log10, of photons that start at these depths (cm) behind it.
_ALBEDO_DEPTH: Final = (8.0, 16.0, 24.0)
_ALBEDO_SHARE: Final = (-3.0, -4.0, -5.7)
_ALBEDO_HITS: Final = 10

_MEV: Final = 1000 * RESPONSE


@dataclass(frozen=True)
class Photons:
    """Photons, sorted by the event that they belong to.

    Attributes:
        event: [N] index of the event.
        energy: [N] GeV.
        start: [N, 3] where they start, cm; depth (column 2) is counted from the front of the calorimeter.
        theta: [N] angle to the axis of the calorimeter.
        phi: [N] azimuth.
    """

    event: NDArray[np.int64]
    energy: Values
    start: Values
    theta: Values
    phi: Values

    def __len__(self) -> int:
        return len(self.event)

    def __getitem__(self, index: Any) -> Self:
        return type(self)(**{f.name: getattr(self, f.name)[index] for f in fields(self)})

    @classmethod
    def along_axis(cls, energy: Values) -> Self:
        """One photon per event, into the middle of the calorimeter."""
        zero = np.zeros(len(energy))
        return cls(np.arange(len(energy)), energy, np.zeros((len(energy), 3)), zero, zero)


def shower(photons: Photons, n_events: int, rng: np.random.Generator, *, pairs: bool = False, albedo: bool = True) -> NDArray[np.float32]:
    """Energies of the cells in MeV, scaled such that the voxels of a photon add up to `RESPONSE` times its energy.

    Args:
        photons: What enters.
        n_events: Number of events N; those without a photon that converts are left empty.
        rng: Where all randomness comes from.
        pairs: Whether a photon becomes two showers, of an electron and a positron that share its energy evenly at random.
        albedo: Whether showers that start behind the first layer send a little of their energy back into it.

    Returns:
        [N, 508]: 504 voxels of `FINE`, the overflow of its three layers, and what left the calorimeter.
    """
    photons = _converted(photons, rng)
    if pairs:
        photons = _electrons(photons, rng)
    # Where showers start, and their axes: outwards along it and by the radius u, sideways by the radius v.
    frame = [np.cos(photons.theta), np.sin(photons.theta), np.cos(photons.phi), np.sin(photons.phi)]
    table = np.stack([*photons.start.T, *frame]).astype(np.float32)
    n_cells = FINE.n_voxels + len(FINE.layers) + 1
    cells = np.zeros((n_events, n_cells), np.float32)
    for spots in draw_spots(photons.energy, STACK, rng):
        block = slice(spots.first, spots.first + len(spots.size))
        x0, y0, z0, cosine, sine, cos_phi, sin_phi = np.repeat(table[:, block], spots.size, axis=1)
        angle = rng.random(len(spots.depth), dtype=np.float32) * np.float32(2 * np.pi)
        u, v = spots.radius * np.cos(angle), spots.radius * np.sin(angle)
        out = spots.depth * sine + u * cosine
        z = z0 + spots.depth * cosine - u * sine
        cell = FINE.cells(x0 + out * cos_phi - v * sin_phi, y0 + out * sin_phi + v * cos_phi, z)
        event = photons.event[block]
        rows = slice(int(event[0]), int(event[-1]) + 1)
        cell += np.repeat((event - event[0]) * n_cells, spots.size)
        n = rows.stop - rows.start
        cells[rows] += np.bincount(cell, spots.energy, minlength=n * n_cells).reshape(n, n_cells)
    cells *= np.float32(_MEV)
    if albedo:
        _reflect(cells, photons, rng)
    return cells


def _converted(photons: Photons, rng: np.random.Generator) -> Photons:
    """Photons moved to where they convert; those that leave the stack before are gone."""
    path = rng.exponential(_CONVERSION, len(photons))
    sine = np.sin(photons.theta)
    direction = np.column_stack([sine * np.cos(photons.phi), sine * np.sin(photons.phi), np.cos(photons.theta)])
    moved = replace(photons, start=photons.start + path[:, None] * direction)
    return moved[(moved.start[:, 2] < FINE.depth) & (np.abs(moved.start[:, :2]).max(axis=1, initial=0) < FINE.edge)]


def _electrons(photons: Photons, rng: np.random.Generator) -> Photons:
    """Two of each, that share its energy."""
    share = rng.uniform(1e-3, 1 - 1e-3, len(photons))
    twice = photons[np.repeat(np.arange(len(photons)), 2)]
    return replace(twice, energy=twice.energy * np.column_stack([share, 1 - share]).ravel())


def _reflect(cells: NDArray[np.float32], showers: Photons, rng: np.random.Generator) -> None:
    """Add to the first layer what returns from showers that start behind it: the parametrisation knows no particles that fly back.

    The share of what they deposit is log-normal; its median follows that of simulated showers. It is spread at random over a few voxels.
    """
    deep = showers[showers.start[:, 2] > FINE.layers[0].end]
    median = np.interp(deep.start[:, 2] - _CONVERSION, _ALBEDO_DEPTH, _ALBEDO_SHARE)
    part = deep.energy / np.bincount(showers.event, showers.energy)[deep.event]
    energy = part * cells[deep.event, : FINE.n_voxels].sum(axis=1) * 10**median * rng.lognormal(0.0, 1.0, len(deep))
    parts = rng.dirichlet(np.ones(_ALBEDO_HITS), len(deep)) * energy[:, None]
    voxel = rng.integers(FINE.layers[0].size, size=parts.shape)
    np.add.at(cells, (deep.event[:, None], voxel), parts.astype(np.float32))
