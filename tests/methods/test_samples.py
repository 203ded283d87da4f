"""The estimator ``samples``: which events are drawn, in which space, and which files are refused."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from adtoolkit.arrays import read_arrays
from adtoolkit.context import RunContext
from adtoolkit.data import toy_bump
from adtoolkit.errors import AdtoolError, ConfigError, DataError
from adtoolkit.events import Event
from adtoolkit.preprocess import Preprocess
from adtoolkit.registry import default_registry
from adtoolkit.resolving import plan_of, resolve_config
from adtoolkit.runner import Run
from adtoolkit.testing import toy_world
from adtoolkit.types import Sample, Window

WINDOW = Window(3.3, 3.7)


@pytest.fixture
def template(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Write 4,000 exact background events of the toy, one column of them changed; gives the options that read them."""

    def write(features: int = 2, **change: Callable[[Any], Any]) -> dict[str, Any]:
        rng = np.random.default_rng(5)
        m = rng.uniform(3.2, 3.8, 4000)
        x = toy_bump.sample_background(m, rng, n_features=features)
        columns = {"m": m, **{f"x{i}": column for i, column in enumerate(x.T)}}
        np.savez(tmp_path / "template.npz", **{name: change.get(name, np.asarray)(values) for name, values in columns.items()})
        return {"path": str(tmp_path / "template.npz"), "mass": "m", "columns": [f"x{i}" for i in range(features)]}

    return write


def estimator(options: dict[str, Any]) -> Any:
    registry = default_registry()
    return registry.make(registry.get("estimator", "samples").component, values=options)


def fitted(options: dict[str, Any]) -> Any:
    events = toy_world(seed=0, n=500).dataset.events
    return estimator(options).fit(events, events[:0], RunContext())


def test_draws_are_events_of_the_file_among_the_nearest_in_mass(template) -> None:
    """Against a search through all of them: half of the neighbours lie below the mass, half above."""
    options = template()
    model = fitted({**options, "neighbours": 6})
    file = np.load(options["path"])
    rows, m = np.column_stack([file["x0"], file["x1"]]).astype(np.float32), file["m"].astype(np.float32)
    asked = np.array([3.21, 3.5, 3.5, 3.7777], np.float32)

    drawn = model.sample(np.repeat(asked, 200)[:, None], np.random.default_rng(0)).reshape(4, 200, 2)

    for mass, some in zip(asked, drawn, strict=True):
        order = np.argsort(m)
        place = int((m < mass).sum())
        allowed = {tuple(rows[i]) for i in order[place - 3 : place + 3]}
        assert {tuple(row) for row in some} == allowed


def test_masses_beyond_the_file_get_the_events_at_its_end(template) -> None:
    model = fitted({**template(), "neighbours": 3})

    low, high = (model.sample(np.full((100, 1), m, np.float32), np.random.default_rng(0)) for m in (1.0, 9.0))

    assert {tuple(row) for row in low} == {tuple(row) for row in model.x[:3]}
    assert {tuple(row) for row in high} == {tuple(row) for row in model.x[-3:]}


def test_draws_are_independent_of_others_and_follow_the_background_at_each_mass(template) -> None:
    """Mean of each feature at a mass within four standard errors of the closed form."""
    model = fitted(template())
    cond = np.full((4000, 1), 3.6, np.float32)

    drawn = model.sample(cond, np.random.default_rng(1))
    exact = toy_bump.sample_background(np.full(200_000, 3.6), np.random.default_rng(2), n_features=2)

    # 20 events stand behind the draws, so theirs is the error
    assert np.all(np.abs(drawn.mean(0) - exact.mean(0)) < 4 * exact.std(0) / np.sqrt(20))
    assert len(np.unique(drawn, axis=0)) == 20


def test_preprocessed_model_gives_what_the_run_makes_of_the_events_and_counts_the_clipped(template) -> None:
    heard: list[Event] = []
    model = fitted(template())
    middle = (np.abs(model.x) < 2).all(1)
    prep = Preprocess.fit(Sample(model.x[middle], model.m[middle]))

    inside = model.preprocessed(prep, RunContext(tell=heard.append))

    clipped = prep.clipped(model.x)
    assert np.array_equal(inside.x, prep.forward(model.x))
    assert clipped > 0
    assert [event.text for event in heard] == [
        f"samples: {clipped:,} of 4,000 template events lie outside the data's range and were moved to its edge."
    ]


@pytest.fixture
def events() -> Sample:
    return toy_world(seed=0, n=3000).dataset.events.blind()


