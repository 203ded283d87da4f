"""Folds: equal shares, and what shares events stays together."""

import numpy as np
import pytest

from adtoolkit.errors import DataError
from adtoolkit.folds import assign, assign_grouped, template_folds
from adtoolkit.types import Sample


def test_strata_are_spread_evenly():
    strata = np.repeat([0, 1], [1003, 57])
    fold = assign(strata, 5, np.random.default_rng(0))

    for stratum in (0, 1):
        counts = np.bincount(fold[strata == stratum], minlength=5)
        assert counts.max() - counts.min() <= 1


@pytest.mark.parametrize("folds", [2, 5, 10])
def test_groups_are_not_torn_and_spread_evenly(folds):
    group = np.random.default_rng(1).integers(0, 23, 5000) * 7
    fold = assign_grouped(group, folds, np.random.default_rng(0))
    pairs = np.unique(np.column_stack([group, fold]), axis=0)

    assert len(pairs) == len(np.unique(group)) == 23
    counts = np.bincount(pairs[:, 1], minlength=folds)
    assert counts.max() - counts.min() <= 1


def test_fewer_groups_than_folds_are_refused():
    with pytest.raises(DataError, match=r"4 independent groups of events, fewer than the 5 folds.*scorer.folds=4"):
        assign_grouped(np.arange(100) % 4, 5, np.random.default_rng(0))


def test_a_template_without_groups_is_spread_as_ever():
    template = Sample(np.zeros((101, 1)), np.zeros(101))

    plain = template_folds(template, 5, np.random.default_rng(0))
    assert np.array_equal(plain, assign(np.zeros(101, np.int8), 5, np.random.default_rng(0)))
    assert template_folds(None, 5, np.random.default_rng(0)).shape == (0,)
