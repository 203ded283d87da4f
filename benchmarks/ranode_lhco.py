"""R-ANODE on LHC Olympics events: what is known of the signal fraction, kinds of flow, the guard of the tails.

    python benchmarks/ranode_lhco.py lhco_rnd_v1_100k.features.h5 --out benchmarks/results/ranode_lhco.json

Window 3.3 to 3.7 TeV, four features (without delta R), all background and some injected signal. The background density is that of
SIGMA, trained once per sample and evaluated once per event; then every case trains on four of five folds and scores the fifth.
Background efficiencies from the window's own background, cross-fitted, with a threshold per fold; signal that was not injected.
Resumable: cases that the result file holds are not repeated, and densities are kept in a folder.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
from common import WINDOW, Clock, machine, search_lhco, write_json

from adtoolkit.background import Background
from adtoolkit.context import RunContext
from adtoolkit.densities import Densities
from adtoolkit.interfaces import ScorerData
from adtoolkit.mass import MassConfig, fit_mass
from adtoolkit.metrics.likelihood_ratio import log_e_value, profile
from adtoolkit.metrics.selection import threshold
from adtoolkit.types import Sample
from adtoolkit_ranode.config import RAnodeConfig
from adtoolkit_ranode.scorer import RAnode
from adtoolkit_sigma.config import ContextConfig, SigmaConfig
from adtoolkit_sigma.estimator import Sigma
from adtoolkit_sigma.interpolator import ContextInterpolator

FOLDS, EFFICIENCIES = 5, (1e-1, 1e-2, 1e-3)
#: Options of each case, and for each seed the samples that it is tried on, by their injected signal; 0 is the sample of 500 without it.
#: Annealing, epochs, best epochs, the learned fraction and the guard were chosen by looking at seed 0; seed 1 played no part in that.
CASES: dict[str, tuple[dict, dict[int, tuple[int, ...]]]] = {
    "default: w learned": ({}, {0: (500, 300, 0), 1: (300,)}),
    "without annealing": ({"anneal": 0.0}, {0: (300,), 1: (300,)}),
    "w = 0.01": ({"mode": "fixed", "w": 0.01}, {0: (300,)}),
    "without the guard": ({"guard": 0.0}, {0: (300,)}),
    "autoregressive, 2 layers": ({"flow": "autoregressive", "layers": 2}, {0: (300,)}),
    "scan of w": ({"mode": "scan"}, {0: (300,)}),
}


def densities(file: Path, n_signal: int, seed: int, steps: int, folder: Path) -> dict[str, np.ndarray]:
    """Events of the window and signal that was not injected, preprocessed, with SIGMA's log p(x | m)."""
    path = folder / f"lhco_{n_signal}_{seed}.npz"
    if not path.exists():
        search = search_lhco(file, n_signal, seed, features=4)
        with tempfile.TemporaryDirectory() as work:
            ctx = RunContext(seed=seed, scope=("sigma",), workdir=Path(work))
            model = Sigma(SigmaConfig(steps=steps)).fit(search.train, search.val, ctx)
        background = ContextInterpolator(ContextConfig()).bind(model, WINDOW, ctx)
        window, left = search.window, search.left
        lb, tlb = (background.log_prob(s.x, s.m[:, None]) for s in (window, left))
        folder.mkdir(parents=True, exist_ok=True)
        np.savez(path, x=window.x, m=window.m, lb=lb, truth=window.truth, tx=left.x, tm=left.m, tlb=tlb)
    with np.load(path) as stored:
        return dict(stored)


def evaluate(d: dict[str, np.ndarray], config: RAnodeConfig, seed: int, with_signal: bool) -> dict:
    """Five folds of one case; without signal, the injected events are left out."""
    keep = np.ones(len(d["m"]), bool) if with_signal else d["truth"] == 0
    events, signal, truth = Sample(d["x"][keep], d["m"][keep]), Sample(d["tx"], d["tm"]), d["truth"][keep]
    known = Densities(Sample.concat(Sample(d["x"], d["m"]), signal), np.concatenate([d["lb"], d["tlb"]]).astype(np.float32))
    background = Background(None, fit_mass(MassConfig(), events.m, WINDOW), known=known)
    fold = np.random.default_rng(seed).integers(0, FOLDS, len(events))
    log_r, w, sic, dead, trained = np.zeros(len(events)), {}, [], 0, []
    clock = Clock()
    for k in range(FOLDS):
        with tempfile.TemporaryDirectory() as work:
            ctx = RunContext(seed=seed, scope=(f"fold{k}",), workdir=Path(work))
            fitted = RAnode(config).fit(ScorerData(events[fold != k], events[:0], range=WINDOW), background, ctx)
        log_r[fold == k], test = fitted.score(events[fold == k]), fitted.score(signal)
        null = log_r[(fold == k) & (truth == 0)]
        sic.append([float((test > threshold(null, eps)).mean() / np.sqrt(eps)) for eps in EFFICIENCIES])
        w[k], dead = fitted.summary()["w"], dead + fitted.summary()["dead-members"]
        trained.append(fitted.summary()["w-trained"])
    found = profile(log_r)
    return {
        "sic": {f"{eps:g}": round(float(v), 3) for eps, v in zip(EFFICIENCIES, np.mean(sic, 0), strict=True)},
        "w": [round(v, 5) for v in (found.w, found.lo, found.hi)],
        "true w": round(float(truth.mean()), 5),
        "w in training": round(float(np.mean(trained)), 5),
        "q0": round(found.q0, 2),
        "log10 e": round(log_e_value(log_r, fold, w) / np.log(10), 2),
        "dead members": int(dead),
        **clock.read(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--steps", type=int, default=4000, help="of SIGMA's training")
    parser.add_argument("--densities", type=Path, default=Path(tempfile.gettempdir()) / "ranode-densities")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    settings = {"steps": args.steps, "config": RAnodeConfig().model_dump(mode="json")}
    command = f"python benchmarks/{Path(sys.argv[0]).name} {args.file.name} --out benchmarks/results/{args.out.name}"
    result = {"command": command, "settings": settings, "machine": machine(), "runs": []}
    if args.out.exists():
        before = json.loads(args.out.read_text())
        result = before if before["settings"] == settings else result
    for case, (options, samples) in CASES.items():
        for seed, signals in samples.items():
            for n_signal in signals:
                key = {"case": case, "signal": n_signal, "seed": seed}
                if not any(key.items() <= run.items() for run in result["runs"]):
                    d = densities(args.file, n_signal or 500, seed, args.steps, args.densities)
                    result["runs"].append({**key, **evaluate(d, RAnodeConfig(**options), seed, n_signal > 0)})
                    print(result["runs"][-1], flush=True)
                    write_json(args.out, result)


if __name__ == "__main__":
    main()
