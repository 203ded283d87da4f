"""SIGMA on LHC Olympics R&D events: closure and significance improvement of each interpolator, over seeds and template draws.

    python benchmarks/sigma_lhco.py lhco_rnd_v1_100k.features.h5 --seeds 0 1 2 3 4

All background, 500 injected signal events, window 3.3 to 3.7 TeV. Each seed draws its own injected signal, training and
templates. Resumable: seeds that the result file holds already are not repeated.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from sigma_common import Clock, Search, judge, machine, make_search, read_lhco, summary, write_json

from adtoolkit.config import NoOptions
from adtoolkit.context import RunContext
from adtoolkit.interpolators.config import DisplacementConfig, LinearConfig
from adtoolkit.interpolators.direct import Direct
from adtoolkit.interpolators.displacement import Displacement
from adtoolkit.interpolators.linear import Linear
from adtoolkit.types import Sample, Window
from adtoolkit_sigma.config import ContextConfig, SigmaConfig
from adtoolkit_sigma.estimator import Sigma
from adtoolkit_sigma.interpolator import ContextInterpolator

WINDOW = Window(3.3, 3.7)
INTERPOLATORS = {
    "context": lambda: ContextInterpolator(ContextConfig()),
    "linear": lambda: Linear(LinearConfig()),
    "displacement": lambda: Displacement(DisplacementConfig()),
    "v-data": lambda: Direct(NoOptions()),
}


def inject(events: Sample, n_signal: int, rng: np.random.Generator) -> tuple[Sample, Sample]:
    """All background with ``n_signal`` signal events; the rest of the signal."""
    signal = rng.permutation(np.flatnonzero(events.truth == 1))
    return events[np.concatenate([np.flatnonzero(events.truth == 0), signal[:n_signal]])], events[signal[n_signal:]]


def evaluate(search: Search, config: SigmaConfig, seed: int, args: argparse.Namespace) -> dict:
    """Train once, then draw and judge several templates with each interpolator."""
    with tempfile.TemporaryDirectory() as folder:
        ctx = RunContext(seed=seed, scope=("sigma",), workdir=Path(folder))
        clock = Clock()
        model = Sigma(config).fit(search.train, search.val, ctx)
        out = {"seed": seed, "training": clock.read(), "methods": {}}
    for method in args.methods:
        background = INTERPOLATORS[method]().bind(model, WINDOW, ctx)
        first = method == args.methods[0]
        for oversample in args.oversample if first else args.oversample[-1:]:
            rows = out["methods"].setdefault(f"{method}, {oversample}x", [])
            for k in range(args.draws if first else args.other_draws):
                rng = np.random.default_rng([seed, k])
                masses = rng.choice(search.window.m, oversample * len(search.window))
                clock = Clock()
                z = background.sample(masses[:, None], rng)
                rows.append({"draw": k, "sampling": clock.read(), **judge(search, z, rng, args.members)})
                print(seed, method, oversample, rows[-1], flush=True)
    return out


def collect(result: dict) -> dict:
    """Median and band over seeds and draws."""
    out = {}
    for method in result["runs"][0]["methods"]:
        out[method] = summary([row for run in result["runs"] for row in run["methods"][method]])
    for key in ("wall_s", "cpu_s"):
        out[f"training_{key}"] = round(float(np.median([run["training"][key] for run in result["runs"]])), 1)
    return out


def options(parser: argparse.ArgumentParser) -> None:
    """Shared with the other benchmarks of SIGMA."""
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--methods", nargs="+", default=["context", "linear", "displacement", "v-data"], choices=list(INTERPOLATORS))
    parser.add_argument("--draws", type=int, default=2, help="templates per seed, of the first method")
    parser.add_argument("--other-draws", type=int, default=1, help="templates per seed, of every other method")
    parser.add_argument(
        "--oversample",
        type=int,
        nargs="+",
        default=[3, 10],
        help="template events per data event; all for the first method, the last for others",
    )
    parser.add_argument("--members", type=int, default=5, help="classifiers per fold; 0: closure only")
    parser.add_argument("--features", type=int, default=5, help="4 leaves delta R out")
    parser.add_argument("--preset", default="default")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="options of the estimator")
    parser.add_argument("--out", type=Path, required=True)


def resumable(args: argparse.Namespace, settings: dict, config: SigmaConfig, run: Callable[[int], dict]) -> dict:
    """Run the seeds that the result file does not hold yet, and write it after each."""
    settings |= {key: getattr(args, key) for key in ("features", "draws", "other_draws", "oversample", "members", "methods")}
    command = f"python benchmarks/{Path(sys.argv[0]).name} {' '.join(Path(a).name if Path(a).exists() else a for a in sys.argv[1:])}"
    result = {"command": command, "settings": settings, "config": config.model_dump(), "machine": machine(), "runs": []}
    if args.out.exists():
        before = json.loads(args.out.read_text())
        if before["settings"] == settings and before["config"] == result["config"]:
            result = before
    for seed in args.seeds:
        if not any(done["seed"] == seed for done in result["runs"]):
            result["runs"].append(run(seed))
            result["summary"] = collect(result)
            write_json(args.out, result)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--signal", type=int, default=500)
    options(parser)
    args = parser.parse_args()
    config = SigmaConfig.preset(args.preset, **dict(pair.split("=", 1) for pair in args.set))
    events = read_lhco(args.file)

    def run(seed: int) -> dict:
        data, left = inject(events, args.signal, np.random.default_rng(seed))
        search = make_search(data, left, WINDOW.lo, WINDOW.hi, seed, args.features)
        return evaluate(search, config, seed, args)

    print(json.dumps(resumable(args, {"signal": args.signal}, config, run)["summary"], indent=1))


if __name__ == "__main__":
    main()
