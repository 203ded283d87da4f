"""The barrel calorimeter: its quantities by hand, and photons and neutrons that look as they should."""

import warnings
from collections import Counter

import numpy as np
import pytest
from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis
from sklearn.metrics import roc_auc_score

from adtoolkit.context import RunContext
from adtoolkit.errors import UnknownNameError
from adtoolkit_showers.barrel import FEATURES, PITCH, RADIUS, TARGET, Cells, Points, quantities, read_out
from adtoolkit_showers.barrel_particles import photons
from adtoolkit_showers.bcal import ENERGIES, PLACES, BcalShowers, simulate
from adtoolkit_showers.config import BcalShowersConfig


@pytest.fixture(scope="module")
def samples():
    counts = Counter()
    known, light, heavy = (simulate(3000, np.random.default_rng(seed), counts, signal=seed == 3) for seed in (1, 2, 3))
    return known, light, heavy


def test_quantities_are_those_of_their_definitions():
    """Three cells of one shower, among them one in the last layer, and one cell of another in the last layer alone."""
    energy = np.array([0.2, 0.1, 0.3, 0.05])
    layer, sector = np.array([0, 1, 3, 3]), np.array([191, 1, 0, 2])
    z, time = np.array([200.0, 204.0, 220.0, 180.0]), np.array([0.1, 0.3, 0.9, 0.4])
    x, total = quantities(Cells(np.array([0, 0, 0, 1]), layer, sector, z, time, energy), 2)
    got = dict(zip(FEATURES, x.T, strict=True))

    rho, w = np.array([65.4, 68.7]), np.array([0.04, 0.01])
    n_eff = w.sum() ** 2 / (w**2).sum()

    def mean(values):
        return (w * values).sum() / w.sum()

    theta = np.arctan2(rho, z[:2] - TARGET)
    turn = 2 * np.pi / 192
    assert total == pytest.approx([0.6, 0.05])
    assert x[0, :8] == pytest.approx([0.2, 0.1, 0, 0.3, 1 / 3, 1 / 6, 0, 1 / 2])
    assert got["R"] == pytest.approx([(0.2 * 65.4 + 0.1 * 68.7 + 0.3 * 81.9) / 0.6, 81.9])
    assert got["sigma_rho"][0] == pytest.approx(np.sqrt((mean(rho**2) - mean(rho) ** 2) / n_eff))
    assert got["sigma_theta"][0] == pytest.approx(np.sqrt((mean(theta**2) - mean(theta) ** 2) / n_eff))
    # 2 sectors apart, weighted 2 : 1
    assert got["sigma_phi"][0] == pytest.approx(2 * turn * np.sqrt(2 / 9) / np.sqrt(2))
    assert got["rms_time"][0] == pytest.approx(np.sqrt(((time[:2] - mean(time[:2])) ** 2).sum() / 3))
    assert got["n_cells"].tolist() == [3, 1]
    assert x[1, 9:13] == pytest.approx(0)


def test_a_shower_without_cells_has_no_energy_and_warns_of_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        x, energy = quantities(Cells(*(np.zeros(0, np.int64),) * 3, *(np.zeros(0),) * 3), 2)

    assert energy.tolist() == [0, 0]
    assert np.isnan(x[:, 8]).all()


def test_read_out_sums_points_over_cells_and_keeps_those_above_threshold():
    radius = np.array([65.0, 66.0, 65.0, 70.0, 90.0])
    side = np.array([0.5, 0.6, -0.5, 0.5, 0.5]) * PITCH
    energy = np.array([0.01, 0.02, 0.003, 0.05, 1.0])
    cells = read_out(Points(np.zeros(5, np.int64), radius, side, np.full(5, 200.0), np.ones(5), energy), np.random.default_rng(0))

    assert cells.layer.tolist() == [0, 1]
    assert cells.sector.tolist() == [0, 0]
    assert cells.energy == pytest.approx([0.03, 0.05])
    assert cells.z == pytest.approx(200, abs=5 * 1.1 / np.sqrt(0.03))