def test_good_file_is_accepted(template, events) -> None:
    estimator(template()).check(events, WINDOW)
    estimator(template(m=lambda m: 1000 * m) | {"scale": 0.001}).check(events, WINDOW)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"m": lambda m: 1000 * m}, r"holds 0 events in the window 3.3 to 3.7.*run from 32\d\d.* to 3799.*estimator.scale=FACTOR"),
        ({"x1": lambda x: 1000 * x}, r"'x1' runs from -3183.03 to 3626.84, the data's feature from .*units of the data\?"),
        ({"x0": lambda x: x / 1000}, r"'x0' runs from .*units of the data\?"),
        ({"x0": lambda x: np.where(x > 2, np.nan, x)}, "events of .* have NaN or infinite values"),
        ({"x0": lambda x: x.astype(str)}, "'x0' holds text"),
    ],
)
def test_file_in_other_units_or_with_bad_values_is_refused(template, events, change, message) -> None:
    with pytest.raises(DataError, match=message):
        estimator(template(**change)).check(events, WINDOW)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"path": ""}, ConfigError, "needs estimator.path"),
        ({"mass": ""}, ConfigError, "needs estimator.mass"),
        ({"columns": "x0"}, ConfigError, "1 template columns are named for 2 features of the data: x0"),
        ({"columns": "x0,x2"}, AdtoolError, "no column 'x2'"),
        ({"path": "/nowhere.npz"}, DataError, "There is no file"),
    ],
)
def test_options_that_do_not_fit_are_refused(template, events, options, error, message) -> None:
    with pytest.raises(error, match=message):
        estimator({**template(), **options}).check(events, WINDOW)


def test_further_conditions_are_refused(template, events) -> None:
    with pytest.raises(DataError, match="no condition but the mass"):
        estimator(template()).check(replace(events, context=np.zeros((len(events), 1), np.float32)), WINDOW)


def test_model_is_made_anew_when_the_file_changes(template) -> None:
    one, same, other = (estimator(template(**change)).arithmetic("cpu") for change in ({}, {}, {"x0": lambda x: x + 0.1}))

    assert one == same != other


def test_a_file_smaller_than_the_template_makes_no_excess_of_its_copies(tmp_path, monkeypatch) -> None:
    """1,000 exact background events, drawn four times as often as there are data in the window, which hold no signal.

    Copies of an event on both sides of a fold would let the classifier know the template by heart.
    """
    monkeypatch.setenv("ADTOOLKIT_CACHE", str(tmp_path / "cache"))
    rng = np.random.default_rng(3)
    m = rng.uniform(3.3, 3.7, 1000)
    np.savez(tmp_path / "few.npz", m=m, x=toy_bump.sample_background(m, rng, n_features=2))
    with np.load(tmp_path / "few.npz") as file:
        np.savez(tmp_path / "few.npz", m=file["m"], x0=file["x"][:, 0], x1=file["x"][:, 1])
    estimator = {"name": "samples", "path": str(tmp_path / "few.npz"), "mass": "m", "columns": ["x0", "x1"]}
    data = {"name": "toy-bump", "n_features": 2, "n_background": 8000, "n_signal": 0, "n_test": 1000}
    tables = {"data": data, "window": {"lo": 3.3, "hi": 3.7}, "estimator": estimator, "scorer": {"name": "cathode", "members": 1}}
    config = resolve_config(
        default_registry(), {**tables, "metrics": {"names": ["excess", "closure"]}, "run": {"out": str(tmp_path / "runs")}}, None
    )

    result = Run(config, plan_of(config, default_registry()), default_registry(), "cpu", pictures=False).execute()

    fold, x = (read_arrays(result.run / name)[key] for name, key in (("scores.h5", "template/fold"), ("background.h5", "x")))
    copies = [set(fold[(x == row).all(1)].tolist()) for row in np.unique(x, axis=0)]
    assert len(copies) < 1001
    assert all(len(folds) == 1 for folds in copies)
    assert abs(result.metrics["excess-z@1e-1"]) < 3.5
    assert abs(result.metrics["closure-auc"] - 0.5) < 0.05


def test_run_takes_the_events_as_template(template, tmp_path, monkeypatch) -> None:
    """The template written by the run is made of rows of the file, in physical units, and the signal is found against it."""
    monkeypatch.setenv("ADTOOLKIT_CACHE", str(tmp_path / "cache"))
    options = template(features=3)
    data = {"name": "toy-bump", "n_background": 6000, "n_signal": 150, "n_test": 1000}
    tables = {"data": data, "estimator": {"name": "samples", **options}, "scorer": {"name": "cathode", "folds": 2}}
    config = resolve_config(
        default_registry(), {**tables, "metrics": {"names": ["auc", "excess"]}, "run": {"out": str(tmp_path / "runs")}}, preset="smoke"
    )

    result = Run(config, plan_of(config, default_registry()), default_registry(), "cpu", pictures=False).execute()

    assert any("No control region" in note and "made for the window" in note for note in result.notes)
    file = np.load(options["path"])
    rows = np.sort(file["x0"])
    drawn = read_arrays(result.run / "background.h5")["x"][:, 0]
    near = np.clip(np.searchsorted(rows, drawn), 1, len(rows) - 1)
    off = np.minimum(np.abs(rows[near] - drawn), np.abs(rows[near - 1] - drawn))
    unclipped = (drawn > drawn.min()) & (drawn < drawn.max())
    assert np.all(off[unclipped] < 1e-4)
    assert result.metrics["auc"] > 0.8
