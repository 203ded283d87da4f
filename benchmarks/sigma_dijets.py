"""SIGMA on simulated dijets: 200,000 QCD events with 630 injected W' (S/sqrt(B) = 3.4), judged on another 160,000.

    python benchmarks/sigma_dijets.py dijets_pythia_qcd.npz dijets_pythia_w2.npz --methods context linear v-data

Each seed draws its own data, test background and signal. Resumable like ``sigma_lhco.py``.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from sigma_common import make_search, read_dijets
from sigma_lhco import WINDOW, evaluate, options, resumable

from adtoolkit.types import Sample
from adtoolkit_sigma.config import SigmaConfig


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("qcd", type=Path)
    parser.add_argument("signal", type=Path)
    parser.add_argument("--n-data", type=int, default=200_000)
    parser.add_argument("--n-test", type=int, default=160_000)
    parser.add_argument("--n-signal", type=int, default=630)
    options(parser)
    args = parser.parse_args()
    config = SigmaConfig.preset(args.preset, **dict(pair.split("=", 1) for pair in args.set))
    qcd, w = read_dijets(args.qcd, 0), read_dijets(args.signal, 1)

    def run(seed: int) -> dict:
        rng = np.random.default_rng(seed)
        order, signal = rng.permutation(len(qcd)), rng.permutation(len(w))
        data = Sample.concat(qcd[order[: args.n_data]], w[signal[: args.n_signal]])
        test = qcd[order[args.n_data : args.n_data + args.n_test]]
        search = make_search(data, w[signal[args.n_signal :]], WINDOW.lo, WINDOW.hi, seed, args.features, test)
        return evaluate(search, config, seed, args)

    result = resumable(args, {"n_data": args.n_data, "n_test": args.n_test, "n_signal": args.n_signal}, config, run)
    print(json.dumps(result["summary"], indent=1))


if __name__ == "__main__":
    main()
