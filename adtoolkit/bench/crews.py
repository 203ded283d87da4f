"""Who computes the tasks: this process, or others on this machine. Importing it costs neither numpy nor torch.

Every crew hands out futures of `concurrent.futures`, so that all are driven alike.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import resource_tracker
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from adtoolkit.bench.graph import Task
    from adtoolkit.bench.work import Outcome, Site

#: Read by the libraries beneath numpy and torch when they are loaded.
THREADS: Final = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


class Crew(ABC):
    """Workers.

    Attributes:
        slots: How many tasks they work on at a time; None if whoever gives the tasks need not care.
        threads: Threads of each worker, or None to leave them alone.
        workers: How many there are at the start.
    """

    slots: int | None = 1
    workers: int = 1
    threads: int | None = None

    @abstractmethod
    def submit(self, task: Task, site: Site) -> Future[Outcome]:
        """Have a task done."""

    @abstractmethod
    def revive(self) -> None:
        """Replace workers that died."""

    @abstractmethod
    def close(self, *, now: bool) -> None:
        """Send the workers home; ``now`` leaves their work unfinished."""


class Alone(Crew):
    """This process does everything itself, one task after the other.

    Args:
        tell: Called with every event.
    """

    def __init__(self, tell: Callable[[Any], None]) -> None:
        self.tell = tell

    def submit(self, task: Task, site: Site) -> Future[Outcome]:
        from adtoolkit.bench.work import perform

        future: Future[Outcome] = Future()
        future.set_result(perform(task, site, self.tell))
        return future

    def revive(self) -> None:
        """Nobody else is there to die."""

    def close(self, *, now: bool) -> None:
        """Nobody else is there to be sent home."""


class Processes(Crew):
    """Several processes on this machine.

    Args:
        jobs: How many.
        threads: Threads of each.
    """

    def __init__(self, jobs: int, threads: int) -> None:
        self.slots, self.threads, self.each = jobs, threads, threads
        self.pool = self._pool()

    def _pool(self) -> ProcessPoolExecutor:
        _quiet_tracker()
        # spawn: a forked child inherits thread pools that do not work in it
        context = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(self.slots, mp_context=context, initializer=_prepare_worker, initargs=(self.each,))

    def submit(self, task: Task, site: Site) -> Future[Outcome]:
        return self.pool.submit(perform_there, task, site)

    def revive(self) -> None:
        self.close(now=True)
        self.pool = self._pool()

    def close(self, *, now: bool) -> None:
        self.pool.shutdown(wait=not now, cancel_futures=True)
        if now:
            for child in multiprocessing.active_children():
                child.terminate()


def cores() -> int:
    """Cores that this process may use."""
    there = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return max(1, min(there, int(asked)) if asked.isdigit() and int(asked) else there)


def _quiet_tracker() -> None:
    """If this process is killed, Python's tracker of semaphores cleans up after it, and need not say so on the screen."""
    kept = os.environ.get("PYTHONWARNINGS")
    own = "ignore::UserWarning:multiprocessing.resource_tracker"
    os.environ["PYTHONWARNINGS"] = f"{kept},{own}" if kept else own
    try:
        resource_tracker.ensure_running()
    finally:
        os.environ.pop("PYTHONWARNINGS")
        if kept is not None:
            os.environ["PYTHONWARNINGS"] = kept


def _prepare_worker(threads: int) -> None:
    """Runs first in each worker, before numpy and torch are imported there."""
    for name in THREADS:
        os.environ[name] = str(threads)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides, and says it once
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A worker whose parent was killed would wait for tasks for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def perform_there(task: Task, site: Site) -> Outcome:
    """`adtoolkit.bench.work.perform`, found without importing anything heavy."""
    from adtoolkit.bench.work import perform

    return perform(task, site)
