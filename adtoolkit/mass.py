"""p(m) inside the window: what masses the template is drawn at. Not a method's private choice, so that mixes stay fair.

The three models of the literature: a Gaussian KDE (CATHODE, arXiv:2109.00546, appendix), a histogram of the data masses
(SIGMA, arXiv:2410.20537), both blind to what is signal and so including it, and a smooth dijet function fitted to the
sidebands alone (CURTAINs, arXiv:2203.09470), which does not.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from adtoolkit.config import ComponentConfig
from adtoolkit.errors import ConfigError
from adtoolkit.types import Array, Window, shares

Floats = NDArray[np.float64]


class MassModel(ABC):
    """A density of m."""

    @abstractmethod
    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """[n] masses."""

    @abstractmethod
    def log_prob(self, m: Array) -> Floats:
        """[N] -> [N] log density per unit of m; -inf outside."""


@dataclass(frozen=True)
class Tabulated(MassModel):
    """A density that is constant between edges; drawn from and evaluated exactly.

    Attributes:
        edges: [B+1] in order.
        density: [B] integrates to one.
    """

    edges: Floats
    density: Floats

    @classmethod
    def of(cls, edges: Floats, heights: Floats) -> Tabulated:
        return cls(edges, heights / (heights * np.diff(edges)).sum())

    @classmethod
    def histogram(cls, m: Floats, weight: Floats | None, edges: Floats) -> Tabulated:
        """The density of masses in bins of equal width, positive in each of them."""
        return cls.of(edges, _counts(m, weight, edges))

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        cumulative = np.concatenate([[0.0], np.cumsum(self.density * np.diff(self.edges))])
        drawn = np.interp(rng.random(n) * cumulative[-1], cumulative, self.edges)
        # float32 may round onto a strict end of the window
        inside = np.nextafter(np.asarray([self.edges[0], self.edges[-1]], np.float32), np.asarray([np.inf, -np.inf], np.float32))
        return np.asarray(np.clip(drawn.astype(np.float32), inside[0], inside[1]))

    def log_prob(self, m: Array) -> Floats:
        index = np.searchsorted(self.edges, m, side="right") - 1
        inside = (m >= self.edges[0]) & (m <= self.edges[-1])
        with np.errstate(divide="ignore"):
            return np.where(inside, np.log(self.density[np.clip(index, 0, len(self.density) - 1)]), -np.inf)


@dataclass(frozen=True)
class Empirical(MassModel):
    """The observed masses themselves, drawn with replacement: for one-class work, where there is no window.

    Its density is a histogram of 100 bins.

    Attributes:
        m: [N] masses.
        weight: [N] their weights, or None for ones.
    """

    m: Array
    weight: Array | None = None

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        return rng.choice(self.m, n, p=shares(self.weight))

    def log_prob(self, m: Array) -> Floats:
        own = self.m.astype(np.float64)
        weight = None if self.weight is None else self.weight.astype(np.float64)
        return Tabulated.histogram(own, weight, np.histogram_bin_edges(own, 100)).log_prob(m)


class MassConfig(ComponentConfig):
    """Which model of p(m) in the window. Without one, masses are those of the data.

    Attributes:
        name: ``kde`` (Gaussian, CATHODE), ``histogram`` (SIGMA) or ``sideband-fit`` (dijet function).
        bandwidth: Of the KDE, in widths of the window.
        bins: Of the histogram.
        sqrt_s: Collision energy in the unit of m; only for the fit.
    """

    name: Literal["kde", "histogram", "sideband-fit"] = "kde"
    bandwidth: float = Field(0.05, ge=1e-3, le=1)
    bins: int = Field(60, ge=1)
    sqrt_s: float = Field(13.0, gt=0)


def fit_mass(config: MassConfig, m: Array, window: Window | None, weight: Array | None = None) -> MassModel:
    """Model p(m) from all [N] masses of the data and their [N] weights (None for ones).

    Raises:
        ConfigError: if the sideband fit has no sidebands to fit, or does not converge.
    """
    if window is None:
        return Empirical(m, weight)
    kept = window.contains(m)
    inside = m[kept].astype(np.float64)
    weights = None if weight is None else weight.astype(np.float64)
    own = None if weights is None else weights[kept]
    if config.name == "histogram":
        return Tabulated.histogram(inside, own, np.linspace(window.lo, window.hi, config.bins + 1))
    if config.name == "kde":
        return _kde(inside, own, window, config.bandwidth)
    return _sideband_fit(m.astype(np.float64), weights, window, config.sqrt_s)


def _kde(inside: Floats, weight: Floats | None, window: Window, bandwidth: float, cells: int = 2000) -> Tabulated:
    """Gaussian KDE, reflected at the ends of the window, tabulated on a fine grid; one event in all is spread over it.

    Deviation from the paper: it works in the logit of m between the smallest and the largest mass of the events in the
    window, with a bandwidth of 0.01 there. At the ends such a kernel is narrower than the events are apart, and the density is a spike at
    each of them and a hole elsewhere. Masses may be drawn from it, but a score that divides by it knows the data's own events from others.
    """
    from scipy.ndimage import gaussian_filter1d

    edges = np.linspace(window.lo, window.hi, cells + 1)
    return Tabulated.of(edges, gaussian_filter1d(_counts(inside, weight, edges), bandwidth * cells, mode="reflect", truncate=6.0))


def _counts(m: Floats, weight: Floats | None, edges: Floats) -> Floats:
    """Weight of the masses per bin, with one event in all, of mean weight, in equal parts added.

    The mean of the posterior under the prior of Perks (J. Inst. Actuaries 73 (1947) 285), Dirichlet(1/B, ..., 1/B). Empty bins would make
    an event there infinitely unlikely.
    """
    count, _ = np.histogram(m, bins=edges, weights=weight)
    unit = 1.0 if weight is None or not weight.any() else weight.mean()
    return np.asarray(count + unit / len(count))


def _sideband_fit(m: Floats, weight: Floats | None, window: Window, sqrt_s: float, bins: int = 80) -> Tabulated:
    """p0 (1 - x)^p1 / x^p2 with x = m / sqrt(s), Poisson likelihood over the sidebands within three widths of the window."""
    from scipy.optimize import minimize

    low, high = max(m.min(), window.lo - 3 * window.width), min(m.max(), window.hi + 3 * window.width)
    if high >= sqrt_s:
        raise ConfigError(
            f"The sideband fit needs masses below sqrt(s) = {sqrt_s:g}, but the data reach {high:g}.",
            "Set --set mass.sqrt_s=VALUE or --set mass.name=kde.",
        )
    count, edges = np.histogram(m, bins=bins, range=(low, high))
    events = count
    if weight is not None:  # events of mean weight 1, so that the minimiser's tolerances stay those of counts
        count, _ = np.histogram(m, bins=bins, range=(low, high), weights=weight / weight.mean())
    centre = (edges[1:] + edges[:-1]) / 2
    use = (edges[1:] <= window.lo) | (edges[:-1] >= window.hi)
    if events[use].sum() < 100 or not ((centre < window.lo) & use).any() or not ((centre > window.hi) & use).any():
        raise ConfigError("The sideband fit needs at least 100 events on both sides of the window.", "Use --set mass.name=kde.")

    def shape(p: Floats, at: Floats) -> Floats:
        return np.asarray(np.exp(p[0] + p[1] * np.log1p(-at / sqrt_s) - p[2] * np.log(at / sqrt_s)))

    def loss(p: Floats) -> float:
        expected = shape(p, centre[use])
        return float((expected - count[use] * np.log(expected)).sum())

    mean = count[use].mean()
    start = minimize(
        lambda q: float(((np.log(shape(q, centre[use])) - np.log(count[use] + 0.5)) ** 2).sum()),
        [np.log(mean), 5.0, 5.0],
        method="Nelder-Mead",
    )
    fit = minimize(loss, start.x, method="Nelder-Mead", options={"maxiter": 5000, "xatol": 1e-7, "fatol": 1e-7})
    if not fit.success:
        raise ConfigError(f"The sideband fit did not converge ({fit.message}).", "Use --set mass.name=kde.")
    fine = np.linspace(window.lo, window.hi, 401)
    return Tabulated.of(fine, shape(fit.x, (fine[1:] + fine[:-1]) / 2))
