"""Workers of a bench that die, are of another version, or cannot do what they are asked for."""

import os
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace

import pytest

from adtoolkit.bench.crews import THREADS, Crew, Processes, cores
from adtoolkit.bench.drive import Driver
from adtoolkit.bench.graph import Task
from adtoolkit.bench.work import Outcome, Site, perform
from adtoolkit.errors import RunError


class FakeCrew(Crew):
    """Does what the test says, at once."""

    slots = 2

    def __init__(self, act):
        self.act, self.given, self.revived = act, [], 0

    def submit(self, task, site):
        self.given.append(task.id)
        future = Future()
        try:
            future.set_result(self.act(task, self.given.count(task.id)))
        except Exception as error:  # noqa: BLE001
            future.set_exception(error)
        return future

    def revive(self):
        self.revived += 1

    def close(self, *, now):
        pass


def drive(act, tasks):
    ends = {}
    crew = FakeCrew(act)
    site = Site("/", "/", "/", "1")
    Driver(tasks, crew, site, lambda task: None, lambda task, outcome: ends.setdefault(task.id, []).append(outcome.status)).drive()
    return ends, crew


CHAIN = [
    Task("fit", "fit", "fit", ()),
    Task("template", "template", "template", (), ("fit",)),
    Task("a", "cell", "a", (), ("template",)),
    Task("b", "cell", "b", (), ("template",)),
    Task("c", "cell", "c", ()),
]


def test_a_worker_that_dies_is_replaced_and_its_task_tried_again():
    def act(task, attempt):
        if task.id == "template" and attempt == 1:
            raise BrokenProcessPool
        return Outcome("done")

    ends, crew = drive(act, CHAIN)

    assert ends == {name: ["done"] for name in ("fit", "template", "a", "b", "c")}
    assert crew.revived == 1


def test_a_task_that_kills_every_worker_is_given_up():
    def act(task, attempt):
        if task.id == "template":
            raise BrokenProcessPool
        return Outcome("done")

    ends, crew = drive(act, CHAIN)

    assert ends == {"fit": ["done"], "template": ["failed"], "a": ["failed"], "b": ["failed"], "c": ["done"]}
    assert crew.given.count("template") == 3


def test_a_task_that_kills_every_worker_does_not_take_its_neighbours_with_it():
    """All that is under way breaks with a pool of processes; which of them is to blame is found out one by one."""
    tasks = [Task(name, "cell", name, ()) for name in ("good 1", "bad", "good 2", "good 3")]
    under_way = set()

    class Pool(FakeCrew):
        """Both tasks under way end broken when one of them is the bad one."""

        def submit(self, task, site):
            self.given.append(task.id)
            future = Future()
            under_way.add((task.id, future))
            if len(under_way) == self.slots or task.id == "good 3" or self.given.count(task.id) > 1:
                broken = "bad" in {name for name, _ in under_way}
                for _, each in under_way:
                    each.set_exception(BrokenProcessPool()) if broken else each.set_result(Outcome("done"))
                under_way.clear()
            return future

    ends, crew = {}, Pool(None)
    Driver(tasks, crew, Site("/", "/", "/", "1"), lambda task: None, lambda task, outcome: ends.setdefault(task.id, outcome.status)).drive()

    assert ends == {"good 1": "done", "bad": "failed", "good 2": "done", "good 3": "done"}
    assert crew.given.count("bad") == 3
    assert crew.given.count("good 1") <= 2


#: Two cells that wait for the model of their window and for another one.
WIDE = [
    Task("window", "fit", "window", ()),
    Task("region", "fit", "region", ()),
    Task("late", "fit", "late", ()),
    Task("template", "template", "template", (), ("window", "region", "late")),
    Task("a", "cell", "a", (), ("template", "window", "region", "late")),
    Task("b", "cell", "b", (), ("template", "window", "region", "late")),
]


@pytest.mark.parametrize("bad", ["window", "region"])
def test_a_failed_training_ends_all_that_waits_for_it_once_and_nothing_is_trained_for_nothing(bad):
    ends, crew = drive(lambda task, _: Outcome("failed", {"message": "no"}) if task.id == bad else Outcome("done"), WIDE)

    assert {name: ends[name] for name in (bad, "template", "a", "b")} == {name: ["failed"] for name in (bad, "template", "a", "b")}
    assert crew.given == ["window", "region"], "both were given away at once; the third nobody needs any more"


def test_what_is_refused_leaves_the_cells_to_find_out_for_themselves():
    ends, _ = drive(lambda task, _: Outcome("refused", {"message": "no"}) if task.kind == "fit" else Outcome("done"), CHAIN)

    assert ends["a"] == ends["b"] == ["done"]


def test_a_worker_with_another_version_is_refused_with_both_versions_named(tmp_path):
    import adtoolkit

    site = Site(str(tmp_path), str(tmp_path), str(tmp_path), "99.0")
    outcome = perform(CHAIN[0], site)
    nowhere = perform(CHAIN[0], replace(site, version=adtoolkit.__version__, folder=str(tmp_path / "nowhere")))

    assert outcome.status == nowhere.status == "alien"
    assert f"has adtoolkit {adtoolkit.__version__}, but the bench was started with 99.0" in outcome.error["message"]
    assert "share the file system" in nowhere.error["message"]
    with pytest.raises(RunError, match=r"99\.0"):
        drive(lambda task, _: outcome, CHAIN)
    with pytest.raises(RunError, match="cannot take part"):
        drive(lambda task, _: (_ for _ in ()).throw(ModuleNotFoundError("adtoolkit")), CHAIN)


def threads_there():
    """What a worker would give numpy, scikit-learn and torch."""
    import torch

    return [os.environ[name] for name in THREADS], torch.get_num_threads()


def test_workers_have_the_threads_they_were_given_before_anything_heavy_is_loaded(monkeypatch):
    """Libraries read the environment when they are loaded; a worker inherits that of its parent."""
    for name in THREADS:
        monkeypatch.setenv(name, "7")
    crew = Processes(jobs=1, threads=2)
    try:
        environment, of_torch = crew.pool.submit(threads_there).result(timeout=60)
    finally:
        crew.close(now=True)

    assert environment == ["2"] * len(THREADS)
    assert of_torch == 2


@pytest.mark.parametrize(("asked", "there", "expected"), [("", 8, 8), ("3", 8, 3), ("16", 8, 8), ("0", 8, 8), ("many", 8, 8)])
def test_cores_are_those_of_the_process_and_no_more_than_openmp_was_given(monkeypatch, asked, there, expected):
    monkeypatch.setenv("OMP_NUM_THREADS", asked)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(there)), raising=False)

    assert cores() == expected
