"""The scorer ``anode``: densities of data over densities of background."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from adtoolkit.capabilities import Cap
from adtoolkit.context import RunContext
from adtoolkit.densities import LOWEST
from adtoolkit.errors import DataError, RunError
from adtoolkit.interfaces import ScorerData
from adtoolkit.nn.mixture import FlowMixture
from adtoolkit.registry import default_registry
from adtoolkit.scorers.likelihood import LARGEST
from adtoolkit.testing.worlds import ToyModel, toy_world
from adtoolkit.types import Sample
from adtoolkit_anode.config import AnodeConfig
from adtoolkit_anode.scorer import Anode, AnodeScorer, log_ratio, summary

QUICK = {"members": 1, "blocks": 2, "hidden": 24, "epochs": 10, "batch": 100, "lr": 5e-3}


@dataclass
class StandIn:
    """The parts of a background that the scorer uses; remembers what it was asked."""

    model: object

    def log_prob(self, events):
        return self.model.log_prob(events.x, events.cond)


@pytest.fixture(scope="module")
def world():
    return toy_world(seed=1, n=12000, n_signal=0)


@pytest.fixture(scope="module")
def fitted(world, tmp_path_factory):
    """Trained on background alone."""
    return Anode(AnodeConfig(**QUICK)).fit(world.scorer_data(), StandIn(ToyModel()), RunContext(workdir=tmp_path_factory.mktemp("anode")))


def drawn(world, n, seed=0):
    rng = np.random.default_rng(seed)
    return world.background(rng.uniform(3.3, 3.7, n), rng)


def test_both_densities_live_in_one_space(world, fitted):
    """The mean of R = p_data / p_background over draws of the background is the integral of p_data: one, without any Jacobian."""
    assert np.exp(fitted.score(drawn(world, 20_000)).astype(np.float64)).mean() == pytest.approx(1, abs=0.05)


def test_without_signal_the_ratio_is_near_one(world, fitted):
    """Held-out data are about as likely under both densities, and the identity finds no excess."""
    numbers = fitted.summary()

    assert np.abs(np.median(fitted.score(drawn(world, 5000)))) < 0.1
    assert numbers["log-prob data"] == pytest.approx(numbers["log-prob background"], abs=0.1)
    assert numbers["expected@0.1"] == pytest.approx(0.1, rel=0.6)


def test_the_flow_is_that_of_the_window_and_the_background_is_left_alone(world, tmp_path):
    """The sidebands change no bit of the fit; other events in the window do."""
    data, context = world.scorer_data(), RunContext(workdir=tmp_path)
    config = AnodeConfig(**{**QUICK, "epochs": 1})
    at = drawn(world, 100)
    scores = [
        Anode(config).fit(some, StandIn(ToyModel()), replace(context, workdir=tmp_path / str(i))).score(at)
        for i, some in enumerate((data, replace(data, sideband=data.sideband[:0]), replace(data, window=data.window[5:])))
    ]

    assert np.array_equal(scores[0], scores[1])
    assert not np.array_equal(scores[0], scores[2])


def test_members_and_epochs_are_averaged_in_probability(world, tmp_path):
    """Two members of two epochs each: four flows, and log p of the mean of their densities."""
    config = AnodeConfig(**{**QUICK, "epochs": 3, "best_epochs": 2, "members": 2})
    scorer = Anode(config).fit(world.scorer_data(), StandIn(ToyModel()), RunContext(workdir=tmp_path))
    at = drawn(world, 50)
    each = [type(scorer.flow)([flow]).log_prob(at.x, at.cond) for flow in scorer.flow.members]
    expected = np.logaddexp.reduce(np.stack(each).astype(np.float64), 0) - np.log(4) - ToyModel().log_prob(at.x, at.cond)

    assert len(each) == 4
    assert min(scorer.flow.epochs) >= 1
    assert scorer.score(at) == pytest.approx(expected, abs=1e-4)


def test_what_is_impossible_under_the_background_is_the_most_anomalous():
    """Neither in the middle of the ranking nor, as p = 1 would be, at its lower end; all scores are finite."""
    data = np.array([0.0, 0.0, 0.0, LOWEST, LOWEST, np.inf], "f")
    background = np.array([0.0, -np.inf, np.nan, -2.0, -np.inf, -1.0], "f")

    score = log_ratio(data, background)

    assert score.tolist() == [0, LARGEST, LARGEST, LOWEST + 2, LARGEST, LARGEST]
    assert score.dtype == np.float32


def test_events_without_background_density_are_counted_and_told_of(world, tmp_path):
    class Gaps(ToyModel):
        def log_prob(self, x, cond):
            return np.where(x[:, 0] > 1, -np.inf, super().log_prob(x, cond)).astype(np.float32)

    notes, data = [], world.scorer_data()
    context = RunContext(workdir=tmp_path, tell=lambda event: notes.append(event.text))
    scorer = Anode(AnodeConfig(**{**QUICK, "epochs": 1})).fit(data, StandIn(Gaps()), context)
    n = int((data.window.x[:, 0] > 1).sum())

    assert any(f"{n:,} of {len(data.window):,} events have no background density" in note for note in notes)
    assert np.isfinite(list(scorer.summary().values())).all()


def test_events_without_a_density_of_the_data_are_counted_and_told_of(world, tmp_path, monkeypatch):
    """A flow that gives no number, as one does that diverged where nothing watched it."""
    density, notes, data = FlowMixture.log_prob, [], world.scorer_data()
    monkeypatch.setattr(FlowMixture, "log_prob", lambda self, x, cond: np.where(x[:, 0] > 1, LOWEST, density(self, x, cond)))
    context = RunContext(workdir=tmp_path, tell=lambda event: notes.append(event.text))

    Anode(AnodeConfig(**{**QUICK, "epochs": 1})).fit(data, StandIn(ToyModel()), context)

    n = int((data.window.x[:, 0] > 1).sum())
    assert any(f"{n:,} of {len(data.window):,} events have no data density; they get the lowest score" in note for note in notes)


def test_the_direct_background_estimate_is_an_identity():
    """E_data[1{R > Rc} / R] = P_background(R > Rc), for two normal distributions where it is known."""
    from scipy.stats import norm

    rng = np.random.default_rng(0)
    x = np.where(rng.random(200_000) < 0.05, rng.normal(2, 0.3, 200_000), rng.normal(0, 1, 200_000))
    data, background = np.log(0.95 * norm.pdf(x) + 0.05 * norm.pdf(x, 2, 0.3)), norm.logpdf(x)
    numbers = summary(data, background, np.ones(len(x)))
    cut = np.quantile(data - background, 0.99)
    null = rng.normal(0, 1, 1_000_000)
    ratio = np.log(0.95 + 0.05 * norm.pdf(null, 2, 0.3) / norm.pdf(null))

    assert numbers["expected@0.01"] == pytest.approx((ratio > cut).mean(), rel=0.06)
    assert numbers["expected@0.01"] < 0.008  # an excess


def test_summary_counts_events_by_their_weight():
    """Twice the weight is the event twice."""
    rng = np.random.default_rng(0)
    data, background = rng.normal(size=(2, 300))
    weight = rng.integers(0, 3, 300)
    again = np.repeat(np.arange(300), weight)

    weighted, repeated = summary(data, background, weight.astype(float)), summary(data[again], background[again], np.ones(len(again)))

    assert weighted["log-prob data"] == pytest.approx(repeated["log-prob data"])
    assert weighted["expected@0.1"] == pytest.approx(repeated["expected@0.1"], rel=0.1)


def test_a_signal_is_found(tmp_path):
    """In the toy with a narrow signal, it scores above the background."""
    world = toy_world(seed=3, n=8000, n_signal=250)
    scorer = Anode(AnodeConfig(**QUICK)).fit(world.scorer_data(), StandIn(ToyModel()), RunContext(workdir=tmp_path))
    test = world.inside(world.dataset.test)
    score = scorer.score(test.blind())
    above = (score[test.truth == 1][:, None] > score[test.truth == 0][None, :500]).mean()

    assert above > 0.75


def test_a_stored_scorer_scores_the_same(world, fitted, tmp_path):
    fitted.save(tmp_path)
    loaded = AnodeScorer.load(tmp_path, "cpu")
    at = drawn(world, 200)

    assert np.array_equal(loaded.score(at), fitted.score(at))
    assert loaded.summary() == fitted.summary()


def test_scores_of_no_events_are_none(fitted):
    assert fitted.score(Sample(np.zeros((0, 2), "f"), np.zeros(0, "f"))).shape == (0,)


def test_it_does_not_claim_a_ratio_of_the_signal():
    """Its score is log p_data / p_background; ``log-ratio`` is promised for that of the signal."""
    record = default_registry().get("scorer", "anode").component

    assert Cap.LOG_RATIO not in record.provides
    assert record.needs == {Cap.WINDOW, Cap.LOG_PROB}


def test_bad_input_is_refused(tmp_path):
    empty = Sample(np.zeros((1, 2), "f"), np.full(1, 3.5, "f"))
    with pytest.raises(DataError, match="1 events in the window"):
        Anode(AnodeConfig()).fit(ScorerData(empty, empty), StandIn(ToyModel()), RunContext(workdir=tmp_path))
    with pytest.raises(RunError, match="needs a background"):
        Anode(AnodeConfig()).fit(ScorerData(empty, empty), None, RunContext(workdir=tmp_path))
