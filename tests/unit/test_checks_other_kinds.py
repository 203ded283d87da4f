"""Every conformance check of scorers, interpolators, data sources and metrics can fail; see test_checks.py for estimators."""

# ruff: noqa: NPY002  (drawing from the global generators is what some of the broken ones are about)

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import pytest

from adtoolkit.config import NoOptions
from adtoolkit.errors import DataError
from adtoolkit.interfaces import DataSource, FittedScorer, Interpolator, Metric, Scorer, ScorerData
from adtoolkit.plugin import Cap, Component, Region
from adtoolkit.registry import Registry
from adtoolkit.testing import checks_data, checks_interpolator
from adtoolkit.testing.checks import CheckResult, checks_for, run_check, run_checks
from adtoolkit.testing.subject import Subject
from adtoolkit.types import Dataset, Sample

# the good ones


def refuse(sample: Sample) -> None:
    if not len(sample) or not np.isfinite(sample.x).all():
        raise DataError("No events, or some are not finite.", "Drop them.")


@dataclass(frozen=True)
class GoodScores(FittedScorer):
    """log N(x; window) - log N(x; template), both with all their moments."""

    window: list[list[float]]
    template: list[list[float]]

    def score(self, events: Sample):
        gain = [
            -0.5 * ((events.x - mean) / spread) ** 2 - np.log(spread)
            for mean, spread in (map(np.array, self.window), map(np.array, self.template))
        ]
        return ((gain[0] - gain[1]).sum(1)).astype(np.float32)

    def summary(self) -> Mapping[str, float]:
        return {"mean": self.window[0][0]}

    def save(self, directory: Path) -> None:
        (directory / "moments.json").write_text(json.dumps([self.window, self.template]))

    @classmethod
    def load(cls, directory: Path, device: str) -> Self:
        return cls(*json.loads((directory / "moments.json").read_text()))


class GoodScorer(Scorer[NoOptions]):
    scores: ClassVar[type[GoodScores]] = GoodScores

    def fit(self, data: ScorerData, background: Any, ctx: Any) -> FittedScorer:
        refuse(data.window)
        return self.scores(self.moments(data.window), self.moments(background.template))

    def moments(self, sample: Sample):
        mean = np.average(sample.x, axis=0, weights=sample.weights)
        return [mean.tolist(), np.sqrt(np.average((sample.x - mean) ** 2, axis=0, weights=sample.weights)).tolist()]


class Bound:
    """The model at its own masses, by way of its field's closed form."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def sample(self, cond, rng):
        return self.model.sample(cond, rng)


class GoodInterpolator(Interpolator[NoOptions]):
    def bind(self, model: Any, window: Any, ctx: Any) -> Any:
        if window is None:
            raise DataError("There is no window.", "Give one.")
        return Bound(model)


class GoodSource(DataSource[NoOptions]):
    def load(self, ctx: Any) -> Dataset:
        parts = [self.draw(n, np.random.default_rng(ctx.rng(purpose).integers(2**32))) for n, purpose in ((300, "events"), (100, "test"))]
        return self.dataset(parts)

    def dataset(self, parts: list[Sample]) -> Dataset:
        return Dataset(parts[0], parts[1], None, ("a", "b"))

    def draw(self, n: int, rng: np.random.Generator) -> Sample:
        return Sample(x=rng.normal(size=(n, 2)), m=rng.uniform(1, 2, n), truth=rng.integers(0, 2, n))


class GoodMetric(Metric[NoOptions]):
    needs = frozenset({"truth"})

    def compute(self, scored: Any, ctx: Any) -> Mapping[str, float]:
        value = float(scored.score[scored.events.truth == 1].mean())
        error = ctx.rng("bootstrap").uniform(0.1, 0.2)
        return {"mean": value, "mean-lo": value - error, "mean-hi": value + error}


def record(kind: str, target: type, **changes: Any) -> Component:
    extra: dict[str, Any] = {
        "data": {"provides": frozenset({Cap.TRUTH})},
        "interpolator": {
            "needs": frozenset({Cap.WINDOW}),
            "accepts": frozenset({Region.ALL}),
            "rules": ((frozenset({Cap.FIELD}), frozenset({Cap.SAMPLE})),),
        },
        "scorer": {"needs": frozenset({Cap.SAMPLE})},
        "metric": {},
    }[kind]
    values = {
        "name": "mine",
        "summary": "one of a test's own",
        "cite": "arXiv:2410.20537",
        **extra,
        **changes,
    }
    return Component(kind=kind, target=f"{__name__}:{target.__name__}", **values)


GOOD = {"data": GoodSource, "interpolator": GoodInterpolator, "scorer": GoodScorer, "metric": GoodMetric}


def result(component: Component, name: str) -> CheckResult:
    """The outcome of one check of a component of nobody's registry."""
    check = next(check for check in checks_for(component.kind) if check.name == name)
    with Subject(component, Registry()) as subject:
        return run_check(check, subject)


