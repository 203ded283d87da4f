"""How likely each signal fraction is: what every fold's training says, and the cross-fitted likelihood of all data."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from adtoolkit.metrics.likelihood_ratio import log_likelihood, profile, ratios_in, weights_in
from adtoolkit.plots.style import BLACK, BLUE, GREY, ORANGE, RED, figure, legend_below, tidy
from adtoolkit.scored import Scored

POINTS = 201


def draw_scan(scored: Scored) -> Figure | None:
    """2 ln of the likelihood ratio against no signal, over w: of each fold's held-out training events, and of all cross-fitted data."""
    if not scored.log_ratio:
        return None
    inside = scored.inside(scored.events)
    (log_r, _), weight = ratios_in(scored), weights_in(scored)
    if not len(log_r):
        return None
    found = profile(log_r, weight)
    curves, scans = scored.curves.get("profile", ()), scored.curves.get("scan", ())
    truth = scored.events.truth
    share = 0.0 if truth is None else float((truth[inside] == 1).mean())
    most = max([3 * found.hi - 2 * found.w, *(float(points[-1, 0]) for points in curves), 1.2 * share, 1e-4])
    w = np.linspace(0, min(most, 0.999), POINTS)
    whole = np.array([2 * log_likelihood(log_r, at, weight) for at in w])
    fig = figure(6.4 + 3.4 * bool(scans), 5.2)
    ax = fig.add_subplot(1, 2, 1) if scans else fig.add_subplot()
    for k, points in enumerate(curves):
        label = f"events held out by the members of a fold{_held_out(scored)}" if k == 0 else None
        ax.plot(points[:, 0], 2 * points[:, 1], color=BLUE, alpha=0.5, linewidth=1.0, label=label)
    q0 = f", $q_0$ = {found.q0:.1f}" if weight is None else " (weighted)"
    ax.plot(w, whole, color=BLACK, linewidth=1.8, label=f"all {len(log_r):,} data, cross-fitted: $\\hat{{w}}$ = {found.w:.4f}{q0}")
    ax.axvspan(found.lo, found.hi, color=ORANGE, alpha=0.3, linewidth=0, label=r"$\Delta\ln L$ = 1/2 (68 %, statistical)")
    if truth is not None:
        ax.axvline(share, color=RED, linestyle="--", linewidth=1.2, label=f"true signal fraction {share:.4f}")
    ax.axhline(0, color=GREY, linewidth=0.8)
    top = max([4.0, float(whole.max()), *(2 * float(points[:, 1].max()) for points in curves)])
    least = min([0.0, float(whole.min()), *(2 * float(points[:, 1].min()) for points in curves)])
    # Far below zero is of no interest.
    ax.set(xlim=(0, w[-1]), ylim=(max(least, -max(0.15 * top, 4.0)) - 0.03 * top, 1.06 * top))
    tidy(ax, "signal fraction $w$", r"2 ln [L($w$) / L(0)]", "for exact densities of background and signal")
    if scans:
        own = fig.add_subplot(1, 2, 2)
        for points in scans:
            own.plot(points[:, 0], 2 * points[:, 1], "o-", color=BLUE, alpha=0.6, markersize=4, linewidth=1.0)
        own.set_xscale("log")
        own.axhline(0, color=GREY, linewidth=0.8)
        tidy(own, "$w$ of the training", "", "trained at fixed $w$, a line per fold")
    legend_below(fig, 1)
    return fig


def _held_out(scored: Scored) -> str:
    """How many events the likelihood of a fold is of, where its scorer says so: fewer than all data, so that it is smaller."""
    counts = [round(fit["held-out-events"]) for fit in scored.fits if "held-out-events" in fit]
    if not counts:
        return ""
    return f", n = {min(counts):,}" + (f" to {max(counts):,}" if max(counts) > min(counts) else "")
