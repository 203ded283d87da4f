"""What a training step of R-ANODE costs per member: our stack against the published network in nflows, one after the other.

    python benchmarks/ranode_speed.py --out benchmarks/results/ranode_speed.json

All in one process, one thread, side by side: batches of 256 events in five dimensions, forward, backward and optimiser step.
The published network (arXiv:2312.11629, reference code): six masked autoregressive rational-quadratic spline layers with
permutations, 64 wide, two blocks, 8 bins, BatchNorm and dropout, AdamW; built here from nflows' own parts.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from common import machine, write_json
from nflows.distributions.normal import StandardNormal
from nflows.flows.base import Flow
from nflows.transforms.autoregressive import MaskedPiecewiseRationalQuadraticAutoregressiveTransform
from nflows.transforms.base import CompositeTransform
from nflows.transforms.permutations import RandomPermutation

from adtoolkit.nn.stacked import StackedAdamW
from adtoolkit_ranode.flow import StackedFlow
from adtoolkit_ranode.mixture import log_mixture

DIMENSIONS, BATCH = 5, 256
LOGIT = float(np.log(0.005 / 0.995))


def published() -> Flow:
    """The signal flow of the reference code."""
    layers = []
    for _ in range(6):
        layers.append(
            MaskedPiecewiseRationalQuadraticAutoregressiveTransform(
                DIMENSIONS,
                64,
                num_bins=8,
                tails="linear",
                tail_bound=8.0,
                num_blocks=2,
                use_residual_blocks=False,
                random_mask=True,
                activation=torch.nn.functional.leaky_relu,
                dropout_probability=0.2,
                use_batch_norm=True,
                min_bin_width=1e-6,
                min_bin_height=1e-6,
                min_derivative=1e-6,
            )
        )
        layers.append(RandomPermutation(DIMENSIONS))
    return Flow(CompositeTransform(layers), StandardNormal([DIMENSIONS]))


def sequential(batch: int) -> tuple[Callable[[], None], int, int]:
    """A step of one member in nflows, its members, its parameters."""
    flow = published()
    optimiser = torch.optim.AdamW(flow.parameters(), lr=3e-4)
    z, background = torch.randn(batch, DIMENSIONS), torch.full((batch,), -7.0)

    def step() -> None:
        optimiser.zero_grad()
        (-log_mixture(flow.log_prob(z), background, torch.tensor(LOGIT)).mean()).backward()
        torch.nn.utils.clip_grad_norm_(flow.parameters(), 1.0)
        optimiser.step()

    return step, 1, sum(p.numel() for p in flow.parameters())


def stacked(batch: int, members: int, kind: str, layers: int, depth: int, hidden: int = 64) -> tuple[Callable[[], None], int, int]:
    """A step of all members of our stack."""
    flow = StackedFlow(DIMENSIONS, kind, layers, hidden, depth)
    generator = torch.Generator().manual_seed(0)
    optimiser = StackedAdamW(torch.stack([flow.start(generator) for _ in range(members)]), 3e-4, 1e-2, 1.0)
    z, background = torch.randn(members, DIMENSIONS, batch), torch.full((members, batch), -7.0)

    def step() -> None:
        rows = optimiser.rows.detach().requires_grad_()
        loss = -log_mixture(flow.log_prob(rows, z), background, torch.tensor(LOGIT)).mean(1).sum()
        optimiser.step(torch.autograd.grad(loss, rows)[0])

    return step, members, flow.size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="each case is timed once per round, so that a busy moment hits one round")
    parser.add_argument("--steps", type=int, default=5, help="per round")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    cases = {
        "nflows, published network, one member": sequential(BATCH),
        "nflows, published network, one member, batches of 2048": sequential(2048),
        "stack of 20, autoregressive, 6 layers": stacked(BATCH, 20, "autoregressive", 6, 3),
        "stack of 1, autoregressive, 6 layers": stacked(BATCH, 1, "autoregressive", 6, 3),
        "stack of 20, coupling, 6 layers": stacked(BATCH, 20, "coupling", 6, 2),
        "stack of 20, coupling, 4 layers (default)": stacked(BATCH, 20, "coupling", 4, 2),
        "stack of 5, coupling, 4 layers (default)": stacked(BATCH, 5, "coupling", 4, 2),
        "stack of 1, coupling, 4 layers": stacked(BATCH, 1, "coupling", 4, 2),
    }
    taken: dict[str, list[float]] = {name: [] for name in cases}
    for step, _, _ in cases.values():
        step()
    for _ in range(args.rounds):
        for name, (step, members, _) in cases.items():
            started = time.process_time()
            for _ in range(args.steps):
                step()
            taken[name].append((time.process_time() - started) / args.steps / members * 1e3)
    reference = float(np.median(taken["nflows, published network, one member"]))
    rows = {
        name: {
            "ms_per_step_and_member": round(float(np.median(taken[name])), 3),
            "range": [round(min(taken[name]), 3), round(max(taken[name]), 3)],
            "times_faster": round(reference / float(np.median(taken[name])), 2),
            "parameters": parameters,
        }
        for name, (_, _, parameters) in cases.items()
    }
    command = f"python benchmarks/{Path(sys.argv[0]).name} {' '.join(sys.argv[1:])}"
    write_json(args.out, {"command": command, "batch": BATCH, "dimensions": DIMENSIONS, "machine": machine(), "cases": rows})
    print(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
