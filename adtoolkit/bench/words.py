"""Phrases that a bench uses in several places."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adtoolkit.mix import Blocked

if TYPE_CHECKING:
    from adtoolkit.bench.cells import Cell


def counted(n: int, what: str) -> str:
    """A number of things.

    Example:
        >>> counted(1, "cell"), counted(2, "cell")
        ('1 cell', '2 cells')
    """
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def fixes(cell: Cell) -> list[str]:
    """Which other parts would mend a cell that is blocked, a sentence for each."""
    if not isinstance(cell.outcome, Blocked):
        return []
    return [f"{label}: {', '.join(names)}." for label, names in cell.outcome.fixes if not label.startswith("Give")]
