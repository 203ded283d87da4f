"""What all figures share: colours, axes, saving."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from adtoolkit.scored import Scored

# Okabe and Ito's palette, told apart by all kinds of colour vision.
BLACK: Final = "#000000"
BLUE: Final = "#0072B2"
ORANGE: Final = "#E69F00"
GREEN: Final = "#009E73"
RED: Final = "#D55E00"
PURPLE: Final = "#CC79A7"
GREY: Final = "#7F7F7F"

DPI: Final = 150


def figure(width: float = 6.4, height: float = 4.6) -> Figure:
    """An empty figure (inches) with a canvas of its own."""
    fig = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    FigureCanvasAgg(fig)
    return fig


def tidy(ax: Axes, xlabel: str = "", ylabel: str = "", title: str = "") -> None:
    """Labels, ticks inwards on all sides, a faint grid."""
    if xlabel:
        ax.set_xlabel(xlabel)
    if ylabel:
        ax.set_ylabel(ylabel)
    if title:
        ax.set_title(title, fontsize="small", loc="left")
    ax.tick_params(which="both", direction="in", top=True, right=True)
    ax.grid(visible=True, alpha=0.2, linewidth=0.6)
    ax.set_axisbelow(True)


def legend(ax: Axes, **options: Any) -> None:
    """A legend without a frame, if there is anything to explain."""
    if ax.get_legend_handles_labels()[0]:
        ax.legend(frameon=False, fontsize="small", **options)


def legend_below(fig: Figure, ncols: int) -> None:
    """The legend of the first axes below all of them, where it hides no curve, whatever its shape."""
    handles, labels = fig.axes[0].get_legend_handles_labels()
    if handles:
        fig.legend(handles, labels, loc="outside lower center", ncols=ncols, frameon=False, fontsize="small")


def headed(fig: Figure, title: str) -> Figure:
    """Write a title above everything else; what stood there becomes its second line."""
    if title:
        fig.suptitle("\n".join(filter(None, (title, fig.get_suptitle()))), fontsize="small")
    return fig


def mass_label(scored: Scored) -> str:
    """Name and unit of m."""
    return f"{scored.mass} [{scored.unit}]" if scored.unit else scored.mass


def clipped_edges(*values: NDArray[np.floating], bins: int = 40) -> NDArray[np.float64]:
    """Equal bins over the central 99.8 % of all the values; draw with values clipped to them, so that nothing is lost."""
    both = np.concatenate([v[np.isfinite(v)].astype(np.float64) for v in values])
    lo, hi = np.quantile(both, [0.001, 0.999]) if len(both) else (0.0, 1.0)
    if not hi > lo:
        lo, hi = lo - 0.5, lo + 0.5
    return np.linspace(lo, hi, bins + 1)


def skewed_edges(*values: NDArray[np.floating], bins: int = 40) -> tuple[NDArray[np.float64], str]:
    """Edges as of `clipped_edges` and the scale of their axis, ``linear``.

    Where more than half of the values would fall into the first of these bins and none is negative, as with energies of cells that are
    mostly zero: bins of equal ratio above the smallest percent of the positive values, one bin below it, and the scale ``symlog``.
    """
    edges = clipped_edges(*values, bins=bins)
    both = np.concatenate([v[np.isfinite(v)].astype(np.float64) for v in values])
    positive = both[both > 0]
    if not len(positive) or both.min() < 0 or np.median(both) > edges[1]:
        return edges, "linear"
    smallest = float(np.quantile(positive, 0.01))
    if not edges[-1] > 10 * smallest:
        return edges, "linear"
    return np.concatenate([[0.0], np.geomspace(smallest, edges[-1], bins)]), "symlog"


def counted(
    values: NDArray[np.floating], edges: NDArray[np.float64], weight: NDArray[np.floating] | None = None, power: int = 1
) -> NDArray[np.float64]:
    """[bins] how many of the finite values, or the sum of a power of their weights; the first and the last bin hold what lies beyond."""
    good = np.isfinite(values)
    inside = np.clip(values[good].astype(np.float64), edges[0], edges[-1])
    return np.histogram(inside, edges, weights=None if weight is None else weight[good].astype(np.float64) ** power)[0].astype(np.float64)


def save(fig: Figure, path: Path) -> Path:
    """Write a PNG; a reader sees the old file or the new one, never a part."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        # Without the program's version, so that equal pictures are equal files.
        fig.savefig(part, format="png", metadata={"Software": None})
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return path
