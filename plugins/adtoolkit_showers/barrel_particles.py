"""Photons and neutrons in the barrel calorimeter: where they leave their energy.

The photons are showers by the parametrisation of Grindhammer and Peters. The neutrons are a plausible picture and no more: one
interaction at random depth, from which charged tracks fly, and now and then an electromagnetic shower. They are tuned to no simulation.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from adtoolkit_showers.barrel import ACROSS, EDGES, MEDIUM, PITCH, RADIUS, Points, polar
from adtoolkit_showers.spots import draw_spots

Values = NDArray[np.float64]

_CONVERSION: Final = 9 / 7 * MEDIUM.x0  # cm
_INTERACTION: Final = 30.0  # cm
_LIGHT: Final = 29.9792458  # cm/ns
_NEUTRON: Final = 0.9396  # GeV
_THICKNESS: Final = float(EDGES[-1]) - RADIUS
_SOFT_SHOWER: Final = 0.01  # GeV; less leaves no more than a cell
_STEPS: Final = 16  # points on a track, of equal energy


def photons(energy: Values, z: Values, rng: np.random.Generator) -> Points:
    """[N] energies in GeV of photons that enter at z (cm)."""
    start = rng.exponential(_CONVERSION, len(energy))
    side = PITCH * rng.random(len(energy))
    return _showers(np.arange(len(energy)), energy, start, start / _LIGHT, z, side, rng)


def neutrons(kinetic: Values, z: Values, rng: np.random.Generator) -> Points:
    """[N] kinetic energies in GeV of neutrons that enter at z (cm)."""
    n = len(kinetic)
    side = PITCH * rng.random(n)
    path = _THICKNESS / np.sin(polar(z))
    depth = -_INTERACTION * np.log1p(rng.random(n) * np.expm1(-path / _INTERACTION))
    gamma = 1 + kinetic / _NEUTRON
    time = depth / (_LIGHT * np.sqrt(1 - 1 / gamma**2))
    electromagnetic = kinetic * rng.beta(0.6, 4.0, n)
    visible = np.flatnonzero(electromagnetic > _SOFT_SHOWER)
    core = _showers(visible, electromagnetic[visible], depth[visible], time[visible], z, side, rng)
    rest = _tracks(kinetic, kinetic - electromagnetic, depth, time, z, side, rng)
    return Points(*(np.concatenate(columns) for columns in zip(core, rest, strict=True)))


def _showers(
    which: NDArray[np.int64], energy: Values, depth: Values, time: Values, z: Values, side: Values, rng: np.random.Generator
) -> Points:
    """Electromagnetic showers that start at a depth and time, of the particles with these numbers."""
    parts = [
        (np.repeat(np.arange(s.first, s.first + len(s.size)), s.size), s.depth, s.radius, s.energy)
        for s in draw_spots(energy, MEDIUM, rng, across=ACROSS)
    ]
    if not parts:
        return Points(np.zeros(0, np.int64), *np.zeros((5, 0)))
    shower, along, radius, spot = (np.concatenate(column) for column in zip(*parts, strict=True))
    angle = rng.uniform(0, 2 * np.pi, len(spot))
    owner = which[shower]
    return _place(
        owner,
        depth[shower] + along,
        radius * np.cos(angle),
        radius * np.sin(angle),
        time[shower] + along / _LIGHT,
        spot,
        z[owner],
        side[owner],
    )


def _tracks(kinetic: Values, energy: Values, depth: Values, time: Values, z: Values, side: Values, rng: np.random.Generator) -> Points:
    """Charged particles that share an energy and stop after their range, mostly forward."""
    count = 1 + rng.poisson(1.2 * kinetic + 0.5)
    owner = np.repeat(np.arange(len(count)), count)
    share = rng.standard_exponential(len(owner))
    share *= (energy / np.add.reduceat(share, np.cumsum(count) - count))[owner]
    reach = 25 * share**1.5 / (0.15 + np.sqrt(share)) + 0.3
    # p(cos) ~ exp(cos / 0.35) on -1 .. 1
    cosine = 1 + 0.35 * np.log1p(rng.random(len(owner)) * np.expm1(-2 / 0.35))
    sine, turn = np.sqrt(1 - cosine**2), rng.uniform(0, 2 * np.pi, len(owner))
    visible = share * rng.beta(4.0, 2.5, len(owner)) / _STEPS
    # dE/dq ~ (1 - 0.7 q / reach)^-1/2: places q between which equal energies are lost
    lost = (np.arange(_STEPS) + 0.5) / _STEPS * (1 - np.sqrt(0.3))
    q = reach[:, None] * (1 - (1 - lost) ** 2) / 0.7

    def flat(values: Values) -> Values:
        return np.repeat(values, _STEPS)

    steps = np.repeat(owner, _STEPS)
    return _place(
        steps,
        flat(depth[owner]) + (q * cosine[:, None]).ravel(),
        (q * (sine * np.cos(turn))[:, None]).ravel(),
        (q * (sine * np.sin(turn))[:, None]).ravel(),
        flat(time[owner]) + q.ravel() / (0.6 * _LIGHT),
        flat(visible),
        z[steps],
        side[steps],
    )


def _place(
    shower: NDArray[np.int64], along: Values, across: Values, up: Values, time: Values, energy: Values, z: Values, side: Values
) -> Points:
    """From the frame of the particle (along it; across it, around the beam; across it, away from the beam's end) to the detector's."""
    theta = polar(z)
    sine, cosine = np.sin(theta), np.cos(theta)
    return Points(shower, RADIUS + along * sine - up * cosine, side + across, z + along * cosine + up * sine, time, energy)
