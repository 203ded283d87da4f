"""No signal, no discovery: what each method finds in data that hold none, over many seeds.

    python benchmarks/no_signal.py --data toy-bump --seeds 20 --out benchmarks/results/no_signal_toy.json
    python benchmarks/no_signal.py --data toy-bump --methods sigma-8octaves --seeds 3 --out benchmarks/results/no_signal_8octaves.json
    python benchmarks/no_signal.py --data dijets --files qcd.h5 wprime.h5 --seeds 20 --out benchmarks/results/no_signal_dijets.json

Every seed draws its own background, trains each method on it and asks two questions.

1. Cut and count. Behind a cut at a background efficiency eps, how many events pass, and how many are expected? Three answers:
   ``template``: cuts set fold by fold on the held-out template, statistical errors alone, as the metric `excess` has it.
   ``corrected``: `excess-z-corrected`, which allows for the template's bias as searches in the control regions beside the window show it
   (``control-bias``). ``delta`` is the true bias: how many more events of known background, in neither data nor template, pass than
   should.
   ``known``: cuts set on that background itself. If the errors are right, Z has mean 0 and spread 1 over the seeds. A mean of
   ``template`` beyond 0 is a template that differs from the background; a spread of ``known`` beyond 1 is what folds that share
   training events add.
2. A signal nobody trained on. Truth-labelled signal, none of it in the data, is scored too. A method that learns from the data alone
   knows nothing of it, so whatever its SIC is here, it is no evidence of sensitivity: it is the level above which an SIC measured
   with injected signal says that the method found that signal. Blind guessing gives sqrt(eps), and ``likelihood`` says what rarity
   alone would give.

Seeds of a file share its events: of n taken out of N, a share n / N is common to two seeds, and all are judged by what is left over.
Resumable: what the result file holds is not repeated. Two processes share the work if one begins with another seed in a file of its own:
`--start 10 --out other.json`, and then `--merge other.json` into the first.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from common import WINDOW, machine, write_json

from adtoolkit.metrics.excess import significance
from adtoolkit.metrics.ranking import power
from adtoolkit.metrics.selection import threshold
from adtoolkit.registry import default_registry
from adtoolkit.resolving import plan_of, resolve_config
from adtoolkit.runner import Run
from adtoolkit.store import Store

CUTS = (1e-1, 1e-2, 1e-3)
#: Name -> estimator, scorer and their options; what is not said is the default.
METHODS: dict[str, dict[str, dict[str, Any]]] = {
    "random": {"estimator": {"name": "none"}, "scorer": {"name": "random"}},
    "idealised": {"estimator": {"name": "none"}, "scorer": {"name": "idealised"}},
    "cwola": {"estimator": {"name": "none"}, "scorer": {"name": "cwola"}},
    "rad-ot": {"estimator": {"name": "rad-ot"}},
    "cathode": {"estimator": {"name": "cathode"}},
    "likelihood": {"estimator": {"name": "cathode"}, "scorer": {"name": "likelihood"}},
    "anode": {"estimator": {"name": "cathode"}, "scorer": {"name": "anode"}, "template": {"control": 1.0}},
    "r-anode": {"estimator": {"name": "cathode"}, "scorer": {"name": "r-anode"}, "template": {"control": 1.0}},
    "masked-cfm": {"estimator": {"name": "masked-cfm"}},
    "sigma": {"estimator": {"name": "sigma"}},
    "sigma-linear": {"estimator": {"name": "sigma"}, "interpolator": {"name": "linear"}},
    "sigma-displacement": {"estimator": {"name": "sigma"}, "interpolator": {"name": "displacement"}},
}
#: What a default is judged by; run where asked for by name.
ALTERNATIVES: dict[str, dict[str, dict[str, Any]]] = {
    "sigma-8octaves": {"estimator": {"name": "sigma", "mass_frequencies": 8}},
}


def data_of(args: argparse.Namespace) -> dict[str, Any]:
    """The data without signal, and enough known background and signal to judge by."""
    if args.data == "toy-bump":
        sizes = {"n_background": args.background, "n_reference": args.background, "n_test": 2 * args.background}
        return {"name": "toy-bump", "n_signal": 0, **sizes}
    sizes = {"n_background": args.background, "n_reference": args.reference}
    return {"name": "dijets", "path": args.files, "signal": args.signal_files, "n_signal": 0, **sizes}


def run_once(method: str, seed: int, args: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    """One search, and what it found."""
    window = {"lo": WINDOW.lo, "hi": WINDOW.hi}
    names = ["auc", "sic", "closure", "excess"]
    tables = {"data": data_of(args), "window": window, "metrics": {"names": names}, **(METHODS | ALTERNATIVES)[method]}
    flags = {**tables, "": {"seed": seed}, "run": {"out": str(scratch / "runs"), "device": args.device}}
    config = resolve_config(default_registry(), None, flags, args.preset)
    start = time.process_time()
    run = Run(config, plan_of(config, default_registry()), default_registry(), args.device, Store(scratch / "cache"), pictures=False)
    result = run.execute()
    found = {"method": method, "seed": seed, "cpu_s": round(time.process_time() - start, 1)}
    kept = ("auc", *(f"sic@{power(eps)}" for eps in CUTS), "closure-auc")
    found |= {name: round(float(result.metrics[name]), 4) for name in kept if name in result.metrics}
    for eps in CUTS:
        for name, short in (("control-bias", "control-bias"), ("excess-z-corrected", "corrected-z")):
            if (value := result.metrics.get(f"{name}@{power(eps)}")) is not None:
                found[f"{short}@{power(eps)}"] = round(float(value), 4)
    with h5py.File(result.run / "scores.h5") as file:
        arrays = {f"{group}/{name}": file[group][name][()] for group in file for name in file[group]}
    for eps in CUTS:
        found |= {f"{name}@{power(eps)}": value for name, value in counted(arrays, eps).items()}
    return found


def counted(a: dict[str, np.ndarray], eps: float) -> dict[str, float]:
    """Counts behind a cut, and their significance against template and known background, as the head of this file explains."""
    inside = WINDOW.contains(a["events/m"])
    score, fold = a["events/score"][inside], a["events/fold"][inside]
    known = a["test/score"][WINDOW.contains(a["test/m"]) & (a["test/truth"] == 0)]
    folds = known.shape[1]
    expected = eps * len(score)

    def observed(levels: list[float]) -> int:
        return int(sum((score[fold == k] > level).sum() for k, level in enumerate(levels)))

    levels = [threshold(known[:, k], eps) for k in range(folds)]
    n = observed(levels)
    out = {"expected": round(expected, 2), "known-observed": n}
    out["known-z"] = round(significance(n, expected, expected / np.sqrt(eps * len(known))), 3)
    if "template/score" not in a:
        return out
    levels = [threshold(a["template/score"][a["template/fold"] == k], eps) for k in range(folds)]
    n, after = observed(levels), eps * len(a["template/score"])
    passed = np.mean([(known[:, k] > level).mean() for k, level in enumerate(levels)])
    delta = float(passed / eps - 1)
    out |= {"observed": n, "delta": round(delta, 4), "excess": round(n / expected - 1, 4)}
    out["template-z"] = round(significance(n, expected, expected / np.sqrt(after)), 3)
    return out


def summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Per method: mean over seeds, its standard error, spread; for Z and SIC also how often they are large."""
    out: dict[str, Any] = {}
    rarity = {run["seed"]: run for run in runs if run["method"] == "likelihood"}
    for method in dict.fromkeys(run["method"] for run in runs):
        own = [run for run in runs if run["method"] == method]
        row: dict[str, Any] = {"seeds": len(own), "cpu_s": round(float(np.median([run["cpu_s"] for run in own])), 1)}
        for name in dict.fromkeys(name for run in own for name in run if name not in ("method", "seed", "cpu_s")):
            values = np.array([run[name] for run in own if name in run])
            spread = float(values.std(ddof=1)) if len(values) > 1 else None
            row[name] = {"mean": round(float(values.mean()), 4), "largest": round(float(values.max()), 4)}
            if spread is not None:
                row[name] |= {"spread": round(spread, 4), "error": round(spread / np.sqrt(len(values)), 4)}
            if "-z@" in name:
                row[name]["above 2"] = int((values > 2).sum())
            if name.startswith("sic@"):
                row[name]["above 1"] = int((values > 1).sum())
                both = [(run[name], rarity[run["seed"]][name]) for run in own if name in run and name in rarity.get(run["seed"], {})]
                row[name]["above likelihood"] = int(sum(mine > rare for mine, rare in both))
        out[method] = row
    return out


