"""Sums over calorimeter cells, for many events at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from adtoolkit.simulate.particles import Floats, Ints, sum_by, wrap_phi


@dataclass(frozen=True, slots=True)
class Towers:
    """The T hit cells of N events.

    Args:
        energy: Summed true energy `[T]` in GeV.
        event: Number of the event `[T]`, ascending.
        i_eta: Number of the cell in pseudorapidity `[T]`; cell 0 begins at 0.
        i_phi: Number of the cell in azimuth `[T]`, from 0.
        of_particle: The cell that each summed particle hit `[M]`.
        cell: Size of a cell in pseudorapidity and, nearly, in azimuth.
    """

    energy: Floats
    event: Ints
    i_eta: Ints
    i_phi: Ints
    of_particle: Ints
    cell: float

    @classmethod
    def sum(cls, energy: Floats, eta: Floats, phi: Floats, event: Ints, mask: Any, cell: float) -> Towers:
        """Sum the energies of the particles in ``mask`` in cells of size ``cell``."""
        energy, eta, phi, event = energy[mask], eta[mask], phi[mask], event[mask]
        n_phi = _n_phi(cell)
        i_eta = np.floor(eta / cell).astype(np.int64)
        i_phi = np.floor(phi * n_phi / (2.0 * np.pi)).astype(np.int64) % n_phi
        half = int(np.abs(i_eta).max(initial=0)) + 1
        code = (event * (2 * half) + i_eta + half) * n_phi + i_phi
        cells, inverse = np.unique(code, return_inverse=True)
        rest = cells // n_phi
        return cls(sum_by(inverse, energy, len(cells)), rest // (2 * half), rest % (2 * half) - half, cells % n_phi, inverse, cell)

    def total(self, values: Floats) -> Floats:
        """Sum ``values`` `[M]` of the summed particles in each cell `[T]`."""
        return sum_by(self.of_particle, values, len(self.energy))

    def place(self, rng: np.random.Generator) -> tuple[Floats, Floats]:
        """A random pseudorapidity and azimuth inside each cell, each `[T]`."""
        d_eta, d_phi = rng.random((2, len(self.energy)))
        return (self.i_eta + d_eta) * self.cell, wrap_phi((self.i_phi + d_phi) * 2.0 * np.pi / _n_phi(self.cell))


def _n_phi(cell: float) -> int:
    """A whole number of cells around, so that phi = pi is no special place."""
    return round(2.0 * np.pi / cell)
