"""Seconds of SIGMA's training step under different ways of waiting of OpenMP's threads, idle and beside busy processes.

    python benchmarks/sigma_threads.py --busy 2 --out benchmarks/results/sigma_threads.json

The runtime reads these settings once, when it is loaded: each is tried in a process of its own. Threads that spin for long
are fast alone and slow each other down beside others; threads that never spin pay for every wake-up. A short spin is both.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from common import write_json

POLICIES: dict[str, dict[str, str]] = {
    "runtime's own": {},
    "OMP_WAIT_POLICY=PASSIVE": {"OMP_WAIT_POLICY": "PASSIVE"},
    "GOMP_SPINCOUNT=1000": {"GOMP_SPINCOUNT": "1000"},
    "GOMP_SPINCOUNT=10000": {"GOMP_SPINCOUNT": "10000"},
    "GOMP_SPINCOUNT=100000": {"GOMP_SPINCOUNT": "100000"},
    "OMP_NUM_THREADS=1": {"OMP_NUM_THREADS": "1"},
}


def step_ms(steps: int, seconds: float) -> dict[str, float]:
    """Wall and processor milliseconds of a default training step, in this process."""
    import torch

    from adtoolkit.nn.cfm import FlowMatchingLoss
    from adtoolkit.nn.velocity import build
    from adtoolkit_sigma.config import SigmaConfig

    c = SigmaConfig()
    network = build(c.network(5, 8), (5.0, 6.0)).train()
    optimizer = torch.optim.AdamW(network.parameters(), c.lr, fused=True)
    loss, g = FlowMatchingLoss(), torch.Generator().manual_seed(0)
    x, m = torch.randn(c.batch, 5, generator=g), 2 + 6 * torch.rand(c.batch, 1, generator=g)
    for i in range(steps + 5):
        if i == 5:  # the first ones warm up
            begin, cpu = time.perf_counter(), time.process_time()
        optimizer.zero_grad()
        loss(network, x, m, None, g).backward()
        optimizer.step()
        if i >= 10 and time.perf_counter() - begin > seconds:
            break
    done = i - 4
    return {"wall_ms": round(1e3 * (time.perf_counter() - begin) / done, 2), "cpu_ms": round(1e3 * (time.process_time() - cpu) / done, 2)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--busy", type=int, default=0, help="busy processes to start beside it")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--repeat", type=int, default=2)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        print(json.dumps(step_ms(args.steps, 30.0)))
        return
    result: dict = {
        "command": " ".join(["python benchmarks/sigma_threads.py", *sys.argv[1:]]),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
    }
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(args.busy)]
    try:
        for name, extra in POLICIES.items():
            env = {k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "GOMP_"))} | extra
            command = [sys.executable, __file__, "--child", "--steps", str(args.steps)]
            rows = [json.loads(subprocess.run(command, env=env, check=True, capture_output=True).stdout) for _ in range(args.repeat)]
            result[name] = rows
            print(name, rows, flush=True)
    finally:
        for process in busy:
            process.kill()
    if args.out:
        write_json(args.out, result)


if __name__ == "__main__":
    main()
