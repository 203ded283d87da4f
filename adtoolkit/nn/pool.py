"""The events of several samples, what they share kept once."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from adtoolkit.types import Array, Sample

Rows = NDArray[np.int64]


def pool(samples: Sequence[Sample]) -> tuple[Array, list[Rows]]:
    """One table of distinct events [U, D + 1 + C + 1] (features, conditions, weight) and, per sample, its rows [N].

    The sidebands of a scan's windows overlap almost fully: W of them need the memory of one, and an index each.
    Events are told apart by all their bits; the order within a sample is kept.

    Example:
        >>> a = Sample(np.zeros((2, 1)), np.array([1.0, 2.0]))
        >>> table, (first, second) = pool([a, a[1:]])
        >>> table.shape, first, second
        ((2, 3), array([0, 1]), array([1]))
    """
    keys = np.zeros(0, np.uint64)
    parts: list[Array] = []
    hashes = []
    for sample in samples:
        block = _block(sample)
        hashed = _hash(block)
        distinct, first = np.unique(hashed, return_index=True)
        new = np.sort(first[~np.isin(distinct, keys)])
        parts.append(block[new])
        keys = np.concatenate([keys, hashed[new]])
        hashes.append(hashed)
    table = np.concatenate(parts)
    order = np.argsort(keys)
    rows = [order[np.searchsorted(keys, hashed, sorter=order)] for hashed in hashes]
    if all(np.array_equal(_bits(table[r]), _bits(_block(s))) for r, s in zip(rows, samples, strict=True)):
        return table, rows
    # two events of one hash: once in 10^7 for a million events; then nothing is shared
    ends = np.cumsum([0, *map(len, samples)])
    return np.concatenate([_block(s) for s in samples]), [np.arange(a, b) for a, b in pairwise(ends)]


def _block(sample: Sample) -> Array:
    return np.ascontiguousarray(np.column_stack([sample.x, sample.cond, sample.weights]), np.float32)


def _bits(block: Array) -> NDArray[np.uint32]:
    return block.view(np.uint32)


def _hash(block: Array) -> NDArray[np.uint64]:
    """[N] of each row's bits; 64-bit multiply and shift (the mixing of SplitMix64)."""
    out = np.zeros(len(block), np.uint64)
    for column in _bits(block).T:
        out = (out ^ column) * np.uint64(0xBF58476D1CE4E5B9)
        out ^= out >> np.uint64(31)
    return out
