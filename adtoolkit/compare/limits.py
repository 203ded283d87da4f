"""Where a metric ends: at the statistical floor, at its bound, at a ceiling that is none."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from adtoolkit.compare.directions import MAIN, USUAL, direction

if TYPE_CHECKING:
    from adtoolkit.compare.records import RunRecord
    from adtoolkit.compare.summary import Group

#: Medians above this share of the bound say little about who is better.
CLOSE: Final = 0.95
#: What `adtoolkit.metrics.ranking.Sic` says of an efficiency that it leaves out.
_FLOOR: Final = re.compile(r"with ([\d,]+) background events, (\S+) pass only from eps_B = (\S+) on \((.*)\)")


def bound_of(metric: str) -> float | None:
    """The largest value of a SIC at fixed background efficiency, 1/sqrt(eps_B); None for other metrics.

    Example:
        >>> bound_of("sic@1e-2"), bound_of("auc")
        (10.0, None)
    """
    name, _, eps = metric.partition("@")
    try:
        return 1 / math.sqrt(float(eps)) if name == "sic" else None
    except (ValueError, ZeroDivisionError):
        return None


def why_none(runs: Iterable[RunRecord], metrics: Sequence[str]) -> str:
    """Why no run has these metrics, as far as the runs say so; empty where they do not."""
    reasons = list(dict.fromkeys(run.why_not(metric) for run in runs if run.ok for metric in metrics))
    told = [reason for reason in reasons if reason != "not computed"]
    if not told:
        return ""
    found = [match for reason in told if (match := _FLOOR.search(reason))]
    if len(found) < len(told):
        return "; ".join(told[:3]).rstrip(".")
    events = sorted(int(match[1].replace(",", "")) for match in found)
    floors = sorted({match[3] for match in found}, key=float)
    lies = "it lies" if len(metrics) == 1 else "they lie"
    return (
        f"with {_span([f'{n:,}' for n in events])} background events {lies} below the statistical floor "
        f"({found[0][2]} of them pass from eps_B = {_span(floors)} on; {found[0][4]})"
    )


def _span(texts: Sequence[str]) -> str:
    return texts[0] if texts[0] == texts[-1] else f"{texts[0]} to {texts[-1]}"


def below_floor(runs: Sequence[RunRecord], metrics: Sequence[str], words: Sequence[str]) -> list[str]:
    """On usual SIC columns that no run has, though truth is known: since too few background events pass."""
    lacking = [name for name in USUAL if name.startswith("sic@") and name not in metrics]
    gone = [name for name in lacking if "statistical floor" in why_none(runs, [name])]
    if not gone:
        return []
    told = f" The sentences are about {', '.join(words)}." if set(gone) & set(MAIN) else ""
    return [f"No run has {', '.join(gone)}: {why_none(runs, gone)}. More test events lower the floor.{told}"]


def saturated(groups: Sequence[Group], metrics: Sequence[str]) -> list[str]:
    """On columns in which the best are at the bound."""
    out = []
    for metric in metrics:
        bound = bound_of(metric)
        at = [group.label for group in groups if bound and (group.cells[metric].spread.median or 0.0) >= CLOSE * bound]
        if at:
            reach = "reaches" if len(at) == 1 else "reach"
            out.append(
                f"{', '.join(at)} {reach} the bound of {metric}, 1/sqrt(eps_B) = {bound:.3g}, within {100 * (1 - CLOSE):.0f} %: "
                "nearly all signal passes, and the column hardly tells them apart. Compare at a smaller eps_B."
            )
    return out


def ceilings(groups: Sequence[Group], metrics: Sequence[str]) -> list[str]:
    """On ceilings that lie below what they should bound."""
    out = []
    for group in groups:
        below: dict[str, list[str]] = {}
        for metric in metrics:
            value = group.cells[metric].spread.median
            if group.role != "ceiling" or value is None or direction(metric).towards != "more":
                continue
            for other in groups:
                if other.role != "ceiling" and (other.cells[metric].spread.median or -math.inf) > value:
                    below.setdefault(metric, []).append(other.label)
        if below:
            told = "; ".join(f"of {', '.join(others)} in {metric}" for metric, others in below.items())
            out.append(
                f"The median of {group.label} (ceiling) lies below that {told}: it learns from few events, or seeds scatter. "
                "It is no ceiling there."
            )
    return out
