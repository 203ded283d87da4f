"""What the scorer ``mutability`` is made of: clustering with outlier scores, and cells of the conditions."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from adtoolkit_fluxmut.cells import Cells
from adtoolkit_fluxmut.clustering import Clusters, cluster, standing_in


def glosh(points, k, least):
    """Outlier scores by the definition, slowly: connected components at every edge of the minimum spanning tree."""
    d = cdist(points, points)
    core = np.sort(d, 1)[:, k]
    reach = np.maximum(np.maximum(d, core[:, None]), core)
    n, tree, linked = len(points), [], np.array([True] + [False] * (len(points) - 1))
    while not linked.all():
        i, j = min(product(np.flatnonzero(linked), np.flatnonzero(~linked)), key=lambda e: reach[e])
        tree.append((reach[i, j], i, j))
        linked[j] = True
    leave, home, peak, parent = np.zeros(n), np.zeros(n, int), [0.0], [-1]

    def members(start, edges):
        found, new = {start}, [start]
        while new:
            at = new.pop()
            near = {b if a == at else a for _, a, b in edges if at in (a, b)} - found
            found |= near
            new += near
        return found

    def split(edges, inside, c):
        """Cut the longest edge; what is too small falls out, two large parts become clusters."""
        if not edges:
            return
        longest = max(edges)
        rest = [e for e in edges if e is not longest]
        density = 1 / longest[0]
        peak[c] = max(peak[c], density)
        sides = [members(longest[1], rest), members(longest[2], rest)]
        large = [len(s) >= least for s in sides]
        for side, keep in zip(sides, large, strict=True):
            own = [e for e in rest if e[1] in side]
            if not keep:
                leave[list(side)], home[list(side)] = density, c
            elif all(large):
                peak.append(density)
                parent.append(c)
                split(own, side, len(peak) - 1)
            else:
                split(own, side, c)

    split(tree, set(range(n)), 0)
    for c in range(len(peak) - 1, 0, -1):
        peak[parent[c]] = max(peak[parent[c]], peak[c])
    return 1 - leave / np.array(peak)[home]


def blobs(n, seed):
    rng = np.random.default_rng(seed)
    return np.where(rng.random((n, 1)) < 0.4, -2.5, 2.5) + rng.standard_normal((n, 3))


def test_outlier_scores_are_those_of_the_definition():
    points = blobs(70, 0)

    assert standing_in(cluster(points, 5, 0.25), points, 5).outlier == pytest.approx(glosh(points, 5, 20), abs=1e-12)


def test_two_blobs_are_two_clusters_and_a_far_point_is_an_outlier():
    points = np.concatenate([blobs(400, 1), [[30.0, 30.0, 30.0]]])
    found = standing_in(cluster(points, 10, 0.05), points, 10)

    assert set(found.label[found.probability > 0]) == {0, 1}
    assert found.outlier[-1] > 0.9
    assert (found.label[-1], found.probability[-1]) == (-1, 0)


@pytest.mark.parametrize("make", [blobs, lambda n, seed: np.random.default_rng(seed).standard_t(3, (n, 8))], ids=["two blobs", "one heap"])
def test_a_point_added_stands_where_it_stands_when_all_is_clustered_anew(make):
    """Only a point that is a neighbour of others, or a bridge, changes the tree, and little: below 0.01 for nine in ten."""
    points, new = make(300, 2), 1.4 * make(40, 3)
    added = Clusters.of(points, 10, 0.07).add(new, 10)
    anew = []
    for point in new:
        both = np.concatenate([[point], points])
        anew.append(standing_in(cluster(both, 10, 0.07), both, 10)[0])
    difference = np.abs(added.outlier - [a.outlier for a in anew])

    assert np.median(difference) < 1e-9
    assert np.quantile(difference, 0.9) < 0.01
    assert np.mean((added.label >= 0) == (np.array([a.label for a in anew]) >= 0)) > 0.9  # clusters may be numbered otherwise
    assert added.core == pytest.approx([a.core for a in anew], abs=1e-12)


def test_cells_are_equally_populated_and_know_their_events():
    cond = np.random.default_rng(3).uniform(0, 1, (1024, 2)).astype(np.float32)
    members = Cells.of(cond, 4).members(cond)

    assert sorted(members) == list(range(16))
    assert {len(rows) for rows in members.values()} == {64}
    assert np.ptp(cond[members[0]], axis=0).max() < 0.5


def test_conditions_that_are_all_equal_are_one_cell():
    cond = np.ones((50, 2), np.float32)
    cells = Cells.of(cond, 3)

    assert list(cells.members(cond)) == [0]
    assert list(cells.members(cond + 5)) == [0]
