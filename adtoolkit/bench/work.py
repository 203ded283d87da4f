"""What happens to a task where it is computed: in this process, in another, or on another machine.

Nothing is raised but an interrupt: what went wrong comes back as an `Outcome`, so that one cell does not end the others.
"""

from __future__ import annotations

import os
import socket
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from adtoolkit.context import silent
from adtoolkit.errors import AdtoolError
from adtoolkit.events import Event
from adtoolkit.store import STAGES, Overwrite

if TYPE_CHECKING:
    from adtoolkit.bench.graph import Task, Work
    from adtoolkit.preparation import Prepared
    from adtoolkit.runner import Run
    from adtoolkit.stages import FitJob

#: Threads of one process take turns: a training uses all cores it is given.
_TURN: Final = threading.Lock()


@dataclass(frozen=True)
class Site:
    """Where a bench is computed; plain data.

    Attributes:
        folder: Folder of the bench, absolute.
        cache: Root of the stage cache, absolute.
        home: Folder that relative paths of the configurations start from.
        version: Of adtoolkit, where the bench was started.
        overwrite: As for a run.
        batch: As for `Store`: what cells share is made again once.
        threads: Threads of each worker, or None to leave them alone.
        pictures: Whether cells draw pictures.
    """

    folder: str
    cache: str
    home: str
    version: str
    overwrite: Overwrite = "only-missing"
    batch: str = ""
    threads: int | None = None
    pictures: bool = False


@dataclass(frozen=True)
class Outcome:
    """What became of a task.

    Attributes:
        status: ``done``; ``kept`` (a cell that was computed before); ``refused`` (before anything was trained); ``failed``;
            ``alien`` (this worker cannot take part).
        error: ``name``, ``message`` and ``stage`` of what went wrong.
        seconds: How long it took.
        trainings: Background models trained.
        where: Machine and process.
    """

    status: Literal["done", "kept", "refused", "failed", "alien"]
    error: Mapping[str, str] | None = None
    seconds: float = 0.0
    trainings: int = 0
    where: str = ""


def perform(task: Task, site: Site, tell: Callable[[Event], None] = silent) -> Outcome:
    """Do a task.

    Args:
        task: What.
        site: Where.
        tell: Called with every event, besides the plugins that listen.
    """
    started, where = time.perf_counter(), f"{socket.gethostname()}:{os.getpid()}"

    def ended(status: Any, error: Mapping[str, str] | None = None, trainings: int = 0) -> Outcome:
        return Outcome(status, error, round(time.perf_counter() - started, 3), trainings, where)

    if trouble := _stranger(site, where):
        return ended("alien", {"name": "Worker", "message": trouble, "stage": task.kind})
    with _TURN, _at_home(site.home):
        try:
            status, trainings = _perform(task, site, tell)
        except AdtoolError as error:
            cause: BaseException = error
            while isinstance(cause, AdtoolError) and cause.__cause__ is not None:
                cause = cause.__cause__
            name = type(cause).__name__
            message = f"{error.message} {error.fix}".strip()
            refused = error.exit_code == 2 or _may_do_without(task)
            return ended("refused" if refused else "failed", {"name": name, "message": message, "stage": task.kind})
        except Exception as error:  # noqa: BLE001  # whatever a component raises, the other cells go on
            _keep_trace(task, site)
            what = {"name": type(error).__name__, "message": f"{error}", "stage": task.kind}
            return ended("refused" if _may_do_without(task) else "failed", what)
    return ended(status, None, trainings)


def _may_do_without(task: Task) -> bool:
    """Whether each cell finds out for itself what it can do without this task.

    Of several trainings one may have spoilt it for all, of template and densities a cell may need less than was tried, and a control
    region without a model is left out.
    """
    return len(task.keys) > 1 or task.kind == "template" or any(work.control for work in task.work)


def _perform(task: Task, site: Site, tell: Callable[[Event], None]) -> tuple[str, int]:
    from adtoolkit.bench.folder import BenchFolder

    folder = BenchFolder(Path(site.folder))
    if site.threads is not None:
        import torch

        torch.set_num_threads(site.threads)
    if task.kind == "fit":
        return "done", _fit(task, site, folder, tell)
    (work,) = task.work
    job = _run(work, task, site, folder, tell)
    if task.kind == "template":
        job.background()
        return "done", job.shop.made.count("fit")
    if (
        site.overwrite == "only-missing"
        and folder.finished(job.folder.path.absolute().relative_to(folder.runs), work.digest).status == "done"
    ):
        return "kept", 0
    job.execute()
    return "done", job.shop.made.count("fit")


