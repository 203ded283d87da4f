"""A falling spectrum with a bump, all of it in closed form: densities, draws and the optimal score.

Background: m is exponential with slope 1/`SLOPE` on `RANGE`; given m, feature j is a Gaussian whose mean and log width move
smoothly with t = m - `CENTRE`. With ``edge`` the last feature is instead bounded, with density 2 x / e(m)^2 on 0 < x < e(m)
and an end point e(m) = exp(0.25 t) that moves with m, as that of the distance of two jets does.
Signal: m is a Gaussian at `CENTRE` of width `WIDTH`; given m, feature j is a Gaussian at 1.5 in units of the background's,
half as wide; the bounded feature has density 2 (e - x) / e^2.

Everything is float64. The number of features D is that of the x given, 2 to 5.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from adtoolkit.data.config import ToyBumpConfig
from adtoolkit.interfaces import Context, DataSource
from adtoolkit.types import Dataset, Sample

Vector = NDArray[np.float64]

RANGE: Final = (2.5, 5.0)
CENTRE: Final = 3.5
SLOPE: Final = 0.6
WIDTH: Final = 0.06
#: Per feature: slope and curvature of the mean, slope of the log width, all in t = m - CENTRE.
_SLOPE: Final = np.array([0.5, -0.4, 0.3, 0.0, -0.2])
_CURVE: Final = np.array([0.10, 0.05, -0.10, 0.15, 0.0])
_STRETCH: Final = np.array([0.15, -0.10, 0.0, 0.20, 0.1])
_SIGNAL_SHIFT: Final = 1.5
_SIGNAL_WIDTH: Final = 0.5


def log_prob_mass_background(m: ArrayLike) -> Vector:
    """[N] log p(m) of the background; -inf outside `RANGE`."""
    m = np.asarray(m, np.float64)
    norm = SLOPE * -np.expm1(-(RANGE[1] - RANGE[0]) / SLOPE)
    return np.asarray(np.where((m >= RANGE[0]) & (m <= RANGE[1]), -(m - RANGE[0]) / SLOPE - np.log(norm), -np.inf))


def log_prob_mass_signal(m: ArrayLike) -> Vector:
    """[N] log p(m) of the signal."""
    return np.asarray(_log_normal((np.asarray(m, np.float64) - CENTRE) / WIDTH) - np.log(WIDTH))


def log_prob_background(x: ArrayLike, m: ArrayLike, *, edge: bool = False) -> Vector:
    """[N, D], [N] -> [N] log p(x | m) of the background; -inf beyond the edge."""
    x, m = np.asarray(x, np.float64), np.asarray(m, np.float64)
    mean, width = _moments(m, x.shape[1])
    log_p = _log_normal((x - mean) / width) - np.log(width)
    if edge:
        log_p[:, -1] = _log_edge(x[:, -1], m, rising=True)
    return np.asarray(log_p.sum(axis=1))


def log_prob_signal(x: ArrayLike, m: ArrayLike, *, edge: bool = False) -> Vector:
    """[N, D], [N] -> [N] log p(x | m) of the signal; -inf beyond the edge."""
    x, m = np.asarray(x, np.float64), np.asarray(m, np.float64)
    mean, width = _moments(m, x.shape[1])
    log_p = _log_normal(((x - mean) / width - _SIGNAL_SHIFT) / _SIGNAL_WIDTH) - np.log(width * _SIGNAL_WIDTH)
    if edge:
        log_p[:, -1] = _log_edge(x[:, -1], m, rising=False)
    return np.asarray(log_p.sum(axis=1))


def optimal_score(x: ArrayLike, m: ArrayLike, *, edge: bool = False) -> Vector:
    """[N, D], [N] -> [N] log p_signal(x | m) - log p_background(x | m): by Neyman and Pearson no score of x at given m is better."""
    return log_prob_signal(x, m, edge=edge) - log_prob_background(x, m, edge=edge)


def sample_mass_background(n: int, rng: np.random.Generator) -> Vector:
    """[n] masses of background events, by the inverse of the cumulative distribution."""
    u = rng.random(n)
    return np.asarray(RANGE[0] - SLOPE * np.log1p(u * np.expm1(-(RANGE[1] - RANGE[0]) / SLOPE)))


def sample_mass_signal(n: int, rng: np.random.Generator) -> Vector:
    """[n] masses of signal events."""
    return rng.normal(CENTRE, WIDTH, n)


def sample_background(m: ArrayLike, rng: np.random.Generator, *, n_features: int = 3, edge: bool = False) -> Vector:
    """[N] -> [N, D] background features at these masses."""
    m = np.asarray(m, np.float64)
    mean, width = _moments(m, n_features)
    x = mean + width * rng.standard_normal(mean.shape)
    if edge:
        x[:, -1] = _end(m) * np.sqrt(rng.random(len(m)))
    return x


def sample_signal(m: ArrayLike, rng: np.random.Generator, *, n_features: int = 3, edge: bool = False) -> Vector:
    """[N] -> [N, D] signal features at these masses."""
    m = np.asarray(m, np.float64)
    mean, width = _moments(m, n_features)
    x = mean + width * (_SIGNAL_SHIFT + _SIGNAL_WIDTH * rng.standard_normal(mean.shape))
    if edge:
        x[:, -1] = _end(m) * (1 - np.sqrt(rng.random(len(m))))
    return x


def _moments(m: Vector, n_features: int) -> tuple[Vector, Vector]:
    """[N] -> mean and width [N, D]."""
    t = (m - CENTRE)[:, None]
    return _SLOPE[:n_features] * t + _CURVE[:n_features] * t**2, np.exp(_STRETCH[:n_features] * t)


def _end(m: Vector) -> Vector:
    return np.asarray(np.exp(0.25 * (m - CENTRE)))


def _log_edge(x: Vector, m: Vector, *, rising: bool) -> Vector:
    u = x / _end(m)
    inside = (u > 0) & (u < 1)
    height = np.where(inside, u if rising else 1 - u, 1.0)
    return np.asarray(np.where(inside, np.log(2 * height / _end(m)), -np.inf))


def _log_normal(z: Vector) -> Vector:
    return np.asarray(-0.5 * z**2 - 0.5 * np.log(2 * np.pi))


class ToyBump(DataSource[ToyBumpConfig]):
    """Events of the toy; features ``x0``, ``x1``, ..."""

    def load(self, ctx: Context) -> Dataset:
        """Draw the events. Each sample has a stream of its own, so that the background does not depend on the signal."""
        config = self.config

        def draw(n: int, purpose: str, *, signal: bool) -> Sample:
            rng = ctx.rng(purpose)
            m = (sample_mass_signal if signal else sample_mass_background)(n, rng)
            x = (sample_signal if signal else sample_background)(m, rng, n_features=config.n_features, edge=config.edge)
            return Sample(x.astype(np.float32), m.astype(np.float32), truth=np.full(n, int(signal), np.int8))

        events = Sample.concat(draw(config.n_signal, "signal", signal=True), draw(config.n_background, "background", signal=False))
        test = Sample.concat(draw(config.n_test, "test-signal", signal=True), draw(config.n_test, "test-background", signal=False))
        reference = draw(config.n_reference, "reference", signal=False) if config.n_reference else None
        features = tuple(f"x{i}" for i in range(config.n_features))
        return Dataset(events[ctx.rng("order").permutation(len(events))], test, reference, features, "m", "TeV")
