"""Models that are trained together, and densities that are evaluated once."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from adtoolkit.background import Background
from adtoolkit.config import NoOptions
from adtoolkit.context import RunContext
from adtoolkit.control import in_region
from adtoolkit.densities import LOWEST
from adtoolkit.errors import RunError
from adtoolkit.folds import train_val
from adtoolkit.plugin import Component
from adtoolkit.stages import FitJob, Part, Workshop, fit_model, fit_models, read_densities, tabulate_densities
from adtoolkit.store import Store
from adtoolkit.testing.worlds import LineModel, ToyModel
from adtoolkit.types import Array, Sample, Window


class Lines:
    """An estimator of straight lines that notes how many it was asked for at once."""

    config = NoOptions()

    def __init__(self, rounding=""):
        self.groups, self.rounding = [], rounding

    def fit(self, train, val, ctx):
        return self._line(train, ctx)

    def arithmetic(self, device):
        return self.rounding

    def fit_many(self, tasks):
        self.groups.append(len(tasks))
        return [self._line(task.train, task.ctx) for task in tasks]

    @staticmethod
    def _line(train, ctx):
        assert ctx.workdir.is_dir()
        ctx.note(f"{len(train)} lines.")
        return LineModel(slope=(float(train.m.mean()), float(ctx.rng("start").random())))


def part(instance):
    return Part(Component(kind="estimator", name="lines", target="adtoolkit.testing.worlds:LineModel", summary="."), instance)


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "cache")


def jobs(store, n, seed=0):
    rng = np.random.default_rng(7)
    events = Sample(rng.normal(size=(400, 2)), rng.uniform(2, 5, 400))
    windows = [Window(2.5 + 0.2 * i, 2.9 + 0.2 * i) for i in range(n)]
    return [FitJob(Workshop(store, RunContext(seed=seed), {}), events[~w.contains(events.m)], w) for w in windows]


def test_models_trained_together_are_found_as_if_each_were_trained_alone(store, tmp_path):
    together, alone = Lines(), Lines()
    fit_models(part(together), jobs(store, 3))
    for job, other in zip(jobs(store, 3), jobs(Store(tmp_path / "other"), 3), strict=True):
        entry, model, _ = fit_model(part(alone), job)
        assert entry.reused
        assert model.slope == fit_model(part(alone), other)[1].slope
    assert together.groups == [3]


def test_only_what_is_not_in_the_cache_is_trained(store):
    estimator = Lines()
    fit_models(part(estimator), jobs(store, 2))
    entries = fit_models(part(estimator), [*jobs(store, 4), *jobs(store, 1, seed=5)])
    assert estimator.groups == [2, 3]
    assert [entry.reused for entry in entries] == [True, True, False, False, False]
    fit_models(part(estimator), jobs(store, 4))
    assert estimator.groups == [2, 3]


def test_models_of_machines_that_round_differently_are_kept_apart(store):
    job = jobs(store, 1)[0]
    reused = [fit_model(part(Lines(rounding)), job)[0].reused for rounding in ("", "float32", "", "float32")]
    assert reused == [False, False, True, True]


def test_checkpoints_of_a_group_are_dropped_when_the_code_has_changed(store, monkeypatch):
    """Old weights must not meet a new loss: neither in a training alone nor in one of a group."""

    class Killed(Lines):
        def fit_many(self, tasks):
            self.found = [sorted(path.name for path in task.ctx.workdir.iterdir()) for task in tasks]
            for task in tasks:
                (task.ctx.workdir / "training.ckpt").write_text("half way")
            raise KeyboardInterrupt

    killed = Killed()
    for source, left in (("one", []), ("one", ["training.ckpt"]), ("two", [])):
        monkeypatch.setattr(Part, "source", property(lambda self, source=source: source))
        with pytest.raises(KeyboardInterrupt):
            fit_models(part(killed), jobs(store, 2))
        assert killed.found == [left, left]


def test_an_estimator_that_trains_alone_is_refused(store):
    with pytest.raises(RunError, match="one model at a time"):
        fit_models(part(object()), jobs(store, 2))


@dataclass
class Counting:
    """The toy's exact density, counting what it is asked for."""

    asked: list[int] = field(default_factory=list)

    def log_prob(self, x: Array, cond: Array) -> Array:
        self.asked.append(len(x))
        return ToyModel().log_prob(x, cond)


def listeners(store, n):
    """Trainings, and what each is told."""
    told = [[] for _ in range(n)]
    shops = [Workshop(store, RunContext(tell=one.append), {}) for one in told]
    return [replace(job, shop=shop) for job, shop in zip(jobs(store, n), shops, strict=True)], told


def notes(told):
    return [[event.text for event in one if event.kind == "note"] for one in told]


def test_what_a_training_noted_is_told_again_where_its_model_is_reused(store):
    for _ in range(2):
        (job,), told = listeners(store, 1)
        fit_model(part(Lines()), job)
        fit_model(part(Lines()), FitJob(in_region(job.shop, job.window), job.train_on, None))
        n = len(train_val(job.train_on, np.random.default_rng(0))[0])
        assert notes(told) == [[f"{n} lines.", f"In the control region from 2.5 to 2.9: {n} lines."]]


def test_of_models_trained_together_each_keeps_its_own_notes(store):
    for _ in range(2):
        trainings, told = listeners(store, 2)
        fit_models(part(Lines()), trainings)
        sizes = [len(train_val(job.train_on, np.random.default_rng(0))[0]) for job in trainings]
        assert notes(told) == [[f"{n} lines."] for n in sizes]
        assert sizes[0] != sizes[1]


def test_densities_are_evaluated_once_and_serve_every_later_question(store):
    rng = np.random.default_rng(3)
    events = Sample(rng.normal(size=(300, 2)), rng.uniform(3.3, 3.7, 300))
    model = Counting()
    background = Background(model, mass=None)
    shop = Workshop(store, RunContext(), {})
    first = tabulate_densities(shop, part(Lines()), background, events, {"fit": "a"})
    again = tabulate_densities(shop, part(Lines()), background, events, {"fit": "a"})
    known = Background(model, mass=None, known=read_densities(again, events))
    assert (first.reused, again.reused) == (False, True)
    assert np.array_equal(known.log_prob(events[::3]), ToyModel().log_prob(events.x[::3], events.cond[::3]))
    assert model.asked == [300]
    assert tabulate_densities(shop, part(Lines()), background, events, {"fit": "b"}).reused is False


@dataclass
class Partly:
    """No number for the first events, infinitely unlikely the next, as unlikely as a model can say the next."""

    nan: int
    impossible: int
    lowest: int

    def log_prob(self, x: Array, cond: Array) -> Array:
        told = np.repeat([np.nan, -np.inf, LOWEST], [self.nan, self.impossible, self.lowest])
        return np.r_[told, x[len(told) :, 0]].astype(np.float32)


def test_a_few_events_without_a_density_are_counted_and_many_are_refused(store):
    rng = np.random.default_rng(3)
    events = Sample(rng.normal(size=(200, 2)), rng.uniform(3.3, 3.7, 200))
    shop = Workshop(store, RunContext(), {})

    entry = tabulate_densities(shop, part(Lines()), Background(Partly(10, 5, 5), mass=None), events, {"fit": "few"})
    with pytest.raises(RunError, match="gives no density to 21 of 200 events"):
        tabulate_densities(shop, part(Lines()), Background(Partly(10, 5, 6), mass=None), events, {"fit": "many"})

    assert entry.meta["without_density"] == 20
    assert np.isnan(read_densities(entry, events).values).sum() == 10
