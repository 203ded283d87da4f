"""The learnt signal against the window's data, the background template and, where it is known, the true signal."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from adtoolkit.metrics.selection import truth_is
from adtoolkit.plots.style import BLACK, BLUE, GREEN, RED, clipped_edges, counted, figure, legend_below, mass_label, tidy
from adtoolkit.scored import Scored
from adtoolkit.types import Sample

COLUMNS = 3


def draw_signal(scored: Scored) -> Figure | None:
    """One panel for m and one per feature, each distribution to area 1; the end bins of features hold what lies beyond.

    The true signal is the test signal of the window or, where there is none, the injected one.
    """
    if scored.signal is None or not len(scored.signal):
        return None
    data = scored.events[scored.inside(scored.events)]
    test = scored.test[scored.inside(scored.test) & truth_is(scored.test, 1)]
    true = test if len(test) else data[truth_is(data, 1)]
    known = "true signal of the test events" if len(test) else "true signal of the data"
    template = data[:0] if scored.template is None else scored.template
    kinds = [("data in the window", data, BLACK), ("template", template, BLUE), (known, true, GREEN)]
    kinds = [kind for kind in kinds if len(kind[1])]
    kinds.append(("learnt signal", scored.signal, RED))

    def column(sample: Sample, i: int) -> NDArray[np.floating]:
        return sample.m if i == 0 else sample.x[:, i - 1]

    n = 1 + len(scored.features)
    columns = 2 if n == 4 else min(n, COLUMNS)  # four fill a square, and leave two places empty in rows of three
    fig = figure(3.6 * columns + 0.4, 2.9 * math.ceil(n / columns) + 0.5)
    for i, name in enumerate((mass_label(scored), *scored.features)):
        ax = fig.add_subplot(math.ceil(n / columns), columns, i + 1)
        edges = np.linspace(scored.window.lo, scored.window.hi, 41) if i == 0 and scored.window else None
        if edges is None:
            edges = clipped_edges(*(column(sample, i) for _, sample, _ in kinds))
        width = edges[1] - edges[0]
        for label, sample, colour in kinds:
            count, squares = (counted(column(sample, i), edges, sample.weights, power) for power in (1, 2))
            area = (float(count.sum()) or 1.0) * width
            height = count / area
            if label.startswith("data"):
                error = np.sqrt(squares) / area
                ax.errorbar((edges[:-1] + edges[1:]) / 2, height, error, fmt=".", color=colour, markersize=3, linewidth=0.8, label=label)
            else:
                filled = label == "learnt signal"
                ax.stairs(height, edges, color=colour, linewidth=1.6 if filled else 1.2, label=label)
                if filled:
                    ax.stairs(height, edges, color=colour, fill=True, alpha=0.2)
        ax.set_ylim(bottom=0)
        tidy(ax, name, "density" if i % columns == 0 else "")
    legend_below(fig, 4 if columns > 2 else 2)
    against = ", ".join(f"{label} ({len(sample):,})" for label, sample, _ in kinds[:-1])
    fig.suptitle(f"learnt signal ({len(scored.signal):,} draws of all folds) against\n{against}; each to area 1", fontsize="small")
    return fig
