"""The CATHODE scorer and the reference scorers on a bump in closed form."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from adtoolkit.config import NoOptions
from adtoolkit.context import RunContext
from adtoolkit.errors import CacheError, DataError, RunError
from adtoolkit.interfaces import Model, ScorerData
from adtoolkit.preprocess import Preprocess
from adtoolkit.scorers import baselines
from adtoolkit.scorers.baselines import Cwola, Idealised, Random, RandomScorer, Supervised
from adtoolkit.scorers.config import ClassifierConfig, CwolaConfig, LikelihoodConfig
from adtoolkit.scorers.contrast import ContrastScorer
from adtoolkit.scorers.likelihood import LARGEST, Likelihood, LikelihoodScorer
from adtoolkit.types import Sample, Window
from adtoolkit_cathode.config import CathodeConfig
from adtoolkit_cathode.scorer import Cathode

WINDOW = Window(3.3, 3.7)
FAST = {"members": 3, "iterations": 60}


@dataclass(frozen=True)
class StandIn:
    """The parts of a background that scorers use."""

    template: Sample | None = None
    model: object = None
    mass: object = None
    known: object = None
    prep: object = None


class Normal(Model):
    """Standard normal at any m."""

    def log_prob(self, x, cond):
        return (-0.5 * (x**2 + np.log(2 * np.pi))).sum(1)

    def save(self, directory):
        (directory / "normal").touch()

    @classmethod
    def load(cls, directory, device):
        assert (directory / "normal").exists()
        return cls()


class Composed:
    """Like what an interpolator returns: a density, but nothing that can be stored."""

    def log_prob(self, x, cond):
        return np.where(x[:, 0] > 0, -np.inf, 0.0)


def background(n, seed, lo=3.3, hi=3.7):
    rng = np.random.default_rng(seed)
    m = rng.uniform(lo, hi, n)
    x = rng.normal(size=(n, 3))
    return Sample(x, m, truth=np.zeros(n))


def signal(n, seed):
    rng = np.random.default_rng(seed)
    return Sample(rng.normal([2.5, 0, 0], 0.3, (n, 3)), rng.normal(3.5, 0.05, n).clip(3.31, 3.69), truth=np.ones(n))


def world(**more):
    window = Sample.concat(background(4000, 0), signal(150, 1))
    sideband = Sample.concat(background(2000, 2, 2.9, 3.3), background(500, 3, 3.7, 3.9))
    return ScorerData(window.blind(), sideband.blind(), range=WINDOW, **more)


def auc(fitted):
    s, b = fitted.score(signal(1000, 10)), fitted.score(background(3000, 11))
    return roc_auc_score(np.r_[np.ones(1000), np.zeros(3000)], np.r_[s, b])


@pytest.mark.parametrize("options", [{}, {"classifier": "mlp", "epochs": 15, "best_epochs": 5, "batch": 256}], ids=["hgb", "mlp"])
def test_cathode_finds_a_bump_without_labels(options):
    fitted = Cathode(CathodeConfig(**FAST | options)).fit(world(), StandIn(background(12_000, 5).blind()), RunContext(seed=1))

    assert auc(fitted) > 0.93  # supervised: 0.99


def test_cathode_without_signal_finds_little():
    fitted = Cathode(CathodeConfig(**FAST)).fit(
        ScorerData(background(4000, 0).blind(), background(10, 1).blind(), range=WINDOW),
        StandIn(background(12_000, 5).blind()),
        RunContext(),
    )

    assert abs(fitted.score(background(2000, 6))).mean() < 0.4


def test_cathode_needs_a_background():
    with pytest.raises(RunError, match="needs a background template"):
        Cathode(CathodeConfig()).fit(world(), None, RunContext())


def test_idealised_finds_a_bump_and_needs_a_reference():
    scorer = Idealised(ClassifierConfig(**FAST))

    assert auc(scorer.fit(world(reference=background(4000, 7).blind()), None, RunContext())) > 0.93
    with pytest.raises(DataError, match="needs true background"):
        scorer.fit(world(), None, RunContext())


def test_supervised_uses_labelled_events_and_the_truth_of_the_data():
    scorer = Supervised(ClassifierConfig(**FAST))
    window = Sample.concat(background(1000, 0), signal(50, 1))
    data = ScorerData(window, background(0, 1), labelled=Sample.concat(signal(500, 2), background(500, 3)), range=WINDOW)

    fitted = scorer.fit(data, None, RunContext())

    assert auc(fitted) > 0.98
    assert fitted.summary()["positive"] == 550
    assert fitted.summary()["negative"] == 1500
    with pytest.raises(DataError, match="needs truth labels"):
        scorer.fit(world(), None, RunContext())


def test_cwola_finds_a_bump():
    assert auc(Cwola(CwolaConfig(**FAST)).fit(world(), None, RunContext())) > 0.85


def test_cwola_weighs_both_sidebands_the_same_however_many_events_they_have(monkeypatch):
    """Otherwise a feature that runs with m has another mean in the sidebands than in the window."""
    given = []
    monkeypatch.setattr(baselines, "contrast", lambda positive, negative, config, ctx: given.append(negative))

    Cwola(CwolaConfig(**FAST)).fit(world(), None, RunContext())

    (sidebands,) = given
    below = sidebands.m < 3.5
    assert below.sum() > 1.5 * (~below).sum(), "as the sidebands of this world are"
    assert sidebands.weights[below].sum() == pytest.approx(sidebands.weights[~below].sum(), rel=1e-5)


def test_cwola_takes_half_the_window_on_each_side_by_default():
    fitted = Cwola(CwolaConfig(**FAST)).fit(world(), None, RunContext())
    m = world().sideband.m

    assert fitted.summary()["negative"] == ((m > np.float32(3.1)) & (m < np.float32(3.9))).sum()


def test_cwola_refuses_an_empty_sideband_before_training():
    scorer = Cwola(CwolaConfig())
    events = background(500, 0, 3.3, 4.0).blind()

    with pytest.raises(DataError, match=r"0 events within 0\.2 below the window"):
        scorer.check(events, WINDOW)
    with pytest.raises(DataError, match="there is no window"):
        scorer.check(events, None)


def test_random_scores_are_uniform_and_depend_on_the_event_and_the_seed_alone():
    events = background(20_001, 0)
    one, two = (Random(NoOptions()).fit(world(), None, RunContext(seed=s)) for s in (1, 2))
    scores = one.score(events)

    np.testing.assert_array_equal(one.score(events[:7]), scores[:7])
    assert len(one.score(events[:0])) == 0
    np.testing.assert_allclose(np.histogram(scores, 10, (0, 1))[0] / 20_001, 0.1, atol=0.01)
    assert abs(np.corrcoef(scores, events.x[:, 0])[0, 1]) < 0.03
    assert abs(np.corrcoef(scores, two.score(events))[0, 1]) < 0.03


def test_likelihood_is_minus_the_log_density_and_finite():
    events = background(100, 0)
    told = []
    ctx = RunContext(tell=told.append)

    fitted = Likelihood(LikelihoodConfig()).fit(world(), StandIn(model=Normal()), ctx)
    cut = Likelihood(LikelihoodConfig()).fit(world(), StandIn(model=Composed()), ctx).score(events)

    np.testing.assert_allclose(fitted.score(events), -Normal().log_prob(events.x, events.cond), rtol=1e-6)
    np.testing.assert_array_equal(cut, np.where(events.x[:, 0] > 0, LARGEST, 0.0))
    assert "have no density" in told[0].text
    with pytest.raises(RunError, match="density"):
        Likelihood(LikelihoodConfig()).fit(world(), StandIn(model=object()), ctx)


class Stretched(Normal):
    """A model that works in y = 2 x (of each feature), where it is standard normal."""

    def log_det(self, x, cond):
        return np.full(len(x), x.shape[1] * np.log(2), np.float32)

    def log_prob(self, x, cond):
        return super().log_prob(2 * x, cond) + self.log_det(x, cond)


def test_likelihood_is_that_of_the_models_coordinates_or_of_physical_features():
    events = background(200, 0)
    physical = Preprocess.fit(events)
    seen = physical.apply(events)

    own = Likelihood(LikelihoodConfig()).fit(world(), StandIn(model=Stretched()), RunContext())
    units = Likelihood(LikelihoodConfig(jacobian=True)).fit(world(), StandIn(model=Stretched(), prep=physical), RunContext())

    np.testing.assert_allclose(own.score(events), -Normal().log_prob(2 * events.x, events.cond), rtol=1e-5)
    expected = -Stretched().log_prob(seen.x, seen.cond) - physical.log_det(events.x)
    np.testing.assert_allclose(units.score(seen), expected, rtol=1e-4, atol=1e-4)
    with pytest.raises(RunError, match="preprocessed"):
        Likelihood(LikelihoodConfig(jacobian=True)).fit(world(), StandIn(model=Stretched()), RunContext())


def test_likelihood_as_a_rank_does_not_depend_on_m():
    class Wide(Normal):
        def log_prob(self, x, cond):
            return super().log_prob(x, cond) * np.exp(3 * (cond[:, 0] - 3.3))

    data = world()
    raw, rank = (
        Likelihood(LikelihoodConfig(rank_bins=n)).fit(data, StandIn(model=Wide()), RunContext()).score(data.window) for n in (0, 10)
    )

    assert abs(np.corrcoef(raw, data.window.m)[0, 1]) > 0.3
    assert abs(np.corrcoef(rank, data.window.m)[0, 1]) < 0.05
    np.testing.assert_allclose(np.histogram(rank, 5, (0, 1))[0] / len(rank), 0.2, atol=0.02)


def test_stored_scorers_answer_the_same(tmp_path):
    events = background(101, 0)
    fitted = {
        RandomScorer: Random(NoOptions()).fit(world(), None, RunContext()),
        ContrastScorer: Cathode(CathodeConfig(**FAST)).fit(world(), StandIn(background(500, 5)), RunContext()),
        LikelihoodScorer: LikelihoodScorer(Normal()),
    }
    for cls, scorer in fitted.items():
        folder = tmp_path / cls.__name__
        folder.mkdir()
        scorer.save(folder)

        np.testing.assert_array_equal(cls.load(folder, "cpu").score(events), scorer.score(events))


def test_a_composed_likelihood_says_that_it_was_not_stored(tmp_path):
    LikelihoodScorer(Composed()).save(tmp_path)

    with pytest.raises(CacheError, match="was not stored"):
        LikelihoodScorer.load(tmp_path, "cpu")
