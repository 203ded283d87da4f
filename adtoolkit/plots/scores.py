"""Distributions of the score."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from adtoolkit.metrics.selection import truth_is
from adtoolkit.plots.style import BLACK, BLUE, GREEN, RED, clipped_edges, counted, figure, legend, tidy
from adtoolkit.scored import Scored


def draw_scores(scored: Scored) -> Figure | None:
    """Held-out scores in the window: data, template and, where truth is known, background and test signal; each to area 1."""
    data = scored.inside(scored.events)
    weight = scored.events.weights
    kinds = [("data", scored.score[data], weight[data], BLACK)]
    if scored.template_score is not None:
        kinds.append(("template", scored.template_score, np.ones_like(scored.template_score), BLUE))
    if scored.events.truth is not None:
        background = data & truth_is(scored.events, 0)
        kinds.append(("true background", scored.score[background], weight[background], GREEN))
    # One fold's model per event, so that signal is on the scale of single models like all the rest.
    tested = scored.inside(scored.test) & truth_is(scored.test, 1)
    signal = scored.test_score[tested]
    usable = ~np.isnan(signal)
    if usable.any():
        pick = np.arange(len(signal)) % max(scored.folds, 1)
        column = np.where(usable[np.arange(len(signal)), pick], pick, usable.argmax(1))
        kinds.append(("test signal", signal[np.arange(len(signal)), column], scored.test.weights[tested], RED))
    kinds = [kind for kind in kinds if len(kind[1])]
    if not kinds:
        return None
    edges = clipped_edges(*(scores for _, scores, _, _ in kinds), bins=60)
    width = edges[1] - edges[0]
    fig = figure()
    ax = fig.add_subplot()
    for name, scores, weights, colour in kinds:
        count, squares = (counted(scores, edges, weights, power) for power in (1, 2))
        total = float(count.sum()) or 1.0
        if name == "data":
            shown = count > 0
            at, height, error = ((edges[:-1] + edges[1:]) / 2)[shown], count[shown], np.sqrt(squares[shown])
            ax.errorbar(at, height / total / width, error / total / width, fmt=".", color=colour, linewidth=0.8, label=name)
        else:
            ax.stairs(count / total / width, edges, color=colour, linewidth=1.4, label=name, fill=False)
    ax.set_yscale("log")
    name = "log p(signal) / p(background)" if scored.log_ratio else "score"
    where = " in the window" if scored.window is not None else ""
    tidy(ax, name, "density", f"held-out scores{where}; the end bins hold what lies beyond")
    legend(ax)
    return fig
