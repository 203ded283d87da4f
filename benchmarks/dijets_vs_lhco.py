"""How well simulated dijets can be told from those of the LHC Olympics: two-sample AUC, and speed of the simulation.

    python benchmarks/dijets_vs_lhco.py lhco_rnd_v1_100k.features.h5 --out benchmarks/results/dijets_vs_lhco.json

Background in 3.3 to 3.7 TeV, both jets with |phi| < 2.4 (beyond, the stored tau's of that file are wrong); all masses for m_jj.
The AUC is of boosted trees, 5 folds, classes balanced, mean and standard deviation over repetitions of the folds.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold

from adtoolkit.data.config import DIJET_FEATURES
from adtoolkit.data.kinematics import JET_COLUMNS, dijet_features, dijet_mass
from adtoolkit.data.readers import read_columns

WINDOW = (3.3, 3.7)


def load(path: Path, truth: int) -> dict[str, np.ndarray]:
    """Columns of the events of one class; files without labels are of one class."""
    table = read_columns(path, choose=lambda known: [*JET_COLUMNS, *({"label"} & set(known))])
    columns = {name: np.asarray(column, np.float64) for name, column in table.items()}
    keep = columns.pop("label", np.full(len(columns["mj1"]), truth)) == truth
    keep &= (columns["tau1j1"] > 0) & (columns["tau1j2"] > 0)
    return {name: column[keep] for name, column in columns.items()}


def auc(first: np.ndarray, second: np.ndarray, repetitions: int) -> list[float]:
    """Mean and standard deviation."""
    x = np.concatenate([first, second])
    y = np.repeat([0, 1], [len(first), len(second)])
    weight = np.where(y == 1, len(first) / len(second), 1.0)
    values = []
    for seed in range(repetitions):
        score = np.zeros(len(y))
        for train, held in StratifiedKFold(5, shuffle=True, random_state=seed).split(x, y):
            trees = HistGradientBoostingClassifier(
                max_iter=60, learning_rate=0.06, max_leaf_nodes=12, min_samples_leaf=60, l2_regularization=1.0
            )
            score[held] = trees.fit(x[train], y[train], sample_weight=weight[train]).predict_proba(x[held])[:, 1]
        values.append(roc_auc_score(y, score))
    return [round(float(np.mean(values)), 4), round(float(np.std(values)), 4)]


def compare(simulated: Path, lhco: Path, truth: int, repetitions: int) -> dict[str, object]:
    """All numbers of one file."""
    sides = [load(simulated, truth), load(lhco, truth)]
    masses = [dijet_mass(jets) for jets in sides]
    chosen = []
    for jets, m in zip(sides, masses, strict=True):
        features = dijet_features(jets, DIJET_FEATURES)
        clean = np.all([np.abs(np.arctan2(jets[f"pyj{j}"], jets[f"pxj{j}"])) < 2.4 for j in (1, 2)], axis=0)
        chosen.append(np.column_stack([features[name] for name in DIJET_FEATURES])[clean & (m > WINDOW[0]) & (m < WINDOW[1])])
    without = [i for i, name in enumerate(DIJET_FEATURES) if not name.startswith("tau")]
    return {
        "events": [len(m) for m in masses],
        "events compared": [len(x) for x in chosen],
        "share in the window": [round(float(((m > WINDOW[0]) & (m < WINDOW[1])).mean()), 4) for m in masses],
        "auc, five features": auc(*chosen, repetitions),
        "auc, without tau's": auc(*(x[:, without] for x in chosen), repetitions),
        "auc, m_jj of all masses": auc(masses[0][:90_000, None], masses[1][:, None], 1),
    }


def speed(events: int) -> dict[str, float]:
    """Accepted events per second of one process's CPU time, a chunk of each process."""
    from adtoolkit.simulate import DijetSettings
    from adtoolkit.simulate.chunk import simulate_chunk

    out = {}
    for process in ("qcd", "wprime"):
        started = time.process_time()
        simulate_chunk(DijetSettings(process=process), 1, 0, events)
        out[process] = round(events / (time.process_time() - started), 1)
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("lhco", type=Path)
    parser.add_argument("--sample", type=Path, default=Path(__file__).parents[1] / "adtoolkit" / "data" / "samples" / "dijets.h5")
    parser.add_argument("--others", type=Path, nargs="*", default=[], help="further files of simulated background to compare with")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--speed", type=int, default=2000, help="events to simulate for the speed; 0: none")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    result: dict[str, object] = {
        "command": " ".join(["python", "benchmarks/dijets_vs_lhco.py", *(Path(a).name if Path(a).exists() else a for a in sys.argv[1:])]),
        "background": compare(args.sample, args.lhco, 0, args.repetitions),
        "signal": {"share in the window": compare(args.sample, args.lhco, 1, 1)["share in the window"]},
    }
    for other in args.others:
        result[other.name] = compare(other, args.lhco, 0, args.repetitions)
    if args.speed:
        result["accepted events per second of CPU, one process"] = speed(args.speed)
    args.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