def _fit(task: Task, site: Site, folder: Any, tell: Callable[[Event], None]) -> int:
    """One training, or several together.

    A cell whose own parts are refused leaves the training to the next that needs it. The data tell whether a control region can have one.
    """
    from adtoolkit import stages

    found: dict[str, FitJob] = {}
    there: dict[str, tuple[Run, Prepared]] = {}
    refused: Exception | None = None
    without: set[str] = set()  # control regions that have none, whichever cell asks
    for work in task.work:
        if work.key in found or (work.control and work.key in without):
            continue
        if work.digest not in there:
            job = _run(work, task, site, folder, tell)
            try:
                there[work.digest] = job, job.prepared()
            except AdtoolError as error:
                refused = error
                continue
        job, prepared = there[work.digest]
        try:
            found[work.key] = job.fit_job(prepared, work.control)
        except Exception as error:
            if not (work.control or isinstance(error, AdtoolError)):
                raise
            refused = error
            if work.control:
                without.add(work.key)
    if not found and refused is not None:
        raise refused
    first, prepared = next(iter(there.values()))
    estimator, jobs = prepared.parts["estimator"], list(found.values())
    entries = stages.fit_models(estimator, jobs) if len(jobs) > 1 else [stages.fit_model(estimator, jobs[0])[0]]
    for key, entry in zip(found, entries, strict=True):
        place = entry.path.relative_to(first.store.root).as_posix()
        folder.keep_fit(key, {"stage": place, "estimator": estimator.record.name, "seconds": entry.seconds})
    return sum(not entry.reused for entry in entries)


def _run(work: Work, task: Task, site: Site, folder: Any, tell: Callable[[Event], None]) -> Run:
    """The run of a configuration, as this process understands it.

    Raises:
        AdtoolError: if that is not what was meant: another version of a plugin is installed here.
    """
    from adtoolkit.bench.cells import digest_of
    from adtoolkit.bench.sources import files_of_data, files_of_parts
    from adtoolkit.devices import resolve_device
    from adtoolkit.errors import PluginError
    from adtoolkit.registry import default_registry
    from adtoolkit.resolving import plan_of, resolve_config
    from adtoolkit.runner import Run
    from adtoolkit.store import Store

    registry = default_registry()
    config = resolve_config(registry, work.config)
    if digest_of(config, registry) != work.digest:
        raise PluginError(
            f"The plugins on {socket.gethostname()} give '{task.name}' other options or versions than where the bench was started.",
            "Install the same versions everywhere.",
        )

    def heard(event: Event) -> None:
        tell(event)
        registry.tell(event)

    def unchanged(prepared: Prepared) -> None:
        what = f"{config.data.name} (seed {config.data_seed})"
        folder.check_data(work.data, prepared.dataset.digest, what, files_of_data(config))
        folder.check_files(files_of_parts(config))

    return Run(
        config,
        plan_of(config, registry),
        registry,
        resolve_device(config.run.device),
        Store(Path(site.cache), site.batch),
        heard,
        dict.fromkeys(STAGES, site.overwrite),
        {"digest": work.digest},
        site.pictures,
        unchanged,
    )


def _stranger(site: Site, where: str) -> str:
    """Why this worker cannot take part, if it cannot."""
    import adtoolkit

    if adtoolkit.__version__ != site.version:
        return (
            f"The worker {where} has adtoolkit {adtoolkit.__version__}, but the bench was started with {site.version}. "
            "Install the same version everywhere."
        )
    for path in (site.folder, site.home):
        if not Path(path).is_dir():
            return f"The worker {where} does not see the folder {path}. All workers must share the file system that the bench lies on."
    return ""


@contextmanager
def _at_home(home: str) -> Iterator[None]:
    """Relative paths mean the same everywhere."""
    here = Path.cwd()
    if here == Path(home):
        yield
        return
    os.chdir(home)
    try:
        yield
    finally:
        os.chdir(here)


def _keep_trace(task: Task, site: Site) -> None:
    """The traceback of what failed outside a run folder, for the reader."""
    from adtoolkit.store import write_atomic

    try:
        folder = Path(site.folder) / "fits"
        folder.mkdir(exist_ok=True)
        write_atomic(folder / f"{task.id}.error.txt", traceback.format_exc())
    except OSError:
        return
