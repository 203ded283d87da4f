"""Every conformance check can fail: a component that keeps every promise, and one broken copy of it per check."""

# ruff: noqa: NPY002  (drawing from the global generators is what some of the broken ones are about)

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import pytest
import torch

from adtoolkit.config import ComponentConfig
from adtoolkit.errors import DataError
from adtoolkit.interfaces import BackgroundEstimator, Model
from adtoolkit.plugin import Cap, Component, Region
from adtoolkit.registry import Registry
from adtoolkit.testing import checks_estimator
from adtoolkit.testing.checks import CheckResult, all_checks, checks_for, run_check, run_checks
from adtoolkit.testing.guards import OtherGlobalSeeds
from adtoolkit.testing.subject import Subject
from adtoolkit.types import Sample


class Options(ComponentConfig):
    """Options of the good components.

    Attributes:
        width: Factor on the spread.
    """

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"smoke": {"width": 1.0}, "paper": {}}

    width: float = 1.0


# the good ones


class GoodModel(Model):
    """x_i | m is normal around a line, all by weighted least squares."""

    def __init__(self, line: np.ndarray, spread: np.ndarray) -> None:
        self.line, self.spread = line, spread

    def mean(self, cond):
        return np.column_stack([np.ones(len(cond)), cond[:, 0]]) @ self.line

    def sample(self, cond, rng):
        mean = self.mean(cond)
        return (mean + self.spread * rng.standard_normal(mean.shape)).astype(np.float32)

    def log_prob(self, x, cond):
        z = (x - self.mean(cond)) / self.spread
        return (-0.5 * z**2 - np.log(self.spread) - 0.5 * np.log(2 * np.pi)).sum(1).astype(np.float32)

    def save(self, directory: Path) -> None:
        (directory / "line.json").write_text(json.dumps([self.line.tolist(), self.spread.tolist()]))

    @classmethod
    def load(cls, directory: Path, device: str) -> Self:
        return cls(*(np.array(value) for value in json.loads((directory / "line.json").read_text())))


def refuse(sample: Sample) -> None:
    if not len(sample) or not np.isfinite(sample.x).all():
        raise DataError("No events, or some are not finite.", "Drop them.")


class GoodEstimator(BackgroundEstimator[Options]):
    model: ClassVar[type[GoodModel]] = GoodModel

    def fit(self, train: Sample, val: Sample, ctx: Any) -> Model:
        refuse(train)
        weight = np.sqrt(train.weights.astype(float))[:, None]
        basis = np.column_stack([np.ones(len(train)), train.m])
        line = np.linalg.lstsq(weight * basis, weight * train.x, rcond=None)[0]
        spread = np.sqrt(np.average((train.x - basis @ line) ** 2, axis=0, weights=train.weights))
        return self.model(line, spread * self.config.width)


def record(target: type, **changes: Any) -> Component:
    values = {
        "name": "mine",
        "summary": "one of a test's own",
        "cite": "arXiv:2410.20537",
        "config": f"{__name__}:Options",
        "provides": frozenset({Cap.SAMPLE, Cap.LOG_PROB}),
        "trains_on": (Region.ALL,),
        **changes,
    }
    return Component(kind="estimator", target=f"{__name__}:{target.__name__}", **values)


def result(component: Component, name: str) -> CheckResult:
    """The outcome of one check of a component of nobody's registry."""
    check = next(check for check in checks_for(component.kind) if check.name == name)
    with Subject(component, Registry()) as subject:
        return run_check(check, subject)


@pytest.fixture(autouse=True)
def _globals_back():
    """Some broken components change the process; take that back."""
    with OtherGlobalSeeds():
        yield
    torch.set_default_dtype(torch.float32)


def test_good_estimator_passes_all_checks():
    """An estimator that keeps its promises fails nothing."""
    results = run_checks(record(GoodEstimator), Registry())

    assert [r for r in results if r.outcome in {"fail", "expected-failure"}] == []
    assert sum(r.outcome == "pass" for r in results) >= 20


# what can be wrong with a record or its options


class WithoutDocs(ComponentConfig):
    """Says nothing of its option."""

    depth: int = 3


class BadPreset(ComponentConfig):
    """Attributes:
    depth: How deep.
    """

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"fast": {"depth": "very"}}

    depth: int = 3


class Forgetful(ComponentConfig):
    """A preset that TOML cannot express: it has no None.

    Attributes:
        depth: How deep.
    """

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"deep": {"depth": None}}

    depth: int | None = 3


