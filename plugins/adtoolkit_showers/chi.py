"""chi -> photon photon: a neutral scalar that flies along the axis of the calorimeter and decays before or in it."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from adtoolkit_showers.geometry import FINE
from adtoolkit_showers.photons import Photons

Values = NDArray[np.float64]

#: Where the calorimeter begins, m, counted from where the chi starts.
FACE: Final = 1.0
#: Where it ends, m.
BACK: Final = FACE + FINE.depth / 100
#: Speed of light, m/ns.
LIGHT: Final = 0.299792458
#: Photons below this energy in GeV leave nothing worth simulating.
SOFT: Final = 0.02


def flight(mass: Any, energy: float, lifetime: Any) -> Any:
    """Mean path beta gamma c tau in m of a chi of this mass and energy (GeV) and lifetime (ns)."""
    return np.sqrt((energy / mass) ** 2 - 1) * LIGHT * lifetime


def decay_points(path: Values, rng: np.random.Generator) -> Values:
    """[N] mean paths in m -> where the chi decays, m: exponential, for those that decay before the back of the calorimeter."""
    return np.asarray(-path * np.log1p(rng.random(len(path)) * np.expm1(-BACK / path)))


def decay(mass: Values, energy: float, place: Values, rng: np.random.Generator) -> Photons:
    """Two photons per chi: isotropic where it rests, boosted along the axis.

    Args:
        mass: [N] GeV.
        energy: GeV, of the chi.
        place: [N] where it decays, m; photons from before the calorimeter are brought to its face.
        rng: For the angles.

    Returns:
        2 N photons, those of a chi next to each other. Those that fly back have ``theta`` > pi / 2.
    """
    n = len(mass)
    cosine, azimuth = rng.uniform(-1, 1, n), rng.uniform(0, 2 * np.pi, n)
    gamma = energy / mass
    beta = np.sqrt(1 - 1 / gamma**2)
    both = np.column_stack([cosine, -cosine])
    pt = mass / 2 * np.sqrt(1 - cosine**2)
    pz = energy / 2 * (beta[:, None] + both)
    theta = np.arctan2(pt[:, None], pz)
    phi = np.column_stack([azimuth, azimuth + np.pi])
    depth = 100 * (place - FACE)
    # tan(theta) of photons that fly back is negative, and they never reach the face: they are dropped by `seen`.
    reach = np.maximum(-depth, 0)[:, None] * np.tan(theta)
    start = np.stack([reach * np.cos(phi), reach * np.sin(phi), np.broadcast_to(np.maximum(depth, 0)[:, None], phi.shape)], axis=2)
    return Photons(
        np.repeat(np.arange(n), 2), (energy / 2 * (1 + beta[:, None] * both)).ravel(), start.reshape(-1, 3), theta.ravel(), phi.ravel()
    )


def seen(photons: Photons) -> NDArray[np.bool_]:
    """[N] which photons fly forward and have 20 MeV."""
    return np.asarray((np.cos(photons.theta) > 0) & (photons.energy >= SOFT))
