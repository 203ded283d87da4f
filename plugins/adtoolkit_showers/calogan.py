"""The data source ``calogan``: showers in the layout of CaloGAN (arXiv:1712.10321) and CaloFlow (arXiv:2106.05285)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import h5py
import numpy as np
from numpy.typing import NDArray

from adtoolkit.interfaces import Context, DataSource
from adtoolkit.types import Dataset
from adtoolkit_showers.chi import decay, seen
from adtoolkit_showers.config import CaloGanConfig
from adtoolkit_showers.files_dataset import load_showers
from adtoolkit_showers.geometry import COARSE, FINE, pooled
from adtoolkit_showers.photons import Photons, shower
from adtoolkit_showers.shower_files import Layout

_VOXELS: Final = {f"layer_{i}": (layer.nx, layer.ny) for i, layer in enumerate(FINE.layers)}


class CaloGan(DataSource[CaloGanConfig]):
    """Showers of files with ``layer_0`` [N, 3, 96], ``layer_1`` [N, 12, 12], ``layer_2`` [N, 12, 6] and ``energy`` [N, 1]."""

    def load(self, ctx: Context) -> Dataset:
        """Read the files and draw the data; see `load_showers`."""
        coarse = COARSE if self.config.pool else FINE
        return load_showers(self.config, Layout("energy", _VOXELS, lambda voxels: pooled(voxels, FINE, coarse), coarse.names), ctx)

    @classmethod
    def example(cls, directory: Path) -> Mapping[str, Any]:
        """Two small files of simulated showers, and the options that read them."""
        rng = np.random.default_rng(0)
        energy = rng.uniform(1, 30, 1200)
        write_calogan(directory / "gamma.hdf5", shower(Photons.along_axis(energy), len(energy), rng), energy)
        n = 150
        photons = decay(np.full(n, 5.0), 20.0, np.full(n, 1.16), rng)
        write_calogan(directory / "chi.hdf5", shower(photons[seen(photons)], n, rng), np.full(n, 20.0))
        return {"path": [str(directory / "gamma.hdf5")], "signal": [str(directory / "chi.hdf5")], "n_signal": 40}


def write_calogan(path: Path, cells: NDArray[np.float32], energy: NDArray[np.float64]) -> None:
    """Write showers [N, 508], as `adtoolkit_showers.photons.shower` gives them, with their incident energies [N] in GeV."""
    with h5py.File(path, "w") as file:
        for name, part in zip(_VOXELS, FINE.split(cells[:, : FINE.n_voxels]), strict=True):
            file[name] = part
        file["overflow"] = cells[:, FINE.n_voxels : -1]
        file["energy"] = energy[:, None]
