"""Efficiencies, ROC, SIC and bootstrap against closed forms and brute force."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from adtoolkit.metrics.curves import Ranking, auc, background_efficiency, bootstrap, grid, interval, max_sic, sic, signal_efficiency

EPS = np.array([0.3, 1e-1, 1e-2, 1e-3])


def gaussians(d, n_s, n_b, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(d, 1, n_s), rng.normal(0, 1, n_b)


def test_two_gaussians_follow_theory():
    d = 1.5
    ranking = Ranking.of(*gaussians(d, 200_000, 200_000))

    assert auc(ranking) == pytest.approx(norm.cdf(d / 2**0.5), abs=0.002)
    np.testing.assert_allclose(sic(ranking, EPS), norm.sf(norm.isf(EPS) - d) / EPS**0.5, rtol=0.05)


def test_expected_background_efficiency_is_exact_for_small_samples():
    """With 9 background events the threshold of efficiency 0.2 is the second highest; its mean true efficiency is 2 / 10."""
    rng = np.random.default_rng(0)
    signal = (np.arange(200) + 0.5) / 200  # as the background, so that its efficiency is the true one

    mean = np.mean([signal_efficiency(Ranking.of(signal, rng.uniform(size=9)), 0.2)[0] for _ in range(4000)])

    assert mean == pytest.approx(0.2, abs=0.006)


def test_between_order_statistics_the_roc_equals_brute_force():
    s, b = gaussians(1, 50, 99)
    ranking = Ranking.of(s, b)

    expected = [np.mean(s > np.sort(b)[::-1][j - 1]) for j in range(1, 100)]

    np.testing.assert_allclose(signal_efficiency(ranking, np.arange(1, 100) / 100), expected, atol=1e-12)


@pytest.mark.parametrize("levels", [3, 8, 10**6])
def test_fast_roc_equals_a_slow_polygon_with_ties_and_weights(levels):
    """The reference walks over the groups of equal score, one event of background at a time."""
    rng = np.random.default_rng(levels)
    s, b = rng.integers(0, levels, 40), rng.integers(0, levels, 30)
    ws, wb = rng.integers(0, 4, 40), rng.integers(0, 3, 30)
    x, y, j = [0.0], [0.0], 0
    for value in np.unique(b)[::-1]:
        n, low, high = wb[b == value].sum(), ws[s > value].sum(), ws[s >= value].sum()
        unit = min(wb.mean(), n)
        if n:
            x += [j + unit, j + n]
            y += [low + (high - low) * k / (n + wb.mean()) for k in (unit, n)]
        j += n
    x, y = np.array([*x, j + wb.mean()]), np.array([*y, ws.sum()])
    eps = np.linspace(0, 1, 101)

    fast = signal_efficiency(Ranking.of(s, b, ws, wb), eps)

    np.testing.assert_allclose(fast, np.interp(eps * x[-1], x, y) / ws.sum(), atol=1e-9)


def test_auc_equals_pair_counting_with_ties_as_halves():
    rng = np.random.default_rng(0)
    s, b = rng.integers(0, 6, 70), rng.integers(0, 5, 90)

    pairs = np.mean((s[:, None] > b) + 0.5 * (s[:, None] == b))

    assert auc(Ranking.of(s, b)) == pytest.approx(pairs)
    assert pairs == pytest.approx(roc_auc_score(np.r_[np.ones(70), np.zeros(90)], np.r_[s, b]))


def test_weights_count_as_repeated_events():
    rng = np.random.default_rng(1)
    s, b = gaussians(1, 60, 80)
    ws, wb = rng.integers(1, 4, 60), rng.integers(1, 4, 80)

    weighted = Ranking.of(s, b, ws, wb)

    assert auc(weighted) == pytest.approx(auc(Ranking.of(np.repeat(s, ws), np.repeat(b, wb))))
    np.testing.assert_allclose(
        signal_efficiency(weighted, [0.1, 0.3, 0.7]),
        signal_efficiency(Ranking.of(np.repeat(s, ws), np.repeat(b, wb)), [0.1, 0.3, 0.7]),
        atol=0.02,
    )


@pytest.mark.parametrize("values", [0.0, 7.5])
def test_a_constant_score_has_the_sic_of_chance(values):
    ranking = Ranking.of(np.full(50, values), np.full(1000, values))

    assert auc(ranking) == pytest.approx(0.5)
    np.testing.assert_allclose(signal_efficiency(ranking, EPS), EPS, rtol=1e-9)
    np.testing.assert_allclose(sic(ranking, EPS), EPS**0.5, rtol=1e-9)


def test_few_distinct_scores_without_information_stay_on_the_diagonal():
    rng = np.random.default_rng(0)
    ranking = Ranking.of(rng.integers(0, 3, 100_000), rng.integers(0, 3, 100_000))

    np.testing.assert_allclose(signal_efficiency(ranking, EPS), EPS, rtol=0.05)


def test_a_random_score_has_the_sic_of_chance():
    rng = np.random.default_rng(0)
    ranking = Ranking.of(rng.uniform(size=100_000), rng.uniform(size=100_000))

    np.testing.assert_allclose(sic(ranking, EPS), EPS**0.5, rtol=0.15)


def test_scales_of_the_folds_do_not_matter():
    rng = np.random.default_rng(0)
    s, b = gaussians(1.2, 500, 3000)
    fold = rng.integers(0, 3, 3000)
    signal = np.stack([s + rng.normal(0, 0.1, 500) for _ in range(3)], 1)
    background = np.where(fold[:, None] == np.arange(3), b[:, None], np.nan)

    plain = Ranking.of(signal, background)
    scale, shift = np.array([1, 2, 0.5]), np.array([0, 10, -10])
    shifted = Ranking.of(np.exp(signal * scale) + shift, np.exp(background * scale) + shift)

    np.testing.assert_allclose(sic(shifted, EPS), sic(plain, EPS), rtol=1e-9)
    assert auc(shifted) == pytest.approx(auc(plain))
    np.testing.assert_allclose(bootstrap(shifted, auc, np.random.default_rng(1), 3), bootstrap(plain, auc, np.random.default_rng(1), 3))


def test_folds_weigh_as_much_as_their_background():
    signal = np.array([[1.0, 0.0]])
    background = np.array([[0.5, np.nan]] * 3 + [[np.nan, 0.5]] * 1)

    assert auc(Ranking.of(signal, background)) == pytest.approx(0.75)


def test_a_fold_without_signal_is_left_out():
    signal = np.array([[1.0, np.nan]])
    background = np.array([[0.5, np.nan], [np.nan, 0.5]])

    assert auc(Ranking.of(signal, background)) == 1.0


def test_no_events_give_no_number():
    for s, b in (([], [1.0]), ([1.0], []), ([], [])):
        ranking = Ranking.of(np.array(s), np.array(b))

        assert not ranking.usable
        assert np.isnan(auc(ranking))
        assert np.isnan(sic(ranking, [0.1])).all()
        assert np.isnan(max_sic(ranking, 0.1)).all()
        assert np.isnan(background_efficiency(ranking, [0.5])).all()


def test_max_sic_is_the_largest_above_the_floor():
    ranking = Ranking.of(*gaussians(2, 20_000, 20_000))

    value, at = max_sic(ranking, 1e-3)

    assert at >= 1e-3
    assert value == pytest.approx(max(sic(ranking, grid(1e-3))))
    assert max_sic(ranking, 0.05)[0] <= value


def test_background_efficiency_inverts_the_roc():
    d, eps_s = 2.0, np.array([0.2, 0.5])
    ranking = Ranking.of(*gaussians(d, 100_000, 100_000))

    np.testing.assert_allclose(background_efficiency(ranking, eps_s), norm.sf(norm.isf(eps_s) + d), rtol=0.05)


def test_background_efficiency_of_perfect_separation_is_below_one_event():
    assert background_efficiency(Ranking.of(np.ones(10), np.zeros(10)), [0.5])[0] < 1 / 11


def test_bootstrap_interval_covers_the_truth_about_as_often_as_it_says():
    d, eps, hits = 1.0, 0.1, 0
    truth = norm.sf(norm.isf(eps) - d) / eps**0.5
    for seed in range(120):
        ranking = Ranking.of(*gaussians(d, 300, 400, seed))
        lo, hi = interval(bootstrap(ranking, lambda r: sic(r, eps)[0], np.random.default_rng(seed), 100), sic(ranking, eps)[0])
        hits += lo <= truth <= hi

    assert 0.55 < hits / 120 < 0.8


def test_bootstrap_spread_of_the_auc_agrees_with_hanley_and_mcneil():
    n, d = 400, 1.0
    a = norm.cdf(d / 2**0.5)
    q1, q2 = a / (2 - a), 2 * a * a / (1 + a)
    expected = ((a * (1 - a) + (n - 1) * (q1 - a * a) + (n - 1) * (q2 - a * a)) / n**2) ** 0.5

    spread = np.std(bootstrap(Ranking.of(*gaussians(d, n, n)), auc, np.random.default_rng(0), 400))

    assert spread == pytest.approx(expected, rel=0.2)


def test_interval_always_holds_the_estimate():
    lo, hi = interval(np.array([[1.0, 5.0], [2.0, 6.0], [3.0, np.nan]]), [0.5, 7.0])

    assert (lo[0], hi[1]) == (0.5, 7.0)
    assert 2 < hi[0] < 3
    assert 5 < lo[1] < 6
