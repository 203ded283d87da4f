"""Clustering and detector of the simulated dijets: official features, closed forms, what is dropped."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from adtoolkit.simulate.files import dijet_mass
from adtoolkit.simulate.particles import Particles, wrap_phi

SHARED = Path(__file__).parents[2].parent / "shared" / "data"


@pytest.fixture
def fastjet():
    """Skip where the extra 'simulate' is not installed."""
    pytest.importorskip("awkward")
    pytest.importorskip("vector")
    return pytest.importorskip("fastjet")


@pytest.fixture
def official():
    """Raw official events `[1000, 700, 3]` and their features `[1000, 14]`."""
    raw, features = SHARED / "lhco_raw_1k.h5", SHARED / "lhco_rnd_v1_100k.features.h5"
    if not (raw.exists() and features.exists()):
        pytest.skip("the raw LHC Olympics events are not beside the checkout (../shared/data)")
    pytest.importorskip("hdf5plugin")
    with h5py.File(raw) as file:
        events = file["df/block0_values"][:, :2100].reshape(-1, 700, 3)
    with h5py.File(features) as file:
        return events, file["df/block0_values"][: len(events), :14]


def test_clustering_equals_the_official_features(fastjet, official):
    """Momenta and masses agree to 1e-6; the tau's to 1 % where the official ones are right."""
    from adtoolkit.simulate.jets import leading_dijets

    raw, expected = official
    actual, event = leading_dijets(Particles.from_padded(raw[..., 0], raw[..., 1], raw[..., 2]))

    np.testing.assert_array_equal(np.arange(1000), event)
    np.testing.assert_allclose(dijet_mass(actual), dijet_mass(expected), rtol=1e-6)
    for first in (0, 7):
        np.testing.assert_allclose(np.hypot(*actual[:, first : first + 2].T), np.hypot(*expected[:, first : first + 2].T), rtol=1e-6)
        np.testing.assert_allclose(actual[:, first : first + 4], expected[:, first : first + 4], rtol=1e-6)
        phi = np.arctan2(expected[:, first + 1], expected[:, first])
        good = np.abs(phi) < 2.0  # closer to pi the official ones are wrong: delta phi was not wrapped
        np.testing.assert_allclose(actual[good, first + 4 : first + 7], expected[good, first + 4 : first + 7], rtol=0.01)


