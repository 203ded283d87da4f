"""The mass spectrum before and after cuts on the score."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from adtoolkit.metrics.excess import cut_at
from adtoolkit.metrics.selection import truth_is
from adtoolkit.plots.style import BLACK, BLUE, GREY, RED, figure, legend, mass_label, tidy
from adtoolkit.scored import Scored
from adtoolkit.types import Mask

#: Background efficiencies of the cuts, and how they are drawn.
CUTS = ((1e-1, BLUE), (1e-2, RED))


def mass_edges(m: NDArray[np.floating], scored: Scored) -> NDArray[np.float64]:
    """Equal bins over 99.8 % of the masses, aligned with the window where there is one."""
    lo, hi = (float(v) for v in np.quantile(m, [0.001, 0.999]))
    if scored.window is None:
        return np.linspace(lo, hi, 51)
    step = scored.window.width / max(4, round(50 * scored.window.width / max(hi - lo, scored.window.width)))
    below, above = np.ceil((scored.window.lo - lo) / step), np.ceil((hi - scored.window.lo) / step)
    return np.asarray(scored.window.lo + step * np.arange(-max(below, 0), above + 1))


def draw_mass(scored: Scored) -> Figure | None:
    """All data, and what cuts at background efficiencies of 10 % and 1 % leave of it; the window shaded, the counts in it in the legend.

    Without a window there is no expectation to count against: the cuts leave the data of the highest 10 % and 1 % of the scores.
    """
    m = scored.events.m
    if not len(m) or not np.ptp(m) > 0:
        return None
    edges = mass_edges(m, scored)
    centres = (edges[:-1] + edges[1:]) / 2
    fig = figure(7.2, 5.0)
    ax = fig.add_subplot()
    if scored.window is not None:
        ax.axvspan(scored.window.lo, scored.window.hi, color=GREY, alpha=0.18, linewidth=0, label="window")
    weight = scored.events.weights

    def spectrum(kept: Mask, power: int = 1) -> NDArray[np.float64]:
        return np.histogram(m[kept], edges, weights=weight[kept].astype(np.float64) ** power)[0]

    everything = spectrum(np.ones(len(m), bool))
    scored_there = spectrum(np.isfinite(scored.score))
    ax.stairs(everything, edges, color=BLACK, linewidth=1.3, label=f"all data ({len(m):,})")
    aside = 0.1 * (edges[1] - edges[0])  # so that equal counts do not hide each other
    searched = scored if scored.window is not None else replace(scored, template=None, template_score=None, template_fold=None)
    for (eps, colour), shift in zip(CUTS, (-aside, aside), strict=True):
        cut = cut_at(searched, eps)
        count = spectrum(cut.passed)
        ax.stairs(eps * scored_there, edges, color=colour, linewidth=1.0, linestyle="--")
        # without weights all counts are whole; else as many digits as the error asks for
        digits = int(cut.expected < 10) if scored.events.weight is None else max(0, 1 - int(np.floor(np.log10(cut.error or 1.0))))
        whole = 0 if scored.events.weight is None else digits
        against = f"{cut.observed:,.{whole}f}"
        if searched.template is not None:
            against = f"{cut.expected:,.{digits}f} ± {cut.error:,.{digits}f} (stat.) expected, {against} observed"
        inside = f"$\\epsilon_B$ = {eps:g}, in the window: {against}"
        shown = count > 0
        ax.errorbar(
            centres[shown] + shift,
            count[shown],
            np.sqrt(spectrum(cut.passed, 2)[shown]),
            fmt="o",
            markersize=3,
            linewidth=0.9,
            color=colour,
            label=inside if scored.window is not None else f"highest {100 * eps:g} % of the scores: {against}",
        )
    if truth_is(scored.events, 1).any():
        ax.stairs(
            spectrum(truth_is(scored.events, 1)),
            edges,
            color=GREY,
            linewidth=1.0,
            linestyle=":",
            label="true signal in the data",
        )
    one = float(weight.mean()) or 1.0
    ax.set(yscale="log", xlim=(edges[0], edges[-1]), ylim=(0.5 * one, 30 * max(float(everything.max()), one)))
    unit = "events / bin" if scored.events.weight is None else "weighted events / bin"
    tidy(ax, mass_label(scored), unit, "dashed: efficiency times scored data; points a little aside of their bins' centres")
    legend(ax, loc="upper right")
    return fig
