"""Pictures of showers, layer by layer as the particle sees them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray

from adtoolkit.plots.style import figure
from adtoolkit_showers.geometry import Geometry


def draw_showers(showers: Mapping[str, NDArray[Any]], geometry: Geometry, lowest: float = 0.1) -> Figure:
    """A row of pictures per entry, with a picture per layer.

    Args:
        showers: Name -> energies of the voxels in MeV: [V] of one shower, or [N, V], of which the mean is drawn.
        geometry: Where the voxels lie.
        lowest: MeV; voxels below stay white.
    """
    fig = figure(2.4 * len(geometry.layers) + 0.9, 2.2 * len(showers) + 0.4)
    axes = fig.subplots(len(showers), len(geometry.layers), sharex=True, sharey=True, squeeze=False)
    means = {name: np.atleast_2d(voxels).mean(axis=0, keepdims=True) for name, voxels in showers.items()}
    norm = LogNorm(lowest, max(10 * lowest, *(float(mean.max()) for mean in means.values())))
    extent = (-geometry.half, geometry.half, -geometry.half, geometry.half)
    for row, (name, mean) in zip(axes, means.items(), strict=True):
        for ax, part, energy in zip(row, geometry.split(mean), geometry.layer_energies(mean)[0], strict=True):
            seen = np.ma.masked_less(part[0].T, lowest)
            image = ax.imshow(seen, norm=norm, extent=extent, origin="lower", cmap="viridis", interpolation="none")
            box = {"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 1.5}
            ax.text(0.03, 0.97, f"{energy / 1000:.3g} GeV", transform=ax.transAxes, va="top", fontsize="x-small", bbox=box)
        row[0].set_title(name, fontsize="small", loc="left")
        row[0].set_ylabel("y [cm]")
    for ax, layer in zip(axes[-1], geometry.layers, strict=True):
        ax.set_xlabel(f"x [cm], depth {layer.begin:g}-{layer.end:g} cm")
    fig.colorbar(image, ax=axes, label="MeV per voxel", shrink=0.6)
    return fig
