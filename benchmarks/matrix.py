"""Keeps what the cells of a large bench found as one small file, and adds to it what later parts of the bench find.

The bench itself is `adtool bench benchmarks/matrix_lhco.toml` (or `matrix_dijets.toml`); it may take hours, stop and go on.

python benchmarks/matrix.py bench/matrix_lhco --file benchmarks/matrix_lhco.toml --out benchmarks/results/matrix_lhco.json
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import torch

#: Numbers that are kept of each cell.
KEPT = (
    *("auc", "sic@1e-1", "sic@1e-2", "sic@1e-3", "max-sic", "closure-auc", "sculpting-chi2"),
    *(
        f"{name}@{eps}"
        for eps in ("1e-1", "1e-2", "1e-3")
        for name in ("observed", "expected", "excess-z", "control-bias", "excess-z-corrected")
    ),
    *("signal-fraction", "q0@exact-background", "e-log10@exact-background"),
)
ORDER = ("supervised", "idealised", "random", "cwola", "masked-cfm", "cathode", "sigma+context", "sigma", "rad-ot")


def method(axes: dict[str, Any]) -> str:
    """What the table calls a cell: its parts, and the options that tell it from others of the same parts."""
    parts = [axes["estimator"], axes["interpolator"], axes["scorer"]] if axes["interpolator"] else [axes["scorer"]]
    options = [f"{key.partition('.')[2]}={value}" for key, value in axes.items() if key.startswith(("estimator.", "scorer.", "template."))]
    return " ".join(["+".join(parts), *options])


def cost(stages: dict[str, Any]) -> dict[str, float]:
    """CPU seconds of what led to a cell, whether it was made then or before."""
    spent: dict[str, float] = {}
    for path, stage in stages.items():
        kind = path.partition("/")[0]
        spent[kind] = round(spent.get(kind, 0.0) + stage["cpu"], 1)
    return spent


def cell(bench: Path, entry: dict[str, Any]) -> dict[str, Any]:
    """One line of the file."""
    manifest, metrics = (json.loads((bench / entry["run"] / f"{name}.json").read_text()) for name in ("manifest", "metrics"))
    counts = manifest["events"]
    return {
        "method": method(entry["axes"]),
        "n_signal": entry["axes"].get("data.n_signal"),
        "seed": entry["seed"],
        "signal": counts.get("signal in window"),
        "events": counts["data in window"],
        "metrics": {name: metrics[name] for name in KEPT if name in metrics},
        "cpu_s": cost(manifest["stages"]),
        "cpu": torch.backends.cpu.get_cpu_capability(),
    }


def main() -> None:
    """Read a bench folder and merge it into the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bench", type=Path, help="folder of the bench")
    parser.add_argument("--file", required=True, help="its matrix file")
    parser.add_argument("--out", type=Path, required=True, help="JSON to write, or to add to")
    args = parser.parse_args()
    listed = json.loads((args.bench / "bench.json").read_text())
    runs = [cell(args.bench, entry) for entry in listed["cells"] if entry["status"] == "done"]
    found = {(run["method"], run["n_signal"], run["seed"]): run for run in runs}
    failed = [{"cell": c["cell"], "seed": c["seed"], "error": c["error"]} for c in listed["cells"] if c["status"] == "failed"]
    if args.out.exists():
        before = json.loads(args.out.read_text())["runs"]
        found = {(run["method"], run["n_signal"], run["seed"]): run for run in before} | found
    ordered = sorted(found.values(), key=lambda run: (run["n_signal"], rank(run["method"]), run["method"], run["seed"]))
    lines = ",\n  ".join(json.dumps(run) for run in ordered)
    about = {"command": f"adtool bench {args.file}", "failed": failed}
    args.out.write_text(f'{json.dumps(about)[:-1]}, "runs": [\n  {lines}\n]}}\n')
    print(f"{len(ordered)} cells in {args.out}, {len(failed)} failed")


def rank(name: str) -> int:
    """Bounds first, then the methods."""
    return next((n for n, start in enumerate(ORDER) if name.startswith(start)), len(ORDER))


if __name__ == "__main__":
    main()