RECORDS = {
    "name_and_summary": {"name": "My_Flow"},
    "record_is_well_formed": {"provides": frozenset({"smaple"})},
    "cite_resolves_to_arxiv_or_doi": {"cite": "Das and Shih (2024)"},
    "expected_failures_are_real": {"expected_failures": {"weights_honored": "it is spelt otherwise"}},
    "presets_exist": {"config": f"{__name__}:BadPreset"},
    "config_round_trip": {"config": f"{__name__}:Forgetful"},
    "options_documented": {"config": f"{__name__}:WithoutDocs"},
}


@pytest.mark.parametrize("name", list(RECORDS))
def test_faulty_record_is_caught(name):
    """What a record or its options say wrongly is told."""
    assert result(record(GoodEstimator, **RECORDS[name]), name).outcome == "fail"


def test_heavy_plugin_module_is_caught(tmp_path, monkeypatch):
    """Options whose module imports a heavy package are told, with its name."""
    (tmp_path / "heavy_options.py").write_text("import h5py\nfrom adtoolkit.config import NoOptions as Heavy\n")
    monkeypatch.syspath_prepend(tmp_path)

    found = result(record(GoodEstimator, config="heavy_options:Heavy"), "plugin_import_is_light")

    assert found.outcome == "fail"
    assert "'import heavy_options' loads h5py" in found.reason


class Untaught(BackgroundEstimator[Options]):
    """Forgets to define fit."""


class Forgetting(GoodEstimator):
    """Takes no validation events."""

    def fit(self, train, ctx):  # the wrong arguments are the point
        return GoodEstimator.fit(self, train, train, ctx)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (Untaught, "Untaught does not define fit."),
        (Forgetting, "Forgetting.fit(self, train, ctx) does not fit: write def fit(self, train, val, ctx)."),
    ],
)
def test_class_that_does_not_fit_its_interface_is_caught_before_it_is_called(target, message):
    found = result(record(target), "code_fits_the_interface")

    assert found.outcome == "fail"
    assert found.reason.endswith(message)


# what can be wrong with a model; each class is named for its fault


def model(name: str, **methods: Any) -> type:
    """A broken copy of the good estimator, under a name of its own so that it can be found by it."""
    broken = type(f"{name}Model", (GoodModel,), methods)
    made = type(name, (GoodEstimator,), {"model": broken})
    globals()[name] = made
    return made


def fit(name: str, method: Any) -> type:
    made = type(name, (GoodEstimator,), {"fit": method})
    globals()[name] = made
    return made


def _good(self, train, val, ctx):
    return GoodEstimator.fit(self, train, val, ctx)


def _kept(self, train, val, ctx):
    self.last = _good(self, train, val, ctx)
    return self.last


def _writes(self, train, val, ctx):
    fitted = _good(self, train, val, ctx)
    train.x.base[0, 0] = 99.0
    return fitted


def _seeds(self, train, val, ctx):
    np.random.seed(len(train))
    return _good(self, train, val, ctx)


def _retypes(self, train, val, ctx):
    torch.set_default_dtype(torch.float64)
    return _good(self, train, val, ctx)


def _unseeded(self, train, val, ctx):
    fitted = _good(self, train, val, ctx)
    fitted.line += 0.01 * np.random.standard_normal(fitted.line.shape)
    return fitted


def _elsewhere(self, train, val, ctx):
    fitted = _good(self, train, val, ctx)
    fitted.cache = {"weights": [torch.zeros(3, device="meta")]}
    return fitted


def _credulous(self, train, val, ctx):
    return GoodModel(np.zeros((2, 2)), np.ones(2))


def _weightless(self, train, val, ctx):
    return _good(self, replace(train, weight=None), val, ctx)


