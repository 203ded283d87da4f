"""Pictures of a comparison: SIC curves of all methods, and SIC against the signal injected, with bands over seeds."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from adtoolkit.compare.curves import EPS_GRID, Band, band, sic_curve
from adtoolkit.compare.summary import Condition, Group, Summary
from adtoolkit.compare.tables import heading
from adtoolkit.plots.style import BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE, RED, figure, save, tidy

#: Sky blue of the same palette as the others.
SKY: Final = "#56B4E9"
#: A colour and a way of drawing: no two of the first 18 methods share both, and those that share a colour differ in line and marker.
COLOURS: Final = (BLUE, RED, GREEN, PURPLE, ORANGE, SKY)
LINES: Final = (("-", "o"), ("--", "s"), ("-.", "^"))
ROLES: Final = {"floor": (GREY, ":", "v"), "ceiling": (BLACK, "-", "D")}

BAND: Final = " and 68 % of the seeds"
NO_BAND: Final = " (too few seeds for a band)"
FLOOR: Final = "expected of random"
BOUND: Final = r"bound, $1/\sqrt{\epsilon_B}$: all signal"
#: Methods are drawn side by side, this share of the axis apart.
ASIDE: Final = 0.008


@dataclass(frozen=True)
class Look:
    """How a method is drawn, in every picture of a comparison."""

    colour: str
    line: str
    marker: str


def looks(summary: Summary) -> dict[str, Look]:
    """A look for each label. Floor and ceilings are grey and black, whatever else there is."""
    groups = {group.label: group for condition in summary.conditions for group in condition.groups}
    out: dict[str, Look] = {}
    methods = ceilings = 0
    for label, group in sorted(groups.items()):
        if group.role == "floor":
            out[label] = Look(*ROLES["floor"])
        elif group.role == "ceiling":
            out[label] = Look(BLACK, LINES[ceilings % len(LINES)][0], "D")
            ceilings += 1
        else:
            line, marker = LINES[methods // len(COLOURS) % len(LINES)]
            out[label] = Look(COLOURS[methods % len(COLOURS)], line, marker)
            methods += 1
    return out


def draw_comparison(summary: Summary, directory: Path) -> list[Path]:
    """Draw what the runs allow.

    Args:
        summary: From `adtoolkit.compare.summarise`; the curves are computed from the scores in the run folders.
        directory: Where to write ``sic-curves[-CONDITION].png`` and ``METRIC-against-signal[-CONDITION].png``.

    Returns:
        The files written; none where no truth is known.
    """
    styles = looks(summary)
    written = []
    for condition in summary.conditions:
        curves = {group.label: found for group in condition.groups if (found := _band(group)) is not None}
        if curves:
            fig = draw_sic_curves(condition, curves, styles, heading(summary, condition))
            written.append(save(fig, directory / f"{_slug('sic-curves', condition.label)}.png"))
    for family in families(summary):
        for metric in (name for name in summary.metrics if name.startswith("sic@")):
            if (drawn := draw_against_signal(family, metric, styles, _title(summary, family))) is not None:
                label = ", ".join(f"{key} {value}" for key, value in _rest(family[0]).items())
                written.append(save(drawn, directory / f"{_slug(f'{metric}-against-signal', label)}.png"))
    return written


def _slug(name: str, label: str) -> str:
    return "-".join(filter(None, (name, re.sub(r"[^\w.+@-]+", "-", label).strip("-"))))


def _band(group: Group) -> Band | None:
    """The curves of a group; runs whose scores are gone or without truth are left out, and the legend counts the others."""
    curves = []
    for record in group.ok:
        try:
            curve = sic_curve(record, EPS_GRID) if record.run else None
        except (OSError, KeyError):
            curve = None
        if curve is not None:
            curves.append(curve)
    return band(curves, EPS_GRID) if curves else None


def draw_sic_curves(condition: Condition, curves: Mapping[str, Band], styles: Mapping[str, Look], title: str) -> Figure:
    """Median SIC of each method against the background efficiency, above its statistical floor; bands of 68 % of the seeds."""
    fig = figure(8.6, 5.0)
    ax = fig.add_subplot()
    seeds = {group.label: group.n_seeds for group in condition.groups}
    reached = [float(b.eps[~np.isnan(b.median)][0]) for b in curves.values() if not np.isnan(b.median).all()]
    highest = {label: float(np.nanmax(np.fmax(b.hi, b.median))) for label, b in curves.items() if not np.isnan(b.median).all()}
    methods = [value for label, value in highest.items() if styles[label].colour != BLACK]
    # a ceiling far above all methods would leave them no room
    top = min(max([*highest.values(), 1.2]), 2 * max(methods, default=np.inf))
    for label, found in curves.items():
        look = styles[label]
        ax.fill_between(found.eps, found.lo, found.hi, color=look.colour, alpha=0.15, linewidth=0)
        text = f"{label} ({found.runs} of {seeds[label]})"
        if label in highest and (peak := float(np.nanmax(found.median))) > 1.08 * top:
            text += f", up to {peak:.3g}"
        ax.plot(found.eps, found.median, color=look.colour, linestyle=look.line, linewidth=1.6, label=text)
    ax.plot(EPS_GRID, np.sqrt(EPS_GRID), color=GREY, linestyle="--", linewidth=1.0, label=FLOOR)
    ax.plot(EPS_GRID, 1 / np.sqrt(EPS_GRID), color=BLACK, linestyle="-.", linewidth=0.8, alpha=0.5, label=BOUND, zorder=1)
    start = min(reached, default=1e-3)
    ax.set(xscale="log", xlim=(start, 1), ylim=(0, 1.08 * max(top, 1.2)))
    if start > 2e-3:  # hardly two decades: their ends alone would not tell where one is
        ax.xaxis.set_minor_formatter(lambda x, _: text if (text := f"{x:.6g}")[-1] in "25" else "")
        ax.tick_params(axis="x", which="minor", labelsize="small")
    tidy(
        ax,
        rf"background efficiency $\epsilon_B$, from the statistical floor ({start:.2g}) on",
        r"SIC $=\epsilon_S/\sqrt{\epsilon_B}$",
        title,
    )
    banded = any(not np.isnan(b.lo).all() for b in curves.values())
    _beside(fig, ax, f"median{BAND if banded else NO_BAND}\n(runs drawn of those planned)")
    return fig


def _beside(fig: Figure, ax: Axes, title: str) -> None:
    """A legend right of the axes, so that many methods hide no curve."""
    handles, labels = ax.get_legend_handles_labels()
    small: dict[str, Any] = {"fontsize": "small" if len(labels) <= 14 else "x-small", "title_fontsize": "small"}
    fig.legend(handles, labels, loc="outside right upper", frameon=False, title=title, alignment="left", handlelength=3.2, **small)


def signal_of(condition: Condition) -> tuple[float, float] | None:
    """Signal in the window and S/sqrt(B) there, median over the runs of a condition; None where truth is not known."""
    counts = [run.events for group in condition.groups for run in group.ok if "signal in window" in run.events]
    counts = [c for c in counts if c.get("data in window", 0) > c["signal in window"]]
    if not counts:
        return None
    s = [c["signal in window"] for c in counts]
    ratio = [c["signal in window"] / math.sqrt(c["data in window"] - c["signal in window"]) for c in counts]
    return float(np.median(s)), float(np.median(ratio))


def _rest(condition: Condition) -> dict[str, str]:
    return {key: value for key, value in condition.keys.items() if key != "n_signal"}


def families(summary: Summary) -> list[list[Condition]]:
    """Conditions that differ in the signal injected alone, at least two, the weakest first."""
    found: dict[tuple[tuple[str, str], ...], list[Condition]] = {}
    for condition in summary.conditions:
        if "n_signal" in condition.keys and signal_of(condition) is not None:
            found.setdefault(tuple(_rest(condition).items()), []).append(condition)
    return [sorted(family, key=lambda c: signal_of(c) or (0.0, 0.0)) for family in found.values() if len(family) > 1]


def _title(summary: Summary, family: Sequence[Condition]) -> str:
    texts = {**_rest(family[0]), **summary.common}
    return ", ".join(f"{key} {value}" for key, value in texts.items())


def draw_against_signal(family: Sequence[Condition], metric: str, styles: Mapping[str, Look], title: str) -> Figure | None:
    """Median of a metric against S/sqrt(B) in the window, a line per method; bands of 68 % of the seeds, where there are three."""
    at = np.array([signal_of(condition) or (np.nan, np.nan) for condition in family])
    labels = dict.fromkeys(group.label for condition in reversed(family) for group in condition.groups)
    drawn = {label: rows for label in labels if not np.isnan(rows := _rows(family, label, metric)).all()}
    if not drawn:
        return None
    eps = float(metric.partition("@")[2])
    lo, hi = y_range([rows for label, rows in drawn.items() if styles[label].colour != GREY] or list(drawn.values()))
    fig = figure(8.6, 5.0)
    ax = fig.add_subplot()
    step = ASIDE * (float(np.ptp(at[:, 1])) or 1.0)
    for i, (label, rows) in enumerate(drawn.items()):
        look = styles[label]
        shown = ~np.isnan(rows[:, 0])
        x = at[shown, 1] + step * (i - (len(drawn) - 1) / 2)
        ax.fill_between(x, rows[shown, 1], rows[shown, 2], color=look.colour, alpha=0.15, linewidth=0)
        off = f" ({np.nanmedian(rows[:, 0]):.2g}, below)" if np.nanmax(rows[:, 0]) < lo else ""
        style: dict[str, Any] = {"linestyle": look.line, "marker": look.marker, "markersize": 4.5, "linewidth": 1.5}
        ax.plot(x, rows[shown, 0], label=f"{label}{off}", color=look.colour, **style)
    off = f" ({math.sqrt(eps):.2g}, below)" if math.sqrt(eps) < lo else ""
    ax.axhline(math.sqrt(eps), color=GREY, linestyle="--", linewidth=1.0, label=f"{FLOOR}{off}")
    if (bound := 1 / math.sqrt(eps)) <= hi:
        ax.axhline(bound, color=BLACK, linestyle="--", linewidth=0.8, label=BOUND)
    banded = any(group.cells[metric].spread.lo is not None for condition in family for group in condition.groups)
    ax.set_ylim(lo, hi)
    tidy(ax, r"signal injected, $S/\sqrt{B}$ in the window (methods side by side)", rf"SIC at $\epsilon_B$ = {eps:g}")
    _counts(ax, at)
    ax.set_title(title, fontsize="small", loc="left", pad=8)
    _beside(fig, ax, f"median{BAND if banded else NO_BAND}")
    return fig


def y_range(rows: Sequence[np.ndarray[Any, np.dtype[np.float64]]]) -> tuple[float, float]:
    """Of the y axis: all of the methods; down to zero where that costs them no more than half of the height."""
    values = np.concatenate([row[np.isfinite(row)] for row in rows])
    least, most = float(values.min()), float(values.max())
    margin = 0.1 * (most - least or 0.1 * most or 1.0)
    lo = 0.0 if 0 <= least < 0.5 * most else least - margin
    return lo, most + margin if lo else most + 0.06 * (most or 1.0)


def _rows(family: Sequence[Condition], label: str, metric: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    """[c, 3] median and the ends of the band under each condition; NaN where there is none."""
    rows = np.full((len(family), 3), np.nan)
    for i, condition in enumerate(family):
        group = next((group for group in condition.groups if group.label == label), None)
        if group is not None and (values := group.cells[metric].spread).median is not None:
            rows[i] = [np.nan if v is None else v for v in (values.median, values.lo, values.hi)]
    return rows


def _counts(ax: Axes, at: np.ndarray[Any, np.dtype[np.float64]]) -> None:
    """How many signal events that is, above the axes; where points are close, not of each."""
    span = float(np.ptp(at[:, 1])) or 1.0
    kept: list[int] = []
    for i in range(len(at)):
        if not kept or at[i, 1] - at[kept[-1], 1] > 0.07 * span:
            kept.append(i)
    top = ax.secondary_xaxis("top")
    top.set_xticks([float(at[i, 1]) for i in kept], [f"{at[i, 0]:,.0f}" for i in kept], fontsize="x-small")
    top.minorticks_off()
    top.tick_params(direction="in")
    top.set_xlabel(r"$S$: signal events in the window", fontsize="small")
    ax.tick_params(which="both", top=False)
