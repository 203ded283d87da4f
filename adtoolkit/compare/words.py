"""The result of a comparison in sentences."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from adtoolkit.compare.directions import direction
from adtoolkit.compare.intervals import LEAST, Paired, Spread
from adtoolkit.compare.summary import Condition, Group


def number(value: float, scale: float | None = None) -> str:
    """A value with the digits that ``scale``, the half-width of its interval, leaves meaning.

    Example:
        >>> number(3.14159, 0.2), number(3.14159), number(12345.6)
        ('3.14', '3.142', '12346')
    """
    if scale is None or not scale > 0:
        return f"{value:.4g}" if abs(value) < 1e4 else f"{value:.0f}"
    return f"{value:.{min(6, max(0, 1 - math.floor(math.log10(scale))))}f}"


def ends(lo: float, hi: float, value: float, *, sign: bool = False) -> tuple[str, str, str]:
    """The value and the ends of its interval, with digits that follow the width."""
    half = (hi - lo) / 2
    texts = [number(v, half) for v in (value, lo, hi)]
    first, second, third = (f"+{text}" if sign and not text.startswith("-") else text for text in texts)
    return first, second, third


def spread_text(spread: Spread) -> tuple[str, str]:
    """Median and interval; empty where there is none."""
    if spread.median is None:
        return "", ""
    if spread.lo is None or spread.hi is None:
        return number(spread.median), ""
    value, lo, hi = ends(spread.lo, spread.hi, spread.median)
    return value, f"{lo} to {hi}"


def paired_text(paired: Paired) -> tuple[str, str]:
    """Mean difference and interval; empty where there is none."""
    if paired.lo is None or paired.hi is None:
        return f"{paired.mean:+.3g}", ""
    value, lo, hi = ends(paired.lo, paired.hi, paired.mean, sign=True)
    return value, f"{lo} to {hi}"


def won_text(paired: Paired) -> str:
    return f"{paired.won:g}/{paired.n}"


def statements(condition: Condition, metrics: Sequence[str]) -> Iterator[str]:
    """One sentence for each method and metric against the baseline; and what the survivors hide."""
    base = next((group for group in condition.groups if group.label == condition.baseline), None)
    for metric in metrics if base is not None else ():
        for group in condition.groups:
            if base is not None and group is not base:
                yield _sentence(group, base, metric)


def _sentence(group: Group, base: Group, metric: str) -> str:
    paired = group.cells[metric].versus
    if paired is None:
        return f"{group.label} and {base.label} cannot be compared in {metric}: {_why_not(group, base, metric)}."
    return f"{_verdict(group.label, base.label, metric, paired)}{_survivors(group, base, metric)}."


def _why_not(group: Group, base: Group, metric: str) -> str:
    for one in (group, base):
        if not one.n_ok:
            return f"no run of {one.label} ended well ({one.faults[0]})" if one.faults else f"there is no run of {one.label}"
        if not one.cells[metric].spread.n:
            return f"{one.label} has none ({'; '.join(one.cells[metric].missing)})"
    return "they have no seed with the same events in common"


def _verdict(a: str, b: str, metric: str, paired: Paired) -> str:
    towards = direction(metric)
    about = f"n={paired.n} paired seeds"
    if paired.lo is None or paired.hi is None:
        seeds = f"{paired.n} paired seed{'s' if paired.n > 1 else ''}"
        return (
            f"{a} against {b} in {_of(metric)}: {paired.mean:+.3g}, but with {seeds} no interval can be given (at least {LEAST} are needed)"
        )
    value, lo, hi = ends(paired.lo, paired.hi, paired.mean, sign=True)
    if not paired.decided:
        return f"{a} and {b} cannot be told apart in {_of(metric)}: {value} [{lo}, {hi}] ({about})"
    better = (paired.mean > 0) == towards.higher
    if not better:
        a, b = b, a
    if paired.mean < 0:
        value, lo, hi = ends(-paired.hi, -paired.lo, -paired.mean)
    else:
        value, lo, hi = ends(paired.lo, paired.hi, paired.mean)
    word = "higher" if towards.towards == "neither" else "better"
    return f"{a} is {word} than {b} by {value} [{lo}, {hi}] in {_of(metric)} ({about})"


def _of(metric: str) -> str:
    """The metric, or what is compared of it."""
    towards = direction(metric)
    return f"|{metric} - {towards.to:g}|" if towards.towards == "near" else metric


def _survivors(group: Group, base: Group, metric: str) -> str:
    """What is not in the pairs."""
    out = []
    for one in (group, base):
        if failed := one.n_seeds - one.n_ok:
            out.append(f"{failed} of {one.n_seeds} runs of {one.label} did not end well")
        if lacking := sum(one.cells[metric].missing.values()):
            out.append(f"{lacking} of {one.n_ok} runs of {one.label} have no {metric}")
    return f"; only where both have it: {', '.join(out)}" if out else ""
