"""The checks of how draws depend on noise and on events: a good model passes, each way to break the promise is caught."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import pytest

from adtoolkit.config import NoOptions
from adtoolkit.interfaces import BackgroundEstimator, Model
from adtoolkit.plugin import Cap, Component, Region
from adtoolkit.registry import Registry
from adtoolkit.testing.checks import CheckResult, checks_for, run_check
from adtoolkit.testing.subject import Subject

NOISE, RECUR = "noise_is_the_same_at_every_condition", "draws_that_recur_tell_their_events"


class Noise(Model):
    """Draws around m, the noise in the order of the rows."""

    def sample(self, cond, rng):
        return (cond[:, :1] + rng.standard_normal((len(cond), 2))).astype(np.float32)

    def save(self, directory: Path) -> None:
        (directory / "nothing.json").write_text("{}")

    @classmethod
    def load(cls, directory: Path, device: str) -> Self:
        return cls()


class NoiseOfTheMass(Noise):
    """Another noise for each mass."""

    def sample(self, cond, rng):
        seeds = (cond[:, 0].astype(np.float64) * 1e7).astype(np.int64) + rng.integers(1000)
        return (cond[:, :1] + np.stack([np.random.default_rng(s).standard_normal(2) for s in seeds])).astype(np.float32)


class Recurring(Noise):
    """Draws from 50 events."""

    def sample(self, cond, rng):
        return self.sample_anew(cond, rng)[0]

    @staticmethod
    def sample_anew(cond, rng):
        chosen = rng.integers(50, size=len(cond))
        return np.random.default_rng(0).standard_normal((50, 2)).astype(np.float32)[chosen], chosen


class Grouped(Recurring):
    """Tells which."""

    def sample_grouped(self, cond, rng):
        return self.sample_anew(cond, rng)


class Torn(Recurring):
    """Tells wrong ones."""

    def sample_grouped(self, cond, rng):
        return self.sample_anew(cond, rng)[0], np.arange(len(cond))


class Miscounted(Grouped):
    """Its estimator promises fewer groups than there are."""

    groups = 3


class Counted(Grouped):
    """Its estimator says how many."""

    groups = 50


class Estimator(BackgroundEstimator[NoOptions]):
    """Gives a model."""

    model: ClassVar[type[Model]] = Noise

    def fit(self, train: Any, val: Any, ctx: Any) -> Model:
        return self.model()

    def independent_groups(self) -> int | None:
        return getattr(self.model, "groups", None)


def outcome(name: str, model: type[Model], *caps: Cap) -> CheckResult:
    made = f"Of{model.__name__}"
    globals()[made] = type(made, (Estimator,), {"model": model})
    component = Component(
        kind="estimator",
        name="mine",
        summary="one of a test's own",
        target=f"{__name__}:{made}",
        config="adtoolkit.config:NoOptions",
        provides=frozenset({Cap.SAMPLE, *caps}),
        trains_on=(Region.ALL,),
    )
    with Subject(component, Registry()) as subject:
        return run_check(next(check for check in checks_for("estimator") if check.name == name), subject)


@pytest.mark.parametrize(
    ("name", "model", "caps", "expected"),
    [
        (NOISE, Noise, [Cap.NOISE], "pass"),
        (NOISE, NoiseOfTheMass, [Cap.NOISE], "fail"),
        (NOISE, NoiseOfTheMass, [], "not-applicable"),
        (RECUR, Noise, [], "pass"),
        (RECUR, Grouped, [], "pass"),
        (RECUR, Recurring, [], "fail"),
        (RECUR, Torn, [], "fail"),
        (RECUR, Counted, [], "pass"),
        (RECUR, Miscounted, [], "fail"),
    ],
)
def test_draws_are_checked(name, model, caps, expected):
    """By the checks "noise_is_the_same_at_every_condition" and "draws_that_recur_tell_their_events"."""
    found = outcome(name, model, *caps)

    assert found.outcome == expected, found.reason
