"""What a scan of 20 windows costs: one training for all of them (SIGMA), or one per window (the masked model).

    python benchmarks/window_scan.py --out benchmarks/results/window_scan.json

The dijets that come with the package, windows of 0.4 TeV, one process, one thread. Every training is cut to ``--steps``
steps, and to a sixth of that, which gives the time of a step; totals are that time for the default number of steps. The masked models
are trained one after another and as one stack, with the default network and with a small one. Templates are drawn
from models that have seen these few steps only: a solver with fixed steps, and a flow, take the same time whatever the
weights. Nothing here judges the templates.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import Clock, machine, write_json

from adtoolkit.context import RunContext
from adtoolkit.data.config import DijetsConfig
from adtoolkit.data.dijets import Dijets
from adtoolkit.folds import train_val
from adtoolkit.interfaces import FitTask
from adtoolkit.interpolators.config import DisplacementConfig, LinearConfig
from adtoolkit.interpolators.displacement import Displacement
from adtoolkit.interpolators.linear import Linear
from adtoolkit.nn.cfm_fit import fit_cfm
from adtoolkit.preprocess import Preprocess
from adtoolkit.types import Sample, Window
from adtoolkit_cathode.config import CathodeFlowConfig
from adtoolkit_cathode.estimator import CathodeFlow
from adtoolkit_masked_cfm.config import MaskedCfmConfig
from adtoolkit_sigma.config import ContextConfig, SigmaConfig
from adtoolkit_sigma.interpolator import ContextInterpolator

WIDTH, FIRST, STEP = 0.4, 2.6, 0.1
SMALL = {"hidden": 32, "blocks": 2, "batch": 512}


def windows(n: int) -> list[Window]:
    """Lower ends from 2.6 TeV on, every 0.1 TeV."""
    return [Window(round(FIRST + STEP * i, 6), round(FIRST + STEP * i + WIDTH, 6)) for i in range(n)]


def tasks(events: Sample, found: list[Window], folder: Path) -> list[FitTask]:
    """The sidebands of each window."""
    out = []
    for window in found:
        ctx = RunContext(scope=("estimator", "masked-cfm"), workdir=folder / window.label)
        out.append(FitTask(*train_val(events[~window.contains(events.m)], ctx.rng("validation")), ctx))
    return out


def timed(work: Callable[[], Any]) -> tuple[Any, dict[str, float]]:
    clock = Clock()
    return work(), clock.read()


def trainings(events: Sample, found: list[Window], steps: int, options: dict[str, Any], folder: Path) -> dict[str, Any]:
    """CPU milliseconds per step of one SIGMA training, and per step and window of masked ones, one by one and as a stack.

    Each is trained for few and for ``steps`` steps: the slope is the time of a step, the rest what a training costs besides.
    """
    few = max(steps // 6, 1)

    def fit(config: type[SigmaConfig | MaskedCfmConfig], n: int, most: int) -> Any:
        chosen = config(steps=n, **options)
        place = folder / f"{config.__name__}-{n}-{most}"
        if config is SigmaConfig:
            ctx = RunContext(scope=("estimator", "sigma"), workdir=place)
            return fit_cfm(chosen, [FitTask(*train_val(events, ctx.rng("validation")), ctx)])
        return fit_cfm(chosen, tasks(events, found, place), most=most)

    rows: dict[str, Any] = {"options": options, "steps": [few, steps], "batch": MaskedCfmConfig(**options).batch}
    for name, config, most in (
        ("sigma", SigmaConfig, 1),
        ("masked, one by one", MaskedCfmConfig, 1),
        ("masked, one stack", MaskedCfmConfig, len(found)),
    ):
        _, short = timed(lambda config=config, most=most: fit(config, few, most))
        models, long = timed(lambda config=config, most=most: fit(config, steps, most))
        slope = (long["cpu_s"] - short["cpu_s"]) / (steps - few)
        besides, full = max(short["cpu_s"] - few * slope, 0.0), config().steps
        rows[name] = {
            "trainings": len(models),
            "measured": [short, long],
            "ms_per_step": round(1e3 * slope / len(models), 2),
            "besides_s": round(besides, 2),
            "default_steps": full,
            "cpu_s_at_default_steps": round(besides + slope * full),
        }
        print(name, rows[name], flush=True)
        rows["parameters"] = sum(p.numel() for p in models[0].network.parameters())
    return rows


def templates(events: Sample, window: Window, n: int, folder: Path) -> dict[str, Any]:
    """Events per second of CPU of each way to a template, default networks."""
    ctx = RunContext(workdir=folder / "templates")
    side = events[~window.contains(events.m)]
    (sigma,) = fit_cfm(SigmaConfig(steps=5), [FitTask(events, events[:0], ctx)])
    (masked,) = fit_cfm(MaskedCfmConfig(steps=5), [FitTask(side, side[:0], ctx)])
    flow = CathodeFlow(CathodeFlowConfig(steps=5, epochs=0)).fit(side, side[:500], ctx)
    bound = {
        "sigma, context": ContextInterpolator(ContextConfig()).bind(sigma, window, ctx),
        "sigma, linear": Linear(LinearConfig()).bind(sigma, window, ctx),
        "sigma, displacement": Displacement(DisplacementConfig()).bind(sigma, window, ctx),
        "masked-cfm, direct": masked,
        "cathode, direct": flow,
    }
    cond = np.random.default_rng(0).uniform(window.lo, window.hi, (n, 1)).astype(np.float32)
    out = {}
    for name, model in bound.items():
        model.sample(cond[:500], np.random.default_rng(0))
        _, times = timed(lambda model=model: model.sample(cond, np.random.default_rng(0)))
        out[name] = {"events": n, **times, "events_per_cpu_s": round(n / times["cpu_s"])}
        print(name, out[name], flush=True)
    return out


def scan(training: dict[str, Any], drawn: dict[str, Any], n_windows: int, n_events: int) -> dict[str, Any]:
    """CPU minutes of the whole scan at the default steps: measured rates, multiplied."""
    rows = {}
    for name, kind, way in (
        ("sigma, context", "sigma", "sigma, context"),
        ("masked-cfm, one by one", "masked, one by one", "masked-cfm, direct"),
        ("masked-cfm, one stack", "masked, one stack", "masked-cfm, direct"),
    ):
        fit, draw = training[kind]["cpu_s_at_default_steps"], n_windows * n_events / drawn[way]["events_per_cpu_s"]
        rows[name] = {"training_min": round(fit / 60, 1), "templates_min": round(draw / 60, 1), "total_min": round((fit + draw) / 60, 1)}
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--windows", type=int, default=20)
    parser.add_argument("--steps", type=int, default=120, help="steps of each training with the default network, and with the small one")
    parser.add_argument("--template", type=int, default=20_000, help="template events per way; also assumed per window of the scan")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    torch.set_num_threads(1)
    data = Dijets(DijetsConfig()).load(RunContext()).events.blind()
    events = Preprocess.fit(data).apply(data)
    found = windows(args.windows)
    result: dict[str, Any] = {
        "command": f"python benchmarks/{Path(sys.argv[0]).name} {' '.join(sys.argv[1:])}",
        "machine": machine(),
        "events": len(events),
        "windows": [[w.lo, w.hi] for w in found],
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fit_cfm(MaskedCfmConfig(steps=3), tasks(events, found[:1], folder / "warm"))  # imports, first use of every kernel
        result["default network"] = trainings(events, found, args.steps, {}, folder / "default")
        result["small network"] = trainings(events, found, args.steps, SMALL, folder / "small")
        result["templates"] = templates(events, Window(3.3, 3.7), args.template, folder)
    result["scan"] = scan(result["default network"], result["templates"], len(found), args.template)
    write_json(args.out, result)
    print(json.dumps(result["scan"], indent=1))


if __name__ == "__main__":
    main()
