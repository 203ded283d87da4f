"""The parametrisation of electromagnetic showers by Grindhammer and Peters, as pure functions of arrays.

Depths t are in radiation lengths, radii r in Moliere radii, energies E in GeV; y = E / E_c. The formulas for sampling calorimeters
contain those for homogeneous ones: there 1/F_S = 0 and e_hat = 1.

References:
    G. Grindhammer and S. Peters, The parameterized simulation of electromagnetic showers in homogeneous and sampling
    calorimeters, hep-ex/0001020.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

Values = NDArray[Any]

#: Scale energy of multiple scattering, GeV.
E_S: Final = 21.2e-3


@dataclass(frozen=True)
class Material:
    """A layer of a sampling calorimeter.

    Attributes:
        z: Atomic number.
        a: Mass number, g/mol.
        density: g/cm3.
        x0: Radiation length, g/cm2.
        thickness: cm, of one layer.
    """

    z: float
    a: float
    density: float
    x0: float
    thickness: float

    @property
    def critical_energy(self) -> float:
        """E_c in GeV, 2.66 (X0 Z/A)^1.1 MeV."""
        return float(2.66e-3 * (self.x0 * self.z / self.a) ** 1.1)


@dataclass(frozen=True)
class Medium:
    """What the parametrisation needs to know of a calorimeter.

    Attributes:
        z: Effective atomic number.
        x0: Effective radiation length, cm.
        moliere: Effective Moliere radius, cm.
        critical_energy: Effective E_c, GeV.
        per_x0: 1/F_S, the thickness of a pair of layers in radiation lengths; 0 for a homogeneous medium.
        e_hat: Ratio of the responses to electrons and to minimum ionising particles; 1 for a homogeneous medium.
        resolution: c of the sampling fluctuations sigma/E = c / sqrt(E/GeV).
    """

    z: float
    x0: float
    moliere: float
    critical_energy: float
    per_x0: float
    e_hat: float
    resolution: float

    @classmethod
    def of(cls, passive: Material, active: Material, resolution: float) -> Medium:
        """The effective medium of a stack of two materials: means weighted by mass (section 4)."""
        layers: Sequence[Material] = (passive, active)
        mass = [m.density * m.thickness for m in layers]
        weight = [m / sum(mass) for m in mass]
        x0 = 1 / sum(w / m.x0 for w, m in zip(weight, layers, strict=True))
        ratio = sum(w * m.critical_energy / m.x0 for w, m in zip(weight, layers, strict=True))
        thickness = passive.thickness + active.thickness
        density = sum(mass) / thickness
        return cls(
            z=sum(w * m.z for w, m in zip(weight, layers, strict=True)),
            x0=x0 / density,
            moliere=E_S / ratio / density,
            critical_energy=x0 * ratio,
            per_x0=thickness * density / x0,
            e_hat=1 / (1 + 0.007 * (passive.z - active.z)),
            resolution=resolution,
        )


class Moments(NamedTuple):
    """Means, widths and correlation of ln T and ln alpha, each [N]."""

    ln_t: Values
    ln_alpha: Values
    sigma_t: Values
    sigma_alpha: Values
    rho: Values


def longitudinal(energy: Values, medium: Medium) -> Moments:
    """[N] -> how the depth T of the maximum and the shape alpha of single showers are distributed.

    The logarithms of the paper are those of showers above about 1 GeV. Below, their arguments are kept above 0.1 and the widths
    below 0.5, which a decay photon of 20 MeV still needs.
    """
    ln_y = np.log(energy / medium.critical_energy)
    t = np.maximum(np.maximum(ln_y - 0.812, 0.1) - 0.55 * medium.per_x0 - 0.69 * (1 - medium.e_hat), 0.1)
    alpha = np.maximum(0.81 + (0.458 + 2.26 / medium.z) * ln_y - 0.476 * medium.per_x0, 0.1)

    def width(offset: float, slope: float) -> Values:
        return 1 / np.maximum(offset + slope * ln_y, 2.0)

    return Moments(np.log(t), np.log(alpha), width(-2.5, 1.25), width(-0.82, 0.79), np.clip(0.784 - 0.023 * ln_y, -1, 1))


def draw_longitudinal(moments: Moments, rng: np.random.Generator) -> tuple[Values, Values]:
    """T and alpha, each [N], with their correlated fluctuations; T >= 0.5 and alpha >= 1.1, where the profile has a maximum."""
    z1, z2 = rng.standard_normal((2, len(moments.ln_t)))
    a, b = np.sqrt((1 + moments.rho) / 2), np.sqrt((1 - moments.rho) / 2)
    t = np.exp(moments.ln_t + moments.sigma_t * (a * z1 + b * z2))
    alpha = np.exp(moments.ln_alpha + moments.sigma_alpha * (a * z1 - b * z2))
    return np.maximum(t, 0.5), np.maximum(alpha, 1.1)


def profile(t: Values, alpha: Values, beta: Values) -> Values:
    """[N] f(t), the share of the energy per radiation length: a gamma distribution."""
    return np.asarray(beta * np.exp((alpha - 1) * np.log(beta * t) - beta * t - gammaln(alpha)))


def spot_shape(t: Values, alpha: Values, medium: Medium) -> tuple[Values, Values]:
    """T and alpha of the depths of the spots, for sampling calorimeters."""
    return t * (0.813 + 0.0019 * medium.z), alpha * (0.844 + 0.0026 * medium.z)


def mean_spots(energy: Values, medium: Medium) -> Values:
    """[N] mean number of spots, for sampling calorimeters."""
    return 10.3 / medium.resolution * energy**0.959


def radial(ln_energy: Values, tau: Values, medium: Medium) -> tuple[Values, Values, Values]:
    """Radii of core and tail, and the probability of the core, each [N], at tau = depth in units of the mean depth of the maximum.

    Works in the precision of its arguments: a shower of 100 GeV asks for thousands of them.
    """
    z, soft, per_x0 = medium.z, 1 - medium.e_hat, medium.per_x0
    core = (0.0251 + 0.00319 * ln_energy) + (0.1162 - 0.000381 * z) * tau
    k1, k2, k3 = 0.659 - 0.00309 * z, 0.645, -2.59
    k4 = 0.3585 + 0.0421 * ln_energy
    tail = k1 * (np.exp(k3 * (tau - k2)) + np.exp(k4 * (tau - k2)))
    p1, p2 = 2.632 - 0.00094 * z, 0.401 + 0.00187 * z
    depth = (p2 - tau) / (1.313 - 0.0686 * ln_energy)
    p = p1 * np.exp(depth - np.exp(depth))
    fade = np.exp(-tau)
    core += 0.0397 * per_x0 * fade - 0.0203 * soft
    tail -= 0.495 * per_x0 * fade + 0.14 * soft
    p += soft * (0.348 - 0.642 * per_x0 * np.exp(-((tau - 1) ** 2)))
    return np.maximum(core, 1e-3), np.maximum(tail, 1e-3), np.clip(p, 0, 1)
