"""Who trains on what: validation split and cross-fitting folds, drawn by seed."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from adtoolkit.errors import DataError
from adtoolkit.types import Mask, Sample

#: Share of an estimator's region that it may stop and choose by.
VALIDATION: Final = 0.1


def train_val(events: Sample, rng: np.random.Generator, share: float = VALIDATION) -> tuple[Sample, Sample]:
    """Two disjoint parts of the events; at least one event in each where there are two."""
    order = rng.permutation(len(events))
    n_val = min(max(1, round(share * len(events))), max(len(events) - 1, 0))
    return events[np.sort(order[n_val:])], events[np.sort(order[:n_val])]


def check_groups(groups: int, folds: int) -> None:
    """Refuse a template of fewer independent groups of events than there are folds.

    Raises:
        DataError: which says how many folds there may be.
    """
    if groups < folds:
        what = (
            f"The template comes from {groups} independent {'group' if groups == 1 else 'groups'} of events, fewer than the {folds} folds."
        )
        fewer = f"Use fewer folds, --set scorer.folds={groups}, or" if groups > 1 else "Use"
        raise DataError(what, f"{fewer} an estimator with more groups.")


def assign_grouped(group: NDArray[np.integer], folds: int, rng: np.random.Generator) -> NDArray[np.int8]:
    """[N] fold of each event, the same for all of a group; equally many groups per fold (to one).

    Raises:
        DataError: if there are fewer groups than folds.
    """
    names, place = np.unique(group, return_inverse=True)
    check_groups(len(names), folds)
    return assign(np.zeros(len(names), np.int8), folds, rng)[place]


def template_folds(template: Sample | None, folds: int, rng: np.random.Generator) -> NDArray[np.int8]:
    """[T] folds of a template; what was made from the same events stays together."""
    if template is not None and template.group is not None:
        return assign_grouped(template.group, folds, rng)
    return assign(np.zeros(0 if template is None else len(template), np.int8), folds, rng)


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
