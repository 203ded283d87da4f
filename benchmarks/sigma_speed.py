"""How fast SIGMA trains and draws, against the published architecture and an adaptive solver, in one process.

    python benchmarks/sigma_speed.py lhco_rnd_v1_100k.features.h5 --out benchmarks/results/sigma_speed.json

Rates of training are those of a short run of the toolkit's own loop. Then the default model is trained for good, because an
adaptive solver's cost depends on the field, and serves templates for 1, 5 and 20 windows. On a GPU (``--device cuda``)
``--compile`` turns the step into few kernels, and matrix products use TF32; the phases of the mass embedding, up to hundreds
of radians, are computed in float32 everywhere.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from common import Clock, machine, search_lhco, write_json

from adtoolkit.context import RunContext
from adtoolkit.interpolators.anchors import Anchors
from adtoolkit.nn import chunk_size, ode, to_tensor, torch_device
from adtoolkit.nn.cfm import FlowMatchingLoss
from adtoolkit.nn.cfm_fit import has_fast_bfloat16, octaves
from adtoolkit.nn.cfm_model import CfmModel
from adtoolkit.nn.training import TrainingPlan, train
from adtoolkit.nn.velocity import build
from adtoolkit.types import Sample
from adtoolkit_sigma.config import SigmaConfig
from adtoolkit_sigma.estimator import Sigma
from adtoolkit_sigma.model import Blend


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def training_rate(config: SigmaConfig, device: torch.device, data: Sample, steps: int, compiled: bool) -> dict:
    """Events per second of the toolkit's own loop, after as many steps to warm up."""
    lo, hi = float(data.m.min()), float(data.m.max())
    network = build(config.network(data.x.shape[1], octaves(data.m)), ((lo + hi) / 2, hi - lo)).to(device)
    network.mixed = config.precision == "bfloat16" or (config.precision == "auto" and has_fast_bfloat16(device))
    loss = FlowMatchingLoss(config.sigma_min)
    fast = torch.compile(network) if compiled else network
    plan = TrainingPlan(steps=steps, batch=config.batch, lr=config.lr, ema=config.ema, validate_every=0, checkpoint_seconds=0)
    batch, _, _ = plan.size(len(data))
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(2):  # the first warms up
            wait(device)
            clock = Clock()
            train(
                network,
                lambda model, *rest: loss(fast, *rest),  # noqa: ARG005 - the compiled one shares its weights
                data,
                data[:0],
                plan,
                RunContext(device=device.type, workdir=Path(folder)),
            )
            wait(device)
            times = clock.read()
    parameters = sum(p.numel() for p in network.parameters())
    return {"parameters": parameters, "batch": batch, "steps": steps, **times, "events_per_s": round(steps * batch / times["wall_s"])}


def template_rate(model: CfmModel, n: int, solver: ode.Solver, steps: int, chunk: int, device: torch.device) -> dict:
    """Template events per second of the context interpolation in the window 3.3 to 3.7."""
    blend = Blend(model, Anchors(3.2, 3.8))
    rng = np.random.default_rng(0)
    noise = to_tensor(rng.standard_normal((n, 5), dtype=np.float32), device)
    cond = to_tensor(rng.uniform(3.3, 3.7, (n, 1)), device)
    calls = 0

    def counted(t: torch.Tensor, x: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
        nonlocal calls
        calls += 1
        return blend.velocity(t, x, c)

    ode.push(blend.velocity, noise[:chunk], cond[:chunk], solver="midpoint", steps=2)
    wait(device)
    clock = Clock()
    out = ode.push(counted, noise, cond, solver=solver, steps=steps, chunk=chunk)
    wait(device)
    times = clock.read()
    chunks = -(-n // chunk)
    return {
        "events": n,
        **times,
        "events_per_s": round(n / times["wall_s"]),
        "evaluations": round(calls / chunks),
        "mean": float(out.mean()),
    }


def windows_cost(model: CfmModel, n: int, counts: tuple[int, ...]) -> dict:
    """Seconds for templates of ``n`` events in each of several windows, all from one training."""
    out = {}
    for count in counts:
        clock = Clock()
        for i in range(count):
            lo = 3.0 + 0.1 * i
            rng = np.random.default_rng(i)
            Blend(model, Anchors(lo - 0.1, lo + 0.5)).sample(rng.uniform(lo, lo + 0.4, (n, 1)).astype(np.float32), rng)
        out[str(count)] = clock.read()
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--compile", action="store_true", help="torch.compile the training step of the rates")
    parser.add_argument("--steps", type=int, default=100, help="timed training steps")
    parser.add_argument("--template", type=int, default=40_000, help="template events per window")
    parser.add_argument("--adaptive", type=int, default=10_000, help="template events of the adaptive solver, as one chunk")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    device = torch_device(args.device)
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high")
    ours, paper = SigmaConfig(), SigmaConfig.preset("paper")
    data = search_lhco(args.file, 500, 0)
    words = [Path(a).name if a == str(args.file) else a for a in sys.argv[1:]]
    result: dict = {"command": f"python benchmarks/{Path(sys.argv[0]).name} {' '.join(words)}", "device": args.device, "machine": machine()}
    if device.type == "cuda":
        result["gpu"] = torch.cuda.get_device_name(device)
    result["training"] = {
        "default": training_rate(ours, device, data.train, args.steps, args.compile),
        "default in float32": training_rate(ours.model_copy(update={"precision": "float32"}), device, data.train, args.steps, args.compile),
        "reference architecture": training_rate(paper, device, data.train, max(args.steps // 4, 5), False),
    }
    with tempfile.TemporaryDirectory() as folder:
        clock = Clock()
        model = Sigma(ours).fit(data.train, data.val, RunContext(scope=("sigma",), device=device.type, workdir=Path(folder)))
        wait(device)
        result["one training"] = clock.read()
    result["template"] = {
        "midpoint": template_rate(model, args.template, ours.solver, ours.solver_steps, chunk_size(device), device),
        "dopri5 1e-6/1e-5": template_rate(model, args.adaptive, "dopri5", 0, args.adaptive, device),
    }
    result["windows from one training"] = windows_cost(model, args.template, (1, 5, 20))
    write_json(args.out, result)
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
