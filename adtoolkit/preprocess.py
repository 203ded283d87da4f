"""Features to the space that models live in: padded range -> logit -> standardised, with the log-determinant.

Fitted once by the runner and shared by all methods of a run, so that density ratios need no Jacobian. The bounds come from
all blinded events, not from the sidebands alone: bounds of the sidebands would make window events outside them undefined
(a known fault of earlier code), and they tell nothing about which events are signal.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from adtoolkit.types import Array, Sample

Floats = NDArray[np.float64]

#: Share of the range added at both ends, and the closest a feature may come to them (as a share); events further out are clipped.
PAD = 1e-3
EDGE = 1e-6


@dataclass(frozen=True)
class Preprocess:
    """x -> z = (logit((x - low) / (high - low)) - mean) / std, per feature, in float64 inside.

    Attributes:
        low: [D] lower bound, padded.
        high: [D] upper bound, padded.
        mean: [D] of the logits.
        std: [D] of the logits.
    """

    low: Floats
    high: Floats
    mean: Floats
    std: Floats

    @classmethod
    def fit(cls, events: Sample) -> Self:
        """Bounds, means and spreads of [N, D] events; the caller has refused constant features and NaN."""
        x = events.x.astype(np.float64)
        low, high = x.min(0), x.max(0)
        pad = PAD * (high - low)
        raw = cls(low - pad, high + pad, np.zeros(x.shape[1]), np.ones(x.shape[1]))
        y = raw._standard(x)
        return replace(raw, mean=y.mean(0), std=y.std(0))

    @classmethod
    def none(cls, features: int) -> Self:
        """Leaves D features as they are: no bounds, no clipping."""
        return cls(np.full(features, -np.inf), np.full(features, np.inf), np.zeros(features), np.ones(features))

    @property
    def _bounded(self) -> bool:
        return bool(np.isfinite(self.low).all())

    def _unit(self, x: NDArray[np.floating]) -> Floats:
        return np.clip((x - self.low) / (self.high - self.low), EDGE, 1 - EDGE)

    def _standard(self, x: NDArray[np.floating]) -> Floats:
        u = self._unit(x)
        return (np.log(u) - np.log1p(-u) - self.mean) / self.std

    def forward(self, x: Array) -> Array:
        """[N, D] physical -> [N, D] preprocessed. Events outside the bounds are moved to the edge, see `clipped`."""
        return self._standard(x.astype(np.float64)).astype(np.float32) if self._bounded else x

    def inverse(self, z: Array) -> Array:
        """[N, D] preprocessed -> [N, D] physical."""
        if not self._bounded:
            return z
        y = z.astype(np.float64) * self.std + self.mean
        u = np.where(y >= 0, 1 / (1 + np.exp(-np.abs(y))), np.exp(-np.abs(y)) / (1 + np.exp(-np.abs(y))))
        return (self.low + (self.high - self.low) * u).astype(np.float32)

    def log_det(self, x: Array) -> Array:
        """[N, D] physical -> [N] ``log |dz/dx|``: add it to log p(z) to get log p(x)."""
        if not self._bounded:
            return np.zeros(len(x), np.float32)
        u = self._unit(x.astype(np.float64))
        slopes = -np.log(u) - np.log1p(-u) - np.log(self.std) - np.log(self.high - self.low)
        return np.asarray(slopes.sum(1), np.float32)

    def clipped(self, x: Array) -> int:
        """How many of [N, D] events have a feature outside the bounds."""
        if not self._bounded:
            return 0
        u = (x.astype(np.float64) - self.low) / (self.high - self.low)
        return int(((u < EDGE) | (u > 1 - EDGE)).any(1).sum())

    def apply(self, sample: Sample) -> Sample:
        """The sample with preprocessed features."""
        return replace(sample, x=self.forward(sample.x))

    def undo(self, sample: Sample) -> Sample:
        """The sample with physical features."""
        return replace(sample, x=self.inverse(sample.x))

    @property
    def digest(self) -> str:
        """sha256 of the numbers."""
        return hashlib.sha256(self._json().encode()).hexdigest()

    def _json(self) -> str:
        return json.dumps({name: getattr(self, name).tolist() for name in ("low", "high", "mean", "std")}, indent=1)

    def save(self, path: Path) -> None:
        """Write as JSON, digits kept."""
        path.write_text(self._json())

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote."""
        return cls(**{name: np.array(values) for name, values in json.loads(path.read_text()).items()})
