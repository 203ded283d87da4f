"""The cross-fitted likelihood ratio: closed forms, brute force, and its size on a toy without signal."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit, logsumexp

from adtoolkit.context import RunContext
from adtoolkit.metrics.config import LikelihoodRatioConfig
from adtoolkit.metrics.likelihood_ratio import LARGEST, LikelihoodRatio, log_e_value, log_likelihood, p_of_q0, profile
from adtoolkit.scored import Scored
from adtoolkit.types import Sample, Window


def log_ratios(seed, n=3000, share=0.02):
    """Of N(2, 1/2) over N(0, 1), for events with this share of signal."""
    rng = np.random.default_rng(seed)
    x = np.r_[rng.normal(2, 0.5, round(share * n)), rng.normal(0, 1, n - round(share * n))]
    return -0.5 * ((x - 2) / 0.5) ** 2 + np.log(2) + 0.5 * x**2


def scored(log_r, fold=None, folds=5, w=0.01, weight=None, **more):
    n = len(log_r)
    events = Sample(np.zeros((n, 1)), np.full(n, 3.5), weight=weight)
    fold = np.arange(n) % folds if fold is None else fold
    fits = tuple({"w": w} for _ in range(folds))
    return Scored(
        events,
        log_r.astype(np.float32),
        fold.astype(np.int8),
        events[:0],
        np.zeros((0, folds)),
        ("x",),
        Window(3.3, 3.7),
        fits=fits,
        **more,
    )


def compute(table, told=None):
    ctx = RunContext() if told is None else RunContext(tell=lambda event: told.append(event.text))
    return dict(LikelihoodRatio(LikelihoodRatioConfig()).compute(table, ctx))


def test_signal_fraction_interval_and_q0_are_those_of_a_fine_scan():
    log_r = log_ratios(0)
    w = np.linspace(0, 0.1, 20_001)
    curve = np.array([np.log1p(v * np.expm1(log_r)).sum() for v in w])

    found = profile(log_r)

    within = w[curve > curve.max() - 0.5]
    np.testing.assert_allclose([found.w, found.lo, found.hi], [w[curve.argmax()], within[0], within[-1]], atol=2e-5)
    np.testing.assert_allclose(found.q0, 2 * curve.max(), rtol=1e-6)


def test_weights_count_events():
    log_r = log_ratios(1, 300)

    np.testing.assert_allclose(profile(log_r, np.full(300, 2.0)).q0, profile(np.r_[log_r, log_r]).q0, rtol=1e-9)
    np.testing.assert_allclose(profile(log_r, np.r_[np.ones(200), np.zeros(100)]).w, profile(log_r[:200]).w, atol=1e-12)


def test_events_that_look_like_background_give_no_signal():
    found = profile(np.full(1000, -3.0))

    assert (found.w, found.lo, found.q0) == (0.0, 0.0, 0.0)
    assert found.hi == pytest.approx(0.5 / 1000 / (1 - np.exp(-3)), rel=0.01)


def test_no_events_leave_the_fraction_open():
    found = profile(np.zeros(0))

    assert (found.w, found.lo, found.q0) == (0.0, 0.0, 0.0)
    assert found.hi > 0.999


def test_ratios_beyond_all_numbers_stay_finite():
    log_r = np.r_[np.full(5, 1e6), np.full(995, -1e6)]

    found = profile(log_r)

    assert found.w == pytest.approx(0.005, rel=1e-3)
    assert np.isfinite(found.q0)
    assert np.isfinite(log_likelihood(log_r, 0.3))


def test_e_value_is_the_mean_of_the_folds_products():
    log_r, fold = log_ratios(2, 50), np.arange(50) % 3
    w = {0: 0.01, 1: 0.0, 2: 0.3}
    brute = np.mean([np.prod(1 + w[k] * (np.exp(log_r[fold == k]) - 1)) for k in range(3)])

    assert log_e_value(log_r, fold, w) == pytest.approx(np.log(brute), abs=1e-9)


def test_e_value_averages_to_one_without_signal():
    """For an exact background, whatever the signal model: 4 sigma."""
    values = np.array(
        [np.exp(log_e_value(log_ratios(s, 200, 0.0), np.arange(200) % 5, dict.fromkeys(range(5), 0.02))) for s in range(1500)]
    )

    assert abs(values.mean() - 1) < 4 * values.std() / np.sqrt(1500)


def test_p_is_half_a_chi2():
    assert p_of_q0(0.0) == 1.0
    assert p_of_q0(1e-12) == pytest.approx(0.5, abs=1e-6)
    assert p_of_q0(4.0) == pytest.approx(0.02275, abs=1e-5)


def test_the_metric_says_what_it_assumes_in_its_names():
    told = []

    values = compute(scored(log_ratios(3)), told)

    assert {name for name in values if "@exact-background" in name} == {
        f"{name}@exact-background" for name in ("q0", "lr-z", "lr-p", "e-log10", "e-p")
    }
    assert values["lr-z@exact-background"] ** 2 == pytest.approx(values["q0@exact-background"])
    assert values["signal-fraction-lo"] <= values["signal-fraction"] <= values["signal-fraction-hi"]
    assert any("takes the background density for exact" in text for text in told)


def test_only_events_of_the_window_count():
    log_r = log_ratios(4)
    table = scored(np.r_[log_r, np.full(500, 20.0)])
    outside = replace(table.events, m=np.r_[np.full(len(log_r), 3.5), np.full(500, 3.9)])

    assert compute(replace(table, events=outside)) == pytest.approx(compute(scored(log_r)))


def test_scores_of_the_training_events_themselves_give_no_q0():
    told = []

    values = compute(scored(log_ratios(5), folds=1), told)

    assert set(values) == {"signal-fraction", "signal-fraction-lo", "signal-fraction-hi"}
    assert any("judged by the events that it was trained on" in text for text in told)


@pytest.mark.parametrize("common", [0.1, 10.0])
def test_a_weight_that_all_events_share_decides_nothing(common):
    log_r = log_ratios(5)
    assert compute(scored(log_r, weight=np.full(len(log_r), common))) == compute(scored(log_r))


def test_weighted_events_give_no_q0():
    told = []

    values = compute(scored(log_ratios(5), weight=np.linspace(0.5, 1.5, 3000)), told)

    assert "q0@exact-background" not in values
    assert any("weighted sum of logs is no likelihood" in text for text in told)


def test_an_event_without_a_background_density_is_no_evidence_of_signal():
    told, log_r = [], log_ratios(6)

    found, without = compute(scored(np.r_[log_r, LARGEST]), told), compute(scored(np.r_[log_r, -LARGEST]))

    assert found == without
    assert any("1 of 3,001 events without a background density are taken for background" in text for text in told)


def fit_gaussians(x, log_b, used, rng, w=0.01, steps=60):
    """Gaussian signals over a known background by expectation and maximisation, w fixed: [T, N, 2] events, [F, N] which fold f uses.

    Returns log p_sig [T, F, N] of all events.
    """
    mean = rng.normal(size=(len(x), len(used), 1, 2))
    a, b, c = (np.full((len(x), len(used), 1), v) for v in (1.0, 0.0, 1.0))  # covariance [[a, b], [b, c]]
    for step in range(steps + 1):
        d = x[:, None] - mean
        det = a * c - b**2
        square = (c * d[..., 0] ** 2 - 2 * b * d[..., 0] * d[..., 1] + a * d[..., 1] ** 2) / det
        log_s = -0.5 * square - 0.5 * np.log(det) - np.log(2 * np.pi)
        if step == steps:
            return log_s
        r = used * expit(np.log(w / (1 - w)) + log_s - log_b[:, None])
        r /= r.sum(-1, keepdims=True)
        mean = (r[..., None] * x[:, None]).sum(-2, keepdims=True)
        d = x[:, None] - mean
        a, b, c = ((r * d[..., i] * d[..., j]).sum(-1, keepdims=True) + (0.01 if i == j else 0.0) for i, j in ((0, 0), (0, 1), (1, 1)))
    raise AssertionError


def test_size_of_the_test_without_signal_is_right_cross_fitted_and_absurd_on_the_same_data():
    """2-D normal background, known exactly; Gaussian signal models by EM; five folds; nominal 5 %."""
    toys, n, folds = 200, 300, 5
    cross, same, log_e = [], [], []
    rng = np.random.default_rng(0)
    x = rng.normal(size=(toys, n, 2))
    log_b = -0.5 * (x**2).sum(-1) - np.log(2 * np.pi)
    fold = np.arange(n) % folds
    used = np.concatenate([fold != np.arange(folds)[:, None], np.ones((1, n), bool)])  # the last one sees everything
    log_r = fit_gaussians(x, log_b, used, rng) - log_b[:, None]
    for toy in log_r:
        values = compute(scored(toy[fold, np.arange(n)], fold))
        cross.append(values["lr-p@exact-background"])
        log_e.append(values["e-log10@exact-background"] * np.log(10))
        same.append(p_of_q0(profile(toy[-1]).q0))

    cross, same = np.array(cross), np.array(same)
    assert 0.5 * 0.05 * toys <= (cross < 0.05).sum() <= 2 * 0.05 * toys
    assert (same < 0.05).mean() > 0.8  # useless
    assert logsumexp(log_e) - np.log(toys) < np.log(2)  # the mean of E is about 1
    assert max(log_e) < np.log(20 * toys)
