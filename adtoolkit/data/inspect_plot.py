"""The picture of a file: the mass on top, the suggested features below."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from adtoolkit.data.inspect import Inspection

_COLUMNS = 3
_ALL, _SIGNAL, _WINDOW = "#3b6ea5", "#c8452e", "#f2c14e"


def draw(inspection: Inspection) -> bytes:
    """A PNG of m and of the suggested features; signal as a line of its own where truth is known.

    The outermost 0.1 % of the events on each side are left out of a panel, and that is said in its corner.
    """
    x, m, s = inspection.x, inspection.m, inspection.suggestion
    lines = max(1, -(-len(x) // _COLUMNS))
    with mpl.rc_context({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(9, 3.2 + 2.3 * lines), layout="constrained")
        FigureCanvasAgg(figure)
        grid = figure.add_gridspec(lines + 1, _COLUMNS, height_ratios=[1.3] + [1.0] * lines)
        signal = inspection.truth == 1 if inspection.truth is not None else None
        top = figure.add_subplot(grid[0, :])
        if m is None:
            top.axis("off")
            top.text(0.5, 0.5, "no column was recognised as the mass", ha="center", va="center", transform=top.transAxes)
        else:
            name = s.mass.partition("=")[0].strip() if "=" in s.mass else s.mass.partition(",")[0]
            _histogram(top, m, signal, name if s.data == "table" else "mjj [TeV]", 100, clip=False)
            if s.data == "table" and s.window:
                top.axvspan(*s.window, color=_WINDOW, alpha=0.35, lw=0, zorder=0, label="example of a window")
            if signal is not None or (s.data == "table" and s.window):
                top.legend(frameon=False, loc="upper right")
        for i, (name, column) in enumerate(x.items()):
            _histogram(figure.add_subplot(grid[1 + i // _COLUMNS, i % _COLUMNS]), column, signal, name, 50, clip=True)
        figure.suptitle(f"{inspection.path.name}: {inspection.rows:,} events", fontsize=11)
        buffer = BytesIO()
        figure.savefig(buffer, format="png", dpi=120)
    return buffer.getvalue()


def _histogram(axes: Axes, values: NDArray[Any], signal: NDArray[np.bool_] | None, label: str, bins: int, *, clip: bool) -> None:
    good = np.isfinite(values)
    axes.set_xlabel(label)
    axes.set_ylabel("events")
    if not good.any():
        axes.text(0.5, 0.5, "no finite value", ha="center", va="center", transform=axes.transAxes)
        return
    lo, hi = np.quantile(values[good], (0.001, 0.999)) if clip else (values[good].min(), values[good].max())
    if lo == hi:
        lo, hi = lo - 0.5, hi + 0.5
    edges = np.linspace(float(lo), float(hi), bins + 1).tolist()
    outside = int((good & ((values < lo) | (values > hi))).sum())
    heights, _, _ = axes.hist(values[good], edges, histtype="stepfilled", color=_ALL, alpha=0.75, label="all events")
    if not clip and np.max(heights) > 100 * max(1.0, float(np.quantile(np.asarray(heights), 0.1))):
        axes.set_yscale("log")
    if signal is not None:
        axes.hist(values[good & signal], edges, histtype="step", color=_SIGNAL, lw=1.4, label="signal by its label")
    if outside:
        axes.text(0.98, 0.97, f"{outside} outside", ha="right", va="top", fontsize=7, color="0.4", transform=axes.transAxes)