def prong_jet(n_prongs: int, phi: float = 0.0):
    """A jet of 30 soft particles around ``n_prongs`` directions 0.4 apart."""
    rng = np.random.default_rng(0)
    centre = np.array([[0.0, 0.0], [0.4, 0.0], [0.0, 0.4]])[:n_prongs]
    place = np.repeat(centre, 30 // n_prongs, axis=0)
    eta, d_phi = (place + rng.normal(0.0, 0.01, place.shape)).T
    return np.full(len(place), 20.0), eta, wrap_phi(d_phi + phi)


@pytest.mark.parametrize("phi", [0.0, np.pi])
def test_n_subjettiness_counts_prongs(fastjet, phi):
    """tau_N drops where N reaches the number of prongs, at phi = pi too; tau_1 of two equal prongs is half their distance."""
    from adtoolkit.simulate.jets import n_subjettiness

    jets = [prong_jet(n, phi) for n in (1, 2, 3)]
    pt, eta, azimuth = (np.concatenate(values) for values in zip(*jets, strict=True))

    tau = n_subjettiness(pt, eta, azimuth, np.array([30, 30, 30]))

    assert tau[0, 0] < 0.02
    assert tau[1, 0] == pytest.approx(0.2, abs=0.01)
    assert tau[1, 1] / tau[1, 0] < 0.1
    assert tau[2, 1] / tau[2, 0] > 0.3
    assert tau[2, 2] / tau[2, 1] < 0.15


def test_n_subjettiness_of_jets_with_few_particles_is_zero(fastjet):
    """A jet of one, of two and of three particles among others."""
    from adtoolkit.simulate.jets import n_subjettiness

    pt, eta, phi = np.full(6, 10.0), np.array([0.0, 0.1, -0.1, 0.2, 0.0, -0.2]), np.array([0.0, 0.1, 0.0, 0.0, 0.2, 0.0])
    tau = n_subjettiness(pt, eta, phi, np.array([1, 2, 3]))

    np.testing.assert_allclose(tau[[0, 0, 0, 1, 1, 2], [0, 1, 2, 1, 2, 2]], 0.0, atol=1e-7)
    assert (tau[[1, 2, 2], [0, 0, 1]] > 0.01).all()


def test_events_without_two_jets_are_dropped(fastjet):
    """Of three events, the empty one and that with a jet outside are dropped."""
    from adtoolkit.simulate.jets import leading_dijets

    eta = np.array([0.1, 0.2, 0.3, 4.0])
    particles = Particles(np.full(4, 500.0), eta, np.array([0.0, 3.0, 0.0, 3.0]), np.array([0, 0, 2, 2]), 3)

    features, event = leading_dijets(particles)

    assert event.tolist() == [0]
    np.testing.assert_allclose(features[0, [3, 10]], 0.0, atol=1e-4)


def test_smearing_has_the_given_mean_and_width():
    """Factors of mean 1 and the relative width asked for, always positive."""
    from adtoolkit.simulate.detector import smear

    n, width = 200_000, 0.3
    factor = smear(np.full(n, 50.0), np.full(n, width), np.random.default_rng(1)) / 50.0

    assert factor.min() > 0.0
    assert factor.mean() == pytest.approx(1.0, abs=4 * width / np.sqrt(n))
    assert factor.std() == pytest.approx(width, rel=0.02)


def collisions(pt, eta, phi, charge, pdg):
    from adtoolkit.simulate.pythia import Collisions

    return Collisions(*(np.asarray(v, float) for v in (pt, eta, phi, charge)), np.asarray(pdg), np.zeros(len(pt), np.int64), 1)


def test_photons_in_one_cell_become_one_object_inside_it():
    """Two photons in a cell of 0.02 are one object with their energy, a third beside it another."""
    from adtoolkit.simulate.detector import reconstruct

    given = collisions([100.0, 50.0, 30.0], [0.001, 0.019, 0.021], [0.001, 0.002, 0.001], [0, 0, 0], [22, 22, 22])
    seen = reconstruct(given, np.random.default_rng(2), smearing=1e-9)

    order = np.argsort(-seen.pt)
    np.testing.assert_allclose(seen.pt[order], [150.0, 30.0], rtol=1e-3)
    assert 0.0 < seen.eta[order][0] < 0.02 < seen.eta[order][1] < 0.04


def test_energy_of_hadrons_is_kept_on_average():
    """Tracks, missed tracks and neutral hadrons: the energy flow loses and doubles next to nothing."""
    from adtoolkit.simulate.detector import reconstruct

    rng = np.random.default_rng(3)
    n = 4000
    eta, phi = rng.uniform(-1.4, 1.4, n), rng.uniform(-np.pi, np.pi, n)
    charge = rng.integers(0, 2, n)
    given = collisions(rng.uniform(20.0, 200.0, n), eta, phi, charge, np.where(charge == 1, 211, 130))
    seen = reconstruct(given, rng)

    ratio = (seen.pt * np.cosh(seen.eta)).sum() / (given.pt * np.cosh(given.eta)).sum()
    assert 0.99 < ratio < 1.05  # upward fluctuations become neutral objects, downward ones are averaged with the tracks


def test_no_smearing_returns_the_particles():
    """Factor 0 is truth level, within the acceptance."""
    from adtoolkit.simulate.detector import reconstruct

    given = collisions([1.0, 2.0], [0.5, 3.0], [1.0, 2.0], [0, 1], [130, 211])
    seen = reconstruct(given, np.random.default_rng(0), smearing=0.0)

    assert (seen.pt.tolist(), seen.eta.tolist(), seen.phi.tolist()) == ([1.0], [0.5], [1.0])
