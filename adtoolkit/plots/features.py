"""Template against data, feature by feature, with pulls."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from adtoolkit.metrics.closure import equal_edges, pulls, true_background
from adtoolkit.metrics.config import ClosureConfig
from adtoolkit.plots.style import BLACK, BLUE, GREEN, RED, counted, figure, legend_below, skewed_edges, tidy
from adtoolkit.scored import Scored
from adtoolkit.types import Sample

COLUMNS = 3
#: Panels of a picture at most: of more features those with the largest pulls are drawn.
PANELS = 12
#: Bins of the pulls, those of the metric.
BINS = ClosureConfig().bins


def draw_features(scored: Scored, metrics: Mapping[str, float]) -> Figure | None:
    """One panel per feature: the window's data, the template scaled to it and, where truth is known, the true background.

    The first and the last bin hold what lies beyond; axes of features that are mostly zero are logarithmic above a threshold. Pulls are
    those of the metric ``closure``: the template against true background, or against the data where truth is not known, in bins that
    these fill equally, the first and the last open.
    """
    if scored.template is None or not len(scored.template):
        return None
    inside = scored.events[scored.inside(scored.events)]
    true = true_background(scored) if scored.events.truth is not None else inside[:0]
    reference, name = (true, "true background") if len(true) else (inside, "data")
    chosen = _chosen(scored, reference)
    n = len(chosen)
    columns = min(n, COLUMNS)
    rows = math.ceil(n / columns)
    fig = figure(3.6 * columns + 0.4, 3.4 * rows + 0.4)
    panels = fig.add_gridspec(2 * rows, columns, height_ratios=[3, 1] * rows)
    for place, i in enumerate(chosen):
        row, column = divmod(place, columns)
        ax = fig.add_subplot(panels[2 * row, column])
        low = fig.add_subplot(panels[2 * row + 1, column], sharex=ax)
        drawn = scored.template.x[:, i]
        edges, scale = skewed_edges(inside.x[:, i], drawn)
        _panel(ax, edges, i, inside, drawn, true)
        _pulls(low, edges, reference.x[:, i], drawn, reference.weight)
        if scale == "symlog":
            _logarithmic(ax, edges)
        ax.tick_params(labelbottom=False)
        tidy(low, scored.features[i], "template pull" if column == 0 else "")
        if column == 0:
            ax.set_ylabel("events / bin" if inside.weight is None else "weighted events / bin")
    legend_below(fig, 3)
    closure = f"; two-sample AUC {metrics['closure-auc']:.3f}" if "closure-auc" in metrics else ""
    where = "template" if scored.window is None else "template in the window"
    some = "" if n == len(scored.features) else f" (the {n} largest of {len(scored.features)} features)"
    fig.suptitle(f"{where}; pulls against {name}{some}, in {BINS} bins that it fills equally{closure}", fontsize="medium")
    return fig


def _chosen(scored: Scored, reference: Sample) -> list[int]:
    """All features, or those of many that fit the picture: with the largest pulls, in their order."""
    n = len(scored.features)
    if n <= PANELS or scored.template is None:
        return list(range(n))
    drawn = scored.template.x
    worst = [np.abs(pulls(reference.x[:, i], drawn[:, i], equal_edges(reference.x[:, i], BINS), reference.weight)).max() for i in range(n)]
    return sorted(int(i) for i in np.argsort(worst)[-PANELS:])


def _panel(ax: Axes, edges: NDArray[np.float64], i: int, data: Sample, drawn: NDArray[np.floating], background: Sample) -> None:
    points, squares = (counted(data.x[:, i], edges, data.weights, power) for power in (1, 2))
    total = float(points.sum())
    template = counted(drawn, edges) * total / len(drawn)
    highest = max(float(points.max()), float(template.max()))
    ax.stairs(template, edges, color=BLUE, fill=True, alpha=0.25)
    ax.stairs(template, edges, color=BLUE, linewidth=1.2, label="template")
    if len(background):
        true = counted(background.x[:, i], edges, background.weights)
        true *= total / (float(true.sum()) or 1.0)
        highest = max(highest, float(true.max()))
        ax.stairs(true, edges, color=GREEN, linewidth=1.2, label="true background")
    ax.errorbar((edges[:-1] + edges[1:]) / 2, points, np.sqrt(squares), fmt=".", color=BLACK, markersize=4, linewidth=0.8, label="data")
    ax.set_ylim(0, 1.1 * (highest or 1.0))
    tidy(ax)


def _logarithmic(ax: Axes, edges: NDArray[np.float64]) -> None:
    """Axes for a feature that is mostly zero: zero and at most five powers of ten above the threshold are named."""
    ax.set_xscale("symlog", linthresh=edges[1], linscale=0.3)
    powers = np.arange(math.ceil(math.log10(edges[1])), math.floor(math.log10(edges[-1])) + 1)
    ax.set_xticks([0.0, *(10.0 ** powers[:: math.ceil(len(powers) / 5)])])
    ax.set_xlim(edges[0], edges[-1])
    ax.set(yscale="log", ylim=(0.5, 4 * ax.get_ylim()[1]))


def _pulls(
    ax: Axes,
    edges: NDArray[np.float64],
    reference: NDArray[np.floating],
    drawn: NDArray[np.floating],
    weight: NDArray[np.floating] | None,
) -> None:
    """A line per bin, as wide as it is; the open ones at the ends reach to those of the histogram."""
    bins = equal_edges(reference, BINS)
    values = pulls(reference, drawn, bins, weight)
    limit = max(4.0, 1.1 * float(np.abs(values).max()))
    shown = np.clip(bins, edges[0], edges[-1])
    ax.axhspan(-1, 1, color=BLUE, alpha=0.15, linewidth=0)
    ax.axhline(0, color=BLACK, linewidth=0.6)
    ax.hlines(values, shown[:-1], shown[1:], color=RED, linewidth=1.8)
    ax.set_ylim(-limit, limit)
