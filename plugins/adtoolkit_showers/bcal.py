"""The data source ``bcal-showers``: photons to learn from, and photons among which neutrons are hidden."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from adtoolkit.errors import UnknownNameError
from adtoolkit.interfaces import Context, DataSource
from adtoolkit.types import Dataset, Sample
from adtoolkit_showers.barrel import FEATURES, quantities, read_out
from adtoolkit_showers.barrel_particles import neutrons, photons
from adtoolkit_showers.config import BcalShowersConfig

#: Where particles enter, cm, and which energies (GeV) are kept.
PLACES: Final = (162.0, 262.0)
ENERGIES: Final = (0.2, 2.2)
_PHOTONS: Final = (0.15, 2.4)
_NEUTRONS: Final = (0.3, 4.0)
_CHUNK: Final = 4_000


class BcalShowers(DataSource[BcalShowersConfig]):
    """Photons and neutrons in a barrel calorimeter; m is the energy of the shower in GeV, the further condition its z in cm."""

    def load(self, ctx: Context) -> Dataset:
        """Simulate the events; each sample has a stream of its own.

        Raises:
            UnknownNameError: if a feature is not known.
        """
        config = self.config
        counts: Counter[str] = Counter()
        features = config.features or FEATURES
        for name in features:
            if name not in FEATURES:
                raise UnknownNameError("feature", name, list(FEATURES))
        columns = [FEATURES.index(name) for name in features]

        def draw(n: int, purpose: str, *, signal: bool) -> Sample:
            sample = simulate(n, ctx.rng(purpose), counts, signal=signal)
            return replace(sample, x=sample.x[:, columns])

        events = Sample.concat(draw(config.n_signal, "signal", signal=True), draw(config.n_background, "background", signal=False))
        test = Sample.concat(draw(config.n_test_signal, "test-signal", signal=True), draw(config.n_test, "test-background", signal=False))
        reference = draw(config.n_reference, "reference", signal=False) if config.n_reference else None
        return Dataset(events[ctx.rng("order").permutation(len(events))], test, reference, features, "E", "GeV", dict(counts))


def simulate(n: int, rng: np.random.Generator, counts: Counter[str], *, signal: bool) -> Sample:
    """n neutrons (signal) or photons whose reconstructed energy lies in `ENERGIES`; those beyond are counted and made anew."""
    rows: list[tuple[NDArray[np.float64], ...]] = []
    missing = n
    while missing > 0:
        tried = min(_CHUNK, 3 * missing // 2 + 50)
        z = rng.uniform(*PLACES, tried)
        points = neutrons(rng.uniform(*_NEUTRONS, tried), z, rng) if signal else photons(rng.uniform(*_PHOTONS, tried), z, rng)
        x, energy = quantities(read_out(points, rng), tried)
        good = np.flatnonzero((energy > ENERGIES[0]) & (energy < ENERGIES[1]))[:missing]
        rows.append((x[good], energy[good], z[good]))
        seen = tried if len(good) < missing else int(good[-1]) + 1
        counts[f"{'neutrons' if signal else 'photons'} beyond {ENERGIES[0]:g} to {ENERGIES[1]:g} GeV"] += seen - len(good)
        missing -= len(good)
    if not rows:
        rows.append((np.empty((0, len(FEATURES))), np.empty(0), np.empty(0)))
    x, energy, z = (np.concatenate(column) for column in zip(*rows, strict=True))
    return Sample(
        x.astype(np.float32),
        energy.astype(np.float32),
        context=z[:, None].astype(np.float32),
        truth=np.full(len(x), int(signal), np.int8),
    )
