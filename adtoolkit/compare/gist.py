"""What many runs noted, as one line; and what a table of some metrics must not be read without."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

#: How many notes are shown.
MOST: Final = 5
#: Metrics whose names end so need the caveat.
EXACT: Final = "@exact-background"
#: Notes that come last: on resuming, and on metrics left out, of which tables speak anyway.
_LAST: Final = (" from its checkpoint", " from their checkpoint", " left out: ", "; waiting for it.")


def gist(notes: Iterable[Sequence[str]]) -> str:
    """The distinct notes of runs, the most frequent first, those that differ in numbers alone once; empty if there are none.

    Example:
        >>> gist([["a: 3 of 10 are lost."], ["a: 4 of 10 are lost."], []])
        'Notes of 2 runs, see their manifest.json: a: 3 of 10 are lost (2 runs).'
    """
    told = [own for own in notes if own]
    count: Counter[str] = Counter()
    first: dict[str, str] = {}
    for own in told:
        for text in own:
            first.setdefault(shape_of(text), text)
        count.update(dict.fromkeys(map(shape_of, own)).keys())
    if not told:
        return ""
    order = sorted(first, key=lambda shape: (any(part in shape for part in _LAST), -count[shape]))
    texts = [f"{' '.join(first[shape].split()).rstrip('.')} ({_runs(count[shape])})" for shape in order[:MOST]]
    more = f"; and {len(order) - MOST} more" if len(order) > MOST else ""
    return f"Notes of {_runs(len(told))}, see their manifest.json: {'; '.join(texts)}{more}."


def shape_of(text: str) -> str:
    """A text without its numbers.

    Example:
        >>> shape_of("1,234 of 1e4 are lost")
        '# of # are lost'
    """
    return re.sub(r"\d[\d.,]*(e[+-]?\d+)?", "#", text)


def _runs(n: int) -> str:
    return f"{n:,} run{'' if n == 1 else 's'}"


def caveats(metrics: Iterable[str]) -> list[str]:
    """What stands below any table with these columns."""
    exact = [name for name in metrics if name.endswith(EXACT)]
    return [f"{', '.join(exact)}: takes the background density for exact; what it gets wrong counts as signal."] if exact else []
