"""Kinematics of chi -> photon photon."""

import numpy as np
import pytest
from scipy.stats import kstest

from adtoolkit_showers.chi import BACK, decay, decay_points, flight, seen

N = 4000


def momenta(photons):
    """[N, 2, 3] GeV."""
    direction = [
        np.sin(photons.theta) * np.cos(photons.phi),
        np.sin(photons.theta) * np.sin(photons.phi),
        np.cos(photons.theta),
    ]
    return (photons.energy * np.array(direction)).T.reshape(-1, 2, 3)


@pytest.mark.parametrize("mass", [0.05, 0.5, 5.0, 40.0])
def test_two_photons_have_the_energy_and_the_mass_of_the_chi(mass):
    photons = decay(np.full(N, mass), 50.0, np.full(N, 1.2), np.random.default_rng(0))
    p, energy = momenta(photons), photons.energy.reshape(-1, 2)
    squared = 2 * energy.prod(axis=1) - 2 * (p[:, 0] * p[:, 1]).sum(axis=1)

    assert energy.sum(axis=1) == pytest.approx(50)
    # the difference of large numbers: what is left of 16 digits
    assert squared == pytest.approx(mass**2, rel=1e-6, abs=1e-11)
    assert p.sum(axis=1)[:, :2] == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(("mass", "least"), [(0.005, 0.0002), (0.05, 0.002), (0.5, 0.02), (5.0, 0.2)])
def test_the_smallest_opening_angle_is_that_of_equal_photons(mass, least):
    photons = decay(np.full(N, mass), 50.0, np.full(N, 1.2), np.random.default_rng(1))
    angle = photons.theta.reshape(-1, 2).sum(axis=1)

    assert 2 * np.arcsin(mass / 50) == pytest.approx(least, rel=2e-3)
    assert angle.min() == pytest.approx(least, rel=5e-3)
    assert angle.min() >= 2 * np.arcsin(mass / 50) * (1 - 1e-9)


def test_the_decay_is_isotropic_at_rest():
    """The energy of a photon is evenly distributed between its bounds."""
    energy = decay(np.full(N, 5.0), 50.0, np.full(N, 1.2), np.random.default_rng(2)).energy[::2]
    beta = np.sqrt(1 - 0.1**2)

    assert kstest(energy, "uniform", (25 * (1 - beta), 50 * beta)).pvalue > 0.01


def test_photons_from_before_the_calorimeter_are_brought_to_its_face():
    """Both lie on a line through the place of the decay, on opposite sides of the axis."""
    photons = decay(np.full(N, 5.0), 50.0, np.full(N, 0.33), np.random.default_rng(3))
    forward = seen(photons)
    out = np.hypot(photons.start[:, 0], photons.start[:, 1])

    assert (photons.start[:, 2] == 0).all()
    assert out[forward] == pytest.approx(67 * np.tan(photons.theta[forward]))
    pair = photons.start.reshape(-1, 2, 3)
    assert (pair[forward.reshape(-1, 2).all(axis=1), :, :2].prod(axis=1) <= 0).all()


def test_photons_from_inside_start_where_the_chi_decays():
    photons = decay(np.full(10, 5.0), 50.0, np.linspace(1.0, 1.4, 10), np.random.default_rng(4))

    assert photons.start[:, :2] == pytest.approx(0)
    assert photons.start[::2, 2] == pytest.approx(np.linspace(0, 40, 10))


def test_photons_that_fly_back_or_are_soft_are_not_seen():
    photons = decay(np.full(N, 45.0), 50.0, np.full(N, 1.2), np.random.default_rng(5))
    soft = decay(np.full(N, 0.5), 50.0, np.full(N, 1.2), np.random.default_rng(5))

    assert np.array_equal(seen(photons), np.cos(photons.theta) > 0)
    assert 0.2 < (~seen(photons)).mean() < 0.4
    assert np.array_equal(seen(soft), soft.energy >= 0.02)


@pytest.mark.parametrize(("mass", "lifetime"), [(5.0, 0.1), (0.005, 1.0), (5.0, 0.01)])
def test_decays_are_exponential_up_to_the_back_of_the_calorimeter(mass, lifetime):
    path = flight(mass, 50.0, lifetime)
    places = decay_points(np.full(N, path), np.random.default_rng(6))

    assert path == pytest.approx(np.sqrt((50 / mass) ** 2 - 1) * 0.299792458 * lifetime)
    assert (places.min() >= 0, places.max() <= BACK) == (True, True)
    assert kstest(places, lambda z: np.expm1(-z / path) / np.expm1(-BACK / path)).pvalue > 0.01
