"""The default flow of the estimator ``cathode`` against the published one: seconds to the same validation likelihood.

    python benchmarks/cathode_flow.py lhco_rnd_v1_100k.features.h5 --out benchmarks/results/cathode_flow.json

LHC Olympics events outside of 3.3 to 3.7 TeV, all background with 500 injected signal events; five features. Both flows are
trained in one process on one thread by the toolkit's own loop. The published one (15 affine blocks, Adam at a constant 1e-4,
batches of 256) does as many epochs as its budget of CPU time allows, and is the mixture of the ten best of them. The likelihood
of the window's background, which no training has seen, is given beside that of the validation events. Resumable: a flow that
the result file holds already, measured by the same command, is not measured again.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from common import WINDOW, Clock, machine, search_lhco, write_json

from adtoolkit.context import RunContext
from adtoolkit.events import Event
from adtoolkit.nn.mixture import FlowMixture, fit_flow
from adtoolkit.types import Sample
from adtoolkit_cathode.config import CathodeFlowConfig


def events(path: Path, seed: int, n_signal: int = 500) -> tuple[Sample, Sample, Sample]:
    """Training and validation events of the sidebands, and background of the window; preprocessed as in a run."""
    search = search_lhco(path, n_signal, seed)
    train, val = (part[~WINDOW.contains(part.m)] for part in (search.train, search.val))
    return train, val, search.background


def loss(model: FlowMixture, sample: Sample) -> float:
    """Mean negative log-likelihood."""
    return float(-model.log_prob(sample.x, sample.cond).astype(np.float64).mean())


def rates(model: FlowMixture, at: Sample, n: int = 20_000) -> dict:
    """Events per second of densities and draws; of one member, and of densities of the mixture."""
    some = at[np.random.default_rng(0).integers(0, len(at), n)]
    one = type(model)(model.members[:1])
    out = {}
    for name, call in (
        ("density", lambda: one.log_prob(some.x, some.cond)),
        ("density of the mixture", lambda: model.log_prob(some.x, some.cond)),
        ("draws", lambda: one.sample(some.cond, np.random.default_rng(0))),
    ):
        call()
        clock = Clock()
        call()
        out[name] = round(n / clock.read()["cpu_s"])
    return out


def measure(config: CathodeFlowConfig, data: tuple[Sample, Sample, Sample], seed: int) -> dict:
    """Train, with the validation likelihood after so many CPU seconds, and judge the result."""
    train, val, inside = data
    course: list[tuple[float, float]] = []

    def hear(event: Event) -> None:
        if event.kind == "step" and "val_loss" in event.values:
            course.append((clock.read()["cpu_s"], round(event.values["val_loss"], 4)))

    with tempfile.TemporaryDirectory() as folder:
        clock = Clock()
        model, report = fit_flow(config, train, val, RunContext(seed=seed, scope=("cathode_flow",), workdir=Path(folder), tell=hear))
        spent = clock.read()
    return {
        "parameters": sum(p.numel() for p in model.members[0].parameters()),
        **spent,
        "steps": report.steps,
        "epochs": report.epochs,
        "events per s": {"training": round(report.steps * min(config.batch, len(train)) / spent["cpu_s"]), **rates(model, inside)},
        "members": len(model.members),
        "validation": round(loss(model, val), 4),
        "window": round(loss(model, inside), 4),
        "course": course,
    }


def seconds_to(course: list[tuple[float, float]], level: float) -> float | None:
    """CPU seconds until the validation loss was first at most this; None if it never was."""
    return next((seconds for seconds, value in course if value <= level), None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("lhco", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--budget", type=float, default=400, help="CPU seconds for the published flow")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    torch.set_num_threads(1)
    command = " ".join(["python", "benchmarks/cathode_flow.py", *(Path(a).name if a == str(args.lhco) else a for a in sys.argv[1:])])
    held = json.loads(args.out.read_text()) if args.out.exists() else {}
    result = held if held.get("command") == command else {"command": command, "seed": args.seed, "flows": {}}
    data = events(args.lhco, args.seed)
    result |= {"machine": machine(), "events": {"training": len(data[0]), "validation": len(data[1]), "window": len(data[2])}}
    published = CathodeFlowConfig.preset("paper")
    if "published" not in result["flows"]:
        one = measure(published.model_copy(update={"epochs": 1}), data, args.seed)
        epochs = max(1, min(published.epochs, int(args.budget / one["cpu_s"])))
        result["flows"]["published"] = measure(published.model_copy(update={"epochs": epochs}), data, args.seed)
        write_json(args.out, result)
    if "default" not in result["flows"]:
        # more looks than the default takes, at the price of their time, to see when a level is reached
        result["flows"]["default"] = measure(CathodeFlowConfig(validate_every=1), data, args.seed)
    flows = result["flows"]
    best = min(value for _, value in flows["published"]["course"])
    level = max(best, min(value for _, value in flows["default"]["course"]))
    result["same likelihood"] = {"validation": level, **{name: seconds_to(flow["course"], level) for name, flow in flows.items()}}
    write_json(args.out, result)
    print(json.dumps({**result, "flows": {k: {**v, "course": len(v["course"])} for k, v in flows.items()}}, indent=1))


if __name__ == "__main__":
    main()
