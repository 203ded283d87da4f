"""Layers and voxels of a calorimeter: which voxel a point lies in, and coarser voxels."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Cells = NDArray[Any]


@dataclass(frozen=True)
class Layer:
    """A readout layer.

    Attributes:
        begin: Depth of its front, cm.
        end: Depth of its back, cm.
        nx: Voxels along x.
        ny: Voxels along y.
    """

    begin: float
    end: float
    nx: int
    ny: int

    @property
    def size(self) -> int:
        return self.nx * self.ny


@dataclass(frozen=True)
class Geometry:
    """Layers behind each other; a row of cells is their voxels, layer by layer, each in C order (``ix * ny + iy``).

    Attributes:
        layers: From front to back.
        half: Half the width that is read out, cm, in x and y.
        edge: Half the width that there is, cm: energy beyond ``half`` goes to a cell per layer, ``overflow``.
    """

    layers: tuple[Layer, ...]
    half: float
    edge: float

    @property
    def depth(self) -> float:
        """cm."""
        return self.layers[-1].end

    @property
    def n_voxels(self) -> int:
        return self.offsets[-1]

    @cached_property
    def offsets(self) -> tuple[int, ...]:
        """Index of the first voxel of each layer, and the number of all."""
        return (0, *np.cumsum([layer.size for layer in self.layers]).tolist())

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Of the voxels: ``L1_3_4`` is that of layer 1 with ix = 3, iy = 4."""
        return tuple(f"L{i}_{ix}_{iy}" for i, layer in enumerate(self.layers) for ix in range(layer.nx) for iy in range(layer.ny))

    @cached_property
    def _tables(self) -> tuple[NDArray[Any], ...]:
        nx, ny = (np.array([getattr(layer, name) for layer in self.layers]) for name in ("nx", "ny"))
        width = np.float32(2 * self.half)
        return (nx / width).astype(np.float32), (ny / width).astype(np.float32), ny, np.array(self.offsets[:-1])

    def cells(self, x: Cells, y: Cells, z: Cells) -> NDArray[np.intp]:
        """[K] coordinates in cm -> the cells: voxels, then an overflow per layer, then one for all that leaves the calorimeter."""
        layer = np.zeros(len(z), np.intp)
        for later in self.layers[1:]:
            layer += z >= np.float32(later.begin)
        per_x, per_y, ny, offset = (table[layer] for table in self._tables)
        half, width = np.float32(self.half), np.float32(2 * self.half)
        u, v = x + half, y + half  # compared after the addition, which rounds
        cell = offset + (u * per_x).astype(np.intp) * ny + (v * per_y).astype(np.intp)
        out = np.flatnonzero((u < 0) | (u >= width) | (v < 0) | (v >= width))
        cell[out] = self.n_voxels + layer[out]
        gone = (np.maximum(np.abs(x), np.abs(y)) >= np.float32(self.edge)) | (z < 0) | (z > np.float32(self.depth))
        cell[gone] = self.n_voxels + len(self.layers)
        return np.asarray(cell)

    def split(self, voxels: Cells) -> list[Cells]:
        """[N, V] -> per layer [N, nx, ny]."""
        return [
            voxels[:, begin : begin + layer.size].reshape(len(voxels), layer.nx, layer.ny)
            for begin, layer in zip(self.offsets[:-1], self.layers, strict=True)
        ]

    def layer_energies(self, voxels: Cells) -> NDArray[np.float64]:
        """[N, V] -> [N, layers], in the unit of the voxels."""
        return np.column_stack([part.sum(axis=(1, 2), dtype=np.float64) for part in self.split(voxels)])


def pooled(voxels: Cells, fine: Geometry, coarse: Geometry) -> Cells:
    """[N, V] -> [N, V'] sums over the voxels that lie in each of the coarser ones."""
    if fine == coarse:
        return voxels
    parts = [
        part.reshape(len(voxels), layer.nx, part.shape[1] // layer.nx, layer.ny, part.shape[2] // layer.ny).sum(axis=(2, 4))
        for part, layer in zip(fine.split(voxels), coarse.layers, strict=True)
    ]
    return np.concatenate([part.reshape(len(voxels), -1) for part in parts], axis=1)


#: The calorimeter of CaloGAN (arXiv:1712.10321) as it is read out for anomaly searches (arXiv:2312.11618): 80 pairs of 2 mm of lead
#: and 4 mm of liquid argon. 504 voxels.
FINE: Final = Geometry((Layer(0.0, 9.0, 3, 96), Layer(9.0, 43.7, 12, 12), Layer(43.7, 48.0, 12, 6)), half=24.0, edge=50.0)

#: The same with 108 voxels, which learn in minutes on a laptop.
COARSE: Final = Geometry((Layer(0.0, 9.0, 3, 12), Layer(9.0, 43.7, 6, 6), Layer(43.7, 48.0, 6, 6)), half=24.0, edge=50.0)
