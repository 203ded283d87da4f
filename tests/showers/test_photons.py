"""Simulated showers: where their energy goes, how it fluctuates, and that the voxels are the right ones."""

import time

import numpy as np
import pytest

from adtoolkit_showers.geometry import COARSE, FINE, pooled
from adtoolkit_showers.gflash import longitudinal, profile
from adtoolkit_showers.photons import RESPONSE, STACK, Photons, shower
from adtoolkit_showers.spots import draw_spots


def photons(energy, n, seed=0, **options):
    """Cells of n photons of one energy, float64."""
    cells = shower(Photons.along_axis(np.full(n, float(energy))), n, np.random.default_rng(seed), **options)
    return cells.astype(np.float64)


def at(theta, phi, depth, energy=20.0, n=200):
    """Photons that start on the axis at a depth, under an angle."""
    start = np.tile([0.0, 0.0, depth], (n, 1))
    return Photons(np.arange(n), np.full(n, energy), start, np.full(n, theta), np.full(n, phi))


@pytest.mark.parametrize(
    ("energy", "n", "fractions", "within"),
    [(1, 3000, (0.45, 0.55, 0.0005), 0.012), (10, 1500, (0.22, 0.78, 0.0007), 0.012), (100, 400, (0.091, 0.906, 0.0025), 0.008)],
)
def test_energy_and_how_it_is_shared_by_the_layers(energy, n, fractions, within):
    cells = photons(energy, n, albedo=False)
    layers = FINE.layer_energies(cells[:, :504])
    total = layers.sum(axis=1)

    assert (layers / total[:, None]).mean(axis=0) == pytest.approx(fractions, abs=within)
    assert np.median(total) / energy / 1000 == pytest.approx(RESPONSE, abs=0.008)
    # leakage adds to the sampling fluctuations; quantiles leave out the few photons that convert late
    low, high = np.quantile(total, [0.16, 0.84])
    assert (high - low) / 2 / np.median(total) == pytest.approx(STACK.resolution / np.sqrt(energy), rel=0.1)


def test_no_energy_is_lost():
    """Voxels, overflow and what leaves the calorimeter add up to the energy, whose fluctuation is c / sqrt(E)."""
    total = photons(1, 4000).sum(axis=1) / 1000 / RESPONSE

    assert total.mean() == pytest.approx(1, abs=0.006)
    assert total.std() == pytest.approx(STACK.resolution, rel=0.05)


def test_showers_are_contained_in_a_few_centimetres():
    """Half of the second layer's energy lies in its four middle voxels, and most of a photon's cells are empty."""
    cells = photons(50, 300)[:, :504]
    first, second, third = FINE.split(cells)

    assert second[:, 5:7, 5:7].sum() / second.sum() > 0.8
    occupied = [(part > 0.01).mean() for part in (first, second, third)]
    assert occupied == pytest.approx([0.05, 0.37, 0.03], abs=0.015)


def test_spots_follow_the_longitudinal_profile():
    """Weighted spots of showers have the mean depth of the gamma distribution, and its spread."""
    energy = np.full(2000, 10.0)
    weight, depth = [], []
    for spots in draw_spots(energy, STACK, np.random.default_rng(3)):
        weight.append(spots.energy)
        depth.append(spots.depth / STACK.x0)
    weight, depth = np.concatenate(weight), np.concatenate(depth)
    moments = longitudinal(energy[:1], STACK)
    t = np.linspace(0.01, 60, 6000)
    z = np.random.default_rng(4).standard_normal((2, 4000))
    a, b = np.sqrt((1 + moments.rho) / 2), np.sqrt((1 - moments.rho) / 2)
    alpha = np.maximum(np.exp(moments.ln_alpha + moments.sigma_alpha * (a * z[0] - b * z[1])), 1.1)
    peak = np.exp(moments.ln_t + moments.sigma_t * (a * z[0] + b * z[1]))
    f = np.mean([profile(t, x, (x - 1) / y) for x, y in zip(alpha[:800], peak[:800], strict=True)], axis=0)

    expected, step = np.cumsum(f) * (t[1] - t[0]), np.searchsorted(t, [3, 6, 9, 14])
    got = [weight[depth < t[i]].sum() / weight.sum() for i in step]
    assert got == pytest.approx(expected[step], abs=0.01)


