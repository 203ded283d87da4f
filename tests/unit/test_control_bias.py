"""The bias that control regions show: a template that is wrong beside the window too makes no discovery inside."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from adtoolkit.context import RunContext
from adtoolkit.control_plan import regions
from adtoolkit.metrics.config import ExcessConfig
from adtoolkit.metrics.excess import Bias, Excess, bias_of, cut_at, significance
from adtoolkit.scored import Control, Scored
from adtoolkit.types import Sample, Window

WINDOW = Window(3.3, 3.7)


def search(seed, bias, n_signal=0, n=12_000):
    """Two folds; of the data in window and control regions ``bias`` more lies above the score that a tenth of the template exceeds."""
    rng = np.random.default_rng(seed)
    m = rng.uniform(2.5, 4.5, n).astype(np.float32)
    inside = np.flatnonzero(WINDOW.contains(m))
    beside = regions(WINDOW, 1.0)
    near = np.concatenate([m[side.contains(m)] for side in beside])

    def scores(size, extra):
        high = rng.random(size) < 0.1 * (1 + extra)
        return np.where(high, rng.uniform(0.9, 1.0, size), rng.uniform(0.0, 0.9, size)).astype(np.float32)

    def folds(size, k=2):
        return (np.arange(size) % k).astype(np.int8)

    score = scores(n, bias)
    score[inside[:n_signal]] = 0.95
    template = np.full(4 * len(inside), 3.5)
    return Scored(
        events=Sample(np.zeros((n, 1)), m),
        score=score,
        fold=folds(n),
        test=Sample(np.zeros((0, 1)), np.zeros(0)),
        test_score=np.zeros((0, 2), np.float32),
        features=("a",),
        window=WINDOW,
        template=Sample(np.zeros((len(template), 1)), template),
        template_score=scores(len(template), 0.0),
        template_fold=folds(len(template)),
        control=Control(
            windows=beside,
            m=near,
            score=scores(len(near), bias),
            fold=folds(len(near), 4),
            template_m=np.repeat(near, 4),
            template_score=scores(4 * len(near), 0.0),
            template_fold=folds(4 * len(near), 4),
            folds=4,
        ),
    )


def told(scored):
    return Excess(ExcessConfig(at=(0.1,))).compute(scored, RunContext())


def test_a_template_that_is_wrong_everywhere_makes_no_discovery():
    numbers = [told(search(seed, 0.3)) for seed in range(100)]

    assert np.mean([n["excess-z@1e-1"] for n in numbers]) > 3
    assert max(n["excess-z-corrected@1e-1"] for n in numbers) < 2
    bias, error = np.array([[n["control-bias@1e-1"], n["control-bias@1e-1-hi"] - n["control-bias@1e-1"]] for n in numbers]).T
    assert np.mean(bias) == pytest.approx(0.3, abs=0.02)
    assert np.std(bias) == pytest.approx(np.mean(error), rel=0.3)


def test_with_a_good_template_a_signal_stays_one():
    clean, signal = (told(search(7, 0.0, n_signal)) for n_signal in (0, 150))

    assert abs(clean["excess-z-corrected@1e-1"]) < 2
    assert signal["excess-z@1e-1"] > signal["excess-z-corrected@1e-1"] > 4


def test_a_bias_below_zero_does_not_make_an_excess():
    """Fewer events pass beside the window than the template lets expect; inside it is right."""
    scored = search(3, 0.0)
    scored = replace(scored, control=replace(scored.control, score=0.8 * scored.control.score))
    numbers = told(scored)

    assert numbers["control-bias@1e-1"] < -0.5
    assert abs(numbers["excess-z-corrected@1e-1"]) <= abs(numbers["excess-z@1e-1"])


def test_the_bias_is_that_of_counting_by_hand():
    control = (scored := search(1, 0.2)).control
    observed = 0.0
    for k in range(4):
        drawn = np.sort(control.template_score[control.template_fold == k])[::-1]
        level = drawn[int(0.1 * len(drawn))]  # a tenth lies above
        observed += (control.score[control.fold == k] > level).sum()

    assert bias_of(scored, 0.1).value == pytest.approx(observed / (0.1 * len(control.score)) - 1, abs=2 / (0.1 * len(control.score)))


def test_a_cut_that_would_lie_at_the_highest_score_tells_no_bias():
    scored = search(1, 0.2)
    few = np.flatnonzero(scored.control.template_fold != 3)

    assert bias_of(scored, 1e-4) is None
    control = replace(scored.control, template_score=scored.control.template_score[few], template_fold=scored.control.template_fold[few])
    assert bias_of(replace(scored, control=control), 0.1) is None, "a fold without template"


def test_without_control_regions_errors_are_statistical():
    numbers = told(replace(search(0, 0.0), control=None))

    assert not any("control" in name or "corrected" in name for name in numbers)


def test_a_template_made_from_few_events_makes_the_bias_uncertain():
    """Forty groups, a tenth of which lie above the cut as a whole: what passes is known as four groups are, not as thousands of draws."""
    scored = search(1, 0.0)
    control = scored.control
    group = np.random.default_rng(0).integers(40, size=len(control.template_score))
    high = np.where(group % 10 == 0, 0.95, 0.5).astype(np.float32)
    alone = bias_of(replace(scored, control=replace(control, template_score=high)), 0.1)
    shared = bias_of(replace(scored, control=replace(control, template_score=high, template_group=group)), 0.1)

    assert shared.value == alone.value
    assert shared.error > 3 * alone.error


@pytest.mark.parametrize("bias", [0.7, 0.1, -0.3])
def test_the_corrected_significance_is_the_published_formula_with_the_error_of_the_bias(bias):
    cut = cut_at(search(2, 0.2), 0.1)
    raised = cut.expected * (1 + max(bias, 0))  # other than published, a deficit beside the window lowers nothing
    relative = np.sqrt((cut.template_error / cut.expected) ** 2 + bias**2 + 0.05**2)

    assert Bias(bias, 0.05).significance(cut) == pytest.approx(significance(cut.observed, raised, raised * relative))
