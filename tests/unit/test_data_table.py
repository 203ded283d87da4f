"""Any table of columns becomes data, or is refused in one sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from adtoolkit.capabilities import Cap
from adtoolkit.context import RunContext
from adtoolkit.data.config import TableConfig
from adtoolkit.data.table import Table
from adtoolkit.errors import ConfigError, DataError, UnknownNameError

UPSILON = Path(__file__).parents[3] / "shared" / "data" / "cms_ymumu_2011.csv"
N = 400


@pytest.fixture
def columns():
    rng = np.random.default_rng(0)
    return {
        "mjj": rng.uniform(2000, 5000, N),
        "a": rng.normal(size=N),
        "b": rng.normal(size=N),
        "pt": rng.uniform(1000, 2000, N),
        "n_tracks": rng.integers(0, 50, N),
        "kind": rng.choice(["x", "y"], N),
        "label": (np.arange(N) < 40).astype(np.int64),
    }


@pytest.fixture
def load(tmp_path):
    def read(columns, **options):
        np.savez(tmp_path / "e.npz", **columns)
        defaults = {"path": str(tmp_path / "e.npz"), "mass": "mjj", "features": "a,b"}
        return Table(TableConfig(**{**defaults, **options})).load(RunContext(seed=1))

    return read


def test_columns_cuts_units_and_truth(load, columns):
    data = load(columns, truth="label", cuts="pt > 1200", scale=0.001, mass_unit="TeV", n_signal=10)

    good = columns["pt"] > 1200
    assert (data.features, data.mass, data.unit) == (("a", "b"), "mjj", "TeV")
    assert dict(data.counts) == {"cut: pt > 1200": int((~good).sum())}
    assert int(data.events.truth.sum()) == 10
    assert sorted(np.concatenate([data.events.m, data.test.m])) == pytest.approx(sorted(columns["mjj"][good] / 1000), rel=1e-6)


@pytest.mark.parametrize("weight", ["w", "v = w * pt / 1000"])
def test_weights_stay_with_their_events(load, columns, weight):
    columns["w"] = np.arange(N) % 5
    data = load(columns, weight=weight, truth="label", cuts="pt > 1200", n_signal=10, n_background=200)

    expected = columns["w"] * (columns["pt"] / 1000 if "=" in weight else 1)
    for part in (data.events, data.test, data.reference):
        assert part.weight == pytest.approx(expected[part.row], rel=1e-6)


def test_events_without_a_weight_are_dropped_with_those_without_a_feature(load, columns):
    columns["w"] = np.ones(N)
    columns["w"][:3], columns["a"][2:5] = np.nan, np.nan
    with pytest.raises(DataError, match="5 of 400 events have NaN or infinite values: 3 in 'a', 3 in 'w'"):
        load(columns, weight="w")
    data = load(columns, weight="w", drop_invalid=True)

    assert len(data.events.weight) == len(data.events) == N - 5
    assert data.counts["dropped: NaN or infinite"] == 5


def test_truth_defaults_to_everything_staying_in_the_data(load, columns):
    data = load(columns, truth="label")

    assert (len(data.events), len(data.test)) == (N, 0)
    assert int(data.events.truth.sum()) == 40


def test_mass_and_features_may_be_formulas(load, columns):
    data = load(columns, mass="m = mjj / 1000", features=("a", "r = b / pt"))

    assert (data.mass, data.features) == ("m", ("a", "r"))
    assert sorted(data.events.x[:, 1]) == pytest.approx(sorted(columns["b"] / columns["pt"]), rel=1e-5)
    assert sorted(data.events.m) == pytest.approx(sorted(columns["mjj"] / 1000), rel=1e-6)


def test_cuts_may_name_what_formulas_define(load, columns):
    options = {"mass": "m = mjj / 1000", "features": ("a", "pt = b / pt"), "scale": 10.0}
    data = load(columns, cuts=("m < 4", "pt > 1200"), **options)  # a column goes before a formula of its name

    good = (columns["mjj"] < 4000) & (columns["pt"] > 1200)
    assert sorted(data.events.m) == pytest.approx(sorted(columns["mjj"][good] / 100), rel=1e-6)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"mass": "mj"}, UnknownNameError, "no column 'mj'.*Did you mean 'mjj'"),
        ({"features": "a,bb"}, UnknownNameError, "no column 'bb'"),
        ({"truth": "lable"}, UnknownNameError, "no column 'lable'.*Did you mean 'label'"),
        ({"cuts": "ptt > 3"}, UnknownNameError, "no column 'ptt'.*Did you mean 'pt'"),
        ({"features": ("r = a / bb",)}, UnknownNameError, "no column 'bb'"),
        ({"features": "a,n_tracks"}, DataError, "'n_tracks' holds whole numbers"),
        ({"features": "a,kind"}, DataError, "'kind' holds text"),
        ({"mass": "n_tracks"}, DataError, "'n_tracks' holds whole numbers"),
        ({"truth": "kind"}, DataError, "'kind' must be 0 or 1"),
        ({"truth": "n_tracks"}, DataError, "'n_tracks' must be 0 or 1"),
        ({"features": "a,a"}, DataError, "Duplicated features: 'a'"),
        ({"features": "a,mjj"}, DataError, "is the mass 'mjj' itself"),
        ({"features": "a,label", "truth": "label"}, DataError, "truth column 'label' is among the features"),
        ({"features": ("a", "c = 0*a + 1")}, DataError, "'c' is constant"),
        ({"weight": "wt"}, UnknownNameError, "no column 'wt'.*Did you mean 'pt'"),
        ({"weight": "v = -pt"}, DataError, r"The weight 'v' is negative in 400 of 400 events, down to -1"),
        ({"weight": "kind"}, DataError, "The weight 'kind' must be a number, but it holds text"),
        ({"weight": "a"}, DataError, "The weight 'a' is among the features"),
        ({"features": ("a", "c = a + 0")}, DataError, "'a' and 'c' are duplicated"),
        ({"features": ("a", "c = log(b)")}, DataError, r"NaN or infinite values: \d+ in 'c'"),
        ({"mass": "m = -mjj"}, DataError, "'m' is negative in 400 of 400"),
        ({"cuts": "pt > 5000"}, DataError, "No event of .* passes the cuts pt > 5000"),
        ({"cuts": "pt > 1950"}, DataError, r"There are \d+ events; at least 100"),
        ({"cuts": "pt + 1"}, ConfigError, "is no condition"),
        ({"cuts": "pt >"}, ConfigError, "not a formula"),
        ({"mass": ""}, ConfigError, r"needs data\.mass"),
        ({"features": ""}, ConfigError, r"needs data\.features"),
        ({"path": ""}, ConfigError, r"needs data\.path"),
        ({"path": "/nowhere/e.h5"}, DataError, "no file"),
        ({"truth": "label", "n_signal": 41}, DataError, "41 signal events, but there are 40"),
        ({"truth": "label", "n_background": 361}, DataError, "361 background events, but there are 360"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(load, columns, options, error, message):
    with pytest.raises(error, match=message) as caught:
        load(columns, **options)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


def test_a_condition_names_the_reference_and_takes_it_out_of_the_data(load, columns):
    columns["region"] = np.repeat([1, 2], [250, N - 250])
    data = load(columns, reference="region == 2", cuts="pt > 1100")

    good, known = columns["pt"] > 1100, columns["region"] == 2
    assert sorted(data.reference.m) == pytest.approx(sorted(columns["mjj"][good & known]), rel=1e-6)
    assert sorted(data.events.m) == pytest.approx(sorted(columns["mjj"][good & ~known]), rel=1e-6)
    assert set(columns["region"][data.events.row]) == {1}
    assert data.reference.truth is None


def test_with_labels_background_outside_the_data_is_tested_and_a_reference_that_holds_signal_says_so(load, columns):
    columns["region"] = np.repeat([2, 1, 2], [10, 200, N - 210])
    data = load(columns, reference="region == 2", truth="label", n_background=100, n_signal=20)

    assert (len(data.events), int(data.events.truth.sum())) == (120, 20)
    assert (len(data.test), int(data.test.truth.sum())) == (80, 10)
    assert len(data.reference) == 200
    assert data.counts["reference: signal by its label"] == 10


def test_a_file_of_its_own_is_the_reference(load, columns, tmp_path):
    known = {name: column[:150] for name, column in columns.items() if name != "label"}
    known["pt"] = np.where(np.arange(150) < 30, 1000.0, 1500.0)
    np.savez(tmp_path / "known.npz", **known)
    data = load(columns, reference_path=str(tmp_path / "known.npz"), cuts="pt > 1100", truth="label", scale=0.001)

    assert sorted(data.reference.m) == pytest.approx(sorted(known["mjj"][30:] / 1000), rel=1e-6)
    assert data.counts["reference: cut: pt > 1100"] == 30
    assert len(data.events) + len(data.test) == int((columns["pt"] > 1100).sum())


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"reference": "pt"}, ConfigError, "The reference 'pt' is no condition"),
        ({"reference": "ptt > 3"}, UnknownNameError, "no column 'ptt'.*Did you mean 'pt'"),
        ({"reference": "pt > 5000"}, DataError, "There are 0 reference events; at least 100"),
        ({"reference_path": "/nowhere/e.h5"}, DataError, "no file"),
    ],
)
def test_a_reference_that_is_none_is_refused_in_one_sentence(load, columns, options, error, message):
    with pytest.raises(error, match=message) as caught:
        load(columns, **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "options", [{"reference": "a > 0", "reference_path": "e.npz"}, {"reference": "a > 0", "truth": "t", "n_reference": 3}]
)
def test_the_reference_is_named_once(options):
    with pytest.raises(ValueError, match=r"choose one|leave one of them out"):
        TableConfig(path="e.npz", mass="m", features="a,b", **options)


def test_the_data_are_no_reference_of_their_own():
    with pytest.raises(ValueError, match="is the file of the data itself"):
        TableConfig(path="~/e.npz", reference_path=str(Path.home() / "e.npz"), mass="m", features="a,b")


def test_a_table_offers_the_reference_it_names():
    declared = frozenset({Cap.WINDOW, Cap.REFERENCE, Cap.TRUTH})

    assert TableConfig().offers(declared) == {Cap.WINDOW}
    assert TableConfig(reference="a > 0").offers(declared) == {Cap.WINDOW, Cap.REFERENCE}
    assert TableConfig(reference_path="e.npz", truth="t").offers(declared) == declared


def test_twin_columns_and_invalid_values_are_refused_or_dropped(load, columns):
    columns["b"][:3], columns["mjj"][3] = np.nan, np.inf

    with pytest.raises(DataError, match=r"4 of 400 events have NaN or infinite values: 3 in 'b', 1 in 'mjj'"):
        load(columns)
    data = load(columns, drop_invalid=True)
    assert (len(data.events), dict(data.counts)) == (N - 4, {"dropped: NaN or infinite": 4})
    with pytest.raises(DataError, match="'a' and 'b' are duplicated columns"):
        load({**columns, "mjj": np.linspace(1, 2, N), "b": columns["a"]})


def test_values_too_large_for_single_precision_count_as_invalid(load, columns):
    columns["b"][0] = 1e300
    with pytest.raises(DataError, match="1 in 'b'"):
        load(columns)


def test_a_csv_of_whole_numbers_is_refused_like_any_other(tmp_path):
    path = tmp_path / "e.csv"
    path.write_text("m,a\n" + "".join(f"{i + 0.5},{i}\n" for i in range(200)))

    with pytest.raises(DataError, match="'a' holds whole numbers"):
        Table(TableConfig(path=str(path), mass="m", features="a")).load(RunContext())


@pytest.mark.skipif(not UPSILON.exists(), reason=f"{UPSILON.name} is not beside the checkout")
def test_real_muon_pairs_show_the_upsilon():
    """The mass from two formulas agrees, and the 1S state at 9.46 GeV stands out over its sidebands."""
    energy = "M = sqrt((E1+E2)**2 - (px1+px2)**2 - (py1+py2)**2 - (pz1+pz2)**2)"
    angles = "M = sqrt(2*pt1*pt2*(cosh(eta1-eta2) - cos(phi1-phi2)))"
    options = {"path": str(UPSILON), "features": "pt1,pt2,eta1,eta2", "mass_unit": "GeV"}
    a, b = (Table(TableConfig(mass=mass, **options)).load(RunContext(seed=0)) for mass in (energy, angles))

    assert len(a.events) == 20_000
    assert np.median(np.abs(a.events.m / b.events.m - 1)) < 2e-3  # the second leaves out the mass of the muon
    peak, low, high = (int(((a.events.m > lo) & (a.events.m < lo + 0.2)).sum()) for lo in (9.36, 9.0, 9.75))
    assert peak > 1.5 * (low + high) / 2
