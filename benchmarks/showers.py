"""How fast showers are simulated, what they look like, and which chi a plain model of photons tells from photons.

    OMP_NUM_THREADS=1 python benchmarks/showers.py --out benchmarks/results/showers.json

Rates are showers per second of one core's time, the best of three. The plain model is a Gaussian of eight numbers of a shower whose
mean is a cubic polynomial of the logarithm of its energy; the score is the distance of Mahalanobis.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

from adtoolkit_showers.bcal import simulate
from adtoolkit_showers.chi import decay, seen
from adtoolkit_showers.geometry import FINE
from adtoolkit_showers.photons import RESPONSE, Photons, shower

MASSES = (5.0, 0.5, 0.05, 0.005)
PLACES = (0.33, 0.66, 1.00, 1.04, 1.08, 1.16, 1.24, 1.32, 1.40)


def rate(make: Callable[[], int]) -> int:
    """Showers per second of processor time."""
    best = 0.0
    for _ in range(3):
        start = time.process_time()
        n = make()
        best = max(best, n / (time.process_time() - start))
    return round(best)


def chis(n: int, mass: float, place: float, rng: np.random.Generator, **options: bool) -> np.ndarray:
    """Cells of n chi of 50 GeV."""
    photons = decay(np.full(n, mass), 50.0, np.full(n, place), rng)
    return shower(photons[seen(photons)], n, rng, **options)


def rates(rng: np.random.Generator) -> dict[str, int]:
    def photons(low: float, high: float, n: int, **options: bool) -> int:
        return len(shower(Photons.along_axis(rng.uniform(low, high, n)), n, rng, **options))

    return {
        "photons of 1 to 100 GeV": rate(lambda: photons(1, 100, 4000)),
        "photons of 1 to 100 GeV as pairs": rate(lambda: photons(1, 100, 4000, pairs=True)),
        "photons of 1 GeV": rate(lambda: photons(1, 1.001, 20_000)),
        "chi of 5 GeV": rate(lambda: len(chis(2000, 5.0, 1.16, rng))),
        "photons in the barrel": rate(lambda: len(simulate(5000, rng, Counter(), signal=False))),
        "neutrons in the barrel": rate(lambda: len(simulate(5000, rng, Counter(), signal=True))),
    }


def energies(rng: np.random.Generator) -> dict[str, dict[str, object]]:
    """Per energy in GeV: response, resolution (half the central 68 %), mean shares of the layers, without and with pairs."""
    out: dict[str, dict[str, object]] = {}
    for energy in (1.0, 10.0, 50.0, 100.0):
        for pairs in (False, True):
            cells = shower(Photons.along_axis(np.full(3000, energy)), 3000, rng, pairs=pairs)
            layers = FINE.layer_energies(cells[:, :504]) / 1000
            total = layers.sum(axis=1)
            low, middle, high = np.quantile(total, [0.16, 0.5, 0.84])
            out[f"{energy:g}{' as pairs' if pairs else ''}"] = {
                "response": round(middle / energy, 4),
                "resolution": round((high - low) / 2 / middle, 4),
                "shares": np.round((layers / total[:, None]).mean(axis=0), 4).tolist(),
            }
    return out


def quantities(cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """[N, 508] -> eight numbers and the logarithm of the energy, [N]."""
    voxels = cells[:, :504].astype(np.float64)
    voxels = voxels[voxels.any(axis=1)]
    first, second, _ = FINE.split(voxels)
    layers = FINE.layer_energies(voxels)

    def variance(part: np.ndarray, axis: int) -> np.ndarray:
        weight = part.sum(axis=3 - axis) + 1e-9
        place = np.arange(weight.shape[1])
        mean = (weight * place).sum(1) / weight.sum(1)
        return np.log((weight * (place - mean[:, None]) ** 2).sum(1) / weight.sum(1) + 1e-3)

    shape = [variance(second, 1), variance(second, 2), variance(first, 2)]
    return np.column_stack([np.log(layers + 1e-2), *shape, voxels.max(1) / voxels.sum(1), (voxels > 0.01).mean(1)]), np.log(layers.sum(1))


def plain_model(rng: np.random.Generator, albedo: bool) -> dict[str, dict[str, float]]:
    """AUC per mass and place of the decay."""

    def photons(n: int) -> tuple[np.ndarray, np.ndarray]:
        return quantities(shower(Photons.along_axis(rng.uniform(1, 100, n)), n, rng, albedo=albedo))

    def design(e: np.ndarray) -> np.ndarray:
        return np.vander((e - 10) / 2, 4)

    x, e = photons(4000)
    fit = np.linalg.lstsq(design(e), x, rcond=None)[0]
    inverse = np.linalg.inv(np.cov((x - design(e) @ fit).T))

    def score(x: np.ndarray, e: np.ndarray) -> np.ndarray:
        rest = x - design(e) @ fit
        return np.einsum("ni,ij,nj->n", rest, inverse, rest)

    background = score(*photons(2000))

    def auc(mass: float, place: float) -> float:
        signal = score(*quantities(chis(300, mass, place, rng, albedo=albedo)))
        return round(roc_auc_score(np.repeat([0, 1], [len(background), len(signal)]), np.concatenate([background, signal])), 3)

    return {f"{mass:g}": {f"{place:g}": auc(mass, place) for place in PLACES} for mass in MASSES}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    early = {}
    for place in (0.33, 1.00, 1.04, 1.08, 1.16, 1.24):
        layers = FINE.layer_energies(chis(2000, 5.0, place, rng)[:, :504])
        early[f"{place:g}"] = float(f"{np.median(layers[:, 0] / layers.sum(axis=1)):.3g}")
    result = {
        "command": "OMP_NUM_THREADS=1 python benchmarks/showers.py --out benchmarks/results/showers.json",
        "seed": options.seed,
        "machine": {"numpy": np.__version__, "load": round(os.getloadavg()[0], 1)},
        "scaled_response": RESPONSE,
        "showers_per_cpu_second": rates(rng),
        "photons": energies(rng),
        "share_of_first_layer_median_chi_5_GeV": early,
        "plain_model_auc": plain_model(rng, albedo=True),
        "plain_model_auc_without_albedo": plain_model(rng, albedo=False),
    }
    options.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
