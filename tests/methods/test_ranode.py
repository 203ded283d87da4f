"""The R-ANODE scorer on a bump in closed form, whose background density is exact."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from support.bumps import FAST, WINDOW, exact_background, fit, world

from adtoolkit.data import toy_bump
from adtoolkit.errors import CacheError
from adtoolkit.metrics.likelihood_ratio import LARGEST, profile
from adtoolkit.testing.worlds import ToyModel
from adtoolkit.types import Sample
from adtoolkit_ranode.fitted import RAnodeScorer
from adtoolkit_ranode.mixture import log_background


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Fitted without the guard on 250 signal events, as the densities of the toy are exact."""
    made, data = world(250)
    return made, fit(data, guard=0.0, workdir=tmp_path_factory.mktemp("work"))


def test_it_finds_a_bump_nearly_as_well_as_the_optimal_score(found):
    made, fitted = found
    test = made.inside(made.dataset.test)
    best = toy_bump.optimal_score(test.x, test.m) + toy_bump.log_prob_mass_signal(test.m) - toy_bump.log_prob_mass_background(test.m)

    value, optimal = (roc_auc_score(test.truth, score) for score in (fitted.score(test.blind()), best))

    assert optimal - 0.02 < value <= optimal + 0.005


def test_the_signal_fraction_of_fresh_events_covers_the_true_one(found):
    """Within two standard deviations, half the width of the interval each."""
    _, fitted = found
    fresh = world(250, seed=77)[0]
    events = fresh.inside(fresh.dataset.events)
    seen = profile(fitted.score(events.blind()))
    numbers = fitted.summary()

    assert abs(seen.w - events.truth.mean()) < seen.hi - seen.lo
    assert abs(numbers["w"] - events.truth.mean()) < 2 * (seen.hi - seen.lo)  # of the events that chose the epochs: optimistic
    assert numbers["dead-members"] == 0
    assert numbers["held-out-gain"] > 0


def test_the_mean_of_the_ratio_over_the_background_is_one(found):
    """w R + 1 - w averages to one over draws of the background, whatever w: 4 sigma."""
    _, fitted = found
    background = exact_background()
    drawn = background.sample(40_000, np.random.default_rng(5))
    ratio = np.exp(fitted.score(drawn).astype(np.float64))

    assert abs(ratio.mean() - 1) < 4 * ratio.std() / np.sqrt(len(ratio))
    assert 0.5 < ratio.mean() < 1.5


def test_the_guard_makes_the_mean_of_the_ratio_smaller_never_larger(found):
    _, fitted = found
    guarded = replace(fitted, guard=0.1)
    drawn = exact_background().sample(20_000, np.random.default_rng(6))
    ratio, with_guard = (np.exp(one.score(drawn).astype(np.float64)) for one in (fitted, guarded))

    assert (with_guard <= ratio * (1 + 1e-4)).all()


def test_the_guard_bounds_the_ratio_where_the_model_has_no_density():
    """A background that gives an outlier the density exp(-800) is no reason to call it signal."""

    class Thin(ToyModel):
        def log_prob(self, x, cond):
            return np.where(x[:, 0] > 4, np.float32(-800), super().log_prob(x, cond))

    background = replace(exact_background(), model=Thin())
    event = Sample(np.array([[5.0, 0.0]]), np.array([3.5]))

    assert log_background(background, event, 0.0)[0] < -700
    assert log_background(background, event, 0.01)[0] > -15


def test_background_counts_from_the_data_agree_with_those_of_the_background_itself(found):
    """Where the mixture is right, sum 1 / (w R + 1 - w) over the data above a cut is the background there."""
    made, fitted = found
    data = made.inside(made.dataset.events).blind()
    n, w = len(data), fitted.summary()["w"]
    log_r = fitted.score(data).astype(np.float64)
    drawn = fitted.score(exact_background().sample(100_000, np.random.default_rng(11))).astype(np.float64)
    for eps in (0.1, 0.01):
        cut = np.quantile(drawn, 1 - eps)
        terms = 1 / (w * np.exp(log_r[log_r > cut]) + 1 - w)

        assert abs(terms.sum() - (1 - w) * eps * n) < 4 * np.sqrt(eps * n)


@pytest.fixture(scope="module")
def weighted(found):
    """Events of a broad density over the box, and weights that make them events of the learnt density."""
    _, fitted = found
    rng = np.random.default_rng(7)
    n = 60_000
    m = rng.uniform(3.3 + 1e-6, 3.7 - 1e-6, n).astype(np.float32)
    x = rng.standard_t(3, (n, 2)).astype(np.float32) * 1.5
    scale = np.prod(2 / (np.pi * np.sqrt(3) * 1.5 * (1 + (x / 1.5) ** 2 / 3) ** 2), axis=1)
    events = Sample(x, m)
    return events, np.exp(fitted.signal.log_prob(events)) * WINDOW.width / scale


def test_the_learnt_density_integrates_to_one_inside_the_window(weighted):
    """By importance sampling; nothing is outside of the box."""
    _, weight = weighted

    assert abs(weight.mean() - 1) < 4 * weight.std() / np.sqrt(len(weight))
    assert weight.std() / np.sqrt(len(weight)) < 0.05


def test_draws_follow_the_density_of_the_score(found, weighted):
    """Means and spreads of the draws are those of the density, by importance sampling."""
    _, fitted = found
    events, weight = weighted
    drawn = fitted.sample_signal(20_000, np.random.default_rng(1))

    for own, its in zip((drawn.m, *drawn.x.T), (events.m, *events.x.T), strict=True):
        mean = np.average(its.astype(np.float64), weights=weight)
        for power in (1, 2):
            values, expected = (own - mean).astype(np.float64) ** power, (its - mean).astype(np.float64) ** power
            answer = np.average(expected, weights=weight)
            error = np.sqrt(values.var() / len(values) + (weight**2 * (expected - answer) ** 2).sum() / weight.sum() ** 2)
            assert abs(values.mean() - answer) < 4 * error
            assert error < 0.1 * max(np.sqrt(expected.var()), np.sqrt(values.var()))


