"""Cells of the conditions: equally populated, found by halving one condition after the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from adtoolkit.types import Array

__all__ = ["Cells"]


@dataclass(frozen=True)
class Cells:
    """A binary tree of cuts, alternating between the conditions: a k-d tree, so that it adapts to where the events are.

    Attributes:
        cuts: [2^depth - 1] levels from the root down, level l from 2^l - 1 on; infinite where a cell cannot be halved.
        conditions: Number of conditions C.

    References:
        Bentley, "Multidimensional binary search trees used for associative searching", doi:10.1145/361002.361007
    """

    cuts: Array
    conditions: int

    @classmethod
    def of(cls, cond: Array, depth: int) -> Self:
        """Halve [N, C] conditions ``depth`` times."""
        cuts = np.full(2**depth - 1, np.inf, np.float32)
        cell = np.zeros(len(cond), np.int64)
        for level in range(depth):
            column = cond[:, level % cond.shape[1]]
            order = np.argsort(cell, kind="stable")
            for c, rows in zip(*_groups(cell[order], order), strict=True):
                middle = np.float32(np.median(column[rows]))
                if (column[rows] > middle).any():
                    cuts[2**level - 1 + c] = middle
            cell = 2 * cell + (column > cuts[2**level - 1 + cell])
        return cls(cuts, cond.shape[1])

    @property
    def depth(self) -> int:
        return len(self.cuts).bit_length()

    def find(self, cond: Array) -> NDArray[np.int64]:
        """[N, C] -> [N] cell of each, from 0 to 2^depth - 1; conditions beyond all events belong to a cell at the edge."""
        cell = np.zeros(len(cond), np.int64)
        for level in range(self.depth):
            cell = 2 * cell + (cond[:, level % self.conditions] > self.cuts[2**level - 1 + cell])
        return cell

    def members(self, cond: Array) -> dict[int, NDArray[np.int64]]:
        """[N, C] -> for each cell that has any, the rows in it."""
        cell = self.find(cond)
        order = np.argsort(cell, kind="stable")
        return dict(zip(*_groups(cell[order], order), strict=True))


def _groups(values: NDArray[np.int64], rows: NDArray[np.int64]) -> tuple[list[int], list[NDArray[np.int64]]]:
    """Sorted values and their rows -> the distinct values, and the rows of each."""
    distinct, first = np.unique(values, return_index=True)
    return [int(v) for v in distinct], np.split(rows, first[1:])
