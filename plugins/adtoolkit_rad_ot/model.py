"""The model of ``rad-ot``: pairs of events."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self, final

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save

from adtoolkit.interfaces import Model
from adtoolkit.types import Array

FILE = "pairs.safetensors"


@final
@dataclass(frozen=True)
class RadOtModel(Model):
    """Pairs of an event below and an event above the window; draws lie on the straight lines between them.

    Attributes:
        below: [N, 1+D] mass and features of the events below the window.
        above: [M, 1+D] the same above it.
        pairs: [P, 2] which event below belongs to which above.
        weight: [P] how often a pair is drawn, relative to the others.
        group: [P] of the pairs: those of different groups share no event.
    """

    below: Array
    above: Array
    pairs: NDArray[np.int32]
    weight: Array
    group: NDArray[np.int8]

    def sample(self, cond: Array, rng: np.random.Generator) -> Array:
        """[N, 1] masses -> [N, D]: for each a random pair, at t = (m - m1) / (m2 - m1) of the way from its lower event to its upper.

        Nothing is extrapolated: a mass below both events of the pair, or above both, is given the nearer event as it is. Each row
        uses one random number, so that draws in portions are those of the whole.
        """
        return self.sample_grouped(cond, rng)[0]

    def sample_grouped(self, cond: Array, rng: np.random.Generator) -> tuple[Array, NDArray[np.int64]]:
        """The same, and [N] the group of each draw's pair."""
        ends = np.cumsum(self.weight, dtype=np.float64)
        chosen = np.searchsorted(ends, rng.random(len(cond)) * ends[-1], side="right")
        chosen = np.minimum(chosen, len(ends) - 1)
        pair = self.pairs[chosen]
        low, high = self.below[pair[:, 0]], self.above[pair[:, 1]]
        t = np.clip((cond[:, 0] - low[:, 0]) / (high[:, 0] - low[:, 0]), 0, 1).astype(np.float32)[:, None]
        return np.asarray((1 - t) * low[:, 1:] + t * high[:, 1:]), self.group[chosen].astype(np.int64)

    def save(self, directory: Path) -> None:
        parts = {"below": self.below, "above": self.above, "pairs": self.pairs, "weight": self.weight, "group": self.group}
        # safetensors writes the memory of an array that is not contiguous, in silence
        (directory / FILE).write_bytes(save({name: np.ascontiguousarray(part) for name, part in parts.items()}))

    @classmethod
    def load(cls, directory: Path, device: str) -> Self:  # noqa: ARG003 - numpy has no device
        return cls(**load_file(directory / FILE))
