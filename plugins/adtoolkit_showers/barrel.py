"""A barrel calorimeter of lead and scintillating fibres: its cells, and the 14 quantities of a shower in it.

The geometry and resolutions are those of a calorimeter like the BCAL of GlueX (arXiv:1801.03088), rounded; the quantities follow those
of its reconstruction.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from adtoolkit_showers.gflash import Medium

Values = NDArray[Any]

#: Radii of the layers' boundaries, cm.
EDGES: Final = np.array([64.3, 66.5, 70.9, 77.5, 86.3])
RADIUS: Final = float(EDGES[0])
TARGET: Final = 65.0
SECTORS: Final = 192
#: Width of a sector at the inner radius, cm.
PITCH: Final = 2 * np.pi * 65 / SECTORS
LAYERS: Final = len(EDGES) - 1

#: A pair of layers is a fibre and its lead: 1/12 of a radiation length.
MEDIUM: Final = Medium(z=71.0, x0=1.45, moliere=3.63, critical_energy=9.5e-3, per_x0=1 / 12, e_hat=0.65, resolution=0.052)

#: Across, the fibres are so fine that the medium is a homogeneous one.
ACROSS: Final = replace(MEDIUM, per_x0=0.0, e_hat=1.0)

#: Resolutions of a cell at 1 GeV, which grow with 1 / sqrt(E): z (cm) and time (ns). The energy fluctuates shower by shower instead.
SIGMA_Z: Final = 1.1
SIGMA_T: Final = 0.15
#: Cells below this energy are not read out, GeV.
THRESHOLD: Final = 0.004

FEATURES: Final = (
    *(f"E{i}" for i in range(1, LAYERS + 1)),
    *(f"f{i}" for i in range(1, LAYERS + 1)),
    *("R", "sigma_rho", "sigma_phi", "sigma_theta", "rms_time", "n_cells"),
)


class Points(NamedTuple):
    """Where showers leave visible energy, each [K].

    Attributes:
        shower: Index of the shower.
        radius: Distance from the beam, cm.
        side: Sideways distance, cm; the particle enters sector 0 at 0 to `PITCH`.
        z: cm, along the beam.
        time: ns.
        energy: GeV.
    """

    shower: Values
    radius: Values
    side: Values
    z: Values
    time: Values
    energy: Values


class Cells(NamedTuple):
    """Cells that are read out, each [K], sorted by shower."""

    shower: Values
    layer: Values
    sector: Values
    z: Values
    time: Values
    energy: Values


def polar(z: Values) -> Values:
    """Polar angle of a particle from the target that enters the calorimeter at z (cm)."""
    return np.asarray(np.arctan2(RADIUS, z - TARGET))


def read_out(points: Points, rng: np.random.Generator) -> Cells:
    """Sum points over the cells, smear place and time, and keep the cells above threshold."""
    layer = np.searchsorted(EDGES, points.radius, side="right") - 1
    inside = np.flatnonzero((layer >= 0) & (layer < LAYERS))
    sector = np.floor(points.side[inside] / PITCH).astype(np.int64) % SECTORS
    cell, place = np.unique((points.shower[inside] * LAYERS + layer[inside]) * SECTORS + sector, return_inverse=True)
    weight = points.energy[inside]
    energy = np.bincount(place, weight)
    z, time = (np.bincount(place, weight * column[inside]) / energy for column in (points.z, points.time))
    noise = rng.standard_normal((2, len(cell))) / np.sqrt(energy)
    shower, layer, sector = cell // (LAYERS * SECTORS), cell // SECTORS % LAYERS, cell % SECTORS
    cells = Cells(shower, layer, sector, z + SIGMA_Z * noise[0], time + SIGMA_T * noise[1], energy)
    keep = energy > THRESHOLD
    return Cells(*(column[keep] for column in cells))


def quantities(cells: Cells, n: int) -> tuple[Values, Values]:
    """The features of n showers.

    Energies of the four layers (GeV) and their shares; R, the mean radius weighted by energy (cm); the spreads of radius (cm), azimuth
    and polar angle; the spread in time (ns); the number of cells. Radius, angles and time are of the first three layers, where those
    saw anything, and are weighted by the square of the energy; a spread of a mean is divided by the root of the effective number of cells.

    Returns:
        [n, 14] features and [n] energies in GeV. A shower without cells has energy 0 and NaN among its features.
    """

    def total(values: Values) -> Values:
        return np.asarray(np.bincount(cells.shower, values, minlength=n))

    layers = np.bincount(cells.shower * LAYERS + cells.layer, cells.energy, minlength=n * LAYERS).reshape(n, LAYERS)
    energy = layers.sum(axis=1)
    radius = (EDGES[:-1] + EDGES[1:])[cells.layer] / 2
    theta = np.arctan2(radius, cells.z - TARGET)

    front = cells.layer < LAYERS - 1
    used = front | (total(front) == 0)[cells.shower]
    weight = used * cells.energy
    square = weight * cells.energy

    def mean(values: Values, weights: Values) -> Values:
        with np.errstate(invalid="ignore"):  # of a shower without cells
            return np.asarray(total(weights * values) / total(weights))

    def centred(values: Values, weights: Values) -> Values:
        return values - mean(values, weights)[cells.shower]

    def spread(values: Values) -> Values:
        """Of the mean that is weighted by e^2, for an effective number of cells (sum e^2)^2 / sum e^4."""
        return np.sqrt(mean(centred(values, square) ** 2, square) * mean(square, square) / total(square))

    # Sectors are counted from the one that the particle enters, so that none lies across the turn of the circle.
    phi = 2 * np.pi / SECTORS * ((cells.sector + SECTORS // 2) % SECTORS)
    points = total(used)
    columns = [
        mean(radius, cells.energy),
        spread(radius),
        np.sqrt(mean(centred(phi, weight) ** 2, weight) / points),
        spread(theta),
        np.sqrt(total(used * centred(cells.time, square) ** 2) / (points + 1)),
        total(np.ones(len(cells.shower))),
    ]
    with np.errstate(invalid="ignore"):
        shares = layers / energy[:, None]
    return np.column_stack([layers, shares, *columns]), energy
