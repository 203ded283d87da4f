"""Metrics of a run: which events they take, what they are called, what they leave out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

from adtoolkit.context import RunContext
from adtoolkit.metrics.closure import Closure, equal_edges, pulls, two_sample
from adtoolkit.metrics.config import AucConfig, ClosureConfig, MaxSicConfig, RejectionConfig, SculptingConfig, SicConfig
from adtoolkit.metrics.curves import auc
from adtoolkit.metrics.ranking import Auc, MaxSic, Rejection, Sic, power
from adtoolkit.metrics.sculpting import Sculpting, chi2_per_degree
from adtoolkit.metrics.selection import judge, threshold
from adtoolkit.scored import Scored
from adtoolkit.types import Sample, Window

WINDOW = Window(3.3, 3.7)
FOLDS = 4
D = 1.5


def events(n, seed, truth, lo, hi):
    rng = np.random.default_rng(seed)
    x = rng.normal(D * truth, 1.0, (n, 2))
    return Sample(x, rng.uniform(lo, hi, n), truth=np.full(n, truth))


def make(n_data=8000, n_injected=100, n_test_b=0, n_test_s=3000, shifts=(0, 0, 0, 0)):
    """A run whose score is the first feature, with a shift per fold."""
    rng = np.random.default_rng(0)
    data = Sample.concat(events(n_data, 1, 0, 3.0, 4.0), events(n_injected, 2, 1, 3.4, 3.6))
    test = Sample.concat(events(n_test_s, 3, 1, 3.2, 3.6), events(n_test_b, 4, 0, 3.3001, 3.6999))
    fold = rng.integers(0, FOLDS, len(data)).astype(np.int8)
    template = events(6000, 5, 0, 3.31, 3.69).blind()
    template_fold = rng.integers(0, FOLDS, 6000).astype(np.int8)
    shifts = np.asarray(shifts)
    return Scored(
        events=data,
        score=data.x[:, 0] + shifts[fold],
        fold=fold,
        test=test,
        test_score=test.x[:, :1] + shifts,
        features=("first", "second one"),
        window=WINDOW,
        template=template,
        template_score=template.x[:, 0] + shifts[template_fold],
        template_fold=template_fold,
    )


def compute(metric, scored, **context):
    return metric.compute(scored, RunContext(**context))


@pytest.fixture
def notes():
    return []


@pytest.fixture
def heard(notes):
    return RunContext(tell=lambda event: notes.append(event.text))


def test_without_test_background_the_cross_fitted_window_serves():
    scored = make(n_data=60_000)
    judged = judge(scored)

    numbers = compute(Auc(AucConfig()), scored)

    assert (judged.background, judged.signal, judged.remark) == ("cross-fitted background of the window", "test signal", "")
    assert judged.ranking.size == ((scored.events.truth == 0) & scored.inside(scored.events)).sum()
    assert judged.ranking.signals == scored.inside(scored.test).sum() < 3000
    assert numbers["auc"] == pytest.approx(norm.cdf(D / 2**0.5), abs=0.01)
    assert numbers["auc-lo"] < numbers["auc"] < numbers["auc-hi"]


@pytest.mark.parametrize(("n_test", "judged_by"), [(300, "cross-fitted background of the window"), (330, "test background")])
def test_a_left_over_of_test_background_does_not_replace_that_of_the_data(n_test, judged_by):
    scored = make(n_test_b=n_test)  # about 3,200 background events of the data lie in the window
    assert judge(scored).background == judged_by


def test_test_background_is_preferred_and_scored_by_the_mean_of_the_folds():
    scored = make(n_test_b=5000)
    scored = replace(scored, test_score=scored.test_score + np.random.default_rng(0).normal(0, 1, scored.test_score.shape))

    judged = judge(scored)

    assert judged.background == "test background"
    assert len(judged.ranking.blocks) == 1
    assert judged.ranking.size == 5000
    assert auc(judged.ranking) == pytest.approx(norm.cdf(D / (2 * 1.25) ** 0.5), abs=0.015)  # the noise is down by the mean of 4


def test_a_scorer_trained_on_truth_is_judged_fold_by_fold():
    scored = make(n_test_b=6000, shifts=(0, 50, -50, 7))
    own = np.arange(len(scored.test))[:, None] % FOLDS == np.arange(FOLDS)
    scored = replace(scored, test_score=np.where(own, scored.test_score, np.nan))

    judged = judge(scored)

    assert len(judged.ranking.blocks) == FOLDS
    assert judged.ranking.size == 6000
    assert auc(judged.ranking) == pytest.approx(norm.cdf(D / 2**0.5), abs=0.01)


@pytest.mark.parametrize("n_test_b", [0, 4000])
def test_scales_of_the_folds_do_not_change_any_number(n_test_b):
    plain, shifted = (make(n_test_b=n_test_b, shifts=s) for s in ((0, 0, 0, 0), (0, 100, -40, 3)))

    for metric in (Auc(AucConfig(replicas=5)), Sic(SicConfig(replicas=5)), MaxSic(MaxSicConfig(replicas=5))):
        one, two = compute(metric, plain), compute(metric, shifted)

        assert one.keys() == two.keys()
        np.testing.assert_allclose(list(one.values()), list(two.values()), rtol=1e-4)


def test_injected_signal_serves_only_if_there_is_no_other_and_that_is_said(heard, notes):
    scored = make(n_test_s=0, n_injected=400)

    Auc(AucConfig(replicas=5)).compute(scored, heard)

    assert judge(scored).signal == "injected signal"
    assert judge(scored).ranking.signals == 400
    assert "injected signal, cross-fitted" in notes[0]


def test_injected_signal_against_test_background_stays_fold_by_fold():
    judged = judge(make(n_test_s=0, n_injected=400, n_test_b=3000, shifts=(0, 100, -40, 3)))

    assert judged.ranking.size == pytest.approx(3000)
    assert auc(judged.ranking) == pytest.approx(norm.cdf(D / 2**0.5), abs=0.03)


def test_without_any_truth_nothing_is_computed_and_that_is_said(heard, notes):
    scored = make()
    blind = replace(scored, events=scored.events.blind(), test=scored.test[:0], test_score=scored.test_score[:0])

    assert judge(blind) is None
    for metric in (Auc(AucConfig()), Sic(SicConfig()), MaxSic(MaxSicConfig()), Rejection(RejectionConfig())):
        assert metric.compute(blind, heard) == {}
        assert "not computed" in notes[-1]


def test_sic_follows_theory_and_leaves_out_what_has_no_statistics(heard, notes):
    scored = make(n_data=60_000)  # 24,000 in the window: 6.25 events pass at 2.6e-4

    numbers = Sic(SicConfig()).compute(scored, heard)

    assert [n for n in numbers if not n.endswith(("-lo", "-hi"))] == ["sic@1e-1", "sic@1e-2", "sic@1e-3"]
    for eps, within in ((0.1, 0.04), (0.01, 0.12)):
        name = f"sic@{power(eps)}"
        assert numbers[name] == pytest.approx(norm.sf(norm.isf(eps) - D) / eps**0.5, rel=within)
        assert numbers[f"{name}-lo"] < numbers[name] < numbers[f"{name}-hi"]
    assert "sic@1e-4 left out" in notes[0]
    assert "6.25 pass only from eps_B = 0.00026 on" in notes[0]


@pytest.mark.parametrize(("of", "least"), [("sic", 6.25), ("background", 25.0)])
def test_max_sic_prints_the_floor_of_its_convention(of, least):
    scored = make(n_test_b=5000)

    numbers = compute(MaxSic(MaxSicConfig(of=of, replicas=20)), scored)

    assert numbers["max-sic-floor"] == pytest.approx(least / 5000)
    assert numbers["max-sic-at"] >= numbers["max-sic-floor"] * (1 - 1e-9)
    assert numbers["max-sic-lo"] <= numbers["max-sic"] <= numbers["max-sic-hi"]


def test_max_sic_at_the_floor_is_pointed_out(heard, notes):
    scored = make(n_test_b=5000)
    perfect = replace(scored, test_score=np.repeat(scored.test.truth[:, None] * 1.0, scored.test_score.shape[1], 1))

    MaxSic(MaxSicConfig(replicas=20)).compute(perfect, heard)
    assert "max-sic lies at the statistical floor, eps_B = 0.0012" in notes[-1]
    told = len(notes)
    blind = replace(scored, score=0 * scored.score, test_score=0 * scored.test_score)  # best without a cut
    MaxSic(MaxSicConfig(replicas=20)).compute(blind, heard)
    assert len(notes) == told


def test_rejection_follows_theory_and_leaves_out_what_has_no_statistics(heard, notes):
    scored = make(n_test_b=50_000)

    numbers = Rejection(RejectionConfig(at=(0.001, 0.2, 0.5), replicas=20)).compute(scored, heard)

    assert "rejection@0.001" not in numbers
    assert "rejection@0.001 left out" in notes[0]
    for eps in (0.2, 0.5):
        assert numbers[f"rejection@{eps}"] == pytest.approx(1 / norm.sf(norm.isf(eps) + D), rel=0.25)
        assert numbers[f"rejection@{eps}-lo"] < numbers[f"rejection@{eps}"] < numbers[f"rejection@{eps}-hi"]


def test_same_seed_same_numbers():
    scored = make()

    assert compute(Sic(SicConfig()), scored, seed=3) == compute(Sic(SicConfig()), scored, seed=3)
    assert compute(Sic(SicConfig()), scored, seed=3) != compute(Sic(SicConfig()), scored, seed=4)


@pytest.mark.parametrize(("eps", "name"), [(0.1, "1e-1"), (1e-4, "1e-4"), (0.03, "3e-2"), (0.25, "2.5e-1"), (1.0, "1e0")])
def test_efficiencies_are_written_short(eps, name):
    assert power(eps) == name


def test_threshold_is_the_weibull_quantile():
    scores = np.array([5.0, np.nan, 1, 2, 3, 4, 6, 7, 8, 9])

    assert threshold(scores, 0.2) == pytest.approx(8.0)  # 2nd highest of 9
    assert threshold(scores, 0.15) == pytest.approx(8.5)
    assert threshold(scores, 1e-6) == 9.0
    assert threshold(np.array([np.nan]), 0.1) == np.inf


def test_closure_of_a_perfect_template_is_a_half_and_pulls_are_small():
    numbers = compute(Closure(ClosureConfig(members=2, moments=True)), make(n_data=15_000))

    assert numbers["closure-auc"] == pytest.approx(0.5, abs=0.015)
    assert numbers["closure-auc-lo"] < numbers["closure-auc"] < numbers["closure-auc-hi"]
    assert numbers["closure-pull-first"] < 5
    assert "closure-pull-second-one" in numbers
    assert abs(numbers["closure-shift-first"]) < 0.05
    assert numbers["closure-width-first"] == pytest.approx(1, abs=0.05)


def test_closure_sees_a_shifted_template_and_ignores_signal():
    scored = make(n_data=15_000, n_injected=2000)
    shifted = replace(scored, template=replace(scored.template, x=scored.template.x + np.float32([0.5, 0])))

    numbers = compute(Closure(ClosureConfig(members=2)), shifted)

    assert numbers["closure-auc"] == pytest.approx(norm.cdf(0.5 / 2**0.5), abs=0.02)
    assert numbers["closure-pull-first"] > 8 > numbers["closure-pull-second-one"]


def test_closure_of_many_features_names_the_largest_pull_alone(heard, notes):
    """Forty features, of which one is shifted by a standard deviation in the template."""
    scored = make(n_data=15_000)
    noise = np.random.default_rng(0)
    wide = {
        name: replace(part, x=noise.standard_normal((len(part), 40), dtype=np.float32))
        for name in ("events", "test", "template")
        if (part := getattr(scored, name)) is not None
    }
    wide["template"] = replace(wide["template"], x=wide["template"].x + np.eye(40, dtype=np.float32)[7])

    numbers = Closure(ClosureConfig()).compute(replace(scored, features=tuple(f"cell{i}" for i in range(40)), **wide), heard)

    assert sorted(numbers) == ["closure-auc", "closure-auc-hi", "closure-auc-lo", "closure-pull-largest"]
    assert numbers["closure-auc"] == pytest.approx(norm.cdf(2**-0.5), abs=0.03)
    assert "of 40 features 'cell7' has the largest pull" in str(notes)


def test_closure_with_too_few_events_is_left_out_and_said(heard, notes):
    assert Closure(ClosureConfig()).compute(make(n_data=100), heard) == {}
    assert "closure: not computed" in notes[0]


def test_two_sample_test_never_scores_what_it_trained_on():
    """Pure noise in many dimensions: any leak would show."""
    rng = np.random.default_rng(0)

    assert auc(two_sample(rng.normal(size=(300, 10)), rng.normal(size=(300, 10)), 5, 1, rng)) == pytest.approx(0.5, abs=0.07)


def test_pulls_are_standard_normal_for_equal_samples():
    rng = np.random.default_rng(0)
    b = rng.normal(size=20_000)

    values = pulls(b, rng.normal(size=60_000), equal_edges(b, 200))

    assert values.std() == pytest.approx(1, abs=0.15)


def test_sculpting_of_an_independent_score_is_one():
    numbers = compute(Sculpting(SculptingConfig(at=0.1)), make(n_data=20_000))

    assert numbers["sculpting-chi2"] == pytest.approx(1, abs=0.5)
    assert numbers["sculpting-p"] > 0.02


def test_sculpting_sees_a_score_that_follows_the_mass_whatever_the_scales_of_the_folds():
    scored = make(n_data=20_000, shifts=(0, 100, -40, 3))
    scored = replace(scored, score=scored.score - 5 * np.abs(scored.events.m - 3.5))

    numbers = compute(Sculpting(SculptingConfig(at=0.1)), scored)

    assert numbers["sculpting-chi2"] > 3
    assert numbers["sculpting-p"] == pytest.approx(1 / 201)


def test_sculpting_of_scores_in_the_window_alone_is_called_so():
    scored = make()
    inside = scored.inside(scored.events)
    alone = replace(scored, score=np.where(inside, scored.score, np.nan).astype(np.float32))
    numbers = compute(Sculpting(SculptingConfig(at=0.1)), alone)
    assert set(numbers) == {"sculpting-window-chi2", "sculpting-window-p"}
    assert numbers["sculpting-window-p"] > 0.02


def test_a_signal_peak_is_no_sculpting_where_truth_is_known(heard, notes):
    scored = make(n_data=20_000, n_injected=1000)
    blind = replace(scored, events=scored.events.blind())

    assert Sculpting(SculptingConfig(at=0.1)).compute(scored, heard)["sculpting-chi2"] < 1.6
    assert Sculpting(SculptingConfig(at=0.1)).compute(blind, heard)["sculpting-chi2"] > 3
    assert "truth is not known" in notes[-1]


def test_sculpting_of_a_constant_score_is_left_out(heard, notes):
    scored = make()

    assert Sculpting(SculptingConfig()).compute(replace(scored, score=np.zeros(len(scored.score), np.float32)), heard) == {}
    assert "sculpting: not computed" in notes[0]


def test_chi2_of_random_selections_is_one_on_average():
    rng = np.random.default_rng(0)
    index = rng.integers(0, 20, 5000)
    everything = np.bincount(index, minlength=20)
    shuffled = [chi2_per_degree(everything, np.bincount(index[rng.permutation(5000) < 1000], minlength=20)) for _ in range(300)]
    drawn = chi2_per_degree(everything, rng.multivariate_hypergeometric(everything, 1000, 300))

    assert np.mean(shuffled) == pytest.approx(1, abs=0.05)
    assert np.mean(drawn) == pytest.approx(1, abs=0.05)