def test_photons_fly_along_their_polar_angle():
    z = np.full(300, 200.0)
    points = photons(np.full(300, 1.0), z, np.random.default_rng(1))
    theta = np.arctan2(RADIUS, 200 - TARGET)
    along = np.average(points.z - 200, weights=points.energy)

    assert np.average(points.radius - RADIUS, weights=points.energy) == pytest.approx(along * np.tan(theta), rel=0.03)
    assert points.energy.sum() / 300 == pytest.approx(1, abs=0.01)


def test_photons_and_neutrons_share_their_energy_as_they_should(samples):
    _, light, heavy = samples

    assert light.x[:, 4:8].mean(axis=0) == pytest.approx([0.23, 0.60, 0.15, 0.02], abs=0.02)
    assert heavy.x[:, 4:8].mean(axis=0) == pytest.approx([0.10, 0.26, 0.33, 0.32], abs=0.02)
    for sample, radius, spread, cells in ((light, 69.1, 1.3, 18.6), (heavy, 74.4, 4.8, 10.8)):
        assert sample.x[:, 8].mean() == pytest.approx(radius, abs=0.3)
        assert sample.x[:, 8].std() == pytest.approx(spread, abs=0.2)
        assert sample.x[:, 13].mean() == pytest.approx(cells, abs=0.7)


def test_how_far_single_quantities_and_simple_models_tell_them_apart(samples):
    known, light, heavy = samples
    truth = np.repeat([0, 1], 3000)

    def auc(score):
        return roc_auc_score(truth, score)

    def both(column):
        return np.concatenate([light.x[:, column], heavy.x[:, column]])

    assert auc(both(FEATURES.index("R"))) == pytest.approx(0.84, abs=0.02)
    assert auc(both(FEATURES.index("f3"))) == pytest.approx(0.65, abs=0.02)

    def given(sample):
        k = np.column_stack([np.log(sample.m), sample.context[:, 0] / 100])
        return np.column_stack([np.ones(len(k)), k, k**2, k.prod(axis=1)])

    # without R, which is a linear combination of the shares, as is one of these
    columns = [5, 6, 7, *range(9, 14)]
    fit = np.linalg.lstsq(given(known), known.x[:, columns].astype(np.float64), rcond=None)[0]
    rest = [sample.x[:, columns] - given(sample) @ fit for sample in samples]
    inverse = np.linalg.inv(np.cov(rest[0].T))
    assert auc(np.concatenate([np.einsum("ni,ij,nj->n", r, inverse, r) for r in rest[1:]])) == pytest.approx(0.963, abs=0.02)

    x = np.concatenate([np.column_stack([sample.x[:, columns], sample.m]) for sample in (light, heavy)])
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    train = np.random.default_rng(0).permutation(6000)[:3000]
    held = np.setdiff1d(np.arange(6000), train)
    score = QuadraticDiscriminantAnalysis().fit(x[train], truth[train]).decision_function(x[held])
    assert roc_auc_score(truth[held], score) == pytest.approx(0.973, abs=0.02)


def test_samples_lie_in_the_ranges_kept_and_what_is_beyond_is_counted():
    config = BcalShowersConfig(n_reference=60, n_background=40, n_signal=5, n_test=30, n_test_signal=20)
    data = BcalShowers(config).load(RunContext(seed=3))

    assert [len(sample) for sample in (data.reference, data.events, data.test)] == [60, 45, 50]
    assert (int(data.events.truth.sum()), int(data.test.truth.sum()), int(data.reference.truth.sum())) == (5, 20, 0)
    for sample in (data.reference, data.events, data.test):
        assert ((sample.m > ENERGIES[0]) & (sample.m < ENERGIES[1])).all()
        assert ((sample.context >= PLACES[0]) & (sample.context <= PLACES[1])).all()
        assert sample.x[:, :4].sum(axis=1) == pytest.approx(sample.m, rel=1e-5)
        assert np.isfinite(sample.x).all()
    assert (data.features, data.scale) == (FEATURES, "logit")
    few = BcalShowers(config.model_copy(update={"features": ("R", "f1")})).load(RunContext(seed=3))
    assert np.array_equal(few.events.x, data.events.x[:, [8, 4]])
    with pytest.raises(UnknownNameError, match="no feature 'r'"):
        BcalShowers(config.model_copy(update={"features": ("r",)})).load(RunContext(seed=3))
    assert set(data.counts) == {"photons beyond 0.2 to 2.2 GeV", "neutrons beyond 0.2 to 2.2 GeV"}
