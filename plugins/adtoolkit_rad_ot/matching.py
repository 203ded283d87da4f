"""Exact optimal transport between two weighted samples, in random blocks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import ot
from numpy.typing import NDArray

from adtoolkit.errors import RunError

Floats = NDArray[np.float64]

#: Pivots of the network simplex at most; a block of 5000 by 5000 takes less than a tenth of it.
_PIVOTS = 20_000_000


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


def in_blocks(one: Points, other: Points, block: int, rng: np.random.Generator) -> tuple[NDArray[np.int64], Floats]:
    """`transport` of random parts of both samples, each point in one part: all pairs, and weights of sum 1.

    Args:
        one: Sample.
        other: Sample.
        block: Points of a part at most, on each side. There are at least two parts, so that other random numbers give other pairs.
        rng: Decides who is matched with whom.
    """
    parts = max(2, -(-max(len(one.x), len(other.x)) // block))
    left, right = (np.array_split(rng.permutation(len(side.x)), parts) for side in (one, other))
    pairs, weights = [], []
    for i, j in zip(left, right, strict=True):
        found, moved = transport(one[i], other[j])
        pairs.append(np.column_stack([i[found[:, 0]], j[found[:, 1]]]))
        # both sides have a say where parts weigh differently
        share = one.weight[i].sum() / one.weight.sum() + other.weight[j].sum() / other.weight.sum()
        weights.append(moved * share / 2)
    return np.concatenate(pairs), np.concatenate(weights)
