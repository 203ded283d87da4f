"""A light detector: a tracker, two calorimeters with cells, and energy flow from both."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from adtoolkit.simulate.particles import Floats, Particles
from adtoolkit.simulate.towers import Towers

if TYPE_CHECKING:
    from adtoolkit.simulate.pythia import Collisions

ECAL_CELL = 0.02
HCAL_CELL = 0.1
_PHOTON, _ELECTRON, _MUON = 22, 11, 13
_ECAL_MIN, _HCAL_MIN = 0.5, 1.0  # GeV in a cell: noise thresholds
_SIGNIFICANCE_MIN = 1.0  # an excess over the tracks of a cell must be this many resolutions to be a neutral particle
_CURL_PT = 0.75  # GeV: charged particles below curl up in the magnetic field (3.8 T) before they reach the calorimeters


def reconstruct(collisions: Collisions, rng: np.random.Generator, *, smearing: float = 1.0, eta_max: float = 2.5) -> Particles:
    """What an energy-flow reconstruction makes of the visible particles.

    Charged particles that the tracker finds are tracks with exact direction. Photons and missed electrons are summed in calorimeter
    cells of 0.02. All hadrons are summed in cells of 0.1; where such a cell shows significantly more energy than its tracks, the
    excess becomes a neutral object, otherwise tracks and cell are averaged with their resolutions as weights. Objects of cells are
    placed at random inside them. All objects are massless.

    Args:
        collisions: Visible particles of N collisions.
        rng: Source of all random numbers.
        smearing: Factor on the energy resolutions; 0 turns the detector off and returns the particles themselves.
        eta_max: Particles outside this absolute pseudorapidity are lost.

    References:
        The energy flow follows de Favereau et al., "DELPHES 3", arXiv:1307.6346, section 3.2; parameters are rounded.
    """
    inside = np.abs(collisions.eta) < eta_max
    pt, eta, phi = collisions.pt[inside], collisions.eta[inside], collisions.phi[inside]
    charge, pdg, event = collisions.charge[inside], collisions.pdg[inside], collisions.event[inside]
    if smearing == 0.0:
        return Particles(pt, eta, phi, event, collisions.n_events)

    electromagnetic = (pdg == _PHOTON) | (pdg == _ELECTRON)
    hadron = ~electromagnetic & (pdg != _MUON)
    reaches = (charge == 0.0) | (pt > _CURL_PT)
    track = (charge != 0.0) & (rng.random(len(pt)) < track_efficiency(pt, eta))
    energy = pt * np.cosh(eta)

    tracker = smearing * track_resolution(pt, eta)
    tracker[pdg == _ELECTRON] = np.minimum(tracker, smearing * ecal_resolution(energy))[pdg == _ELECTRON]
    measured = np.where(track, smear(energy, tracker, rng), 0.0)

    photons = Towers.sum(energy, eta, phi, event, electromagnetic & reaches & ~track, ECAL_CELL)
    photon_energy = smear(photons.energy, smearing * ecal_resolution(photons.energy), rng)
    photon_energy[photon_energy < _ECAL_MIN] = 0.0

    in_tower = hadron & reaches
    hadrons = Towers.sum(energy, eta, phi, event, in_tower, HCAL_CELL)
    tracks = hadrons.total(measured[in_tower])
    track_sigma = np.sqrt(hadrons.total((measured * tracker)[in_tower] ** 2))
    sigma = smearing * hcal_resolution(hadrons.energy) * hadrons.energy
    hadron_energy = smear(hadrons.energy, sigma / hadrons.energy, rng)
    excess = hadron_energy - tracks
    neutral = (excess > _HCAL_MIN) & (excess > _SIGNIFICANCE_MIN * np.hypot(sigma, track_sigma))
    share = track_sigma**2 / (track_sigma**2 + sigma**2)  # weight of the calorimeter in the average
    scale = np.where(neutral | (tracks == 0.0), 1.0, 1.0 + share * excess / np.where(tracks > 0.0, tracks, 1.0))
    measured[in_tower] *= scale[hadrons.of_particle]
    neutral_energy = np.where(neutral, excess, 0.0)

    parts = [(measured, eta, phi, event)]
    for towers, values in ((photons, photon_energy), (hadrons, neutral_energy)):
        parts.append((values, *towers.place(rng), towers.event))
    energy, eta, phi = (np.concatenate([part[i] for part in parts]) for i in range(3))
    event = np.concatenate([part[3] for part in parts])
    order = np.argsort(event, kind="stable")
    order = order[energy[order] > 0.0]
    return Particles((energy / np.cosh(eta))[order], eta[order], phi[order], event[order], collisions.n_events)


def smear(values: Floats, relative: Floats, rng: np.random.Generator) -> Floats:
    """Multiply positive ``values`` `[M]` by log-normal factors of mean 1 and relative width ``relative`` `[M]`."""
    sigma2 = np.log1p(relative**2)
    return values * np.exp(np.sqrt(sigma2) * rng.standard_normal(len(values)) - 0.5 * sigma2)


def track_efficiency(pt: Floats, eta: Floats) -> Floats:
    """Probability `[M]` that a charged particle of ``pt`` GeV is found as a track.

    The values below 1 GeV are set so that the numbers of soft objects agree better with the raw LHC Olympics events.
    """
    central = np.abs(eta) < 1.5
    high = np.where(central, 0.95, 0.85)
    low = np.where(central, 0.30, 0.25)
    return np.where(pt > 1.0, high, np.where(pt > 0.1, low, 0.0))


def track_resolution(pt: Floats, eta: Floats) -> Floats:
    """Relative resolution `[M]` of a track of ``pt`` GeV: multiple scattering and curvature."""
    forward = np.abs(eta) > 1.5
    return np.hypot(np.where(forward, 0.02, 0.01), np.where(forward, 3e-4, 1.5e-4) * pt)


def ecal_resolution(energy: Floats) -> Floats:
    """Relative resolution `[M]` of photons of ``energy`` GeV."""
    return np.hypot(0.1 / np.sqrt(energy), 0.01)


def hcal_resolution(energy: Floats) -> Floats:
    """Relative resolution `[M]` of hadrons of ``energy`` GeV."""
    return np.hypot(0.8 / np.sqrt(energy), 0.05)
