"""Conditional ranks: a score without its dependence on m."""

import numpy as np
import pytest

from adtoolkit.errors import DataError
from adtoolkit.scorers.ranks import ConditionalRanks


@pytest.fixture
def known():
    """Scores whose level and spread grow with m."""
    rng = np.random.default_rng(0)
    m = rng.uniform(1, 100, 20_000).astype(np.float32)
    return (m + (1 + m / 10) * rng.standard_normal(len(m))).astype(np.float32), m


def test_ranks_of_known_scores_are_uniform_at_every_m(known):
    score, m = known
    rank = ConditionalRanks.of(score, m, 20).rank(score, m)

    assert 0 < rank.min() < rank.max() < 1
    for lo in (1, 30, 70):
        inside = (m > lo) & (m < lo + 30)
        np.testing.assert_allclose(np.histogram(rank[inside], 5, (0, 1))[0] / inside.sum(), 0.2, atol=0.02)


def test_rank_is_the_share_of_smaller_scores_in_the_bin(known):
    score, m = known
    ranks = ConditionalRanks.of(score, m, 4)
    own = (m >= ranks.edges[1]) & (m < ranks.edges[2])

    got = ranks.rank(np.float32([60.0, 20.0]), np.float32([40.0, 40.0]))

    np.testing.assert_allclose(got, [(score[own] < s).mean() for s in (60, 20)], atol=2e-3)


def test_order_is_kept_beyond_the_known_scores(known):
    score, m = known
    rank = ConditionalRanks.of(score, m, 10).rank(np.float32([-1e4, -1e3, 50, 1e3, 1e4, 1e5]), np.full(6, 50, np.float32))

    assert (np.diff(rank) > 0).all()
    assert 0 < rank[0] < rank[-1] < 1


def test_equal_masses_make_one_bin():
    score, m = np.arange(100, dtype=np.float32), np.full(100, 5, np.float32)

    rank = ConditionalRanks.of(score, m, 5).rank(score, m)

    np.testing.assert_allclose(rank, (np.arange(100) + 0.5) / 100, atol=1e-6)


def test_bins_with_too_few_events_are_refused(known):
    with pytest.raises(DataError, match="at most 5"):
        ConditionalRanks.of(known[0][:100], known[1][:100], 6)


def test_stored_ranks_answer_the_same(known, tmp_path):
    ranks = ConditionalRanks.of(*known, 10)
    ranks.save(tmp_path / "ranks.h5")

    np.testing.assert_array_equal(ConditionalRanks.load(tmp_path / "ranks.h5").rank(*known), ranks.rank(*known))
