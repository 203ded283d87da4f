"""The core's interpolators, on models whose answers are known in closed form."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from adtoolkit.config import NoOptions
from adtoolkit.context import RunContext
from adtoolkit.errors import DataError, MixError
from adtoolkit.interfaces import CanLogProb, CanSample, Model
from adtoolkit.interpolators.anchors import Anchors, anchors_of
from adtoolkit.interpolators.config import AnchorConfig, DisplacementConfig, LinearConfig
from adtoolkit.interpolators.direct import Direct
from adtoolkit.interpolators.displacement import Displacement
from adtoolkit.interpolators.linear import Linear
from adtoolkit.nn import ode
from adtoolkit.types import Window

WINDOW = Window(3.3, 3.7)
S = 1e-3


@dataclass
class Ranged:
    mass_range: tuple[float, float] = (2.0, 5.0)


class MovingGaussian(Model):
    """N(2 m, (0.5, 1)^2): draws and the exact flow-matching field; trained on masses from 2 to 5."""

    mass_range = (2.0, 5.0)
    width = torch.tensor([0.5, 1.0])

    def sample(self, cond, rng):
        z = rng.standard_normal((len(cond), 2), dtype=np.float32)
        return 2 * cond[:, :1] + self.width.numpy() * z

    def field(self, t, x, cond):
        b = 1 - (1 - S) * t
        s = self.width.to(x.dtype)
        gain = (t * s**2 - (1 - S) * b) / (t**2 * s**2 + b**2)
        return 2 * cond[:, :1] + gain * (x - t * 2 * cond[:, :1])

    def save(self, directory):
        raise NotImplementedError

    @classmethod
    def load(cls, directory, device):
        raise NotImplementedError


class Mute(Model):
    """A model that can do nothing."""

    def save(self, directory):
        raise NotImplementedError

    @classmethod
    def load(cls, directory, device):
        raise NotImplementedError


def masses(n=20_000):
    return np.linspace(3.31, 3.69, n, dtype="f")[:, None]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, (3.2, 3.8)),
        ({"margin": 0.2}, (3.1, 3.9)),
        ({"lo": 3.0}, (3.0, 3.8)),
        ({"lo": 3.3, "hi": 4.0}, (3.3, 4.0)),
        ({"margin": 0.5, "hi": 3.75}, (2.8, 3.75)),
    ],
)
def test_anchors_lie_a_quarter_window_outside_unless_told_otherwise(options, expected):
    assert anchors_of(AnchorConfig(**options), WINDOW, Ranged()).masses == pytest.approx(expected)


@pytest.mark.parametrize("interpolator", [Linear(LinearConfig()), Displacement(DisplacementConfig())], ids=["linear", "displacement"])
def test_beyond_the_anchors_the_model_itself_answers(interpolator):
    """A mean that bends between the anchors: nothing is extrapolated from the blend to the sidebands."""

    class Bent(MovingGaussian):
        def sample(self, cond, rng):
            return super().sample(cond**2, rng)

        def field(self, t, x, cond):
            return super().field(t, x, cond**2)

    m = np.array([2.2, 3.19, 3.25, 3.5, 3.79, 3.81, 4.8], "f")
    drawn = interpolator.bind(Bent(), WINDOW, RunContext()).sample(np.repeat(m, 4000)[:, None], np.random.default_rng(0))
    mean = drawn[:, 0].reshape(len(m), -1).mean(1)
    chord = 2 * (3.2**2 + (3.8**2 - 3.2**2) / 0.6 * (m - 3.2))
    expected = np.where((m > 3.2) & (m < 3.8), chord, 2 * m**2)
    np.testing.assert_allclose(mean, expected, atol=4 * 0.5 / 4000**0.5 + 1e-3)


def test_the_density_of_linear_beyond_the_anchors_is_the_models_own():
    x = np.random.default_rng(1).normal(8.0, 1, (50, 2)).astype("f")
    cond = np.linspace(3.9, 4.1, 50, dtype="f")[:, None]
    bound = Linear(LinearConfig()).bind(MovingGaussian(), WINDOW, RunContext())
    z = (x - 2 * cond) / np.array([0.5, 1.0])
    exact = -0.5 * (z**2).sum(1) - math.log(2 * math.pi * 0.5)
    np.testing.assert_allclose(bound.log_prob(x, cond), exact, atol=0.02)


@pytest.mark.parametrize(
    ("options", "window", "match"),
    [
        ({"lo": 3.4}, WINDOW, "outside the window"),
        ({"hi": 3.6}, WINDOW, "outside the window"),
        ({"margin": 2.0}, WINDOW, "within the training masses, 2 to 5"),
        ({}, Window(4.6, 5.0), "within the training masses"),
        ({}, None, "needs a window"),
    ],
)
def test_anchors_in_the_window_or_beyond_the_training_masses_are_refused(options, window, match):
    with pytest.raises(DataError, match=match):
        anchors_of(AnchorConfig(**options), window, Ranged())


def test_shares_are_one_and_zero_at_the_anchors():
    """xi = 1 at the lower, 0 at the upper and 1/2 in the middle; both shares sum to 1."""
    anchors = Anchors(3.2, 3.8)
    weights = anchors.weights(torch.tensor([3.2, 3.5, 3.8], dtype=torch.float64))

    torch.testing.assert_close(weights[:, 0], torch.tensor([1, 0.5, 0], dtype=torch.float64))
    torch.testing.assert_close(weights.sum(1), torch.ones(3, dtype=torch.float64))


def test_direct_passes_the_model_on():
    model = MovingGaussian()

    assert Direct(NoOptions()).bind(model, None, RunContext()) is model


def test_linear_is_exact_for_a_gaussian_whose_mean_moves_linearly():
    """Field, draws and density equal those at the true mass."""
    model = MovingGaussian()
    background = Linear(LinearConfig(solver_steps=40)).bind(model, WINDOW, RunContext())
    cond = masses()
    rng = np.random.default_rng(0)
    x, t = torch.randn(len(cond), 2, generator=torch.Generator().manual_seed(0)), torch.tensor(0.3)
    c = torch.from_numpy(cond)

    torch.testing.assert_close(background.velocity(t, x, c), model.field(t, x, c), atol=1e-5, rtol=1e-5)
    draws = background.sample(cond, rng)
    pulls = (draws - 2 * cond) / model.width.numpy()
    assert abs(pulls.mean()) < 0.03
    assert pulls.std() == pytest.approx(1, abs=0.02)
    expected = (-0.5 * pulls**2 - np.log(model.width.numpy()) - 0.5 * math.log(2 * math.pi)).sum(1)
    fine = Linear(LinearConfig(solver_steps=100)).bind(model, WINDOW, RunContext())
    assert np.abs(fine.log_prob(draws[::20], cond[::20]) - expected[::20]).mean() < 0.02


def test_displacement_is_exact_for_a_gaussian_whose_mean_moves_linearly():
    """The same noise at the true mass gives the same draw."""
    model = MovingGaussian()
    background = Displacement(DisplacementConfig()).bind(model, WINDOW, RunContext())
    cond = masses(1000)

    np.testing.assert_allclose(background.sample(cond, np.random.default_rng(3)), model.sample(cond, np.random.default_rng(3)), atol=1e-5)


@pytest.mark.parametrize("interpolator", [Linear(LinearConfig()), Displacement(DisplacementConfig())])
def test_at_an_anchor_the_model_itself_answers(interpolator):
    """At m = m1 and m = m2 the interpolation is the model."""
    model = MovingGaussian()
    background = interpolator.bind(model, WINDOW, RunContext())
    for mass in (3.2, 3.8):
        cond = np.full((100, 1), mass, "f")
        noise = torch.from_numpy(np.random.default_rng(1).standard_normal((100, 2), dtype=np.float32))
        expected = (
            ode.push(model.field, noise, torch.from_numpy(cond)).numpy()
            if isinstance(interpolator, Linear)
            else model.sample(cond, np.random.default_rng(1))
        )

        np.testing.assert_allclose(background.sample(cond, np.random.default_rng(1)), expected, atol=1e-5)


@pytest.mark.parametrize("interpolator", [Linear(LinearConfig()), Displacement(DisplacementConfig())])
@pytest.mark.parametrize("n", [0, 1, 7])
def test_any_number_of_events_is_drawn_and_conditions_are_kept(interpolator, n):
    """Odd batches and none; further conditions pass; the caller's array and generator are handled with care."""
    background = interpolator.bind(MovingGaussian(), WINDOW, RunContext())
    cond = np.column_stack([np.full(n, 3.5), np.arange(n)]).astype("f")
    before = cond.copy()
    rng = np.random.default_rng(0)
    first, second = background.sample(cond, rng), background.sample(cond, rng)

    assert first.shape == (n, 2)
    assert first.dtype == np.float32
    assert np.array_equal(before, cond)
    assert n == 0 or not np.array_equal(first, second)


def test_capabilities_are_what_the_records_say():
    """linear gives draws and a density, displacement draws alone."""
    linear = Linear(LinearConfig()).bind(MovingGaussian(), WINDOW, RunContext())
    displaced = Displacement(DisplacementConfig()).bind(MovingGaussian(), WINDOW, RunContext())

    assert isinstance(linear, CanSample)
    assert isinstance(linear, CanLogProb)
    assert isinstance(displaced, CanSample)
    assert not isinstance(displaced, CanLogProb)


@pytest.mark.parametrize("interpolator", [Linear(LinearConfig()), Displacement(DisplacementConfig())])
def test_a_model_without_the_needed_capability_is_refused(interpolator):
    with pytest.raises(MixError, match="Mute"):
        interpolator.bind(Mute(), WINDOW, RunContext())
