"""What the literature lets expect of the methods, against what the large benches found; for tables.py."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from adtoolkit.compare.intervals import paired, spread
from adtoolkit.plots.compare import SKY
from adtoolkit.plots.style import BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE, RED, figure, legend_below, save, tidy

ALT = "Significance improvement at a background efficiency of 0.01 against the signal injected, for most methods, on two data sets"
FLOW, LEARNED = "cathode+direct+cathode", "cathode+direct+r-anode mode=learned"
CONTEXT, LINEAR, V_DATA = (f"sigma+{name}+cathode" for name in ("context", "linear", "v-data"))
MASKED, ANODE = "masked-cfm+direct+cathode", "cathode+direct+anode"
#: What is expected, first and second method, metric, whether more of it is better.
EXPECTED = (
    ("a model that has seen the signal (`v-data`) is worse than `context`", V_DATA, CONTEXT, "sic@1e-1", True),
    ("`masked-cfm` is at least as good as `sigma` with `context`", MASKED, CONTEXT, "sic@1e-2", True),
    ("CATHODE's flow and `masked-cfm` agree", FLOW, MASKED, "sic@1e-2", True),
    ("`linear` fails to describe ΔR: closure further from 0.5 than that of `context`", LINEAR, CONTEXT, "closure-auc", False),
    ("`linear` is worse than `context`", LINEAR, CONTEXT, "sic@1e-2", True),
    ("R-ANODE is at least as good as the classifier over the same flow", LEARNED, FLOW, "sic@1e-2", True),
    ("that classifier is better than ANODE over the same flow", FLOW, ANODE, "sic@1e-2", True),
    ("CWoLa fails with ΔR: far below the idealised classifier", "cwola", "idealised", "sic@1e-2", True),
    ("CATHODE's flow reaches the idealised classifier", FLOW, "idealised", "sic@1e-2", True),
    ("R-ANODE goes beyond the idealised classifier", LEARNED, "idealised", "sic@1e-2", True),
)
#: The same without the feature that moves with m.
EXPECTED_WITHOUT = (
    ("without ΔR `linear` describes the events as well as `context`: closure", LINEAR, CONTEXT, "closure-auc", False),
    ("and finds as much", LINEAR, CONTEXT, "sic@1e-2", True),
    ("a model that has seen the signal (`v-data`) is worse than `context`", V_DATA, CONTEXT, "sic@1e-1", True),
    ("CWoLa works: as good as the idealised classifier", "cwola", "idealised", "sic@1e-2", True),
)
#: What to make of it; says nothing that the tables do not show.
READING = (
    "How to read them:\n",
    "- `v-data` loses significance at 0.1 with the strongest signal on both data sets, and without ΔR: what it has learnt of the signal is",
    "  in the template too. With weaker signals it is not decided.",
    "- The closure tells `linear` from `context` at every signal on both data sets. `context`, `masked-cfm` and CATHODE's flow it cannot",
    "  tell apart on LHC Olympics events, where their SIC differ. It asks about all events, a cut at 0.01 about few.",
    "- The idealised classifier is no upper bound: it has as much true background as was left over, in the window half as many events as",
    "  the data (LHC Olympics) or as many (dijets). A template has four times as many.",
    "- CWoLa takes ΔR, which moves with m, for a signal until the true one is strong.",
    "- ANODE divides two densities that were learnt apart, whose errors do not cancel; R-ANODE learns the signal alone over a background",
    "  that it leaves as it is.\n",
)
#: Method -> name in the picture, colour, line, marker.
DRAWN = {
    "supervised": ("supervised", BLACK, "-", "D"),
    "idealised": ("idealised", BLACK, "--", "D"),
    LEARNED: ("r-anode, w learned", RED, "-", "o"),
    FLOW: ("cathode flow", BLUE, "-", "o"),
    MASKED: ("masked-cfm", GREEN, "-", "s"),
    CONTEXT: ("sigma, context", PURPLE, "-", "^"),
    LINEAR: ("sigma, linear", PURPLE, "--", "v"),
    V_DATA: ("sigma, v-data", PURPLE, ":", "x"),
    "rad-ot+direct+cathode": ("rad-ot", ORANGE, "-", "P"),
    ANODE: ("anode", SKY, "-", "s"),
    "cwola": ("cwola", SKY, "--", "v"),
    "random": ("random", GREY, ":", "v"),
}


def values(runs: list[dict[str, Any]], method: str, n_signal: int, metric: str) -> dict[int, float]:
    """Seed -> the number, where there is one."""
    chosen = (run for run in runs if run["method"] == method and run["n_signal"] == n_signal)
    return {run["seed"]: run["metrics"][metric] for run in chosen if metric in run["metrics"]}


def strength(runs: list[dict[str, Any]], n_signal: int) -> float:
    """Median S / sqrt(B) in the window."""
    return float(np.median([run["signal"] / (run["events"] - run["signal"]) ** 0.5 for run in runs if run["n_signal"] == n_signal]))


def expectations(matrices: Mapping[str, dict[str, Any]], without: dict[str, Any]) -> Iterator[str]:
    """A table of paired differences per data set, below the picture; ``without``: LHC Olympics events without ΔR."""
    yield "## What it shows\n"
    yield f"![{ALT}](methods.png)\n"
    yield "The same classifier of boosted trees behind every template, the same folds, the same events for all methods of a seed; medians"
    yield "and 68 % of the seeds. The numbers of all rows stand below, [by data](#every-method-on-lhc-olympics-events)."
    yield "What the papers let expect of pairs of methods, and what came out: mean over seeds of the difference, first minus second, at"
    yield "equal seed and thus on equal events, with its 95 % interval, and in how many seeds the first was better. In bold what is decided"
    yield "at 95 %, one comparison at a time.\n"
    for title, data in matrices.items():
        yield from differences(title, data, EXPECTED)
    yield from differences("LHC Olympics events without ΔR", without, EXPECTED_WITHOUT)
    yield from READING


def differences(title: str, data: dict[str, Any], expected: tuple[tuple[str, str, str, str, bool], ...]) -> Iterator[str]:
    """One table: a row per expectation, a column per size of the signal."""
    runs = data["runs"]
    sizes = [n for n in sorted({run["n_signal"] for run in runs}) if n]
    yield f"**{title}**\n"
    yield f"| expected | difference of | {' | '.join(f'S/√B = {strength(runs, n):.1f}' for n in sizes)} |"
    yield f"|---|---|{'---|' * len(sizes)}"
    for text, first, second, metric, higher in expected:
        cells = [difference(runs, first, second, n, metric, higher=higher) for n in sizes]
        yield f"| {text} | {metric.replace('1e-1', '0.1').replace('1e-2', '0.01')} | {' | '.join(cells)} |"
    yield ""


def difference(runs: list[dict[str, Any]], first: str, second: str, n_signal: int, metric: str, *, higher: bool) -> str:
    """First minus second over the seeds that both have; of a closure how much further from 0.5."""
    a, b = (values(runs, method, n_signal, metric) for method in (first, second))
    both = sorted(a.keys() & b.keys())
    if not both:
        return "-"
    signed = [abs(a[s] - 0.5) - abs(b[s] - 0.5) if metric == "closure-auc" else a[s] - b[s] for s in both]
    found = paired(signed, higher=higher)
    digits = 3 if metric == "closure-auc" else 2
    if found.lo is None or found.hi is None:
        return f"{found.mean:+.{digits}f}, {found.won:g} of {found.n}"
    mean = f"**{found.mean:+.{digits}f}**" if found.decided else f"{found.mean:+.{digits}f}"
    return f"{mean} ({found.lo:+.{digits}f} to {found.hi:+.{digits}f}), {found.won:g} of {found.n}"


def draw(matrices: Mapping[str, dict[str, Any]], path: Path) -> None:
    """SIC at 0.01 against the signal, a panel per data set."""
    fig = figure(9.6, 5.6)
    there = {title: data["runs"] for title, data in matrices.items()}
    axes = fig.subplots(1, len(there), squeeze=False)[0]
    for ax, (title, runs) in zip(axes, there.items(), strict=True):
        sizes, seeds = sorted({run["n_signal"] for run in runs}), len({run["seed"] for run in runs})
        at = np.array([strength(runs, n) for n in sizes])
        for i, (method, (label, colour, line, marker)) in enumerate(DRAWN.items()):
            bands = [spread(list(values(runs, method, n, "sic@1e-2").values())) for n in sizes]
            shown = [band.median is not None for band in bands]
            rows = np.array([[b.median, b.lo or b.median, b.hi or b.median] for b in bands if b.median is not None])
            if not len(rows):
                continue
            x = at[shown] + 0.015 * (i - len(DRAWN) / 2)
            ax.errorbar(
                x,
                rows[:, 0],
                yerr=[rows[:, 0] - rows[:, 1], rows[:, 2] - rows[:, 0]],
                label=label,
                color=colour,
                linestyle=line,
                marker=marker,
                markersize=4.5,
                linewidth=1.3,
                elinewidth=0.8,
            )
        name = f"{title}: median and 68 % of {seeds} seeds"
        tidy(ax, r"signal injected, $S/\sqrt{B}$ in the window", r"SIC at $\epsilon_B$ = 0.01", name)
        ax.set_ylim(bottom=0)
    legend_below(fig, 6)
    save(fig, path)