def test_members_and_epochs_are_averaged_in_probability(found):
    """A mean of log densities would be no density."""
    _, fitted = found
    events = exact_background().sample(200, np.random.default_rng(3))
    rows = fitted.signal.rows
    each = np.stack([replace(fitted.signal, rows=rows[i : i + 1]).log_prob(events) for i in range(len(rows))])
    found_log = fitted.signal.log_prob(events)

    assert len(rows) > 1
    np.testing.assert_allclose(found_log, np.logaddexp.reduce(each) - np.log(len(each)), atol=1e-4)
    assert np.abs(found_log - each.mean(0)).max() > 0.1


def test_mass_never_leaks_out_of_the_window(found):
    _, fitted = found
    drawn = fitted.sample_signal(5000, np.random.default_rng(8))
    outside = Sample(np.zeros((3, 2)), np.array([2.9, 3.3, 3.75]))

    assert WINDOW.contains(drawn.m).all()
    np.testing.assert_array_equal(fitted.score(outside), -LARGEST)


def test_draws_are_of_the_learnt_signal(found):
    """Only m is mapped back: features come at the place they were learnt at (a fault of the reference moved all columns)."""
    _, fitted = found
    drawn = fitted.sample_signal(4000, np.random.default_rng(9))
    signal = toy_bump.sample_signal(np.full(4000, 3.5), np.random.default_rng(1), n_features=2)

    np.testing.assert_allclose(np.median(drawn.x, 0), np.median(signal, 0), atol=0.25)
    assert abs(np.median(drawn.m) - 3.5) < 0.03
    assert fitted.sample_signal(0, np.random.default_rng(0)).x.shape == (0, 2)


def test_events_without_a_background_density_score_highest_not_in_the_middle(found):
    _, fitted = found

    class Broken(ToyModel):
        def log_prob(self, x, cond):
            return np.where(x[:, 0] > 1, np.float32(np.nan), np.where(x[:, 0] < -1, np.float32(-np.inf), np.float32(0)))

    broken = replace(fitted, background=replace(exact_background(), model=Broken()))
    scores = broken.score(Sample(np.array([[2.0, 0], [-2.0, 0], [0, 0]]), np.full(3, 3.5)))

    assert scores[:2].tolist() == [LARGEST, LARGEST]
    assert scores[2] < LARGEST


def test_stored_scorers_answer_the_same_and_composed_backgrounds_say_that_they_are_not_stored(found, tmp_path):
    made, fitted = found
    test = made.dataset.test[:500].blind()
    fitted.save(tmp_path)

    back = RAnodeScorer.load(tmp_path, "cpu")

    np.testing.assert_allclose(back.score(test), fitted.score(test), atol=1e-5)
    assert back.summary() == fitted.summary()
    np.testing.assert_array_equal(back.curves()["profile"], fitted.curves()["profile"])

    class Composed:
        def log_prob(self, x, cond):
            return np.zeros(len(x), np.float32)

    other = tmp_path / "other"
    other.mkdir()
    replace(fitted, background=replace(exact_background(), model=Composed())).save(other)
    with pytest.raises(CacheError, match="composed by an interpolator"):
        RAnodeScorer.load(other, "cpu")


def test_without_signal_it_says_so_and_stays_finite():
    """Members that gain nothing on events they held out are left out; if none gains, the mean of all is the score."""
    made, data = world(0, seed=4)
    told = []

    fitted = fit(data, told=told, w=0.2, epochs=4, guard=0.0)

    numbers = fitted.summary()
    assert np.isfinite(fitted.score(made.inside(made.dataset.test).blind())).all()
    if numbers["dead-members"] == 2:
        assert any("no signal was found" in text for text in told)
        assert len(fitted.signal.rows) == 2 * FAST["best_epochs"]
    else:
        assert len(fitted.signal.rows) == (2 - numbers["dead-members"]) * FAST["best_epochs"]


def test_dead_members_are_left_out_and_counted():
    """With w = 0.9 nothing is learnt in one epoch that explains the data: every member is dead, and that is said."""
    _, data = world(0, seed=5)
    told = []

    fitted = fit(data, told=told, w=0.9, epochs=1, best_epochs=1)

    assert fitted.summary()["dead-members"] == 2
    assert fitted.summary()["w"] < 0.05
    assert any("none of 2 members" in text for text in told)


def test_a_scan_takes_the_fraction_of_highest_held_out_likelihood():
    _, data = world(250)

    fitted = fit(data, mode="scan", grid=(1e-4, 0.1, 0.5))

    scan = fitted.curves()["scan"]
    np.testing.assert_allclose(scan[:, 0], [1e-4, 0.1, 0.5], rtol=1e-6)
    assert scan[:, 1].argmax() == 1
    assert fitted.summary()["w-trained"] == pytest.approx(0.1)


def test_a_learned_fraction_moves_to_the_true_one_and_is_held_at_first():
    made, data = world(250)
    truth = made.inside(made.dataset.events).truth.mean()

    held = fit(data, mode="learned", w=0.02, epochs=4, anneal=0.99)
    moved = fit(data, mode="learned", w=0.02)

    assert held.summary()["w-trained"] == pytest.approx(0.02, rel=0.3)
    assert 0.5 * truth < moved.summary()["w-trained"] < 1.6 * truth
