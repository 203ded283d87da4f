"""What a bench shows while it works: one moving line where somebody looks, a line per finished cell where nobody does."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from adtoolkit.bench.estimate import duration
from adtoolkit.events import Event

if TYPE_CHECKING:
    from rich.console import Console

    from adtoolkit.bench.graph import Task
    from adtoolkit.bench.work import Outcome


class Display:
    """Shows progress.

    Args:
        console: Where.
        todo: How many cells are to be computed.
        quiet: Whether only failures are shown.
    """

    def __init__(self, console: Console, todo: int, *, quiet: bool) -> None:
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        self.console, self.todo, self.quiet = console, todo, quiet
        self.done = self.failed = 0
        self.running: dict[str, str] = {}
        self.step = ""
        self.progress = Progress(
            SpinnerColumn(),
            BarColumn(bar_width=24),
            TextColumn("{task.completed:.0f}/{task.total:.0f} cells{task.fields[failed]}"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[now]}"),
            console=console,
            transient=True,
            disable=quiet or not console.is_terminal,
        )
        self.bar = self.progress.add_task("", total=todo, failed="", now="")

    def __enter__(self) -> Self:
        self.progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.progress.stop()

    def begun(self, task: Task) -> None:
        """A task was given to a worker."""
        self.running[task.id] = task.name if task.kind == "cell" else f"{'train' if task.kind == 'fit' else 'draw'} {task.name}"
        self._show()

    def heard(self, event: Event) -> None:
        """Something happened in this process."""
        if event.kind == "step" and (steps := event.values.get("steps")):
            self.step = f" {event.values['step']:.0f}/{steps:.0f}"
            self._show()
        elif event.kind in {"started", "finished", "reused"}:
            self.step = ""

    def ended(self, task: Task, outcome: Outcome) -> None:
        """A task has ended."""
        self.running.pop(task.id, None)
        bad = outcome.error is not None
        if task.kind == "cell":
            self.done += 1
            self.failed += bad
        self._tell(task, outcome, bad)
        self._show()

    def _tell(self, task: Task, outcome: Outcome, bad: bool) -> None:
        from rich.markup import escape

        if self.quiet and not bad:
            return
        if bad and outcome.error is not None and (task.kind == "cell" or outcome.status == "failed"):
            text = f"[red]failed[/] {escape(task.name)}: {escape(outcome.error['name'])}: {escape(_brief(outcome.error['message']))}"
        elif not bad and not self.console.is_terminal:
            what = {"fit": "trained" if outcome.trainings else "found", "template": "drew", "cell": "done"}[task.kind]
            text = f"{what} {escape(task.name)}, {duration(outcome.seconds)}"
        else:
            return
        self.console.print(f"{self.done}/{self.todo} {text}", highlight=False, soft_wrap=True)

    def _show(self) -> None:
        names = list(self.running.values())
        now = names[0] + self.step if names else ""
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        failed = f", [red]{self.failed} failed[/]" if self.failed else ""
        self.progress.update(self.bar, completed=self.done, failed=failed, now=now + more)


def _brief(text: Any) -> str:
    line = " ".join(str(text).split())
    return line if len(line) <= 300 else f"{line[:297]}..."
