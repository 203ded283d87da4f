"""SIC and ROC with bootstrap bands."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from adtoolkit.context import seed_of
from adtoolkit.metrics.config import MaxSicConfig
from adtoolkit.metrics.curves import Float, bootstrap, grid, interval, sic, signal_efficiency
from adtoolkit.metrics.ranking import floor_of
from adtoolkit.metrics.selection import Judged
from adtoolkit.plots.style import BLUE, GREY, RED, figure, legend, legend_below, tidy


def _bands(judged: Judged) -> tuple[Float, Float, Float, Float, float]:
    """Background efficiencies, signal efficiencies, the ends of their 68 % band, and the statistical floor."""
    floor = floor_of(judged.ranking, MaxSicConfig())
    eps = grid(max(floor / 5, 1 / judged.ranking.size), 300)
    rng = np.random.default_rng(seed_of("plots", "curves"))
    eff = signal_efficiency(judged.ranking, eps)
    return eps, eff, *interval(bootstrap(judged.ranking, lambda r: signal_efficiency(r, eps), rng, 100), eff), floor


def _source(judged: Judged) -> str:
    return f"{judged.ranking.signals:,} events of {judged.signal}, {judged.ranking.size:,.0f} of {judged.background}"


def draw_sic(judged: Judged, metrics: Mapping[str, float]) -> Figure:
    """SIC against background efficiency; shaded where fewer background events pass than the floor asks for."""
    eps, eff, lo, hi, floor = _bands(judged)
    fig = figure()
    ax = fig.add_subplot()
    good = eps >= floor * (1 - 1e-9)
    root = np.sqrt(eps)
    ax.fill_between(eps, lo / root, hi / root, color=BLUE, alpha=0.25, linewidth=0, label="68 % bootstrap")
    ax.plot(eps, eff / root, color=BLUE, linewidth=0.8, linestyle=":")
    ax.plot(eps[good], (eff / root)[good], color=BLUE, linewidth=1.8, label="SIC")
    ax.plot(eps, root, color=GREY, linestyle="--", linewidth=1.2, label="random")
    at = metrics.get("max-sic-at")
    if at is not None:
        ax.plot([at], sic(judged.ranking, at), "o", color=RED, markersize=5, label=f"max SIC {metrics['max-sic']:.2f}")
    top = 1.15 * max(float(np.nanmax((hi / root)[good])), 1.2)
    ax.axvspan(eps[0], floor, color=GREY, alpha=0.15, linewidth=0)
    ax.text(floor, 0.98 * top, " statistical floor", fontsize="x-small", color=GREY, va="top")
    ax.set(xscale="log", xlim=(eps[0], 1), ylim=(0, top))
    tidy(ax, r"background efficiency $\epsilon_B$", r"SIC $=\epsilon_S/\sqrt{\epsilon_B}$", _source(judged))
    legend(ax, loc="upper right")
    return fig


def draw_roc(judged: Judged, metrics: Mapping[str, float]) -> Figure:
    """Background rejection against signal efficiency."""
    eps, eff, lo, hi, floor = _bands(judged)
    fig = figure(height=4.9)
    ax = fig.add_subplot()
    good = eps >= floor * (1 - 1e-9)
    auc = f" (AUC {metrics['auc']:.3f})" if "auc" in metrics else ""
    ax.fill_betweenx(1 / eps, lo, hi, color=BLUE, alpha=0.25, linewidth=0, label="68 % bootstrap")
    ax.plot(eff, 1 / eps, color=BLUE, linewidth=0.8, linestyle=":")
    ax.plot(eff[good], 1 / eps[good], color=BLUE, linewidth=1.8, label=f"score{auc}")
    ax.plot(eps, 1 / eps, color=GREY, linestyle="--", linewidth=1.2, label="random")
    ax.axhspan(1 / floor, 1 / eps[0], color=GREY, alpha=0.15, linewidth=0, label="beyond the statistical floor")
    ax.set(yscale="log", xlim=(0, 1), ylim=(1, 1 / eps[0]))
    tidy(ax, r"signal efficiency $\epsilon_S$", r"background rejection $1/\epsilon_B$", _source(judged))
    legend_below(fig, 4)
    return fig
