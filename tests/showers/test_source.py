"""The data source of simulated showers: what is in which sample, which energy is m, what is counted, and that signals stand out."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from adtoolkit.context import RunContext
from adtoolkit_showers.chi import decay, seen
from adtoolkit_showers.config import CaloShowersConfig
from adtoolkit_showers.geometry import COARSE, FINE
from adtoolkit_showers.photons import RESPONSE, Photons, shower
from adtoolkit_showers.source import CaloShowers

FEW = {"n_reference": 30, "n_background": 40, "n_signal": 8, "n_test": 20, "n_test_signal": 12}


def load(seed=1, **options):
    return CaloShowers(CaloShowersConfig(**{**FEW, **options})).load(RunContext(seed=seed))


def test_samples_have_the_sizes_and_labels_asked_for():
    data = load()

    assert (len(data.events), int(data.events.truth.sum())) == (48, 8)
    assert (len(data.test), int(data.test.truth.sum())) == (32, 12)
    assert (len(data.reference), int(data.reference.truth.sum())) == (30, 0)
    assert (data.features, data.mass, data.unit, data.scale) == (COARSE.names, "E", "GeV", "none")
    assert load(n_reference=0).reference is None


def test_the_energy_of_data_is_reconstructed_and_that_of_the_reference_is_true():
    data, known = load(photon_energy="20,60"), load(photon_energy="20,60", energy="incident")

    for sample in (data.events, data.test):
        assert sample.m == pytest.approx(sample.x.sum(axis=1) / 1000 / RESPONSE, rel=1e-5)
    assert known.test.m[known.test.truth == 1] == pytest.approx(50)
    assert np.array_equal(known.reference.m, data.reference.m)
    assert np.array_equal(known.events.x, data.events.x)
    assert data.reference.x.sum(axis=1) / 1000 / RESPONSE == pytest.approx(data.reference.m, rel=0.15)


def test_background_does_not_depend_on_the_signal_nor_voxels_on_pooling():
    few, many, fine = load(), load(n_signal=20, masses="0.5"), load(pool=False)

    assert {row.tobytes() for row in few.events.x[few.events.truth == 0]} == {
        row.tobytes() for row in many.events.x[many.events.truth == 0]
    }
    assert fine.features == FINE.names
    assert fine.events.x.sum(axis=1) == pytest.approx(few.events.x.sum(axis=1), rel=1e-5)


def test_masses_and_places_take_turns():
    """Half of the events come from behind the first layer."""
    data = load(n_test_signal=40, n_test=0, masses="0.005,0.05", displacements="0.5,1.3")
    first = COARSE.layer_energies(data.test.x)[:, 0] / data.test.x.sum(axis=1)

    assert (first < 0.001).sum() == 20
    assert np.array_equal(first < 0.001, np.arange(40) % 2 == 1)


def test_events_that_leave_nothing_are_made_anew_and_counted():
    data = load(n_test_signal=60, displacements="1.46", masses="0.05")

    assert (data.test.x.sum(axis=1) > 0).all()
    assert data.counts["chi made anew: nothing in the voxels"] > 10
    assert data.counts["leakage above 1 %"] >= 60


def test_lifetimes_replace_places():
    data = load(n_test_signal=60, n_test=0, lifetimes="0.01")
    first = COARSE.layer_energies(data.test.x)[:, 0] / data.test.x.sum(axis=1)

    # beta gamma c tau = 3 cm: all decay before the calorimeter
    assert (first > 0.001).all()


def test_voxels_below_the_threshold_are_empty():
    loud, all_of_it = load(threshold=5.0, pool=False), load(pool=False)

    assert (all_of_it.events.x[all_of_it.events.x > 0] < 5).any()
    assert loud.events.x[loud.events.x > 0].min() >= 5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"masses": "50"}, "a chi of 50 GeV cannot have a mass of 50 GeV"),
        ({"displacements": ""}, "name displacements or lifetimes"),
        ({"displacements": "1.5"}, "less than or equal to 1.46"),
        ({"photon_energy": "5,1"}, "must be a range within 0.1 to 1000 GeV, not 5 to 1"),
    ],
)
def test_impossible_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        CaloShowersConfig(**options)


def quantities(cells):
    """[N, 508] -> eight numbers per shower."""
    voxels = cells[:, :504].astype(np.float64)
    first, second, _ = FINE.split(voxels)
    layers = FINE.layer_energies(voxels)

    def variance(part, axis):
        weight = part.sum(axis=3 - axis) + 1e-9
        place = np.arange(weight.shape[1])
        mean = (weight * place).sum(1) / weight.sum(1)
        return np.log((weight * (place - mean[:, None]) ** 2).sum(1) / weight.sum(1) + 1e-3)

    shape = [variance(second, 1), variance(second, 2), variance(first, 2)]
    sparse = [voxels.max(1) / voxels.sum(1), (voxels > 0.01).mean(1)]
    return np.column_stack([np.log(layers + 1e-2), *shape, *sparse]), np.log(layers.sum(1))


def test_a_simple_model_of_photons_finds_what_it_should():
    """A Gaussian of eight numbers, given the energy: wide pairs and decays inside are found, collinear pairs from before are not."""
    rng = np.random.default_rng(11)

    def some(n):
        return quantities(shower(Photons.along_axis(rng.uniform(1, 100, n)), n, rng))

    def design(e):
        return np.vander((e - 10) / 2, 4)

    x, e = some(1500)
    fit = np.linalg.lstsq(design(e), x, rcond=None)[0]
    inverse = np.linalg.inv(np.cov((x - design(e) @ fit).T))

    def score(x, e):
        rest = x - design(e) @ fit
        return np.einsum("ni,ij,nj->n", rest, inverse, rest)

    background = score(*some(600))

    def auc(mass, place, n=150):
        photons = decay(np.full(n, mass), 50.0, np.full(n, place), rng)
        signal = score(*quantities(shower(photons[seen(photons)], n, rng)))
        return roc_auc_score(np.repeat([0, 1], [len(background), n]), np.concatenate([background, signal]))

    assert auc(5.0, 0.33) > 0.95
    assert auc(0.005, 1.00) < 0.6
    assert min(auc(mass, place) for mass, place in ((5.0, 1.16), (0.05, 1.16), (0.005, 1.32))) > 0.9
