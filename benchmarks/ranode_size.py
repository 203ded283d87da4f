"""Is the significance of R-ANODE right where there is no signal? Toys of pure background whose density is exact, fully retrained.

    python benchmarks/ranode_size.py --out benchmarks/results/ranode_size.json

Each toy is a fresh draw of `toy-bump` background in the window; R-ANODE is trained on four of five folds and scores the fifth. The
same test on the events that a model was trained on is shown beside it. Resumable: toys that the result file holds are not repeated.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
from common import Clock, machine, write_json

from adtoolkit.background import Background
from adtoolkit.context import RunContext
from adtoolkit.data import toy_bump
from adtoolkit.interfaces import ScorerData
from adtoolkit.mass import Tabulated
from adtoolkit.metrics.likelihood_ratio import log_e_value, p_of_q0, profile
from adtoolkit.testing.worlds import ToyModel
from adtoolkit.types import Sample, Window
from adtoolkit_ranode.config import RAnodeConfig
from adtoolkit_ranode.scorer import RAnode

WINDOW = Window(3.3, 3.7)
FOLDS = 5
LEVELS = (0.1, 0.05, 0.01)
#: A small network and few epochs, so that hundreds of toys take minutes.
OPTIONS = {"layers": 2, "hidden": 16, "batch": 128, "members": 2, "epochs": 15, "best_epochs": 3, "lr": 3e-3, "guard": 0.0}


def exact_background() -> Background:
    """The toy's own density, its masses tabulated finely."""
    edges = np.linspace(WINDOW.lo, WINDOW.hi, 401)
    return Background(ToyModel(), Tabulated.of(edges, np.exp(toy_bump.log_prob_mass_background((edges[1:] + edges[:-1]) / 2))))


def events_of(background: Background, n: int, n_signal: int, rng: np.random.Generator) -> Sample:
    """n events of the window, ``n_signal`` of them signal, in random order."""
    events = background.sample(n - n_signal, rng)
    if n_signal:
        m = np.clip(rng.normal(toy_bump.CENTRE, toy_bump.WIDTH, n_signal), 3.301, 3.699)
        events = Sample.concat(events, Sample(toy_bump.sample_signal(m, rng, n_features=2), m))
    return events[rng.permutation(n)]


def one(toy: int, n: int, n_signal: int, config: RAnodeConfig) -> dict:
    background = exact_background()
    events = events_of(background, n, n_signal, np.random.default_rng(toy))
    fold, log_r, w, seen = np.arange(n) % FOLDS, np.zeros(n), {}, None
    for k in range(FOLDS):
        with tempfile.TemporaryDirectory() as folder:
            ctx = RunContext(seed=toy, scope=(f"fold{k}",), workdir=Path(folder))
            fitted = RAnode(config).fit(ScorerData(events[fold != k], events[:0], range=WINDOW), background, ctx)
        log_r[fold == k], w[k] = fitted.score(events[fold == k]), fitted.summary()["w"]
        seen = profile(fitted.score(events[fold != k])) if seen is None else seen
    found = profile(log_r)
    return {
        "toy": toy,
        "w": round(found.w, 6),
        "q0": round(found.q0, 5),
        "log_e": round(log_e_value(log_r, fold, w), 5),
        "w of the training events": round(seen.w, 6),
        "q0 of the training events": round(seen.q0, 5),
    }


def collect(toys: list[dict]) -> dict:
    """Shares of toys below each level, and what e-values do."""
    p, same = (np.array([p_of_q0(toy[key]) for toy in toys]) for key in ("q0", "q0 of the training events"))
    log_e = np.array([toy["log_e"] for toy in toys])
    n = len(toys)
    return {
        "toys": n,
        "cross-fitted": {f"{level:g}": [float((p < level).mean()), float(np.sqrt(level * (1 - level) / n))] for level in LEVELS},
        "on the training events": {f"{level:g}": float((same < level).mean()) for level in LEVELS},
        "e-values above 20": float((log_e > np.log(20)).mean()),
        "mean e-value": float(np.exp(log_e).mean()),
        "q0 is zero": float((np.array([toy["q0"] for toy in toys]) == 0).mean()),
        "median w": float(np.median([toy["w"] for toy in toys])),
        "mean w": float(np.mean([toy["w"] for toy in toys])),
        "median w of the training events": float(np.median([toy["w of the training events"] for toy in toys])),
        "power at 0.05": float((p < 0.05).mean()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--toys", type=int, default=200, help="without signal")
    parser.add_argument("--with-signal", type=int, default=40, help="toys with signal, for the power")
    parser.add_argument("--events", type=int, default=1000)
    parser.add_argument("--share", type=float, default=0.02, help="signal fraction of the toys with signal")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    config = RAnodeConfig(**OPTIONS)
    settings = {"events": args.events, "share": args.share, "config": config.model_dump(mode="json")}
    command = f"python benchmarks/{Path(sys.argv[0]).name} --toys {args.toys} --out benchmarks/results/{args.out.name}"
    result = {"command": command, "settings": settings, "machine": machine(), "null": [], "signal": [], "cpu_s": 0.0}
    if args.out.exists():
        before = json.loads(args.out.read_text())
        result = before if before["settings"] == settings else result
    for kind, toys, n_signal, first in (("null", args.toys, 0, 0), ("signal", args.with_signal, round(args.share * args.events), 10**6)):
        for toy in range(first + len(result[kind]), first + toys):
            clock = Clock()
            result[kind].append(one(toy, args.events, n_signal, config))
            result["cpu_s"] = round(result["cpu_s"] + clock.read()["cpu_s"], 2)
            if len(result[kind]) % 10 == 0 or len(result[kind]) == toys:
                result["summary"] = {name: collect(result[name]) for name in ("null", "signal") if result[name]}
                write_json(args.out, result)
    print(json.dumps(result["summary"], indent=1))


if __name__ == "__main__":
    main()
