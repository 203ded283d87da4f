"""An ensemble of histogram-boosted trees whose fitted form is plain arrays: stored without pickles, bit-identical when read back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save
from scipy.special import expit
from sklearn.ensemble import HistGradientBoostingClassifier

# scikit-learn offers no public way to rebuild a fitted model from arrays; these two names have been stable since 0.21.
from sklearn.ensemble._hist_gradient_boosting.common import PREDICTOR_RECORD_DTYPE
from sklearn.ensemble._hist_gradient_boosting.predictor import TreePredictor
from sklearn.utils._openmp_helpers import _openmp_effective_n_threads

from adtoolkit.scorers.config import ClassifierConfig

FILE = "trees.safetensors"
_FIELDS = (
    "value",
    "count",
    "feature_idx",
    "num_threshold",
    "missing_go_to_left",
    "left",
    "right",
    "gain",
    "depth",
    "is_leaf",
    "bin_threshold",
)


@dataclass(frozen=True)
class HgbEnsemble:
    """Boosted trees of several members; the score is the mean of their probabilities.

    Attributes:
        nodes: All nodes of all trees, scikit-learn's record type.
        trees: [T+1] where each tree's nodes begin and end.
        members: [M+1] where each member's trees begin and end.
        baseline: [M] log-odds before the first tree.
        inputs: Number of input columns.
    """

    nodes: NDArray[Any]
    trees: NDArray[np.int64]
    members: NDArray[np.int64]
    baseline: NDArray[np.float64]
    inputs: int

    def predict(self, x: NDArray[Any]) -> NDArray[np.float64]:
        """[N, D] -> [N] mean probability of the positive class."""
        x = np.ascontiguousarray(x, np.float64)
        total = np.zeros(len(x))
        if not len(x):
            return total
        threads = _openmp_effective_n_threads()
        no_categories, no_map = np.zeros((0, 8), np.uint32), np.zeros(self.inputs, np.uint32)
        for first, last, start in zip(self.members[:-1], self.members[1:], self.baseline, strict=True):
            raw = np.full(len(x), start)
            for lo, hi in zip(self.trees[first:last], self.trees[first + 1 : last + 1], strict=True):
                raw += TreePredictor(self.nodes[lo:hi], no_categories, no_categories).predict(x, no_categories, no_map, threads)
            total += expit(raw)
        return total / len(self.baseline)

    def save(self, directory: Path) -> None:
        """Write one safetensors file."""
        fields = {f"nodes.{name}": np.ascontiguousarray(self.nodes[name]) for name in _FIELDS}
        parts = {**fields, "trees": self.trees, "members": self.members, "baseline": self.baseline, "inputs": np.array([self.inputs])}
        (directory / FILE).write_bytes(save(parts))

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Read what `save` wrote."""
        stored = load_file(directory / FILE)
        nodes = np.zeros(len(stored["nodes.value"]), PREDICTOR_RECORD_DTYPE)
        for name in _FIELDS:
            nodes[name] = stored[f"nodes.{name}"]
        return cls(nodes, stored["trees"], stored["members"], stored["baseline"], int(stored["inputs"][0]))


def bin_edges(column: NDArray[np.float64], weight: NDArray[Any], bins: int) -> NDArray[np.float64]:
    """Edges that divide a feature into bins of equal weight, or between each two of its values where these are few.

    Args:
        column: [N] values of a feature.
        weight: [N] event weights.
        bins: How many bins at most.

    Returns:
        [< bins] increasing; bin k holds what is above edge k - 1 and not above edge k.
    """
    values = np.unique(column)
    if len(values) <= bins:
        return np.asarray((values[:-1] + values[1:]) / 2)
    return np.unique(np.quantile(column, np.linspace(0, 1, bins + 1)[1:-1], weights=weight, method="inverted_cdf"))


def _unbinned(nodes: NDArray[Any], edges: list[NDArray[np.float64]]) -> NDArray[Any]:
    """A tree of bin numbers as one of the features' values: at most k in bin numbers is at most edge k in values."""
    splits = nodes[nodes["is_leaf"] == 0]
    first = np.cumsum([0, *(len(e) for e in edges[:-1])])
    splits["num_threshold"] = np.concatenate(edges)[first[splits["feature_idx"]] + splits["num_threshold"].astype(np.int64)]
    nodes[nodes["is_leaf"] == 0] = splits
    return nodes


def fit_hgb(
    x: NDArray[Any],
    y: NDArray[Any],
    weight: NDArray[Any],
    config: ClassifierConfig,
    rng: np.random.Generator,
    log: Callable[[int], None] | None = None,
) -> HgbEnsemble:
    """Train ``config.members`` classifiers, each on a random train/validation split of its own.

    The weights reach both the trees and the validation loss.

    Args:
        x: [N, D] inputs.
        y: [N] 1 = positive, 0 = negative; both occur.
        weight: [N] event weights, already balanced between the classes.
        config: Options of the trees.
        rng: Source of the members' splits.
        log: Called with the number of members done.

    References:
        Finke, Hein, Kasieczka, Kraemer, Mueck, Prangchaikul, Quadfasel, Shih, Sommerhalder, "Tree-based algorithms for weakly supervised
        anomaly detection", arXiv:2309.13111.
    """
    x = np.ascontiguousarray(x, np.float64)
    # scikit-learn sorts a weighted feature once per bin, for every member: most of the time of a fit. It is given bin numbers instead.
    edges = [bin_edges(column, weight, config.bins) for column in x.T]
    binned = np.stack([np.searchsorted(e, column) for e, column in zip(edges, x.T, strict=True)], 1)
    nodes: list[NDArray[Any]] = []
    counts, baseline = [0], []
    for done, seed in enumerate(rng.integers(2**31, size=config.members), start=1):
        model = HistGradientBoostingClassifier(
            max_iter=config.iterations,
            max_bins=config.bins,
            max_leaf_nodes=config.leaves,
            min_samples_leaf=config.leaf_events,
            learning_rate=config.learning_rate,
            early_stopping=True,
            validation_fraction=config.validation,
            n_iter_no_change=config.patience,
            random_state=int(seed),
        ).fit(binned, y, sample_weight=weight)
        # validation_score_[i] belongs to the first i trees; index 0 is the constant model.
        keep = max(1, int(np.argmax(model.validation_score_))) if config.best_iteration else model.n_iter_
        nodes += [_unbinned(tree.nodes, edges) for (tree,) in model._predictors[:keep]]  # noqa: SLF001 - see the import above
        counts.append(len(nodes))
        baseline.append(float(model._baseline_prediction.item()))  # noqa: SLF001
        if log is not None:
            log(done)
    ends = np.cumsum([0, *(len(n) for n in nodes)])
    return HgbEnsemble(np.concatenate(nodes), ends.astype(np.int64), np.array(counts, np.int64), np.array(baseline), x.shape[1])