def _padded(self, cond, rng):
    size = -(-len(cond) // 256) * 256 if len(cond) else 0
    return GoodModel.sample(self, np.resize(cond, (size, 1)) if size else cond, rng)


def _save_pickle(self, directory):
    (directory / "model.bin").write_bytes(pickle.dumps([self.line, self.spread]))


def _load_pickle(cls, directory, device):
    return cls(*pickle.loads((directory / "model.bin").read_bytes()))


def _load_wider(cls, directory, device):
    line, spread = json.loads((directory / "line.json").read_text())
    return cls(np.array(line), 1.01 * np.array(spread))


_MORE = {"provides": frozenset({Cap.SAMPLE, Cap.LOG_PROB, Cap.RECONSTRUCT})}
_FIELD = {"provides": frozenset({Cap.SAMPLE, Cap.LOG_PROB, Cap.FIELD})}
_density = GoodModel.log_prob
_draw = GoodModel.sample

MODELS: list[tuple[str, type, dict[str, Any]]] = [
    ("fit_returns_new_model", fit("KeepsState", _kept), {}),
    ("capabilities_match_methods", model("Undeclared", reconstruct=lambda self, x, cond: x), {}),
    ("capabilities_match_methods", model("Overdeclared"), _MORE),
    ("inputs_not_mutated", fit("Writes", _writes), {}),
    ("no_global_rng_or_dtype_change", fit("Seeds", _seeds), {}),
    ("no_global_rng_or_dtype_change", fit("Retypes", _retypes), {}),
    ("deterministic", fit("Unseeded", _unseeded), {}),
    ("save_load_same_answer", model("LoadsWider", load=classmethod(_load_wider)), {}),
    ("save_load_same_answer", model("Pickles", save=_save_pickle, load=classmethod(_load_pickle)), {}),
    ("device_is_respected", fit("Elsewhere", _elsewhere), {}),
    ("empty_and_nan_rejected", fit("Credulous", _credulous), {}),
    ("weights_honoured", fit("Weightless", _weightless), {}),
    ("sample_shape_dtype_finite", model("WrongShape", sample=lambda self, cond, rng: _draw(self, cond, rng)[:, :1]), {}),
    ("sample_shape_dtype_finite", model("WrongDtype", sample=lambda self, cond, rng: _draw(self, cond, rng).astype(float)), {}),
    ("sample_shape_dtype_finite", model("DrawsNaN", sample=lambda self, cond, rng: np.full_like(_draw(self, cond, rng), np.nan)), {}),
    ("log_prob_shape_finite", model("Column", log_prob=lambda self, x, cond: _density(self, x, cond)[:, None]), {}),
    (
        "log_prob_shape_finite",
        model("Cut", log_prob=lambda self, x, cond: np.where(x.max(1) > 4, np.float32(-np.inf), _density(self, x, cond))),
        {},
    ),
    ("reconstruct_shape_finite", model("Halved", reconstruct=lambda self, x, cond: x[:, :1]), _MORE),
    ("field_shape_finite", model("Singular", field=lambda self, t, x, cond: x / (1 - t)), _FIELD),
    ("batch_sizes", model("Padded", sample=_padded), {}),
    ("batch_sizes", model("BatchNorm", log_prob=lambda self, x, cond: _density(self, x - x.mean(0), cond) if len(x) else x[:, 0]), {}),
    ("sample_is_reproducible", model("Global", sample=lambda self, cond, rng: _draw(self, cond, np.random)), {}),
    ("different_seed_differs", model("OneSeed", sample=lambda self, cond, rng: _draw(self, cond, np.random.default_rng(0))), {}),
    ("log_prob_integrates_to_one", model("Unnormalised", log_prob=lambda self, x, cond: _density(self, x, cond) + np.float32(0.3)), {}),
    ("sample_agrees_with_log_prob", model("Displaced", sample=lambda self, cond, rng: _draw(self, cond, rng) + np.float32(0.4)), {}),
    ("sample_agrees_with_log_prob", model("Wide", sample=lambda self, cond, rng: _draw(self, cond, rng) * np.float32(1.5)), {}),
]


@pytest.mark.parametrize(("name", "target", "changes"), [pytest.param(*case, id=f"{case[0]}-{case[1].__name__}") for case in MODELS])
def test_broken_estimator_is_caught(name, target, changes):
    """Each way in which an estimator can break a promise is caught by the check of that name."""
    found = result(record(target, **changes), name)

    assert found.outcome == "fail"
    assert found.reason


def test_slow_fit_is_caught(monkeypatch):
    """A fit that takes longer than the limit is told how long."""
    monkeypatch.setattr(checks_estimator, "_SECONDS", 0.0)

    found = result(record(GoodEstimator), "smoke_under_20_seconds")

    assert found.outcome == "fail"
    assert "It took" in found.reason


def test_every_check_is_seen_to_fail():
    """The tests of the checks break every check there is."""
    text = "".join(path.read_text() for path in Path(__file__).parent.glob("test_checks*.py"))

    assert [check.name for check in all_checks() if f'"{check.name}"' not in text] == []
