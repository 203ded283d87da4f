"""One chunk of accepted events: the smallest piece of work, a function of settings, seed and number alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from adtoolkit.errors import RunError
from adtoolkit.simulate.detector import reconstruct
from adtoolkit.simulate.jets import leading_dijets
from adtoolkit.simulate.particles import Floats
from adtoolkit.simulate.pythia import Generator
from adtoolkit.simulate.settings import DijetSettings

BATCH = 250
"""Collisions at a time; part of the definition of a chunk, as it orders the detector's random numbers."""
_GIVE_UP = 200 * BATCH


@dataclass(frozen=True, slots=True)
class Chunk:
    """Accepted events.

    Args:
        features: `[N, 14]`, the columns of `COLUMNS` without the label; GeV.
        n_generated: Collisions it took, up to and including the last accepted one.
        cross_section: Of the process before any jet cut, in pb.
    """

    features: Floats
    n_generated: int
    cross_section: float


def simulate_chunk(settings: DijetSettings, seed: int, number: int, n_events: int) -> Chunk:
    """Simulate collisions until ``n_events`` are accepted.

    Args:
        settings: The process, the detector and the jets.
        seed: Seed of the whole run.
        number: Number of the chunk in the run. Generator and detector are seeded by seed, process and number.
        n_events: How many events to accept.

    Raises:
        RunError: if 50,000 collisions in a row have no accepted event, or Pythia gives up.
    """
    root = np.random.SeedSequence(seed, spawn_key=(settings.label, number))
    for_pythia, for_detector = root.spawn(2)
    generator = Generator(settings, int(for_pythia.generate_state(1)[0]))
    rng = np.random.default_rng(for_detector)

    accepted: list[Floats] = []
    missing, n_generated, in_vain = n_events, 0, 0
    while missing > 0:
        collisions = generator.batch(BATCH)
        if collisions.n_events == 0:
            message = "Pythia generated no collision."
            raise RunError(message, "Look at the masses and cuts.")
        particles = reconstruct(collisions, rng, smearing=settings.smearing, eta_max=settings.eta_max)
        features, event = leading_dijets(particles, radius=settings.radius, eta_max=settings.eta_max, jet_pt_min=settings.jet_pt_min)
        in_vain = 0 if len(event) else in_vain + BATCH
        if in_vain >= _GIVE_UP:
            message = f"Not one of {in_vain:,} collisions has a jet above {settings.jet_pt_min:g} GeV."
            raise RunError(message, "Lower the cut on the leading jet, or raise the masses.")
        n_generated += int(event[missing - 1]) + 1 if len(event) >= missing else collisions.n_events
        accepted.append(features[:missing])
        missing -= len(accepted[-1])
    return Chunk(np.concatenate(accepted), n_generated, generator.cross_section())
