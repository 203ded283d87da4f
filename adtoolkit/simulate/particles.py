"""Particles of many events as flat arrays: what a detector measures and jets are made of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Particles:
    """Massless particles of N events, event by event.

    Args:
        pt: Transverse momenta `[M]` in GeV.
        eta: Pseudorapidities `[M]`.
        phi: Azimuths `[M]` in (-pi, pi].
        event: Number of the event of each particle `[M]`, ascending, in `[0, n_events)`.
        n_events: N; events may be empty.
    """

    pt: Floats
    eta: Floats
    phi: Floats
    event: Ints
    n_events: int

    @classmethod
    def from_padded(cls, pt: Floats, eta: Floats, phi: Floats) -> Particles:
        """Take zero-padded arrays `[N, P]`, the layout of the raw LHC Olympics events."""
        event, place = np.nonzero(pt > 0.0)
        return cls(pt[event, place], eta[event, place], phi[event, place], event.astype(np.int64), len(pt))


def wrap_phi(phi: Floats) -> Floats:
    """Map angles to (-pi, pi].

    Example:
        >>> wrap_phi(np.array([3.5])).round(4)
        array([-2.7832])
    """
    return -np.remainder(np.pi - phi, 2.0 * np.pi) + np.pi


def sum_by(index: Ints, values: Floats, n: int) -> Floats:
    """Sum ``values`` `[M]` into ``n`` bins given by ``index`` `[M]`."""
    return np.bincount(index, weights=values, minlength=n).astype(np.float64)
