from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from adtoolkit.context import RunContext
from adtoolkit.metrics.config import ExcessConfig
from adtoolkit.metrics.excess import Excess, cut_at, significance
from adtoolkit.scored import Scored
from adtoolkit.types import Sample, Window


def profiled(n, b, s):
    """Brute force: likelihood ratio of a Poisson count with a Poisson side measurement of the same relative precision."""
    tau = b / s**2
    m = tau * b

    def minus_log(mu, rate):
        return mu + rate - n * np.log(mu + rate) + tau * rate - m * np.log(tau * rate)

    null = minimize_scalar(lambda r: minus_log(0.0, r), bounds=(1e-6, 10 * (n + b)), method="bounded", options={"xatol": 1e-10}).fun
    free = minus_log(n - b, b)
    return np.sign(n - b) * np.sqrt(2 * (null - free))


@pytest.mark.parametrize(("n", "b", "s"), [(120, 100, 5), (30, 10, 3), (80, 100, 7), (346, 133, 6)])
def test_significance_is_that_of_the_profile_likelihood(n, b, s):
    assert significance(n, b, s) == pytest.approx(profiled(n, b, s), rel=1e-4)


def test_significance_without_uncertainty_is_the_poisson_formula():
    expected = np.sqrt(2 * (130 * np.log(1.3) - 30))
    assert significance(130, 100, 0) == pytest.approx(expected)
    assert significance(130, 100, 1e-3) == pytest.approx(expected, rel=1e-6)
    assert significance(100, 100, 5) == 0
    assert significance(0, 5, 0) == pytest.approx(-np.sqrt(10))


def search(seed, n_signal):
    """Scores of data that are like the template, but for a signal at high scores; two folds on different scales."""
    rng = np.random.default_rng(seed)
    n, b = 4000, 16_000
    m = rng.uniform(3.0, 4.0, n).astype(np.float32)
    score = rng.normal(size=n).astype(np.float32)
    m[:n_signal], score[:n_signal] = 3.5, 4.0
    fold, template_fold = (np.arange(k) % 2 for k in (n, b))
    template_score = rng.normal(size=b).astype(np.float32)
    return Scored(
        events=Sample(np.zeros((n, 1)), m),
        score=score + 100 * fold.astype(np.float32),
        fold=fold.astype(np.int8),
        test=Sample(np.zeros((0, 1)), np.zeros(0)),
        test_score=np.zeros((0, 2), np.float32),
        features=("a",),
        window=Window(3.3, 3.7),
        template=Sample(np.zeros((b, 1)), np.full(b, 3.5)),
        template_score=template_score + 100 * template_fold.astype(np.float32),
        template_fold=template_fold.astype(np.int8),
    )


def test_without_signal_the_significance_is_a_standard_normal():
    z = [Excess(ExcessConfig(at=(0.1,))).compute(search(seed, 0), RunContext())["excess-z@1e-1"] for seed in range(300)]

    assert abs(np.mean(z)) < 4 / np.sqrt(300)
    assert np.std(z) == pytest.approx(1, abs=0.15)


def recurring(seed):
    """The same without signal, but each event of the template was drawn four times; its copies share a fold."""
    scored = search(seed, 0)
    origin = np.arange(16_000) % 4000
    fold = (np.arange(4000) % 2).astype(np.int8)
    return replace(
        scored,
        template=replace(scored.template, group=origin),
        template_score=(np.random.default_rng(seed + 1000).normal(size=4000).astype(np.float32) + 100 * fold)[origin],
        template_fold=fold[origin],
    )


def test_a_template_of_recurring_events_has_the_error_of_the_different_ones():
    cuts = [cut_at(recurring(seed), 0.1) for seed in range(300)]
    independent = cut_at(search(0, 0), 0.1).template_error

    assert np.mean([cut.template_error for cut in cuts]) == pytest.approx(2 * np.sqrt(0.9) * independent, rel=0.05)
    assert np.std([cut.significance for cut in cuts]) == pytest.approx(1, abs=0.15)


def test_a_signal_is_an_excess_of_its_size():
    told = Excess(ExcessConfig()).compute(search(0, 60), RunContext())

    assert told["observed@1e-2"] - told["expected@1e-2"] == pytest.approx(60, abs=20)
    assert told["excess-z@1e-2"] > 5
    assert told["expected@1e-2-lo"] < told["expected@1e-2"] < told["expected@1e-2-hi"]


def test_no_negative_number_of_events_is_expected():
    told = Excess(ExcessConfig(at=(6e-4,), least=0.5)).compute(search(0, 0), RunContext())

    assert told["expected@6e-4"] < 1
    assert told["expected@6e-4-lo"] == 0.0


def test_cuts_that_leave_nothing_are_left_out_and_said():
    notes = []
    context = RunContext(tell=lambda event: notes.append(event.text))
    told = Excess(ExcessConfig(at=(1e-4,))).compute(search(0, 0), context)

    assert told == {}
    assert "excess@1e-4 left out" in notes[0]


@pytest.mark.parametrize("digits", [0, 1])
def test_equal_scores_make_neither_excess_nor_deficit(digits):
    found = []
    for seed in range(30):
        scored = search(seed, 0)
        rounded = replace(scored, score=scored.score.round(digits), template_score=scored.template_score.round(digits))
        numbers = Excess(ExcessConfig(at=(0.1,))).compute(rounded, RunContext())
        found.append(numbers["excess-z@1e-1"])
        level = cut_at(rounded, 0.1)
        share = np.mean(rounded.template_score > np.array(level.levels)[rounded.template_fold])
        assert numbers["expected@1e-1"] == pytest.approx(share * scored.window.contains(scored.events.m).sum(), rel=0.01)

    assert abs(np.mean(found)) < 3 / np.sqrt(30)
    assert 0.6 < np.std(found) < 1.4
