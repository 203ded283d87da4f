"""Progress, drawn or in lines: the first listener of the hook ``adtoolkit_on_event``."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from adtoolkit.events import Event
from adtoolkit.plugin import hookimpl

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import TaskID

STAGES = {
    "data": "read data",
    "fit": "train",
    "template": "draw template",
    "density": "evaluate densities",
    "score": "score",
    "metrics": "measure",
}
#: Characters of a terminal on which every column has its full width.
WIDE: Final = 116


def described(event: Event, shown: str = "{}") -> str:
    """Stage and label of an event, the label ``shown`` in some way."""
    return f"{STAGES.get(event.stage, event.stage)} {shown.format(event.label) if event.label else ''}".rstrip()


class ProgressLines:
    """A line for each stage that is done: for files and pipes, where nothing can be drawn over."""

    def __init__(self, console: Console) -> None:
        self.console = console

    @hookimpl
    def adtoolkit_on_event(self, event: Event) -> None:
        """Say what is finished, and what it took."""
        if event.kind in ("finished", "reused"):
            how = "from the cache" if event.kind == "reused" else f"{event.values['seconds']:.1f} s"
            self.console.print(f"{described(event):<34} {how}", highlight=False, markup=False, soft_wrap=True)


class ProgressDisplay:
    """A line per stage: name, bar, epoch, loss, time taken and time left."""

    def __init__(self, console: Console) -> None:
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        from rich.table import Column

        wide = console.width >= WIDE
        taken, left = ([TextColumn(word)] if wide else [] for word in ("taken", "left"))
        self.progress = Progress(
            SpinnerColumn(finished_text="[green]✓"),
            TextColumn("{task.description}", table_column=Column(no_wrap=True, min_width=34 if wide else 0)),
            BarColumn(bar_width=24 if wide else 8),
            # what is left of the line; times are whole on any terminal
            TextColumn("{task.fields[detail]}", table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis")),
            *taken,
            TimeElapsedColumn(table_column=Column(min_width=7)),
            *left,
            TimeRemainingColumn(table_column=Column(min_width=7)),
            console=console,
            expand=True,
        )
        self.tasks: dict[tuple[str, str], TaskID] = {}
        self.open: TaskID | None = None

    def __enter__(self) -> Self:
        self.progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.progress.stop()

    @hookimpl
    def adtoolkit_on_event(self, event: Event) -> None:
        """Show it."""
        if event.kind == "started":
            self.open = self._task(event)
        elif event.kind == "step" and self.open is not None:
            values = dict(event.values)
            step, steps = values.pop("step"), values.pop("steps", None)
            detail = f"{step:.0f}" + (f"/{steps:.0f}" if steps else "") + "".join(f" {k} {v:.4g}" for k, v in values.items())
            self.progress.update(self.open, completed=step, total=steps, detail=detail)
        elif event.kind in ("finished", "reused"):
            task = self._task(event)
            fields: dict[str, Any] = {"detail": "from the cache"} if event.kind == "reused" else {}
            total = self.progress.tasks[self.progress.task_ids.index(task)].total or 1
            self.progress.update(task, total=total, completed=total, **fields)
            self.progress.stop_task(task)
            self.open = None

    def _task(self, event: Event) -> TaskID:
        name = (event.stage, event.label)
        if name not in self.tasks:
            self.tasks[name] = self.progress.add_task(described(event, "[bold]{}[/]"), total=None, detail="")
        return self.tasks[name]
