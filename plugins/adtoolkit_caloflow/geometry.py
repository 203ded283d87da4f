"""Where the voxels of a flat shower lie: layers, and regions of them. numpy only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from adtoolkit.errors import DataError

#: Shapes (x, y) of the layers by the number of voxels: as published (arXiv:2312.11618, section II), and summed to blocks of them.
KNOWN: Final[Mapping[int, tuple[tuple[int, int], ...]]] = {
    504: ((3, 96), (12, 12), (12, 6)),
    108: ((3, 12), (6, 6), (6, 6)),
}


@dataclass(frozen=True)
class Geometry:
    """Layers one behind the other, each flattened in C order (x slow, y fast).

    Attributes:
        layers: Voxels of each.
        shapes: (x, y) of each, where known.
    """

    layers: tuple[int, ...]
    shapes: tuple[tuple[int, int], ...] = ()

    @classmethod
    def of(cls, features: int, layers: tuple[int, ...] = ()) -> Self:
        """Of so many voxels: the layers given; else those of a known detector; else one layer.

        Raises:
            DataError: if the layers given do not add up, or no layer has two voxels.
        """
        if layers and sum(layers) != features:
            raise DataError(
                f"Layers of {', '.join(map(str, layers))} voxels make {sum(layers)}, but the showers have {features} features.",
                "Give the voxels of each layer: --set estimator.layers=[N0,N1,...]",
            )
        shapes = KNOWN.get(features, ())
        own = tuple(x * y for x, y in shapes)
        geometry = cls(layers, shapes if layers == own else ()) if layers else cls(own or (features,), shapes)
        if max(geometry.layers) < 2 or min(geometry.layers) < 1:
            raise DataError(f"Layers of {', '.join(map(str, geometry.layers))} voxels have no shower shape.", "Use two voxels or more.")
        return geometry

    @property
    def features(self) -> int:
        """D."""
        return sum(self.layers)

    def regions(self) -> dict[str, NDArray[np.bool_]]:
        """Name to [D]: which voxels belong to it.

        ``layer-0``, ``layer-1``, ... always; where the second layer is square, also its parts: ``core`` within a third of its half-width
        of the axis, ``middle`` within two thirds, ``outer`` the rest, and the halves ``left`` and ``right`` in x.
        """
        ends = np.cumsum([0, *self.layers])
        at = np.arange(self.features)
        found: dict[str, NDArray[np.bool_]] = {f"layer-{i}": (at >= ends[i]) & (at < ends[i + 1]) for i in range(len(self.layers))}
        if len(self.shapes) > 1 and self.shapes[1][0] == self.shapes[1][1]:
            n = self.shapes[1][0]
            place: NDArray[Any] = (np.arange(n) + 0.5) / n * 2 - 1  # of the voxels' centres, from -1 to 1
            radius = np.maximum(np.abs(place)[:, None], np.abs(place)[None, :]).ravel()
            x = np.repeat(place, n)
            parts = {
                "core": radius < 1 / 3,
                "middle": (radius >= 1 / 3) & (radius < 2 / 3),
                "outer": radius >= 2 / 3,
                "left": x < 0,
                "right": x >= 0,
            }
            for name, part in parts.items():
                whole = np.zeros(self.features, bool)
                whole[ends[1] : ends[2]] = part
                found[name] = whole
        return found
