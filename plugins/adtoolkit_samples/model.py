"""The model of ``samples``: the events themselves."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self, final

import numpy as np
from numpy.typing import NDArray

from adtoolkit.arrays import read_arrays, write_arrays
from adtoolkit.interfaces import Context, Model
from adtoolkit.preprocess import Preprocess
from adtoolkit.types import Array

FILE = "events.h5"


@final
@dataclass(frozen=True)
class SamplesModel(Model):
    """Events to draw from, with replacement.

    Attributes:
        x: [N, D] features: physical, as read, until `preprocessed` is called.
        m: [N] masses, ascending.
        neighbours: How many of them a draw chooses from.
    """

    x: Array
    m: Array
    neighbours: int

    def sample(self, cond: Array, rng: np.random.Generator) -> Array:
        """[N, 1+C] conditions -> [N, D]: one of the events around each mass, half of them below it. Further conditions are not used.

        A mass next to an end of the file's, or beyond it, gets one of the events at that end.
        """
        return self.sample_grouped(cond, rng)[0]

    def sample_grouped(self, cond: Array, rng: np.random.Generator) -> tuple[Array, NDArray[np.int64]]:
        """The same, and [N] which event of the file each draw is: some are drawn more than once."""
        k = min(self.neighbours, len(self.m))
        first = np.clip(np.searchsorted(self.m, cond[:, 0]) - k // 2, 0, len(self.m) - k)
        chosen = first + rng.integers(k, size=len(cond))
        return np.asarray(self.x[chosen]), chosen

    def preprocessed(self, prep: Preprocess, ctx: Context) -> Self:
        """The same events as the models of a run see them."""
        if clipped := prep.clipped(self.x):
            ctx.note(f"samples: {clipped:,} of {len(self.m):,} template events lie outside the data's range and were moved to its edge.")
        return replace(self, x=prep.forward(self.x))

    def save(self, directory: Path) -> None:
        write_arrays(directory / FILE, {"x": self.x, "m": self.m, "neighbours": np.array(self.neighbours)})

    @classmethod
    def load(cls, directory: Path, device: str) -> Self:  # noqa: ARG003 - numpy has no device
        arrays = read_arrays(directory / FILE)
        return cls(arrays["x"], arrays["m"], int(arrays["neighbours"]))
