"""What both components fit: a Gaussian that follows the mass. It is drawn from, has a density, and scores events."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from adtoolkit.arrays import read_arrays, write_arrays
from adtoolkit.errors import DataError
from adtoolkit.interfaces import FittedScorer
from adtoolkit.types import Array, Sample


@dataclass(frozen=True)
class ConditionalGaussian(FittedScorer):  # every fitted scorer is a model, so an estimator may return it too
    """p(x | m) = N(mean(m), covariance(m)), both linear between knots and constant beyond them.

    Attributes:
        knots: [K] masses.
        mean: [K, D] at the knots.
        covariance: [K, D, D] at the knots; what lies between two positive definite ones is so too.
    """

    knots: NDArray[np.float64]
    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]

    @classmethod
    def fit(cls, events: Sample, knots: int) -> Self:
        """The mean by weighted least squares, the covariance from the weighted squares of what is left.

        Raises:
            DataError: if there are fewer than 20 events per knot, or some are not finite.
        """
        events = events[events.weights > 0]
        if len(events) < 20 * knots:
            raise DataError(f"{len(events)} events are too few for a Gaussian with {knots} knots.", "Use at most one per 20 events.")
        if not (np.isfinite(events.x).all() and np.isfinite(events.m).all()):
            raise DataError("Some events to fit a Gaussian to are not finite.", "Drop and count them: --drop-invalid")
        at = np.unique(np.quantile(events.m.astype(float), np.linspace(0, 1, knots)))  # equally many events apart
        weight = events.weights.astype(float)[:, None]
        share = _shares(events.m, at)
        mean = np.linalg.lstsq(np.sqrt(weight) * share, np.sqrt(weight) * events.x, rcond=None)[0]
        rest, share = events.x - share @ mean, weight * share
        covariance = np.einsum("nk,ni,nj->kij", share, rest, rest, optimize=True) / share.sum(0)[:, None, None]
        return cls(at, mean, covariance + 1e-6 * np.eye(rest.shape[1]))  # constant features get a little spread

    def sample(self, cond: Array, rng: np.random.Generator) -> Array:
        """[N, 1+C] conditions, column 0 is the mass -> [N, D] draws. All randomness comes from ``rng``."""
        mean, root = self._at(cond)
        return np.asarray(mean + np.einsum("nij,nj->ni", root, rng.standard_normal(mean.shape)), np.float32)

    def log_prob(self, x: Array, cond: Array) -> Array:
        """[N, D], [N, 1+C] -> [N] natural log of the density."""
        mean, root = self._at(cond)
        norm = np.linalg.slogdet(root)[1] + 0.5 * x.shape[1] * np.log(2 * np.pi)
        return np.asarray(-0.5 * _distance(x, mean, root) ** 2 - norm, np.float32)

    def score(self, events: Sample) -> Array:
        """[N] Mahalanobis distances; the larger, the more anomalous."""
        return np.asarray(_distance(events.x, *self._at(events.cond)), np.float32)

    def save(self, directory: Path) -> None:
        write_arrays(directory / "gaussian.h5", vars(self))

    @classmethod
    def load(cls, directory: Path, device: str) -> Self:  # noqa: ARG003 - numpy has no device
        return cls(**read_arrays(directory / "gaussian.h5"))

    def _at(self, cond: Array) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """[N, D] means and [N, D, D] roots (Cholesky factors) of the covariances."""
        share = _shares(cond[:, 0], self.knots)
        return share @ self.mean, np.linalg.cholesky(np.einsum("nk,kij->nij", share, self.covariance))


def _shares(m: Array, knots: NDArray[np.float64]) -> NDArray[np.float64]:
    """[N] -> [N, K] weight of each knot: 1 at the knot itself, falling to 0 at its neighbours; they sum to 1."""
    return np.column_stack([np.interp(m, knots, one) for one in np.eye(len(knots))])


def _distance(x: Array, mean: NDArray[np.float64], root: NDArray[np.float64]) -> NDArray[np.float64]:
    """[N, D], [N, D], [N, D, D] -> [N] lengths of root^-1 (x - mean)."""
    return np.asarray(np.linalg.norm(np.linalg.solve(root, (x - mean)[:, :, None])[:, :, 0], axis=1))
