"""What a bench prints: the plan, the summary at its end, the table of what was found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from statistics import median
from typing import TYPE_CHECKING, Any, Final

from rich.markup import escape

from adtoolkit.bench.collect import Row, notes_of
from adtoolkit.bench.estimate import estimate
from adtoolkit.bench.words import counted, fixes
from adtoolkit.compare.gist import caveats, gist, shape_of

if TYPE_CHECKING:
    from rich.console import Console

    from adtoolkit.bench.session import Session

LEGEND: Final = (
    "median over seeds [smallest, largest]: how single runs scatter, not the error of the median; (k of n) where only k seeds have a value"
)
#: Of cells that failed alike so many are named.
SHOWN: Final = 5
_WORDS: Final = {"done": "cached", "waiting": "run", "failed": "run (failed before)", "blocked": "blocked"}


def summary(session: Session) -> dict[str, Any]:
    """What became of a bench, for ``--json``."""
    count = session.count()
    names = ("done", "failed", "waiting", "blocked")
    failures = [
        {"cell": cell.name, "seed": cell.seed, **dict(session.states[cell.digest].error or {})}
        for cell in session.own
        if session.states[cell.digest].status == "failed"
    ]
    cells = {name: count[name] for name in names}
    return {"cells": cells, "trainings": session.trainings, "failures": failures, "notes": [*session.changed, *session.notes]}


def _decision(session: Session, status: str) -> str:
    if session.overwrite == "always" and status == "done":
        return "run (again)"
    return _WORDS[status]


def plan_json(session: Session) -> dict[str, Any]:
    """The plan, for ``--json``."""
    time = estimate(session)
    cells = []
    for cell in session.own:
        state = session.states[cell.digest]
        reason = state.error["message"] if state.status == "blocked" and state.error else None
        planned = {"cell": cell.name, "axes": dict(cell.axes), "seed": cell.seed, "plan": _decision(session, state.status)}
        cells.append({**planned, "reason": reason, "fixes": fixes(cell)})
    about = {"bench": str(session.folder.path), "trainings": dict(trainings(session)), "notes": [*session.changed, *session.notes]}
    if (refusal := session.refusal()) is not None:
        about["error"] = str(refusal)
    return about | {"seconds": time.seconds, "timed": time.known, "not_timed": time.unknown, "cells": cells}


def trainings(session: Session) -> Counter[str]:
    """Estimator -> how many models are still to be trained."""
    return Counter(task.estimator for task in session.tasks() if task.kind == "fit" for key in task.keys if not session.trained(key))


def print_plan(session: Session, console: Console) -> None:
    """Each cell over its seeds: run, cached, or blocked and why."""
    lines: dict[tuple[str, str], list[int]] = {}
    mended: dict[tuple[str, str], list[str]] = {}
    for cell in session.own:
        state = session.states[cell.digest]
        text = _decision(session, state.status)
        if state.status == "blocked" and state.error:
            text = f"[red]{text}[/]: {escape(state.error['message'])}"
            mended[cell.name, text] = fixes(cell)
        lines.setdefault((cell.name, text), []).append(cell.seed)
    said: set[str] = set()
    width = max(len(name) for name, _ in lines) if lines else 0
    for (name, text), seeds in lines.items():
        which = f"seed{'s' if len(seeds) > 1 else ''} {spans(seeds)}"
        console.print(f"{escape(f'{name:<{width}}')}  {which}: {text}", highlight=False, soft_wrap=True)
        for fix in mended.get((name, text), ()):
            if fix not in said:
                said.add(fix)
                console.print(f"{'':<{width}}  {fix}", highlight=False, soft_wrap=True, markup=False)
    console.print()
    print_notes(console, [*session.changed, *session.notes])
    count = session.count()
    words = [f"{len(session.todo)} to run", f"{count['done']} there", f"{count['blocked']} blocked"]
    console.print(f"{counted(len(session.own), 'cell')}: {', '.join(words)}", highlight=False)
    left = trainings(session)
    told = ", ".join(f"{n} {name}" for name, n in left.items()) or "none"
    console.print(f"trainings left: {told}", highlight=False)
    if session.todo:
        console.print(str(estimate(session)), highlight=False, soft_wrap=True)


def print_end(session: Session, console: Console) -> None:
    """What was done, what failed and why."""
    count = session.count()
    if count["failed"]:
        console.print("[red]failed:[/]")
        for message, cells in _failures(session):
            names = [f"{name} seed{'s' if len(seeds) > 1 else ''} {spans(seeds)}" for name, seeds in cells.items()]
            n = sum(map(len, cells.values()))
            lines = [f"  {names[0]}: {message}"] if n == 1 else [f"  {n} cells: {message}", *(f"    {name}" for name in names[:SHOWN])]
            if len(names) > SHOWN:
                lines.append(f"    and {counted(n - sum(map(len, list(cells.values())[:SHOWN])), 'cell')} more")
            for line in lines:
                console.print(line, highlight=False, soft_wrap=True, markup=False)
    if told := gist(notes_of(session.folder, session.own, session.states)):
        print_notes(console, [told])
    parts = [f"{count['done']} done", f"{count['failed']} failed", f"{count['waiting']} missing", f"{count['blocked']} blocked"]
    became = ", ".join(part for part in parts if not part.startswith("0 "))
    trained = counted(session.trainings, "background model")
    console.print(f"{counted(len(session.own), 'cell')}: {became}; {trained} trained", highlight=False)
    console.print(f"[dim]bench[/]   {escape(str(session.folder.path))}", highlight=False, soft_wrap=True)


def _failures(session: Session) -> Iterator[tuple[str, dict[str, list[int]]]]:
    """Each message, of those that differ in numbers alone the first, and cell -> seeds that ended so."""
    found: dict[str, dict[str, dict[str, list[int]]]] = {}
    for cell in session.own:
        state = session.states[cell.digest]
        if state.status == "failed" and state.error:
            message = " ".join(f"{state.error['name']}: {state.error['message']}".split())
            found.setdefault(shape_of(message), {}).setdefault(message, {}).setdefault(cell.name, []).append(cell.seed)
    for messages in found.values():
        first, *others = messages
        cells: dict[str, list[int]] = {}
        for name, seeds in (item for alike in messages.values() for item in alike.items()):
            cells[name] = sorted([*cells.get(name, []), *seeds])
        yield first + (" (numbers of the first)" if others else ""), cells


def print_notes(console: Console, notes: Sequence[str]) -> None:
    """What a reader should know."""
    for note in notes:
        console.print(f"[yellow]note[/] {escape(note)}", highlight=False, soft_wrap=True)


def print_rows(session: Session, rows: Sequence[Row], metrics: Sequence[str], console: Console) -> None:
    """Medians over seeds; a cell that lacks some says so at every number."""
    from adtoolkit.compare.directions import usual

    names = list(metrics) or usual(list(dict.fromkeys(name for row in rows for name in row.values)))
    lines = [["cell", "ok", *names]]
    for row in rows:
        texts = [_over_seeds(row.values.get(name, []), row.seeds) for name in names]
        lines.append([row.cell, f"{row.ok}/{row.seeds}{f', {row.failed} failed' if row.failed else ''}", *texts])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for n, line in enumerate(lines):  # no table of rich: what does not fit must stay on its line
        first, *rest = (text.rjust(width) if i else text.ljust(width) for i, (text, width) in enumerate(zip(line, widths, strict=True)))
        text = "  ".join([first, *rest])
        console.print(text, highlight=False, soft_wrap=True, markup=False, style=None if n else "dim")
    console.print()
    console.print(escape(LEGEND), style="dim", highlight=False, soft_wrap=True)
    told = gist(notes_of(session.folder, session.own, session.states))
    print_notes(console, [*session.changed, *caveats(names), *([told] if told else [])])
    if any(row.ok for row in rows):
        console.print(f"[dim]records[/] {escape(str(session.folder.path / 'records.csv'))}", highlight=False, soft_wrap=True)


def _over_seeds(values: Sequence[float], seeds: int) -> str:
    if not values:
        return "-"
    spread = f" [{min(values):.3g}, {max(values):.3g}]" if len(values) > 1 else ""
    return f"{median(values):.3g}{spread}" + (f" ({len(values)} of {seeds})" if len(values) < seeds else "")


def spans(seeds: Sequence[int]) -> str:
    """Numbers with runs of them drawn together.

    Example:
        >>> spans([0, 1, 2, 5])
        '0-2,5'
    """
    groups: list[list[int]] = []
    for seed in seeds:
        if groups and seed == groups[-1][-1] + 1:
            groups[-1].append(seed)
        else:
            groups.append([seed])
    return ",".join(f"{group[0]}-{group[-1]}" if len(group) > 1 else str(group[0]) for group in groups)
