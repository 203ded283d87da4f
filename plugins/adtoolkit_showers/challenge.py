"""The data source ``calochallenge``: showers in the layout of the Fast Calorimeter Simulation Challenge (arXiv:2410.21611)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from adtoolkit.errors import ConfigError
from adtoolkit.interfaces import Context, DataSource
from adtoolkit.types import Dataset
from adtoolkit_showers.binning import read_binning
from adtoolkit_showers.config import CaloChallengeConfig
from adtoolkit_showers.files_dataset import load_showers
from adtoolkit_showers.shower_files import Layout

_EXAMPLE = """<Bins>
  <Particle name="photon">
    <Layer id="0" r_edges="0,5,10,30" n_bin_alpha="1" />
    <Layer id="1" r_edges="0,2,4,8,20" n_bin_alpha="4" />
    <Layer id="2" r_edges="0" n_bin_alpha="1" />
    <Layer id="3" r_edges="0,20,60" n_bin_alpha="4" />
  </Particle>
</Bins>
"""


class CaloChallenge(DataSource[CaloChallengeConfig]):
    """Showers of files with ``showers`` [N, V] and ``incident_energies`` [N, 1]; an XML file says where the V voxels lie."""

    def load(self, ctx: Context) -> Dataset:
        """Read the files and draw the data; see `load_showers`.

        Raises:
            ConfigError: if the binning is not named.
        """
        config = self.config
        if not config.binning:
            raise ConfigError(
                "The geometry of the showers is not named.", "Name the binning file that comes with them: --set data.binning=FILE.xml"
            )
        binning = read_binning(Path(config.binning).expanduser(), config.particle)
        pool = binning.rings if config.pool else np.asarray
        return load_showers(
            config, Layout("incident_energies", {"showers": (binning.n_voxels,)}, pool, binning.names(whole=config.pool)), ctx
        )

    @classmethod
    def example(cls, directory: Path) -> Mapping[str, Any]:
        """A binning, two small files of made-up showers that differ in their depth, and the options that read them."""
        (directory / "binning.xml").write_text(_EXAMPLE, encoding="utf-8")
        voxels = read_binning(directory / "binning.xml").n_voxels
        rng = np.random.default_rng(0)
        for name, n, slope in (("photons", 1000, 0.15), ("pions", 150, 0.05)):
            energy = 10 ** rng.uniform(3, 5, n)
            share = rng.gamma(2.0, np.exp(-slope * np.arange(voxels)), (n, voxels))
            with h5py.File(directory / f"{name}.hdf5", "w") as file:
                file["incident_energies"] = energy[:, None]
                file["showers"] = 0.8 * energy[:, None] * share / share.sum(axis=1, keepdims=True)
        files = {"path": [str(directory / "photons.hdf5")], "signal": [str(directory / "pions.hdf5")]}
        return {**files, "binning": str(directory / "binning.xml"), "n_signal": 40}
