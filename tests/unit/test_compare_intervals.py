"""Intervals of comparisons: against brute force, and how often they cover the truth."""

from itertools import product

import numpy as np
import pytest
from scipy import stats

from adtoolkit.compare.directions import direction, usual
from adtoolkit.compare.intervals import by_unit, mean_interval, paired, spread


def test_spread_is_the_percentiles_of_the_seeds():
    values = np.random.default_rng(0).normal(size=7)
    ordered = np.sort(values)

    found = spread(values)

    assert found.median == ordered[3]
    assert found.lo == pytest.approx(ordered[0] + 0.96 * (ordered[1] - ordered[0]))  # 0.16 * 6 = 0.96 steps
    assert found.hi == pytest.approx(ordered[5] + 0.04 * (ordered[6] - ordered[5]))


@pytest.mark.parametrize(("values", "median"), [([], None), ([2.0], 2.0), ([2.0, 4.0], 3.0)])
def test_fewer_than_three_seeds_have_no_interval(values, median):
    found = spread(values)

    assert (found.median, found.lo, found.hi, found.n) == (median, None, None, len(values))
    if values:
        assert (paired(values).lo, paired(values).decided) == (None, False)


def test_bootstrap_agrees_with_all_resamples_that_there_are():
    """4^4 resamples of four values can be listed; the interval holds their expanded percentiles and Student's interval."""
    values = np.array([0.1, 0.4, 0.5, 3.0])
    means = np.array([np.mean(resample) for resample in product(values, repeat=4)])
    tail = stats.norm.cdf(-np.sqrt(4 / 3) * stats.t.ppf(0.84, 3))
    lo, hi = np.quantile(means, [tail, 1 - tail], method="inverted_cdf")
    student = stats.t.interval(0.68, 3, values.mean(), stats.sem(values))

    found = mean_interval(values, 0.68)

    np.testing.assert_allclose(found, [min(lo, student[0]), max(hi, student[1])], atol=0.03)
    assert found == mean_interval(values, 0.68)


@pytest.mark.parametrize("n", [3, 5, 10])
@pytest.mark.parametrize("shape", ["normal", "skewed"])
def test_interval_covers_the_true_mean_as_often_as_it_says(n, shape, monkeypatch):
    """Where plain percentiles of the bootstrap do not: 83 % at n = 5 instead of 95 %."""
    monkeypatch.setattr("adtoolkit.compare.intervals.REPLICAS", 2000)
    rng = np.random.default_rng(n)
    draws = rng.normal(size=(400, n)) if shape == "normal" else rng.gamma(4.0, size=(400, n)) - 4.0

    ends = np.array([mean_interval(values) for values in draws])
    covered = float(((ends[:, 0] <= 0) & (ends[:, 1] >= 0)).mean())

    assert covered > (0.93 if shape == "normal" else 0.9)
    assert covered < 0.99


def test_plain_percentiles_of_the_bootstrap_would_be_too_narrow_for_five_seeds():
    rng = np.random.default_rng(0)
    draws = rng.normal(size=(1500, 5))
    means = draws[:, rng.integers(0, 5, (2000, 5))].mean(2)

    lo, hi = np.quantile(means, [0.025, 0.975], axis=1)

    assert ((lo <= 0) & (hi >= 0)).mean() == pytest.approx(0.83, abs=0.03)


def test_pairs_need_not_be_independent_of_each_other_within_a_seed():
    """A common swing of both methods from seed to seed drops out: the difference is known far better than either."""
    rng = np.random.default_rng(1)
    common = rng.normal(0, 5, 6)
    a, b = common + 0.3 + rng.normal(0, 0.05, 6), common + rng.normal(0, 0.05, 6)

    found = paired(a - b)

    assert found.decided
    assert found.lo < 0.3 < found.hi
    assert found.won == 6
    assert spread(a).hi - spread(a).lo > 10 * (found.hi - found.lo)


def test_equal_numbers_decide_nothing_and_are_half_won():
    found = paired([0.0, 0.0, 0.0, 0.0])

    assert (found.mean, found.lo, found.hi, found.won, found.decided) == (0.0, 0.0, 0.0, 2.0, False)


def test_less_is_won_where_less_is_better():
    assert paired([-1.0, -2.0, 3.0], higher=False).won == 2


def test_what_one_set_of_events_gave_several_times_counts_once():
    assert by_unit([1.0, 3.0, 5.0, 7.0], ["a", "a", "b", "c"]) == [2.0, 5.0, 7.0]


@pytest.mark.parametrize(
    ("metric", "towards", "better", "worse"),
    [
        ("sic@1e-2", "more", 2.0, 1.0),
        ("max-sic", "more", 2.0, 1.0),
        ("closure-auc", "near", 0.49, 0.52),
        ("closure-pull-x0", "less", 1.0, 2.0),
        ("max-sic-at", "neither", 1.0, 1.0),
        ("something-of-a-plugin", "neither", 1.0, 1.0),
    ],
)
def test_direction_of_a_metric(metric, towards, better, worse):
    found = direction(metric)

    assert found.towards == towards
    if towards != "neither":
        assert (found.place(better) > found.place(worse)) == found.higher


def test_usual_columns_are_those_that_the_runs_have():
    assert usual(["auc", "sic@1e-1", "rejection@0.2", "auc-lo"]) == ["sic@1e-1", "auc"]
    assert usual(["sculpting-chi2", "excess-z@1e-2", "observed@1e-2"]) == ["excess-z@1e-2", "sculpting-chi2"]
    assert usual(["a", "b"]) == ["a", "b"]
