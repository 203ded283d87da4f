"""Gives the tasks of a graph to a crew, each when what it waits for has ended, and hears what became of them."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Future, wait
from typing import TYPE_CHECKING, Final

from adtoolkit.bench.work import Outcome
from adtoolkit.errors import RunError

if TYPE_CHECKING:
    from adtoolkit.bench.crews import Crew
    from adtoolkit.bench.graph import Task
    from adtoolkit.bench.work import Site

#: How often a task may be under way while a worker dies, before it is taken for the cause.
TRIES: Final = 3
#: What can be finished comes first, so that a bench that is stopped leaves results and not trainings alone.
_ORDER: Final = {"cell": 0, "template": 1, "fit": 2}


class Driver:
    """Drives one graph.

    Args:
        tasks: In an order that respects what they wait for.
        crew: Who does them.
        site: Where.
        begun: Called when a task is given away.
        ended: Called with what became of it.
    """

    def __init__(
        self, tasks: list[Task], crew: Crew, site: Site, begun: Callable[[Task], None], ended: Callable[[Task, Outcome], None]
    ) -> None:
        self.crew, self.site, self.begun, self.tell_ended = crew, site, begun, ended
        self.tasks = {task.id: task for task in tasks}
        self.rank = {task.id: (_ORDER[task.kind], n) for n, task in enumerate(tasks)}
        self.missing = {task.id: {before for before in task.after if before in self.tasks} for task in tasks}
        self.followers: dict[str, list[str]] = {task.id: [] for task in tasks}
        for name, needs in self.missing.items():
            for before in needs:
                self.followers[before].append(name)
        self.ready: list[tuple[tuple[int, int], str]] = []
        #: Ended, or failed with what they waited for.
        self.over: set[str] = set()
        self.open: dict[Future[Outcome], Task] = {}
        self.tries: dict[str, int] = {}
        #: Under way when a worker died. Each is tried again alone, so that the one to blame does not take others down with it.
        self.suspects: set[str] = set()

    def drive(self) -> None:
        """Do all tasks.

        Raises:
            RunError: if a worker cannot take part, or nobody is left to work.
        """
        for name, needs in self.missing.items():
            if not needs:
                heapq.heappush(self.ready, (self.rank[name], name))
        while self.ready or self.open:
            self._hand_out()
            done, _ = wait(self.open, return_when=FIRST_COMPLETED)
            broken = False
            for future in done:
                task = self.open.pop(future)
                try:
                    outcome = future.result()
                except BrokenExecutor:
                    broken = True
                    self._again(task)
                except CancelledError as error:
                    raise RunError(
                        "The scheduler dropped the tasks: it is gone, or was restarted.", "Start again: what is done is kept."
                    ) from error
                except (ImportError, AttributeError) as error:  # the task itself was not understood
                    what = f"A worker cannot take part: {type(error).__name__}: {error}."
                    raise RunError(what, f"Install adtoolkit {self.site.version} everywhere.") from error
                except Exception as error:  # noqa: BLE001  # whatever happened on the way to the worker and back
                    self._ended(task, Outcome("failed", {"name": type(error).__name__, "message": str(error), "stage": task.kind}))
                else:
                    self._ended(task, outcome)
            if broken:
                for task in self.open.values():
                    self._again(task)
                self.open.clear()
                self.crew.revive()

    def _hand_out(self) -> None:
        while self.ready and self._room():
            _, name = heapq.heappop(self.ready)
            task = self.tasks[name]
            if (followers := self.followers[name]) and self.over.issuperset(followers):
                continue  # nobody waits for it any more
            self.begun(task)
            try:
                self.open[self.crew.submit(task, self.site)] = task
            except BrokenExecutor:
                self._again(task)
                self.crew.revive()

    def _room(self) -> bool:
        """Whether the next task may be given away."""
        if not self.open:
            return True
        if self.ready[0][1] in self.suspects or any(task.id in self.suspects for task in self.open.values()):
            return False
        return self.crew.slots is None or len(self.open) < self.crew.slots

    def _again(self, task: Task) -> None:
        """A worker died, perhaps of this task."""
        self.suspects.add(task.id)
        self.tries[task.id] = self.tries.get(task.id, 0) + 1
        if self.tries[task.id] < TRIES:
            heapq.heappush(self.ready, (self.rank[task.id], task.id))
            return
        message = f"A worker died {TRIES} times while this was under way; perhaps it needs more memory than there is. Try --jobs 1."
        self._ended(task, Outcome("failed", {"name": "WorkerDied", "message": message, "stage": task.kind}))

    def _ended(self, task: Task, outcome: Outcome) -> None:
        if outcome.status == "alien":
            raise RunError(outcome.error["message"] if outcome.error else "A worker cannot take part.")
        self.over.add(task.id)
        self.tell_ended(task, outcome)
        for name in self.followers[task.id]:
            self.missing[name].discard(task.id)
            if name in self.over:
                continue
            if outcome.status == "failed":
                # what was to be shared cannot be made; refused is another matter: then each cell finds out for itself
                error: Mapping[str, str] | None = outcome.error
                self._ended(self.tasks[name], Outcome("failed", error, 0.0, 0, outcome.where))
            elif not self.missing[name]:
                heapq.heappush(self.ready, (self.rank[name], name))
