"""The scorer ``likelihood`` with p(m): a density of the window, and of nothing else."""

import json
from pathlib import Path

import numpy as np
import pytest
from support.command import TOY, adtool

from adtoolkit.arrays import read_arrays
from adtoolkit.background import Background
from adtoolkit.context import RunContext
from adtoolkit.interfaces import ScorerData
from adtoolkit.mass import Tabulated
from adtoolkit.scorers.config import LikelihoodConfig
from adtoolkit.scorers.likelihood import Likelihood, LikelihoodScorer
from adtoolkit.testing.worlds import ToyModel
from adtoolkit.types import Sample, Window


@pytest.fixture
def events():
    rng = np.random.default_rng(0)
    return Sample(rng.normal(size=(500, 2)), rng.uniform(3.31, 3.69, 500))


def scorer(events):
    mass = Tabulated.of(np.linspace(3.3, 3.7, 3), np.array([3.0, 1.0]))
    data = ScorerData(events, events[:0], range=Window(3.3, 3.7))
    return Likelihood(LikelihoodConfig(mass=True)).fit(data, Background(ToyModel(), mass), RunContext())


def test_it_is_minus_the_log_of_the_joint_density(events):
    plain = -ToyModel().log_prob(events.x, events.cond)

    assert scorer(events).score(events) == pytest.approx(plain - np.log(np.where(events.m < 3.5, 3.75, 1.25)), abs=1e-4)


def test_it_is_the_same_after_storing(events, tmp_path):
    fitted = scorer(events)
    fitted.save(tmp_path)

    assert np.array_equal(LikelihoodScorer.load(tmp_path, "cpu").score(events), fitted.score(events))


def test_events_outside_the_window_get_no_score(tmp_path, monkeypatch):
    monkeypatch.setenv("ADTOOLKIT_CACHE", str(tmp_path / "cache"))
    joint = ["--estimator", "cathode", "--set", "estimator.steps=20", "--scorer", "likelihood", "--set", "scorer.mass=true"]
    done = adtool(*TOY, *joint, "--out", tmp_path / "runs", "--json")
    assert done.exit_code == 0, done.output
    arrays = read_arrays(Path(json.loads(done.stdout.splitlines()[-1])["run"]) / "scores.h5")
    inside = Window(3.3, 3.7).contains(arrays["events/m"])

    assert np.array_equal(np.isfinite(arrays["events/score"]), inside)
    assert arrays["events/score"][inside].max() < 1e5
