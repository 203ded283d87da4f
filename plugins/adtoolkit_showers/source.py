"""The data source ``calo-showers``: photons to learn from, and photons among which a few pairs are hidden."""

from __future__ import annotations

from collections import Counter
from itertools import product

import numpy as np
from numpy.typing import NDArray

from adtoolkit.errors import DataError
from adtoolkit.interfaces import Context, DataSource
from adtoolkit.types import Dataset, Sample
from adtoolkit_showers.chi import decay, decay_points, flight, seen
from adtoolkit_showers.config import CaloShowersConfig
from adtoolkit_showers.energies import reconstructed
from adtoolkit_showers.geometry import COARSE, FINE, pooled
from adtoolkit_showers.photons import RESPONSE, Photons, shower

_CHUNK = 5_000  # showers whose 504 voxels are held before they are summed
_ROUNDS = 1_000
_LOST = 0.01  # share of an event's energy beyond the voxels from which on it is counted


class CaloShowers(DataSource[CaloShowersConfig]):
    """Showers in the calorimeter of arXiv:2312.11618, by `adtoolkit_showers.photons`.

    Features are energies of voxels in MeV. m is in GeV: the true incident energy of the reference, and of the other events that
    which the voxels add up to, divided by the mean response, since nobody knows the energy of an unknown particle.
    """

    def load(self, ctx: Context) -> Dataset:
        """Simulate the events; each sample has a stream of its own."""
        config = self.config
        counts: Counter[str] = Counter()
        geometry = COARSE if config.pool else FINE

        def photons(n: int, purpose: str, energy: str) -> Sample:
            rng = ctx.rng(purpose)
            incident = rng.uniform(*config.photon_energy, n)
            x = np.empty((n, geometry.n_voxels), np.float32)
            for begin in range(0, n, _CHUNK):
                part = slice(begin, begin + _CHUNK)
                x[part] = self._voxels(Photons.along_axis(incident[part]), len(incident[part]), rng, counts)
            return _sample(x, incident, energy, signal=False)

        def chis(n: int, purpose: str) -> Sample:
            rng = ctx.rng(purpose)
            x = np.empty((n, geometry.n_voxels), np.float32)
            for begin in range(0, n, _CHUNK):
                x[begin : begin + _CHUNK] = self._chis(np.arange(begin, min(begin + _CHUNK, n)), rng, counts)
            return _sample(x, np.full(n, config.chi_energy), config.energy, signal=True)

        events = Sample.concat(chis(config.n_signal, "signal"), photons(config.n_background, "background", config.energy))
        test = Sample.concat(chis(config.n_test_signal, "test-signal"), photons(config.n_test, "test-background", config.energy))
        reference = photons(config.n_reference, "reference", "incident") if config.n_reference else None
        return Dataset(
            events[ctx.rng("order").permutation(len(events))], test, reference, geometry.names, "E", "GeV", dict(counts), scale="none"
        )

    def _voxels(self, photons: Photons, n: int, rng: np.random.Generator, counts: Counter[str]) -> NDArray[np.float32]:
        """[n, V] energies of the voxels of n events, MeV."""
        cells = shower(photons, n, rng, pairs=self.config.pairs, albedo=self.config.albedo)
        total = _LOST * cells.sum(axis=1)
        counts["overflow above 1 %"] += int((cells[:, FINE.n_voxels : -1].sum(axis=1) > total).sum())
        counts["leakage above 1 %"] += int((cells[:, -1] > total).sum())
        voxels = cells[:, : FINE.n_voxels]
        voxels[voxels < self.config.threshold] = 0
        return pooled(voxels, FINE, COARSE if self.config.pool else FINE)

    def _chis(self, index: NDArray[np.int64], rng: np.random.Generator, counts: Counter[str]) -> NDArray[np.float32]:
        """Voxels of the signal events of these numbers, which take turns in mass and place; those that leave nothing are made anew.

        Raises:
            DataError: if hardly any leaves something.
        """
        config = self.config
        mass, place = np.array(list(product(config.masses, config.lifetimes or config.displacements))).T
        x = np.empty((len(index), (COARSE if config.pool else FINE).n_voxels), np.float32)
        pending = np.arange(len(index))
        for _ in range(_ROUNDS):
            turn = index[pending] % len(mass)
            m, z = mass[turn], place[turn]
            if config.lifetimes:
                z = decay_points(flight(m, config.chi_energy, z), rng)
            photons = decay(m, config.chi_energy, z, rng)
            good = seen(photons)
            counts["chi photons that fly back or are below 20 MeV"] += int((~good).sum())
            x[pending] = self._voxels(photons[good], len(pending), rng, counts)
            pending = pending[x[pending].sum(axis=1) == 0]
            if len(pending) == 0:
                return x
            counts["chi made anew: nothing in the voxels"] += len(pending)
        raise DataError(
            f"Of {len(index)} chi {len(pending)} left nothing in the calorimeter, in {_ROUNDS} attempts each.",
            "Choose a smaller mass, or a place further in front: --set data.displacements=1.16",
        )


def _sample(x: NDArray[np.float32], incident: NDArray[np.float64], energy: str, *, signal: bool) -> Sample:
    sample = Sample(x, incident.astype(np.float32), truth=np.full(len(x), int(signal), np.int8))
    return sample if energy == "incident" else reconstructed(sample, RESPONSE)
