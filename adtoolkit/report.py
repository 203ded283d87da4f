"""What a run prints at its end."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    from adtoolkit.results import RunResult


def with_interval(name: str, metrics: Mapping[str, float]) -> tuple[str, str]:
    """A metric and its 68 % interval as text; digits follow the size of the interval, up to five that count.

    Example:
        >>> with_interval("auc", {"auc": 0.91234, "auc-lo": 0.9, "auc-hi": 0.92})
        ('0.912', '0.900 to 0.920')
    """
    value, lo, hi = metrics[name], metrics.get(f"{name}-lo"), metrics.get(f"{name}-hi")
    if lo is None or hi is None:
        return f"{value:.4g}", ""
    finest = 1 - math.floor(math.log10(max((hi - lo) / 2, 1e-6)))
    digits = max(0, min(finest, 4 - math.floor(math.log10(max(abs(value), 1e-2)))))
    return f"{value:.{digits}f}", f"{lo:.{digits}f} to {hi:.{digits}f}"


def rows(metrics: Mapping[str, float]) -> list[tuple[str, str, str]]:
    """(name, value, interval) of all metrics, intervals folded into their metric."""
    ends = {f"{name}{end}" for name in metrics for end in ("-lo", "-hi")}
    return [(name, *with_interval(name, metrics)) for name in metrics if name not in ends]


def counted(what: str, n: int) -> str:
    """A count of events; what was done to them comes first, its reason last.

    Example:
        >>> counted("data", 1200), counted("dropped: tau1 = 0", 13)
        ('data 1,200', 'dropped 13 (tau1 = 0)')
    """
    what, _, why = what.partition(": ")
    return f"{what} {n:,} ({why})" if why else f"{what} {n:,}"


def cached_seconds(manifest: Mapping[str, Any]) -> dict[str, str]:
    """Stage -> what a run took from the cache, and how long that was worked on when it was made."""
    seconds: dict[str, float] = {}
    for path, made in manifest.get("stages", {}).items():
        if made["reused"]:
            stage = path.partition("/")[0]
            seconds[stage] = seconds.get(stage, 0.0) + made["seconds"]
    return {stage: f" (from the cache; {taken:.1f} s when it was made)" for stage, taken in seconds.items()}


def counts(events: Mapping[str, int], *, window: bool) -> str:
    """All counts in a line; without a window, those of the window are those of everything and are told once."""
    told = {what: n for what, n in events.items() if n or "signal" in what}
    if not window:
        told = {what.removesuffix(" in window"): n for what, n in told.items() if what not in ("data in window", "signal in window")}
    return ", ".join(counted(what, n) for what, n in told.items())


def print_result(result: RunResult, console: Console, device: str, *, window: bool) -> None:
    """The final table: metrics with uncertainty, events, times, where the run lies."""
    from rich.markup import escape
    from rich.table import Table

    table = Table(title="metrics", title_justify="left", box=None, header_style="dim", pad_edge=False)
    for column in ("", "value", "68 % interval"):
        table.add_column(column, justify="left" if not column else "right")
    for row in rows(result.metrics):
        table.add_row(*map(escape, row))
    for name, why in result.skipped.items():
        table.add_row(escape(name), "-", escape(f"skipped: {why}"))
    console.print(table)
    console.print()
    lines = Table.grid(padding=(0, 2))
    lines.add_column(style="dim")
    lines.add_column()
    lines.add_row("events", escape(counts(result.events, window=window)))
    if told := result.manifest.get("scorer"):
        shown = (f"{name} {value:,.0f}" if abs(value) >= 100 else f"{name} {value:.4g}" for name, value in told.items())
        lines.add_row("scorer", escape(", ".join(shown)) + " (mean over folds)")
    cached = cached_seconds(result.manifest)
    taken = (f"{stage} {seconds:.1f} s" + cached.get(stage, "") for stage, seconds in result.times.items())
    lines.add_row("times", ", ".join(taken) + f" on {device}")
    for note in result.notes:
        lines.add_row("[yellow]note[/]", escape(note))
    console.print(lines, highlight=False)
    console.print(f"[dim]run[/]     {escape(str(result.run))}", highlight=False, soft_wrap=True)
    if result.pictures:
        console.print(f"[dim]plots[/]   {', '.join(p.name for p in result.pictures)}", highlight=False, soft_wrap=True)