@pytest.mark.parametrize("kind", list(GOOD))
def test_good_component_passes_all_checks(kind):
    """A component that keeps its promises fails nothing."""
    results = run_checks(record(kind, GOOD[kind]), Registry())

    assert [r for r in results if r.outcome in {"fail", "expected-failure"}] == []
    assert sum(r.outcome == "pass" for r in results) >= 12


@pytest.mark.parametrize(
    ("kind", "name", "module", "limit"),
    [
        ("data", "load_under_20_seconds", checks_data, "_SECONDS"),
        ("interpolator", "bind_is_cheap", checks_interpolator, "_CHEAP"),
    ],
)
def test_slow_component_is_caught(kind, name, module, limit, monkeypatch):
    """A component that takes longer than the limit is told how long."""
    monkeypatch.setattr(module, limit, 0.0)

    found = result(record(kind, GOOD[kind]), name)

    assert found.outcome == "fail"
    assert "It took" in found.reason


# scorers


def scorer(name: str, moments: Any = None, **methods: Any) -> type:
    broken = type(f"{name}Scores", (GoodScores,), methods)
    made = type(name, (GoodScorer,), {"scores": broken, **({} if moments is None else {"moments": moments})})
    globals()[name] = made
    return made


_score = GoodScores.score

SCORERS = [
    ("score_shape_dtype_finite", scorer("ScoresNaN", score=lambda self, events: np.full(len(events), np.nan, np.float32))),
    ("score_shape_dtype_finite", scorer("ScoresDouble", score=lambda self, events: _score(self, events).astype(float))),
    ("score_is_per_event", scorer("Ranks", score=lambda self, events: _score(self, events).argsort().argsort().astype(np.float32))),
    ("score_higher_is_more_anomalous", scorer("Flipped", score=lambda self, events: -_score(self, events))),
    ("summary_is_numbers", scorer("SummaryNaN", summary=lambda self: {"w": float("nan")})),
    ("curves_are_points", scorer("CurveOfNaN", curves=lambda self: {"scan": np.full((3, 2), np.nan, np.float32)})),
    ("learnt_signal_is_declared_and_in_the_window", scorer("HiddenSignal", sample_signal=lambda self, n, rng: None)),
    ("weights_honoured", scorer("WeightlessScores", moments=lambda self, s: GoodScorer.moments(self, replace(s, weight=None)))),
    ("save_load_same_answer", scorer("Forgets", load=classmethod(lambda cls, directory, device: cls([[0, 0], [1, 1]], [[0, 0], [2, 2]])))),
]


@pytest.mark.parametrize(("name", "target"), [pytest.param(*case, id=f"{case[0]}-{case[1].__name__}") for case in SCORERS])
def test_broken_scorer_is_caught(name, target):
    """Each way in which a scorer can break a promise is caught by the check of that name."""
    assert result(record("scorer", target), name).outcome == "fail"


# interpolators


class Meddler(GoodInterpolator):
    def bind(self, model, window, ctx):
        object.__setattr__(model, "width", 2.0)
        return super().bind(model, window, ctx)