def whole(arguments: list[str]) -> list[str]:
    """The arguments without those that share the work between processes."""
    kept, shared = [], False
    for argument in arguments:
        if argument.startswith("--"):
            shared = argument in ("--start", "--merge")
        if not shared:
            kept.append(argument)
    return kept


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", choices=["toy-bump", "dijets"], default="toy-bump")
    parser.add_argument("--files", nargs="*", default=[], help="files of dijets; those without labels are background")
    parser.add_argument("--signal-files", nargs="*", default=[], help="files of signal without labels")
    parser.add_argument("--background", type=int, default=40_000, help="events of the data")
    parser.add_argument("--reference", type=int, default=300_000, help="background for `idealised`, of a file")
    parser.add_argument("--methods", nargs="+", choices=[*METHODS, *ALTERNATIVES], default=list(METHODS))
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--start", type=int, default=0, help="the first of the seeds")
    parser.add_argument("--merge", type=Path, nargs="*", default=[], help="other result files, whose runs are taken over")
    parser.add_argument("--preset", default=None)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args(arguments)
    command = " ".join(["python benchmarks/no_signal.py", *whole(arguments or sys.argv[1:])])
    result = json.loads(args.out.read_text()) if args.out.exists() else {"runs": []}
    for name in ("command", "machine", "summary"):
        result.pop(name, None)
    asked = {"data": args.data, "background": args.background, "preset": args.preset}
    if result.setdefault("asked", asked) != asked:
        parser.error(f"{args.out} holds another study: {result['asked']}")

    def hold(tables: dict[str, Any], where: Path) -> None:
        """One definition of a method in one file."""
        if changed := [name for name, table in tables.items() if table != (METHODS | ALTERNATIVES).get(name)]:
            parser.error(f"{where} holds other definitions of {', '.join(changed)}.")

    hold(result.get("methods", {}), args.out)

    def keep() -> None:
        there = {run["method"] for run in result["runs"]}
        result["methods"] = {name: table for name, table in (METHODS | ALTERNATIVES).items() if name in there}
        result["runs"].sort(key=lambda run: (run["seed"], [*METHODS, *ALTERNATIVES].index(run["method"])))
        write_json(args.out, {"command": command, "machine": machine(), **result, "summary": summary(result["runs"])})

    done = {(run["method"], run["seed"]) for run in result["runs"]}
    for path in args.merge:
        other = json.loads(path.read_text())
        if other["asked"] != asked:
            parser.error(f"{path} holds another study: {other['asked']}")
        hold(other.get("methods", {}), path)
        result["runs"] += [run for run in other["runs"] if (run["method"], run["seed"]) not in done]
        done |= {(run["method"], run["seed"]) for run in other["runs"]}
        keep()
    for seed in range(args.start, args.seeds):
        missing = [method for method in args.methods if (method, seed) not in done]
        if not missing:
            continue
        with tempfile.TemporaryDirectory() as scratch:  # methods of a seed share their trainings
            for method in missing:
                result["runs"].append(run_once(method, seed, args, Path(scratch)))
                print(result["runs"][-1], flush=True)
                keep()


if __name__ == "__main__":
    main()
