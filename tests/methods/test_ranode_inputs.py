"""What the R-ANODE scorer does with bad or odd input, with interruptions and with seeds."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from support.bumps import FAST, WINDOW, exact_background, fit, world

from adtoolkit.background import Background
from adtoolkit.context import RunContext
from adtoolkit.densities import LOWEST
from adtoolkit.errors import DataError, RunError
from adtoolkit.mass import Tabulated
from adtoolkit.metrics.likelihood_ratio import LARGEST
from adtoolkit.testing.worlds import ToyModel
from adtoolkit_ranode.config import RAnodeConfig
from adtoolkit_ranode.flow import StackedFlow
from adtoolkit_ranode.scorer import RAnode


def test_masses_that_the_mass_model_calls_impossible_do_not_stop_anything():
    """A histogram of m has empty bins, whose logarithm is not finite."""
    _, data = world(100)
    edges = np.linspace(WINDOW.lo, WINDOW.hi, 5)
    gap = Background(ToyModel(), Tabulated.of(edges, np.array([1.0, 1.0, 0.0, 1.0])))
    told = []

    fitted = fit(data, gap, told, epochs=3)

    assert any("gives no density to" in text for text in told)
    scores = fitted.score(data.window)
    np.testing.assert_array_equal(scores[(data.window.m > edges[2] + 1e-4) & (data.window.m < edges[3] - 1e-4)], LARGEST)
    assert np.isfinite(scores).all()


@dataclass
class Interrupt:
    """Hears progress and stops the training after some epochs, once."""

    after: int

    def __call__(self, event):
        if event.kind == "step" and event.values["step"] == self.after:
            raise KeyboardInterrupt


def test_a_killed_training_goes_on_to_the_same_scores(tmp_path, monkeypatch):
    made, data = world(100)
    test = made.dataset.test[:300].blind()
    monkeypatch.setattr("adtoolkit_ranode.training._CHECKPOINT_SECONDS", 1e-9)
    scorer = RAnode(RAnodeConfig(**FAST | {"epochs": 6, "mode": "learned", "patience": 3}))
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    whole.mkdir()
    parts.mkdir()
    told = []

    expected = scorer.fit(data, exact_background(), RunContext(workdir=whole)).score(test)
    with pytest.raises(KeyboardInterrupt):
        scorer.fit(data, exact_background(), RunContext(workdir=parts, tell=Interrupt(3)))
    resumed = scorer.fit(data, exact_background(), RunContext(workdir=parts, tell=lambda e: told.append(e.text))).score(test)

    np.testing.assert_array_equal(resumed, expected)
    assert any("goes on from its checkpoint after epoch 3" in text for text in told)


def test_bad_input_is_refused_before_training():
    _, data = world(100)
    few = replace(data, window=data.window[:20])
    nan = replace(data, window=replace(data.window, x=np.where(np.arange(len(data.window))[:, None] == 3, np.nan, data.window.x)))
    conditions = replace(data.window, context=np.zeros((len(data.window), 1)))

    with pytest.raises(DataError, match="has 20 events in the window"):
        fit(few)
    with pytest.raises(DataError, match="2 values in x that are not finite"):
        fit(nan)
    with pytest.raises(DataError, match="negative weights or none"):
        fit(replace(data, window=replace(data.window, weight=np.zeros(len(data.window)))))
    with pytest.raises(DataError, match="1 further conditions"):
        RAnode(RAnodeConfig()).check(conditions, WINDOW)
    with pytest.raises(DataError, match="there is none"):
        RAnode(RAnodeConfig()).check(data.window, None)
    with pytest.raises(RunError, match="needs a background density"):
        RAnode(RAnodeConfig()).fit(data, None, RunContext())


@pytest.mark.parametrize("none", [np.nan, -np.inf, LOWEST])
def test_a_background_that_gives_numbers_to_hardly_any_event_is_refused(none):
    _, data = world(100)

    class Broken(ToyModel):
        def log_prob(self, x, cond):
            return np.where(x[:, 0] > -3.5, np.float32(none), super().log_prob(x, cond))

    with pytest.raises(RunError, match=r"gives a density to \d+ of"):
        fit(data, replace(exact_background(), model=Broken()))


@pytest.mark.parametrize("guard", [0.0, 0.01])
@pytest.mark.parametrize("none", [np.nan, -np.inf, LOWEST])
def test_an_event_without_density_is_left_out_and_scores_highest_not_in_the_middle(none, guard):
    """A NaN set to zero in the logarithm would be the density 1; minus a million would outweigh all other events in the gain."""
    _, data = world(100)
    told = []

    class Empty(ToyModel):
        def log_prob(self, x, cond):
            return np.where(x[:, 0] > 2, np.float32(none), super().log_prob(x, cond))

    fitted = fit(data, replace(exact_background(), model=Empty()), told, guard=guard, epochs=3)
    score = fitted.score(data.window)

    assert any(f"no density to {(data.window.x[:, 0] > 2).sum()} of" in text for text in told)
    assert (score[data.window.x[:, 0] > 2] == LARGEST).all()
    assert abs(fitted.summary()["held-out-gain"]) < 1


def test_a_training_that_takes_no_step_fails_instead_of_finding_no_signal(monkeypatch):
    _, data = world(100)
    monkeypatch.setattr(StackedFlow, "log_prob", lambda self, rows, z, dropouts=(): rows.sum(1, keepdim=True) * z[:, 0] * np.nan)

    with pytest.raises(RunError, match="No member of R-ANODE had finite gradients"):
        fit(data, epochs=2)


def test_a_constant_feature_does_not_stop_the_training():
    _, data = world(100)
    constant = replace(data, window=replace(data.window, x=data.window.x * [1, 0]))

    fitted = fit(constant, epochs=3)
    assert np.isfinite(fitted.score(data.window[:100])).all()
    assert all(np.isfinite(v) for v in fitted.summary().values())


def test_few_events_are_pointed_out_with_numbers():
    _, data = world(100)
    told = []

    fit(replace(data, window=data.window[:150]), told=told, epochs=2)

    assert any("150 events of the window" in text and "parameters in 3 dimensions" in text for text in told)


def test_same_seed_same_scores_other_seed_others():
    made, data = world(100)
    test = made.dataset.test[:100].blind()

    one, again, other = (fit(data, epochs=3, seed=s).score(test) for s in (0, 0, 1))

    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)
