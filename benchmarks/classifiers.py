"""How many classifiers to average, and what folds do to a SIC near its statistical floor.

    python benchmarks/classifiers.py lhco_rnd_v1_100k.features.h5 --out benchmarks/results/classifiers.json

Members, and what it costs to let scikit-learn find the bins of each anew: one half of the true background in 3.3 to 3.7 TeV with
the injected signal as data, the other half as template, five folds; median over seeds, which draw signal, halves and splits.
Folds: two normal distributions 2.5 apart, where the SIC is known; bias and standard deviation of its estimate in per cent.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from common import WINDOW, machine, read_lhco, write_json
from scipy.stats import norm
from sklearn.ensemble import HistGradientBoostingClassifier

from adtoolkit.metrics.curves import Ranking, sic
from adtoolkit.scorers.config import ClassifierConfig
from adtoolkit.scorers.hgb import fit_hgb
from adtoolkit.types import Sample

EPS = (0.1, 0.03, 0.01, 0.003)
VARIANTS: dict[str, dict] = {
    "1": {"members": 1},
    "5": {"members": 5},
    "10": {"members": 10},
    "10, trees up to the best iteration only": {"members": 10, "best_iteration": True},
    "20": {"members": 20},
}
THEIRS = "10, each with bins of its own"


class Theirs:
    """Classifiers as scikit-learn trains and bins them, with the same options."""

    def __init__(self, x: np.ndarray, y: np.ndarray, weight: np.ndarray, config: ClassifierConfig, rng: np.random.Generator) -> None:
        self.models = [
            HistGradientBoostingClassifier(
                max_iter=config.iterations,
                max_bins=config.bins,
                max_leaf_nodes=config.leaves,
                min_samples_leaf=config.leaf_events,
                learning_rate=config.learning_rate,
                early_stopping=True,
                validation_fraction=config.validation,
                n_iter_no_change=config.patience,
                random_state=int(seed),
            ).fit(x, y, sample_weight=weight)
            for seed in rng.integers(2**31, size=config.members)
        ]

    def predict(self, x: np.ndarray) -> np.ndarray:
        return np.mean([model.predict_proba(x)[:, 1] for model in self.models], 0)


def search(events: Sample, fit: Callable[..., Any], config: ClassifierConfig, seed: int, folds: int = 5) -> tuple[list[float], float]:
    """SIC of one draw, and its CPU seconds."""
    rng = np.random.default_rng(seed)
    background = rng.permutation(events.x[(events.truth == 0) & WINDOW.contains(events.m)])
    signal = events[rng.permutation(np.flatnonzero(events.truth == 1))]
    injected, left = (part.x[WINDOW.contains(part.m)] for part in (signal[:500], signal[500:]))
    half = len(background) // 2
    data, template = np.concatenate([background[:half], injected]), background[half:]
    fold, template_fold = rng.integers(0, folds, len(data)), rng.integers(0, folds, len(template))
    own, test = np.full((half, folds), np.nan), np.zeros((len(left), folds))
    started = time.process_time()
    for k in range(folds):
        x = np.concatenate([data[fold != k], template[template_fold != k]])
        y = np.repeat([1.0, 0.0], [(fold != k).sum(), (template_fold != k).sum()])
        weight = np.where(y == 1, len(y) / 2 / y.sum(), len(y) / 2 / (1 - y).sum())
        trees = fit(x, y, weight, config, rng)
        held = np.flatnonzero(fold[:half] == k)
        own[held, k], test[:, k] = trees.predict(data[held]), trees.predict(left)
    seconds = time.process_time() - started
    return [float(v) for v in sic(Ranking.of(test, own), EPS)], seconds


def members(events: Sample, seeds: int) -> dict[str, dict]:
    out = {}
    for name, options in {**VARIANTS, THEIRS: {"members": 10}}.items():
        fit = Theirs if name == THEIRS else fit_hgb
        rows = [search(events, fit, ClassifierConfig(**options), seed) for seed in range(seeds)]
        values = np.array([row for row, _ in rows])
        out[name] = {
            "median": [round(float(v), 2) for v in np.median(values, 0)],
            "spread": [round(float(v), 2) for v in values.std(0)],
            "cpu_s": round(float(np.median([seconds for _, seconds in rows])), 1),
        }
    return out


def bias_of_folds(samples: int, distance: float = 2.5, signals: int = 5000) -> list[dict]:
    eps = np.array([1e-2, 3e-3, 1e-3])
    truth = norm.sf(norm.isf(eps) - distance) / np.sqrt(eps)
    out = []
    for backgrounds in (6_500, 13_000, 26_000):
        for folds in (1, 5):
            values = []
            for seed in range(samples):
                rng = np.random.default_rng(seed)
                background = np.full((backgrounds, folds), np.nan)
                background[np.arange(backgrounds), np.arange(backgrounds) % folds] = rng.normal(size=backgrounds)
                signal = np.tile(rng.normal(distance, 1, signals)[:, None], (1, folds))
                values.append(sic(Ranking.of(signal, background), eps) / truth - 1)
            row = {"mean_%": np.round(100 * np.mean(values, 0), 1).tolist(), "std_%": np.round(100 * np.std(values, 0), 1).tolist()}
            out.append({"backgrounds": backgrounds, "folds": folds, "eps": eps.tolist(), **row})
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("lhco", type=Path)
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--samples", type=int, default=300)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    command = " ".join(["python", "benchmarks/classifiers.py", *(Path(a).name if a == str(args.lhco) else a for a in sys.argv[1:])])
    result = {
        "command": command,
        "eps": EPS,
        "seeds": args.seeds,
        "members": members(read_lhco(args.lhco), args.seeds),
        "samples": args.samples,
        "bias of folds": bias_of_folds(args.samples),
        "machine": machine(),
    }
    write_json(args.out, result)


if __name__ == "__main__":
    main()
