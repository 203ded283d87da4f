"""Ranks of a score at given m: what is left of it once its dependence on m is taken out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self, final

import numpy as np
from numpy.typing import NDArray

from adtoolkit.arrays import read_arrays, write_arrays
from adtoolkit.errors import DataError
from adtoolkit.types import Array

#: Scores that a bin must hold, so that a rank says something.
LEAST = 20


def check_bins(events: int, bins: int) -> None:
    """Refuse more bins than so many events can fill.

    Raises:
        DataError: if a bin would hold fewer than 20 events.
    """
    if events < LEAST * bins:
        raise DataError(f"{bins} bins of m over {events:,} events would hold fewer than {LEAST} each.", f"Use at most {events // LEAST}.")


@final
@dataclass(frozen=True)
class ConditionalRanks:
    """The share of known scores in an event's bin of m that are smaller than its own, between 0 and 1.

    Between two known scores the rank is interpolated, and beyond the outermost ones it goes on towards 0 and 1 without reaching them,
    so that within a bin the order of the scores is kept.

    Attributes:
        edges: [B+1] of the bins of m; the first and the last are open.
        known: [B, K] known scores of each bin, ascending, at K equidistant quantiles.
    """

    edges: NDArray[np.float64]
    known: NDArray[np.float64]

    @classmethod
    def of(cls, score: Array, m: Array, bins: int) -> Self:
        """Bins equally filled by [N] known events; equal edges (of an m that is repeated) become one.

        Raises:
            DataError: if a bin would hold fewer than 20 events.
        """
        check_bins(len(score), bins)
        edges = np.unique(np.quantile(m.astype(np.float64), np.linspace(0, 1, bins + 1)))
        if len(edges) < 2:
            edges = np.array([-np.inf, np.inf])
        place = cls._place(edges, m)
        size = int(np.bincount(place, minlength=len(edges) - 1).max())
        steps = np.linspace(0, 1, max(2, size))
        parts = [score[place == b].astype(np.float64) for b in range(len(edges) - 1)]
        return cls(edges, np.stack([np.quantile(part if len(part) else score, steps) for part in parts]))

    @staticmethod
    def _place(edges: NDArray[np.float64], m: Array) -> NDArray[np.intp]:
        return np.clip(np.searchsorted(edges, m, side="right") - 1, 0, len(edges) - 2)

    def rank(self, score: Array, m: Array) -> Array:
        """[N], [N] -> [N] in (0, 1)."""
        place, value = self._place(self.edges, m), score.astype(np.float64)
        out = np.empty(len(value))
        for b, known in enumerate(self.known):
            own = place == b
            k, v = len(known), value[own]
            spread = max(float(known[-1] - known[0]), 1e-12)
            # known score number i of k has rank (i + 1/2) / k; half a step is left for what lies beyond each end
            inner = (np.interp(v, known, np.arange(k)) + 0.5) / k
            above = 0.5 / k * (v - known[-1]) / (np.abs(v - known[-1]) + spread)
            below = 0.5 / k * (v - known[0]) / (np.abs(v - known[0]) + spread)
            out[own] = inner + np.where(v > known[-1], above, 0) + np.where(v < known[0], below, 0)
        return out.astype(np.float32)

    def save(self, path: Path) -> None:
        """Write as HDF5."""
        write_arrays(path, {"edges": self.edges, "known": self.known})

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote."""
        arrays = read_arrays(path)
        return cls(arrays["edges"], arrays["known"])
