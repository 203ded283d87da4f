"""Exact optimal transport between two weighted samples, in random blocks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import ot
from numpy.typing import NDArray

from adtoolkit.errors import RunError

Floats = NDArray[np.float64]

#: Pivots of the network simplex at most, far more than blocks of the usual size take.
_PIVOTS = 20_000_000

#: Points of the smaller side that a part has at least, or all that there are.
_FEWEST = 50


@dataclass(frozen=True)
class Points:
    """A weighted sample.

    Attributes:
        x: [N, D] points.
        weight: [N] positive weights.
    """

    x: Floats
    weight: Floats

    def __getitem__(self, index: NDArray[np.intp]) -> Points:
        return Points(self.x[index], self.weight[index])


def transport(one: Points, other: Points) -> tuple[NDArray[np.int64], Floats]:
    """The cheapest way to move the weight of one sample onto the other's, both scaled to 1; the cost is the squared distance.

    With equal weights on equally many points this is the assignment of each point to one other.

    Returns:
        Pairs [P, 2] of indices, and the weight [P] that each moves; P is below the number of points of both.

    Raises:
        RunError: if the solver does not end.
    """
    a, b = (side.weight / side.weight.sum() for side in (one, other))
    plan, log = ot.emd(a, b, ot.dist(one.x, other.x), numItermax=_PIVOTS, log=True)
    if log["warning"] is not None:
        raise RunError(f"The transport of {len(a)} to {len(b)} events did not converge.", "Lower it: --set estimator.block=1000")
    pairs = np.argwhere(plan > 0)
    return pairs, np.asarray(plan[pairs[:, 0], pairs[:, 1]])


def split(one: int, other: int, groups: int, rng: np.random.Generator) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Random groups of the indices of two samples, as equal in size as can be; each index is in one group."""
    yield from zip(*(np.array_split(rng.permutation(n), groups) for n in (one, other)), strict=True)


def in_blocks(one: Points, other: Points, block: int, rng: np.random.Generator) -> tuple[NDArray[np.int64], Floats]:
    """`transport` of random parts of both samples: all pairs, and weights of sum 1.

    Each point is in one part. Only where the samples are so unequal that a part would have too few points of the smaller one do
    several parts share these points, each point as often as the others.

    Args:
        one: Sample.
        other: Sample.
        block: Points of a part at most, on each side. There are at least two parts, so that other random numbers give other pairs.
        rng: Decides who is matched with whom.
    """
    sizes = [len(one.x), len(other.x)]
    parts = max(2, -(-max(sizes) // block))
    groups = max(1, min(parts, min(sizes) // _FEWEST))
    parts = groups * -(-parts // groups)
    larger = int(sizes[1] > sizes[0])
    left, right = (np.array_split(rng.permutation(n), parts if side == larger else groups) for side, n in enumerate(sizes))
    pairs, weights = [], []
    for part in range(parts):
        i, j = left[part % len(left)], right[part % len(right)]
        found, moved = transport(one[i], other[j])
        pairs.append(np.column_stack([i[found[:, 0]], j[found[:, 1]]]))
        # both sides have a say where parts weigh differently
        share = len(left) * one.weight[i].sum() / one.weight.sum() + len(right) * other.weight[j].sum() / other.weight.sum()
        weights.append(moved * share / (2 * parts))
    return np.concatenate(pairs), np.concatenate(weights)
