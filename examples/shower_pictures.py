"""Draw showers of photons and of chi -> photon photon: the mean of many photons, and single showers.

python examples/shower_pictures.py showers.png
"""

import sys
from pathlib import Path

import numpy as np

from adtoolkit.plots.style import save
from adtoolkit_showers.chi import decay, seen
from adtoolkit_showers.geometry import FINE
from adtoolkit_showers.photons import Photons, shower
from adtoolkit_showers.pictures import draw_showers


def main(path: Path, seed: int = 2) -> None:
    """Simulate and draw; all energies are 50 GeV."""
    rng = np.random.default_rng(seed)
    photons = shower(Photons.along_axis(np.full(500, 50.0)), 500, rng)
    rows = {"500 photons, mean": photons, "a photon": photons[:1]}
    for place, text in ((0.33, "67 cm before the calorimeter"), (1.16, "16 cm deep in it")):
        pair = decay(np.full(1, 5.0), 50.0, np.full(1, place), rng)
        rows[f"chi of 5 GeV, decays {text}"] = shower(pair[seen(pair)], 1, rng)
    save(draw_showers({name: cells[:, : FINE.n_voxels] for name, cells in rows.items()}, FINE), path)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
