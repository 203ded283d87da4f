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
    kinds = [("data", scored.score[data], BLACK)]
    if scored.template_score is not None:
        kinds.append(("template", scored.template_score, BLUE))
    if scored.events.truth is not None:
        kinds.append(("true background", scored.score[data & truth_is(scored.events, 0)], GREEN))
    # One fold's model per event, so that signal is on the scale of single models like all the rest.
    signal = scored.test_score[scored.inside(scored.test) & truth_is(scored.test, 1)]
    usable = ~np.isnan(signal)
    if usable.any():
        pick = np.arange(len(signal)) % max(scored.folds, 1)
        column = np.where(usable[np.arange(len(signal)), pick], pick, usable.argmax(1))
        kinds.append(("test signal", signal[np.arange(len(signal)), column], RED))
    kinds = [kind for kind in kinds if len(kind[1])]
    if not kinds:
        return None
    edges = clipped_edges(*(scores for _, scores, _ in kinds), bins=60)
    width = edges[1] - edges[0]
    fig = figure()
    ax = fig.add_subplot()
    for name, scores, colour in kinds:
        count = counted(scores, edges)
        total = max(float(count.sum()), 1.0)
        if name == "data":
            shown = count > 0
            at, height, error = ((edges[:-1] + edges[1:]) / 2)[shown], count[shown], np.sqrt(count[shown])
            ax.errorbar(at, height / total / width, error / total / width, fmt=".", color=colour, linewidth=0.8, label=name)
        else:
            ax.stairs(count / total / width, edges, color=colour, linewidth=1.4, label=name, fill=False)
    ax.set_yscale("log")
    name = "log p(signal) / p(background)" if scored.log_ratio else "score"
    where = " in the window" if scored.window is not None else ""
    tidy(ax, name, "density", f"held-out scores{where}; the end bins hold what lies beyond")
    legend(ax)
    return fig
