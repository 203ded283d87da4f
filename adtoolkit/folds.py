"""Who trains on what: validation split and cross-fitting folds, drawn by seed."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from adtoolkit.types import Mask, Sample

#: Share of an estimator's region that it may stop and choose by.
VALIDATION: Final = 0.1


def train_val(events: Sample, rng: np.random.Generator, share: float = VALIDATION) -> tuple[Sample, Sample]:
    """Two disjoint parts of the events; at least one event in each where there are two."""
    order = rng.permutation(len(events))
    n_val = min(max(1, round(share * len(events))), max(len(events) - 1, 0))
    return events[np.sort(order[n_val:])], events[np.sort(order[:n_val])]


def assign(strata: NDArray[np.integer] | Mask, folds: int, rng: np.random.Generator) -> NDArray[np.int8]:
    """[N] fold of each event, equally many per fold (to one event) in each stratum.

    Args:
        strata: [N] groups to be spread evenly, for example inside and outside the window.
        folds: How many.
        rng: Decides who goes where.
    """
    fold = np.zeros(len(strata), np.int8)
    for stratum in np.unique(strata):
        index = np.flatnonzero(strata == stratum)
        fold[rng.permutation(index)] = np.arange(len(index)) % folds
    return fold
