"""Flux+Mutability: residuals of a reference, and objects judged by populations of it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
import pytest
from scipy.stats import kstest

from adtoolkit.background import Background
from adtoolkit.context import RunContext
from adtoolkit.errors import ConfigError, DataError, RunError
from adtoolkit.interfaces import ScorerData
from adtoolkit.mass import MassConfig, fit_mass
from adtoolkit.types import Sample
from adtoolkit_fluxmut.config import FluxConfig, MutabilityConfig
from adtoolkit_fluxmut.estimator import Flux
from adtoolkit_fluxmut.judges import p_values
from adtoolkit_fluxmut.model import FluxModel
from adtoolkit_fluxmut.scorer import Mutability, MutabilityScorer

D = 6


@dataclass(frozen=True)
class Exact:
    """A reference in closed form: x | k ~ N(mean(k), spread(k)^2), reconstructed as its mean. It only samples and reconstructs."""

    def reconstruct(self, x, cond):
        return (np.sin(cond[:, :1] * np.arange(1, D + 1)) + cond[:, 1:]).astype(np.float32)

    def spread(self, cond):
        return 0.3 + 0.5 * cond[:, :1] * np.linspace(0, 1, D)

    def sample(self, cond, rng):
        return (self.reconstruct(None, cond) + self.spread(cond) * rng.standard_normal((len(cond), D))).astype(np.float32)


@dataclass(frozen=True)
class Ranged(Exact):
    """The same with residuals of its own, and a range of training: conditions below 0.9."""

    def residuals(self, x, cond):
        return x - self.reconstruct(x, cond)

    def sample_residuals(self, cond, rng):
        return self.residuals(self.sample(cond, rng), cond)

    def outside(self, cond):
        return (cond > 0.9).any(1)


class Broken(Exact):
    """A model that did not train well."""

    def sample(self, cond, rng):
        return np.where(cond[:, :1] > 0.5, np.nan, super().sample(cond, rng)).astype(np.float32)


def conditions(n, seed):
    return np.random.default_rng(seed).uniform(0, 1, (n, 2)).astype(np.float32)


def reference(n, seed=1):
    cond = conditions(n, seed)
    return Sample(Exact().sample(cond, np.random.default_rng(seed + 100)), cond[:, 0], cond[:, 1:])


def anomalies(n, seed=2):
    events = reference(n, seed)
    return Sample(events.x + np.where(np.arange(D) % 2, 1.5, -1.5).astype(np.float32), events.m, events.context)


def fitted(model, events, note=lambda event: None, seed=0, **options):
    background = Background(model, fit_mass(MassConfig(), np.array([0.0, 1.0]), None))
    config = MutabilityConfig(**{"population": 200, "calibration": 300, "depth": 5, **options})
    return Mutability(config).fit(ScorerData(window=events, sideband=events[:0]), background, RunContext(seed=seed, tell=note))


# p-values


def test_accepting_by_p_value_is_the_cut_at_the_quantile():
    """p > 1 - q accepts exactly the scores up to that of rank ceil(q (M + 1)) among M of the reference."""
    rng = np.random.default_rng(0)
    known, scores = np.sort(rng.standard_normal(199)), rng.standard_normal(500)

    for q in (0.9, 0.95, 0.99):
        cut = known[int(np.ceil(q * 200)) - 1]
        assert np.array_equal(p_values(scores, known) > 1 - q + 1e-12, scores <= cut)


@pytest.mark.parametrize("model", [Exact(), Ranged()], ids=["samples and reconstructs", "residuals of its own"])
def test_p_values_of_the_reference_are_uniform(model):
    events = reference(2500)
    verdict = fitted(model, events).judge(events)
    p = verdict.p_value[~verdict.outside][:2000]

    assert kstest(p, "uniform").pvalue > 0.01
    assert np.mean(p > 0.99) < 0.02  # outlier scores of zero are no tie


def test_p_values_are_uniform_at_all_conditions():
    """Acceptance of 0.9 in each quarter of the conditions, though the reference is four times as wide in one as in another."""
    events = reference(4000)
    scorer = fitted(Exact(), events)
    kept = scorer.judge(events).accepted(0.9)

    for low_m, low_c in product((True, False), repeat=2):
        quarter = ((events.m < 0.5) == low_m) & ((events.context[:, 0] < 0.5) == low_c)
        assert kept[quarter].mean() == pytest.approx(0.9, abs=0.035)
    assert scorer.summary()["coverage"] == pytest.approx(scorer.config.acceptance, abs=0.02)


def test_clustered_anew_they_are_uniform_too_and_agree_with_the_table_of_populations():
    """The two modes differ no more than two populations of the same object do."""
    normal, strange = reference(80, seed=5), anomalies(15)
    exact, other = (fitted(Exact(), normal, mode="exact", seed=seed) for seed in (0, 1))
    cached = fitted(Exact(), reference(2000))
    p = exact.judge(normal).p_value
    noise = np.median(np.abs(p - other.judge(normal).p_value))

    assert kstest(p, "uniform").pvalue > 0.01
    assert np.median(np.abs(p - cached.judge(normal).p_value)) < 1.3 * noise
    assert noise < 0.1
    for scorer in (exact, cached):
        assert scorer.judge(strange).accepted(0.95).mean() < 0.2


def test_an_object_is_judged_alike_in_any_company():
    """Alone and in another order, though a population is drawn for each."""
    scorer = fitted(Exact(), reference(20), mode="exact", score="p-value")
    events = reference(6)
    alone = [scorer.score(events[i : i + 1]).item() for i in range(6)]

    assert np.array_equal(scorer.score(events[::-1])[::-1], alone)
    assert scorer.score(events[:0]).shape == (0,)


# conditions


def test_objects_outside_the_conditions_of_the_training_are_flagged_and_counted():
    events = reference(500)
    scorer = fitted(Ranged(), events)
    outside = (events.cond > 0.9).any(1)

    assert np.array_equal(scorer.judge(events).outside, outside)
    assert scorer.summary()["outside"] == outside.sum() > 0


def test_what_cannot_be_judged_is_refused():
    events = reference(50)
    beyond = Sample(events.x, events.m + 5, events.context)

    with pytest.raises(DataError, match="All 50 objects have conditions outside"):
        fitted(Ranged(), beyond)
    with pytest.raises(DataError, match="no objects"):
        fitted(Exact(), events[:0])
    with pytest.raises(RunError, match="draws of the reference are not finite"):
        fitted(Broken(), events)
    with pytest.raises(RunError, match="cannot both sample and reconstruct"):
        fitted(object(), events)


# the estimator


def quick(**options):
    return FluxConfig(
        **{
            "blocks": 3,
            "hidden": 24,
            "bins": 4,
            "steps": 350,
            "batch": 256,
            "ae_steps": 400,
            "ae_batch": 256,
            "widths": (24,),
            "lr": 8e-3,
            "latent": 2,
            "jitter": 0.1,
            **options,
        }
    )


@pytest.fixture(scope="module", params=["residual", "augmented"])
def flux(request, tmp_path_factory):
    events = reference(4000, seed=7)
    return Flux(quick(space=request.param)).fit(events[:3600], events[3600:], RunContext(workdir=tmp_path_factory.mktemp("flux")))


def test_draws_of_x_and_of_residuals_are_those_of_the_reference(flux):
    """Mean and spread of fresh reference events, overall and at two places of the conditions."""
    for low in (True, False):
        events = reference(6000, seed=8)
        events = events[(events.m < 0.5) == low]
        rng = np.random.default_rng(0)
        pairs = [
            (flux.sample(events.cond, rng), events.x),
            (flux.sample_residuals(events.cond, rng), flux.residuals(events.x, events.cond)),
        ]
        for drawn, true in pairs:
            assert drawn.mean(0) == pytest.approx(true.mean(0), abs=0.15)
            assert drawn.std(0) == pytest.approx(true.std(0), rel=0.25)


def test_the_code_tells_part_of_x_and_the_residuals_are_the_rest(flux):
    events = reference(2000, seed=9)
    rest = events.x - flux.reconstruct(events.x, events.cond)

    assert (rest**2).mean() < 0.8 * (Exact().spread(events.cond) ** 2).mean()
    assert np.array_equal(flux.residuals(events.x, events.cond)[:, -D:], rest)


def test_anomalies_are_rejected_and_reference_is_accepted(flux):
    normal, strange = reference(1500, seed=10), anomalies(500)
    scorer = fitted(flux, normal)

    assert scorer.judge(normal).accepted(0.95).mean() == pytest.approx(0.95, abs=0.03)
    assert scorer.judge(strange).accepted(0.95).mean() < 0.3


def test_a_scorer_read_back_scores_alike_with_its_model(flux, tmp_path):
    events = reference(300, seed=11)
    scorer = fitted(flux, events)
    scorer.save(tmp_path)
    back = MutabilityScorer.load(tmp_path, "cpu")

    assert isinstance(back.model, FluxModel)
    assert np.array_equal(scorer.score(events), back.score(events))
    assert back.summary() == scorer.summary()


def test_options_that_leave_no_residuals_are_refused_before_training():
    events = reference(20)

    with pytest.raises(ConfigError, match="A code of 6 numbers tells all of 6 features"):
        Flux(FluxConfig(latent=6)).check(events, None)
    with pytest.raises(DataError, match="at least two features"):
        Flux(FluxConfig()).check(Sample(events.x[:, :1], events.m, events.context), None)
