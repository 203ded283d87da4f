"""Template against data, feature by feature, with pulls."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from adtoolkit.metrics.closure import true_background
from adtoolkit.plots.style import BLACK, BLUE, GREEN, RED, clipped_edges, counted, figure, legend, tidy
from adtoolkit.scored import Scored

COLUMNS = 3


def draw_features(scored: Scored, metrics: Mapping[str, float]) -> Figure | None:
    """One panel per feature: the window's data, the template scaled to it and, where truth is known, the true background.

    Pulls compare the template with true background, or with the data where truth is not known. The first and the last bin hold what lies
    beyond.
    """
    if scored.template is None or not len(scored.template):
        return None
    data = scored.events.x[scored.inside(scored.events)]
    background = true_background(scored).x if scored.events.truth is not None else None
    known = background is not None and len(background) > 0
    reference, name = (background, "true background") if background is not None and known else (data, "data")
    n = len(scored.features)
    columns = min(n, COLUMNS)
    rows = math.ceil(n / columns)
    fig = figure(3.6 * columns + 0.4, 3.4 * rows + 0.4)
    panels = fig.add_gridspec(2 * rows, columns, height_ratios=[3, 1] * rows)
    for i, feature in enumerate(scored.features):
        row, column = divmod(i, columns)
        ax = fig.add_subplot(panels[2 * row, column])
        low = fig.add_subplot(panels[2 * row + 1, column], sharex=ax)
        drawn = scored.template.x[:, i]
        edges = clipped_edges(data[:, i], drawn)
        _panel(ax, edges, data[:, i], drawn, background[:, i] if background is not None and known else None)
        _pulls(low, edges, reference[:, i], drawn)
        ax.tick_params(labelbottom=False)
        tidy(low, feature, "pull" if column == 0 else "")
        if column == 0:
            ax.set_ylabel("events / bin")
        if i == 0:
            legend(ax)
    closure = f"; two-sample AUC {metrics['closure-auc']:.3f}" if "closure-auc" in metrics else ""
    fig.suptitle(f"template in the window; pulls against {name}{closure}", fontsize="medium")
    return fig


def _panel(
    ax: Axes, edges: NDArray[np.float64], data: NDArray[np.floating], drawn: NDArray[np.floating], background: NDArray[np.floating] | None
) -> None:
    points, template = counted(data, edges), counted(drawn, edges) * len(data) / len(drawn)
    ax.stairs(template, edges, color=BLUE, fill=True, alpha=0.25)
    ax.stairs(template, edges, color=BLUE, linewidth=1.2, label="template")
    if background is not None:
        ax.stairs(counted(background, edges) * len(data) / len(background), edges, color=GREEN, linewidth=1.2, label="true background")
    ax.errorbar((edges[:-1] + edges[1:]) / 2, points, np.sqrt(points), fmt=".", color=BLACK, markersize=4, linewidth=0.8, label="data")
    ax.set_ylim(0, 1.25 * max(float(points.max()), float(template.max()), 1.0))
    tidy(ax)


def _pulls(ax: Axes, edges: NDArray[np.float64], reference: NDArray[np.floating], drawn: NDArray[np.floating]) -> None:
    n, t, scale = counted(reference, edges), counted(drawn, edges), len(reference) / len(drawn)
    values = (t * scale - n) / np.sqrt(np.maximum(n + scale**2 * t, 1e-9))
    limit = max(4.0, 1.1 * float(np.abs(values).max()))
    ax.axhspan(-1, 1, color=BLUE, alpha=0.15, linewidth=0)
    ax.axhline(0, color=BLACK, linewidth=0.6)
    ax.plot((edges[:-1] + edges[1:]) / 2, values, ".", color=RED, markersize=4)
    ax.set_ylim(-limit, limit)
