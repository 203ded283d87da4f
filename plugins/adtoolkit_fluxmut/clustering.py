"""HDBSCAN of a population, and where a further point would stand in it without clustering anew."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["Clusters", "Standing", "cluster", "core_distances", "standing_in"]

Floats = NDArray[np.float64]

#: No cluster is smaller than this, whatever the population.
SMALLEST = 20


@dataclass(frozen=True)
class Standing:
    """What a clustering says of points.

    Attributes:
        outlier: [N] GLOSH outlier score: 0 for the densest points of a cluster, towards 1 far from all.
        label: [N] cluster, or -1 for noise.
        probability: [N] strength of the membership in it; 0 for noise.
        core: [N] core distance.
    """

    outlier: Floats
    label: NDArray[np.int64]
    probability: Floats
    core: Floats

    @property
    def key(self) -> NDArray[np.complex128]:
        """[N] by what points are ordered: the outlier score, then the core distance (numpy orders complex numbers so).

        Outlier scores tie: all points of the last remnant of a cluster, up to twice its least size, score 0, and those that fall out of
        it together score alike. Counted as they are, ties would leave p-values with a peak at 1.
        """
        return self.outlier + 1j * self.core

    @classmethod
    def blank(cls, n: int) -> Self:
        """Of n points, to be filled."""
        return cls(np.zeros(n), np.full(n, -1), np.zeros(n), np.zeros(n))

    def put(self, rows: Any, found: Standing) -> None:
        """Fill in some of the points."""
        for name in ("outlier", "label", "probability", "core"):
            getattr(self, name)[rows] = getattr(found, name)

    def __getitem__(self, rows: Any) -> Standing:
        return Standing(self.outlier[rows], self.label[rows], self.probability[rows], self.core[rows])


def cluster(points: NDArray[Any], neighbours: int, share: float) -> Any:
    """HDBSCAN of [N, K] points: excess of mass, a single cluster allowed.

    Args:
        points: Standardised.
        neighbours: Order of the neighbour whose distance is the core distance.
        share: Least share of the points that is a cluster.

    References:
        | Campello, Moulavi, Zimek, Sander, "Hierarchical density estimates for data clustering, visualization, and outlier detection",
          doi:10.1145/2733381 (HDBSCAN*, GLOSH)
        | McInnes, Healy, Astels, "hdbscan: Hierarchical density based clustering", doi:10.21105/joss.00205
    """
    from hdbscan import HDBSCAN

    return HDBSCAN(
        min_cluster_size=max(SMALLEST, round(share * len(points))),
        min_samples=neighbours,
        allow_single_cluster=True,
        algorithm="prims_kdtree",  # exact; a tree of boruvka's kind is faster for larger populations only
        core_dist_n_jobs=1,
    ).fit(np.asarray(points, np.float64))


def core_distances(points: Floats, neighbours: int) -> Floats:
    """[N, K] -> [N] distance of each to its neighbour of this order."""
    from scipy.spatial import cKDTree

    found: Floats = cKDTree(points).query(points, neighbours + 1)[0][:, -1]
    return found


def standing_in(clusterer: Any, points: NDArray[Any], neighbours: int) -> Standing:
    """What `cluster` found of its own points. Points that coincide have an outlier score of 0."""
    outlier = np.nan_to_num(clusterer.outlier_scores_, nan=1.0)  # beside points of infinite density
    core = core_distances(np.asarray(points, np.float64), neighbours)
    return Standing(outlier, np.asarray(clusterer.labels_, np.int64), np.asarray(clusterer.probabilities_, np.float64), core)


@dataclass(frozen=True)
class Clusters:
    """A clustered population with its condensed tree, ready to be joined by further points one at a time.

    lambda is one over a distance, see `cluster`. The root is cluster 0 and its own parent.

    Attributes:
        points: [N, K].
        core: [N] core distances.
        leave: [N] lambda at which a point falls out of its cluster.
        home: [N] the cluster that it falls out of.
        parent: [C] of each cluster.
        birth: [C] lambda at which it splits off its parent.
        peak: [C] largest lambda below it.
        label: [C] what points that fall out of it are labelled, or -1.
        floor: [C] least lambda at which they are; the rest is noise.
        full: [C] lambda from which on their membership has probability 1.
    """

    points: Floats
    core: Floats
    leave: Floats
    home: NDArray[np.int64]
    parent: NDArray[np.int64]
    birth: Floats
    peak: Floats
    label: NDArray[np.int64]
    floor: Floats
    full: Floats

    @classmethod
    def of(cls, points: NDArray[Any], neighbours: int, share: float) -> Self:
        """Cluster [N, K] standardised points."""
        points = np.asarray(points, np.float64)
        n = len(points)
        clusterer = cluster(points, neighbours, share)
        tree = clusterer.condensed_tree_.to_numpy()
        density = np.minimum(tree["lambda_val"], 1e30)  # infinite where points coincide
        above, child = tree["parent"] - n, tree["child"]
        single = child < n
        leave, home = np.zeros(n), np.zeros(n, np.int64)
        leave[child[single]], home[child[single]] = density[single], above[single]
        size = int(above.max()) + 1
        parent, birth, peak = np.zeros(size, np.int64), np.zeros(size), np.zeros(size)
        parent[child[~single] - n], birth[child[~single] - n] = above[~single], density[~single]
        np.maximum.at(peak, above, density)
        for c in range(size - 1, 0, -1):  # children have higher numbers than their parents
            peak[parent[c]] = max(peak[parent[c]], peak[c])
        found = standing_in(clusterer, points, neighbours)
        label = np.full(size, -1)
        member = found.label >= 0
        label[home[member]] = found.label[member]
        floor = birth.copy()  # all that fall out of a cluster belonged to it, but of the root only the densest
        floor[0] = leave[member & (home == 0)].min(initial=np.inf)
        whole = np.full(int(found.label.max(initial=-1)) + 2, np.inf)
        np.minimum.at(whole, found.label[found.probability >= 1], leave[found.probability >= 1])
        full = np.where(label >= 0, whole[label], np.inf)
        return cls(points, found.core, leave, home, parent, birth, peak, label, floor, full)

    def add(self, points: NDArray[Any], neighbours: int) -> Standing:
        """[M, K] further points, each as if it alone joined the population; the population's own tree stays as it is.

        A point at mutual reachability distance ``d_j`` from point j leaves the tree with it at the latest, so that its lambda is the
        largest of ``min(1 / d_j, lambda_j)``, and its outlier score ``1 - lambda / peak`` of the cluster that it leaves. The exact
        clustering differs by what the point changes for its neighbours: their core distances and, if it is a bridge, the tree.
        """
        from scipy.spatial.distance import cdist

        distance = cdist(np.asarray(points, np.float64), self.points)
        own = np.partition(distance, neighbours - 1, axis=1)[:, neighbours - 1]
        reach = np.maximum(np.maximum(distance, self.core, out=distance), own[:, None], out=distance)
        leaving = np.minimum(1 / np.maximum(reach, 1e-30), self.leave)
        partner = leaving.argmax(1)
        density = leaving[np.arange(len(leaving)), partner]
        at = self.home[partner]
        while (above := self.birth[at] > density).any():
            at = np.where(above, self.parent[at], at)
        member = (self.label[at] >= 0) & (density >= self.floor[at])
        strength = np.minimum(density / self.full[at], 1.0)
        return Standing(1 - density / self.peak[at], np.where(member, self.label[at], -1), np.where(member, strength, 0.0), own)