class Restless(GoodInterpolator):
    def bind(self, model, window, ctx):
        by = np.float32(np.random.standard_normal())
        return type("Shaken", (Bound,), {"sample": lambda self, c, r: model.sample(c, r) + by})(model)


class Windowless(GoodInterpolator):
    def bind(self, model, window, ctx):
        return Bound(model)


class Offset(GoodInterpolator):
    def bind(self, model, window, ctx):
        return type("Moved", (Bound,), {"sample": lambda self, c, r: model.sample(c, r) + np.float32(0.3)})(model)


class AtOneEnd(GoodInterpolator):
    def bind(self, model, window, ctx):
        return type("Stuck", (Bound,), {"sample": lambda self, c, r: model.sample(np.full_like(c, window.lo), r)})(model)


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("bind_leaves_model_alone", Meddler),
        ("bind_is_reproducible", Restless),
        ("missing_window_refused", Windowless),
        ("constant_background_unchanged", Offset),
        ("smooth_background_carried", AtOneEnd),
    ],
)
def test_broken_interpolator_is_caught(name, target):
    """Each way in which an interpolator can break a promise is caught by the check of that name."""
    assert result(record("interpolator", target), name).outcome == "fail"


# data sources


class NoDataset(GoodSource):
    def load(self, ctx):
        return self.draw(10, ctx.rng("events"))


class Fickle(GoodSource):
    def draw(self, n, rng):
        return super().draw(n, np.random.default_rng(np.random.randint(2**31)))


class ByFolder(GoodSource):
    def load(self, ctx):
        return self.dataset([self.draw(n, np.random.default_rng(list(str(ctx.workdir).encode()))) for n in (300, 0)])


class TwiceNamed(GoodSource):
    def dataset(self, parts):
        return Dataset(parts[0], parts[1], None, ("a", "a"))


class Sighted(Dataset):
    def region(self, region, window):
        return self.events


class Unblindable(GoodSource):
    def dataset(self, parts):
        return Sighted(parts[0], parts[1], None, ("a", "b"))


class Promising(GoodSource):
    def dataset(self, parts):
        return Dataset(parts[0].blind(), parts[1], None, ("a", "b"))


class Leaking(GoodSource):
    def dataset(self, parts):
        return Dataset(parts[0], parts[0][:50], None, ("a", "b"))


class SeedsOnLoad(GoodSource):
    def load(self, ctx):
        np.random.seed(1)
        return super().load(ctx)


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("load_returns_dataset", NoDataset),
        ("load_is_deterministic", Fickle),
        ("data_seed_alone_decides", ByFolder),
        ("features_named", TwiceNamed),
        ("blind_keeps_events", Unblindable),
        ("offers_are_there", Promising),
        ("parts_are_disjoint", Leaking),
        ("load_leaves_globals_alone", SeedsOnLoad),
    ],
)
def test_broken_source_is_caught(name, target):
    """Each way in which a data source can break a promise is caught by the check of that name."""
    assert result(record("data", target), name).outcome == "fail"


# metrics


class Infinite(GoodMetric):
    def compute(self, scored, ctx):
        return {"ratio": float("inf")}


class HalfInterval(GoodMetric):
    def compute(self, scored, ctx):
        return {"mean": 1.0, "mean-lo": 0.5}


class Jittery(GoodMetric):
    def compute(self, scored, ctx):
        return {"mean": float(np.random.standard_normal())}


class Scribbles(GoodMetric):
    def compute(self, scored, ctx):
        scored.score[0] = 0.0
        return {"mean": 1.0}


class Greedy(GoodMetric):
    needs = frozenset()


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("metric_is_flat_finite_floats", Infinite),
        ("metric_intervals_named", HalfInterval),
        ("metric_is_deterministic", Jittery),
        ("metric_leaves_inputs_alone", Scribbles),
        ("metric_needs_are_enough", Greedy),
    ],
)
def test_broken_metric_is_caught(name, target):
    """Each way in which a metric can break a promise is caught by the check of that name."""
    assert result(record("metric", target), name).outcome == "fail"
