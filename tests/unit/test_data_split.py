"""What is drawn into the data, kept for testing, and what the checks refuse."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from pydantic import ValidationError

from adtoolkit.capabilities import DATA_CAPS, Cap
from adtoolkit.context import RunContext
from adtoolkit.data import checks
from adtoolkit.data.config import DijetsConfig, LhcoConfig, SourceConfig, TableConfig, ToyBumpConfig
from adtoolkit.data.split import Pool, inject
from adtoolkit.errors import DataError
from adtoolkit.types import Dataset, Sample, Window

N_BACKGROUND, N_SIGNAL = 2_000, 300

#: All that data of preprocessed features can offer.
WHOLE = DATA_CAPS - {Cap.CELLS}


@pytest.fixture
def events():
    """Events whose first feature is their own number, so that they can be found again."""
    n = N_BACKGROUND + N_SIGNAL
    rng = np.random.default_rng(3)
    return Sample(np.column_stack([np.arange(n), rng.random(n)]), rng.random(n), truth=rng.permutation(np.arange(n) < N_SIGNAL))


def draw(pool, seed=0, **options) -> Dataset:
    pool = pool if isinstance(pool, Pool) else Pool(pool)
    return inject(pool, SourceConfig(**options), RunContext(seed=seed), features=("a", "b"), mass="m", unit="TeV", counts={})


def numbers(sample: Sample, truth: int) -> list[int]:
    return sample.x[sample.truth == truth, 0].astype(int).tolist()


def test_every_event_goes_to_one_place(events):
    data = draw(events, n_signal=50, n_background=1_500, n_reference=200)

    assert [len(numbers(data.events, 1)), len(numbers(data.events, 0))] == [50, 1_500]
    assert [len(numbers(data.test, 1)), len(numbers(data.test, 0))] == [250, 300]
    assert [len(numbers(data.reference, 1)), len(numbers(data.reference, 0))] == [0, 200]
    everything = Sample.concat(data.events, data.test, data.reference)
    assert sorted(everything.x[:, 0].astype(int).tolist()) == list(range(len(events)))


def test_half_of_the_background_left_out_is_reference_by_default(events):
    data = draw(events, n_signal=0, n_background=1_000)

    assert len(data.reference) == 500
    assert len(numbers(data.test, 0)) == 500
    assert draw(events).reference is None
    assert draw(events, n_background=1_000, n_reference=0).reference is None


def test_the_background_and_its_order_do_not_depend_on_the_signal(events):
    few, many = (draw(events, n_signal=n, n_background=1_000) for n in (10, 200))

    assert numbers(few.events, 0) == numbers(many.events, 0)
    assert numbers(few.reference, 0) == numbers(many.reference, 0)
    assert numbers(few.test, 0) == numbers(many.test, 0)


def test_a_smaller_signal_is_part_of_a_larger_one(events):
    drawn = [numbers(draw(events, n_signal=n).events, 1) for n in (0, 10, 200, N_SIGNAL)]

    assert all(set(a) <= set(b) for a, b in pairwise(drawn))
    assert [len(d) for d in drawn] == [0, 10, 200, N_SIGNAL]


def test_the_same_seed_gives_the_same_data_and_another_seed_others(events):
    options = {"n_signal": 50, "n_background": 1_000}

    assert draw(events, 1, **options).digest == draw(events, 1, **options).digest
    assert draw(events, 1, **options).digest != draw(events, 2, **options).digest
    assert set(numbers(draw(events, 1, **options).events, 1)) != set(numbers(draw(events, 2, **options).events, 1))


def test_the_data_are_shuffled(events):
    """Signal and background must not lie in blocks, nor in the order of the file."""
    data = draw(events)

    ranks = np.flatnonzero(data.events.truth == 1) / len(data.events)
    assert abs(ranks.mean() - 0.5) < 5 * np.sqrt(1 / 12 / N_SIGNAL)
    assert abs(np.corrcoef(data.events.x[:, 0], np.arange(len(data.events)))[0, 1]) < 0.1


def test_extra_background_and_held_events_never_enter_the_data(events):
    extra = Sample(np.full((40, 2), -1.0), np.zeros(40), truth=np.zeros(40))
    held = Sample(np.full((7, 2), -2.0), np.zeros(7), truth=np.ones(7))

    data = draw(Pool(events, extra, held), n_signal=100, n_reference=30)

    assert data.events.x.min() >= 0
    assert (data.reference.x[:, 0] == -1).sum() == 30
    assert (data.test.x[:, 0] == -1).sum() == 10
    assert (data.test.x[:, 0] == -2).sum() == 7


def test_without_truth_all_events_are_data(events):
    data = draw(events.blind())

    assert len(data.events) == len(events)
    assert (len(data.test), data.reference) == (0, None)
    assert data.events.truth is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_signal": 301}, r"data\.n_signal asks for 301 signal events, but there are 300\. .*n_signal=300"),
        ({"n_background": 2_001}, r"data\.n_background asks for 2001 background events, but there are 2000"),
        ({"n_background": 1_900, "n_reference": 101}, r"data\.n_reference asks for 101 .*there are 100"),
        ({"n_reference": 1}, r"there are 0\. .*n_background"),
    ],
)
def test_more_than_there_is_is_refused_with_both_numbers(events, options, message):
    with pytest.raises(DataError, match=message):
        draw(events, **options)


# --- configs ---


def test_lists_are_split_at_commas_as_the_command_line_gives_them():
    config = TableConfig(features="a, b,c", cuts="pt > 1,abs(eta)<2")

    assert config.features == ("a", "b", "c")
    assert config.cuts == ("pt > 1", "abs(eta)<2")


@pytest.mark.parametrize("cls", [DijetsConfig, LhcoConfig, TableConfig, ToyBumpConfig])
def test_smoke_and_paper_presets_are_valid(cls):
    for preset in ("smoke", "paper"):
        assert isinstance(cls.preset(preset), cls)


def test_a_source_offers_what_it_has():
    assert TableConfig().offers(WHOLE) == {Cap.WINDOW}
    assert TableConfig(truth="y").offers(WHOLE) == {Cap.WINDOW, Cap.TRUTH}
    assert TableConfig(truth="y", n_background=10).offers(WHOLE) == WHOLE
    assert LhcoConfig().offers(WHOLE) == {Cap.WINDOW, Cap.TRUTH}
    assert LhcoConfig(extra="file.h5").offers(WHOLE) == WHOLE
    assert LhcoConfig(extra="file.h5", n_reference=0).offers(WHOLE) == {Cap.WINDOW, Cap.TRUTH}
    assert DijetsConfig(n_background=10).offers(WHOLE) == WHOLE
    assert ToyBumpConfig(n_reference=0).offers(WHOLE) == {Cap.WINDOW, Cap.TRUTH}


def test_counts_without_truth_and_negative_counts_are_refused():
    with pytest.raises(ValidationError, match=r"data\.truth"):
        TableConfig(n_signal=5)
    with pytest.raises(ValidationError):
        LhcoConfig(n_signal=-1)


def test_configs_import_neither_numpy_nor_torch():
    import subprocess
    import sys

    code = "import sys, adtoolkit.data.config; print({'numpy', 'torch', 'h5py'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "set()"


# --- checks ---


@pytest.fixture
def dataset():
    m = np.linspace(2, 5, 3_001)
    sample = Sample(np.random.default_rng(0).random((len(m), 2)), m)
    return Dataset(sample, sample[:0], None, ("a", "b"), "mjj", "TeV")


def test_a_good_window_passes(dataset):
    checks.check_window(dataset, Window(3.3, 3.7))


@pytest.mark.parametrize(
    ("window", "message"),
    [
        ((6, 7), r"The window 6 to 7 TeV lies outside the data, whose mjj runs from 2 to 5 TeV"),
        ((0, 1.5), r"outside the data"),
        ((3.0005, 3.0006), r"is empty; at least 100 .*2 to 5 TeV"),
        ((3.0, 3.05), r"holds 49 events; at least 100"),
        ((1.0, 3.0), r"no sideband below the window 1 to 3 TeV"),
        ((4.0, 9.0), r"no sideband above the window"),
    ],
)
def test_an_unfit_window_is_refused_with_numbers(dataset, window, message):
    with pytest.raises(DataError, match=message):
        checks.check_window(dataset, Window(*window))


def good_columns(n=200):
    rng = np.random.default_rng(1)
    return rng.random((n, 2)), rng.random(n)


def test_a_constant_a_twin_the_mass_and_too_few_events_are_refused():
    x, m = good_columns()
    checks.check_features(x, m, ("a", "b"), "m")
    with pytest.raises(DataError, match="Feature 'b' is constant: 2 in all 200 events"):
        checks.check_features(np.column_stack([x[:, 0], np.full(200, 2.0)]), m, ("a", "b"), "m")
    with pytest.raises(DataError, match="'a' and 'b' are duplicated columns"):
        checks.check_features(np.column_stack([x[:, 0], x[:, 0]]), m, ("a", "b"), "m")
    with pytest.raises(DataError, match="Duplicated features: 'a'"):
        checks.check_features(x, m, ("a", "a"), "m")
    with pytest.raises(DataError, match="'b' is the mass 'm' itself"):
        checks.check_features(np.column_stack([x[:, 0], m]), m, ("a", "b"), "m")
    with pytest.raises(DataError, match="There are 99 events; at least 100"):
        checks.check_features(x[:99], m[:99], ("a", "b"), "m")
    with pytest.raises(DataError, match="No features"):
        checks.check_features(x[:, :0], m, (), "m")


def test_invalid_values_are_refused_with_count_and_column_or_dropped_and_counted():
    columns = {"a": np.array([1.0, np.nan, np.inf, 2.0]), "b": np.array([np.nan, np.nan, 1.0, 1e300])}

    with pytest.raises(DataError, match=r"4 of 4 events have NaN or infinite values: 2 in 'a', 3 in 'b'\. .*--drop-invalid"):
        checks.finite_rows(columns, drop=False, counts={})
    counts: dict[str, int] = {}
    assert checks.finite_rows({"a": columns["a"]}, drop=True, counts=counts).tolist() == [True, False, False, True]
    assert counts == {"dropped: NaN or infinite": 2}


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (np.array([1, 2]), "'q' holds whole numbers \\(int64\\) where floating-point .*astype"),
        (np.array([True, False]), "'q' holds true or false"),
        (np.array(["G", "T"]), "'q' holds text .*'G'"),
    ],
)
def test_columns_that_are_no_floats_are_refused(column, message):
    with pytest.raises(DataError, match=message):
        checks.as_float("q", column)


@pytest.mark.parametrize("column", [np.array([0, 1, 1]), np.array([0.0, 1.0, 1.0]), np.array([False, True, True])])
def test_truth_may_be_of_any_numeric_type(column):
    assert checks.as_truth("y", column).tolist() == [0, 1, 1]


def test_truth_that_is_not_zero_or_one_is_refused():
    with pytest.raises(DataError, match=r"'y' must be 0 or 1, but 2 events have other values, such as 2"):
        checks.as_truth("y", np.array([0, 2, 1, 3]))
    with pytest.raises(DataError, match="it holds text"):
        checks.as_truth("y", np.array(["sig", "bkg"]))
    with pytest.raises(DataError, match="1 events have other values, such as nan"):
        checks.as_truth("y", np.array([0.0, np.nan]))


@pytest.mark.parametrize("name", ["tau1", "tau21", "tau21_j1", "tau3j2", "m", "M", "mass", "mjj", "m_jj", "mj1", "mass_j2", "inv_mass"])
def test_masses_and_taus_below_zero_are_refused_but_rounding_is_forgiven(name):
    counts: dict[str, int] = {}
    rounded = checks.check_signs({name: np.array([-1e-9, 1.0])}, counts)

    assert rounded[name].tolist() == [0.0, 1.0]
    assert counts == {f"clipped: {name} below zero by rounding": 1}
    with pytest.raises(DataError, match=f"'{name}' is negative in 1 of 2 events, down to -0.1"):
        checks.check_signs({name: np.array([-0.1, 1.0])}, {})


@pytest.mark.parametrize("name", ["delta_mj", "eta1", "met_phi", "mean", "log_m", "tau", "x0"])
def test_other_columns_may_be_negative(name):
    assert checks.check_signs({name: np.array([-0.1, 1.0])}, {})[name].tolist() == [-0.1, 1.0]