def test_cells_are_those_of_a_histogram():
    rng = np.random.default_rng(5)
    x, y = rng.uniform(-26, 26, (2, 50_000)).astype(np.float32)
    z = rng.uniform(-0.5, 49, 50_000).astype(np.float32)
    n = np.bincount(FINE.cells(x, y, z), minlength=508)
    inside = (np.abs(x) < 24) & (np.abs(y) < 24)
    for layer, begin, end in zip(FINE.layers, FINE.offsets, FINE.offsets[1:], strict=False):
        here = (z >= layer.begin) & (z < layer.end)
        edges = [np.linspace(-24, 24, bins + 1) for bins in (layer.nx, layer.ny)]
        expected = np.histogram2d(x[here & inside], y[here & inside], edges)[0]

        assert np.array_equal(n[begin:end], expected.ravel())
    overflow = [((z >= layer.begin) & (z < layer.end) & ~inside).sum() for layer in FINE.layers]
    assert n[504:].tolist() == [*overflow, ((z < 0) | (z > 48)).sum()]


def test_a_point_on_the_last_edge_is_no_voxel():
    """Just below 24 cm the sum with 24 rounds to 48."""
    x = np.nextafter(np.float32(24), np.float32(0), dtype=np.float32)[None]
    cell = FINE.cells(x, np.zeros(1, np.float32), np.full(1, 20, np.float32))

    assert cell[0] in (505, 288 + 11 * 12 + 6)


def test_pooling_sums_neighbours():
    voxels = np.random.default_rng(6).random((7, 504))
    coarse = pooled(voxels, FINE, COARSE)
    first, second, third = FINE.split(voxels)

    assert coarse.shape == (7, 108)
    assert coarse[:, 0] == pytest.approx(first[:, 0, :8].sum(axis=1))
    assert coarse[:, 36 + 6 * 2 + 5] == pytest.approx(second[:, 4:6, 10:12].sum(axis=(1, 2)))
    assert coarse[:, 72 + 6 * 5] == pytest.approx(third[:, 10:12, 0].sum(axis=1))
    assert pooled(voxels, FINE, FINE) is voxels
    assert (len(COARSE.names), COARSE.names[36 + 6 * 2 + 5]) == (108, "L1_2_5")


@pytest.mark.parametrize("phi", [0.0, np.pi / 2, 2.5])
def test_a_photon_under_an_angle_leaves_its_energy_along_its_line(phi):
    theta = 0.3
    cells = shower(at(theta, phi, 0.0), 200, np.random.default_rng(7), albedo=False)
    second = FINE.split(cells[:, :504])[1].sum(axis=0, dtype=np.float64)
    centre = np.arange(12) * 4 - 22.0
    x, y = second.sum(axis=1) @ centre / second.sum(), second.sum(axis=0) @ centre / second.sum()

    # the mean depth of the energy in the second layer is about 15 cm
    assert x * np.cos(phi) + y * np.sin(phi) == pytest.approx(15 * np.tan(theta), abs=0.8)
    assert y * np.cos(phi) - x * np.sin(phi) == pytest.approx(0, abs=0.15)


def test_showers_behind_the_first_layer_send_a_little_back():
    for depth, share in ((8.0, 1e-3), (16.0, 1e-4)):
        cells = shower(at(0, 0, depth, n=500, energy=5.0), 500, np.random.default_rng(8))
        without = shower(at(0, 0, depth, n=500, energy=5.0), 500, np.random.default_rng(8), albedo=False)
        first = FINE.layer_energies(cells[:, :504])[:, 0] - FINE.layer_energies(without[:, :504])[:, 0]
        behind = first > 0

        assert np.median(first[behind] / without[behind, :504].sum(axis=1)) == pytest.approx(share, rel=0.35)
    assert np.array_equal(cells[:, 288:], without[:, 288:])


def test_pairs_share_the_energy_and_start_earlier():
    one, two = photons(20, 500), photons(20, 500, pairs=True)
    early = [FINE.layer_energies(cells[:, :504])[:, 0].mean() for cells in (one, two)]

    assert two.sum(axis=1).mean() == pytest.approx(one.sum(axis=1).mean(), rel=0.005)
    assert early[1] / early[0] == pytest.approx(1.2, abs=0.08)


def test_equal_seeds_make_equal_showers_and_late_photons_leave_nothing():
    assert np.array_equal(photons(5, 50), photons(5, 50))
    gone = shower(at(0, 0, 47.9, n=300), 300, np.random.default_rng(9))

    assert (gone[:, :504].sum(axis=1) == 0).mean() > 0.8


@pytest.mark.slow
def test_two_thousand_showers_a_second():
    """Photons of 1 to 100 GeV on one idle core."""
    rng = np.random.default_rng(0)
    best = np.inf
    for _ in range(3):
        energy = rng.uniform(1, 100, 3000)
        start = time.process_time()
        shower(Photons.along_axis(energy), 3000, rng)
        best = min(best, time.process_time() - start)

    assert 3000 / best > 2000
