"""Flux+Mutability on photons and neutrons, or on dijets: acceptance of the reference, rejection, speed, and against other scores.

    python benchmarks/flux_bcal.py --seed 0 --out benchmarks/results/flux_bcal.json
    python benchmarks/flux_bcal.py --data dijets --seed 0 --out benchmarks/results/flux_dijets.json

Models are trained on reference events alone and judged by test events of both kinds; the supervised classifier is trained on both. The
working point q of every other score is its quantile q among a tenth of the reference that no model was trained on; that of mutability
is its p-value, ``p > 1 - q``. F1 is that of the reference. A seed (and space) that the file has already is not run again.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from common import Clock, write_json
from scipy.stats import kstest
from sklearn.ensemble import HistGradientBoostingClassifier, IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import PolynomialFeatures

from adtoolkit.background import Background
from adtoolkit.context import RunContext
from adtoolkit.folds import train_val
from adtoolkit.interfaces import ScorerData
from adtoolkit.mass import MassConfig, fit_mass
from adtoolkit.preprocess import Preprocess
from adtoolkit.registry import default_registry
from adtoolkit.types import Dataset, Sample
from adtoolkit_fluxmut.config import FluxConfig, MutabilityConfig
from adtoolkit_fluxmut.estimator import Flux
from adtoolkit_fluxmut.scorer import Mutability

POINTS = (0.9, 0.95, 0.99)
SOURCES = {
    "bcal-showers": {},
    "dijets": {"n_background": 10_000, "n_signal": 0, "n_reference": 20_000},
}
#: Test events of each kind at most, objects clustered anew, and signal events of the supervised classifier.
JUDGED, EXACT, TAUGHT = 3_000, 200, 6_000


def load(name: str, seed: int) -> Dataset:
    record = default_registry().get("data", name).component
    options = default_registry().config_class(record)(**SOURCES[name])
    return default_registry().load(record)(options).load(RunContext(seed=seed, scope=("data",)))


def samples(name: str, seed: int) -> tuple[Sample, Sample, Sample, Sample, Sample]:
    """Preprocessed: reference, data, test reference, test anomalies, further anomalies to teach a classifier."""
    data = load(name, seed)
    prep = Preprocess.fit(Sample.concat(data.events.blind(), data.reference.blind()))
    rng = np.random.default_rng(seed)
    normal, strange = (rng.permutation(np.flatnonzero(data.test.truth == kind)) for kind in (0, 1))
    parts = [data.test[normal[:JUDGED]], data.test[strange[:JUDGED]], data.test[strange[JUDGED:]][:TAUGHT]]
    if not len(parts[2]):
        more = load(name, seed + 1000).test
        parts[2] = more[more.truth == 1][:TAUGHT]
    return tuple(prep.apply(s.blind()) for s in (data.reference, data.events, *parts))


def inputs(s: Sample) -> np.ndarray:
    return np.column_stack([s.x, s.cond]).astype(np.float64)


def mahalanobis(reference: Sample, events: Sample) -> np.ndarray:
    """Distance of x from its quadratic regression on the conditions, in the covariance of the reference."""
    basis = PolynomialFeatures(2)
    mean, std = reference.cond.mean(0), reference.cond.std(0)
    a, b = (basis.fit_transform((s.cond - mean) / std) for s in (reference, events))
    slope = np.linalg.lstsq(a, reference.x.astype(np.float64), rcond=None)[0]
    inverse = np.linalg.pinv(np.cov((reference.x - a @ slope).T), hermitian=True)
    left = events.x - b @ slope
    return np.einsum("ij,jk,ik->i", left, inverse, left)


def at_points(kept: list[np.ndarray], strange: list[np.ndarray]) -> dict[str, dict[str, float]]:
    """TPR, TNR and F1 of the reference, from who is accepted at each point."""
    out = {}
    for q, a, b in zip(POINTS, kept, strange, strict=True):
        tpr, tnr = float(a.mean()), float(1 - b.mean())
        precision = tpr / (tpr + 1 - tnr)  # equal numbers of both kinds
        out[f"{q:g}"] = {"TPR": round(tpr, 4), "TNR": round(tnr, 4), "F1": round(2 * precision * tpr / (precision + tpr), 4)}
    return out


def auc(normal: np.ndarray, strange: np.ndarray) -> float:
    return round(float(roc_auc_score(np.repeat([0, 1], [len(normal), len(strange)]), np.concatenate([normal, strange]))), 4)


def grid(cond: np.ndarray, accepted: np.ndarray, bins: int = 5) -> dict:
    """Acceptance in bins of equal population of the conditions (of the one, or of both)."""
    columns = range(min(2, cond.shape[1]))
    edges = [np.quantile(cond[:, c], np.linspace(0, 1, bins + 1)) for c in columns]
    index = [np.clip(np.searchsorted(e, cond[:, c], side="right") - 1, 0, bins - 1) for c, e in zip(columns, edges, strict=True)]
    flat = index[0] if len(index) == 1 else index[0] * bins + index[1]
    size = bins ** len(index)
    counts, kept = np.bincount(flat, minlength=size), np.bincount(flat, accepted, minlength=size)
    return {"edges": [[round(float(v), 4) for v in e] for e in edges], "n": counts.tolist(), "accepted": kept.astype(int).tolist()}


def one(name: str, seed: int, space: str) -> dict:
    reference, data, normal, strange, taught = samples(name, seed)
    train, val = train_val(reference, np.random.default_rng(seed))
    judged = (normal, strange)
    with tempfile.TemporaryDirectory() as folder:
        context = RunContext(seed=seed, workdir=Path(folder))
        clock = Clock()
        model = Flux(FluxConfig(space=space)).fit(train, val, context)
        fit = clock.read()
        background = Background(model, fit_mass(MassConfig(), data.m, None))
        given = ScorerData(window=data, sideband=data[:0])
        clock = Clock()
        cached = Mutability(MutabilityConfig()).fit(given, background, context)
        tables = clock.read()
        exact = Mutability(MutabilityConfig(mode="exact")).fit(given, background, context)
    clock = Clock()
    verdicts = [cached.judge(s) for s in judged]
    judging = clock.read()
    clock = Clock()
    anew = [exact.judge(s[:EXACT]) for s in judged]
    exactly = clock.read()
    same = [v.p_value[:EXACT] for v in verdicts]
    objects = len(normal) + len(strange)

    scores = {
        "autoencoder's squared error": lambda s: ((s.x - model.reconstruct(s.x, s.cond)) ** 2).mean(1),
        "-log q of the residuals": lambda s: -model.log_prob_residuals(s.x, s.cond),
        "conditional Mahalanobis": lambda s: mahalanobis(train, s),
    }
    forest = IsolationForest(n_estimators=300, random_state=seed).fit(inputs(train))
    scores["isolation forest"] = lambda s: -forest.score_samples(inputs(s))
    x, y = np.concatenate([inputs(train), inputs(taught)]), np.repeat([0, 1], [len(train), len(taught)])
    trees = HistGradientBoostingClassifier(random_state=seed).fit(x, y)
    scores["supervised boosted trees"] = lambda s: trees.decision_function(inputs(s))
    table = {
        "mutability": {
            "AUC": auc(verdicts[0].outlier, verdicts[1].outlier),
            **at_points(*([v.accepted(q) for q in POINTS] for v in verdicts)),
        }
    }
    for title, score in scores.items():
        held, a, b = (score(s) for s in (val, *judged))
        cuts = np.quantile(held, POINTS)
        table[title] = {"AUC": auc(a, b), **at_points([a <= c for c in cuts], [b <= c for c in cuts])}
    uniform = kstest(verdicts[0].p_value[:2000], "uniform")
    return {
        "seed": seed,
        "space": space,
        "events": {"reference": len(reference), "data": len(data), "test reference": len(normal), "test anomalies": len(strange)},
        "scores": table,
        "AUC of 1 - p": auc(-verdicts[0].p_value, -verdicts[1].p_value),
        "p-values of the reference": {"objects": 2000, "KS": round(float(uniform.statistic), 4), "KS p": round(float(uniform.pvalue), 4)},
        "coverage of the model's own draws": round(cached.summary()["coverage"], 4),
        "grid": grid(normal.cond, verdicts[0].accepted(0.95)),
        "exact": {
            "objects of each kind": EXACT,
            "AUC": auc(anew[0].outlier, anew[1].outlier),
            "AUC cached, same objects": auc(verdicts[0].outlier[:EXACT], verdicts[1].outlier[:EXACT]),
            "TPR": [round(float(anew[0].accepted(q).mean()), 4) for q in POINTS],
            "median difference of p": round(float(np.median(np.abs(np.concatenate([v.p_value for v in anew]) - np.concatenate(same)))), 4),
        },
        "cpu": {
            "training_s": fit["cpu_s"],
            "populations_s": tables["cpu_s"],
            "cached_ms_per_object": round(1e3 * (tables["cpu_s"] + judging["cpu_s"]) / objects, 3),
            "added_ms_per_object": round(1e3 * judging["cpu_s"] / objects, 3),
            "exact_ms_per_object": round(1e3 * exactly["cpu_s"] / (2 * EXACT), 2),
        },
        "load": round(os.getloadavg()[0], 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", choices=list(SOURCES), default="bcal-showers")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--space", choices=["residual", "augmented"], default="residual")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    found = json.loads(args.out.read_text()) if args.out.exists() else {"data": args.data, "commands": [], "runs": []}
    if any(run["seed"] == args.seed and run["space"] == args.space for run in found["runs"]):
        print("done already")
        return
    started = time.perf_counter()
    run = one(args.data, args.seed, args.space)
    found["commands"].append(f"python {' '.join(sys.argv)}")
    found["runs"].append(run)
    write_json(args.out, found)
    print(json.dumps(run, indent=1), f"{time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
