"""What the benchmarks of SIGMA share: the events, and how a template is judged. Nothing here is part of the package.

The judging is deliberately plain and the same for every method: a two-fold two-sample test against the true background of
the window, and a classifier of data against template, cross-fitted in five folds, five members each.
"""

from __future__ import annotations

import json
import os
import resource
import time
from dataclasses import dataclass, replace
from pathlib import Path

import h5py
import hdf5plugin  # noqa: F401 - registers the filters of the official files
import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score

from adtoolkit.preprocess import Preprocess
from adtoolkit.types import Sample

COLUMNS = ["pxj1", "pyj1", "pzj1", "mj1", "tau1j1", "tau2j1", "tau3j1", "pxj2", "pyj2", "pzj2", "mj2", "tau1j2", "tau2j2", "tau3j2"]
FEATURES = ("m_J1", "delta_m", "tau21_J1", "tau21_J2", "delta_R")
EFFICIENCIES = (1e-1, 3e-2, 1e-2, 3e-3, 1e-3)


class Clock:
    """Seconds on the wall and of the processor (all threads) since its making."""

    def __init__(self) -> None:
        self.wall, self.cpu = time.perf_counter(), time.process_time()

    def read(self) -> dict[str, float]:
        return {"wall_s": round(time.perf_counter() - self.wall, 2), "cpu_s": round(time.process_time() - self.cpu, 2)}


def dijet_features(c: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Columns of the official layout (GeV) -> m_jj in TeV [N], the five features [N, 5]; jet 1 is the lighter."""
    p = {i: np.stack([c[f"p{k}j{i}"] for k in "xyz"]).astype(np.float64) for i in (1, 2)}
    energy = sum(np.sqrt((p[i] ** 2).sum(0) + c[f"mj{i}"].astype(np.float64) ** 2) for i in (1, 2))
    mjj = np.sqrt(energy**2 - ((p[1] + p[2]) ** 2).sum(0)) / 1e3
    swap = c["mj1"] > c["mj2"]
    order = lambda a, b: (np.where(swap, b, a), np.where(swap, a, b))  # noqa: E731
    light, heavy = order(c["mj1"], c["mj2"])
    tau_light, tau_heavy = order(c["tau2j1"] / (c["tau1j1"] + 1e-5), c["tau2j2"] / (c["tau1j2"] + 1e-5))
    eta = {i: np.arcsinh(p[i][2] / np.hypot(p[i][0], p[i][1])) for i in (1, 2)}
    dphi = np.abs(np.arctan2(p[1][1], p[1][0]) - np.arctan2(p[2][1], p[2][0]))
    dphi = np.minimum(dphi, 2 * np.pi - dphi)
    x = np.stack([light / 1e3, (heavy - light) / 1e3, tau_light, tau_heavy, np.hypot(eta[1] - eta[2], dphi)], 1)
    return mjj, x


def read_lhco(path: Path) -> Sample:
    """The official feature file (pandas-fixed HDF5) as a sample with truth; events without defined ratios are dropped."""
    with h5py.File(path) as f:
        values, names = f["df/block0_values"][:], [s.decode() for s in f["df/block0_items"][:]]
    c = {name: values[:, i] for i, name in enumerate(names)}
    return _clean(*dijet_features(c), c["label"])


def _clean(m: np.ndarray, x: np.ndarray, truth: np.ndarray) -> Sample:
    ok = np.isfinite(x).all(1) & (x[:, 2] > 0) & (x[:, 3] > 0)
    return Sample(x[ok].astype(np.float32), m[ok].astype(np.float32), truth=truth[ok].astype(np.int8))


@dataclass(frozen=True)
class Search:
    """One search: blinded training events (preprocessed), and what the templates are judged by (physical units).

    ``window``: data in the window with truth; ``background``: known background of the window; ``signal``: signal in the
    window that was not injected; ``held_out``: whether ``background`` is disjoint from the data.
    """

    train: Sample
    val: Sample
    preprocess: Preprocess
    window: Sample
    background: np.ndarray
    signal: np.ndarray
    held_out: bool


def make_search(data: Sample, left: Sample, lo: float, hi: float, seed: int, features: int, held_out: Sample | None = None) -> Search:
    """``data`` with truth, signal ``left`` over, and a held-out background where there is one."""
    cut = lambda s: replace(s, x=s.x[:, :features])  # noqa: E731
    data, left = cut(data), cut(left)
    data = data[np.random.default_rng(seed).permutation(len(data))]
    preprocess = Preprocess.fit(data)
    ready = preprocess.apply(data.blind())
    n_val = len(data) // 20
    inside = lambda s: s[(s.m > lo) & (s.m < hi)]  # noqa: E731
    window = inside(data)
    true = inside(cut(held_out)).x if held_out is not None else window.x[window.truth == 0]
    return Search(ready[n_val:], ready[:n_val], preprocess, window, true, inside(left).x, held_out is not None)


def closure_auc(template: np.ndarray, background: np.ndarray, rng: np.random.Generator) -> float:
    """Two-fold two-sample AUC of equally many events: 0.5 for a perfect template."""
    n = min(len(template), len(background))
    x = np.concatenate([template[:n], background[:n]])
    y = np.repeat([1, 0], n)
    order = rng.permutation(2 * n)
    score = np.zeros(2 * n)
    for train, test in ((order[:n], order[n:]), (order[n:], order[:n])):
        trees = HistGradientBoostingClassifier(max_iter=100, random_state=0).fit(x[train], y[train])
        score[test] = trees.predict_proba(x[test])[:, 1]
    return float(roc_auc_score(y, score))


def significance(search: Search, template: np.ndarray, rng: np.random.Generator, folds: int = 5, members: int = 5) -> dict[str, float]:
    """SIC = eps_S / sqrt(eps_B) of data against template, at fixed eps_B.

    Background efficiencies come from the held-out background (mean of the folds) where there is one, else from the
    window's own background, each event scored by the fold that has not seen it.
    """
    data, truth = search.window.x, search.window.truth
    own, signal, other = np.zeros(len(data)), np.zeros(len(search.signal)), np.zeros(len(search.background))
    fold, fold_t = rng.integers(0, folds, len(data)), rng.integers(0, folds, len(template))
    for q in range(folds):
        x = np.concatenate([data[fold != q], template[fold_t != q]])
        y = np.repeat([1, 0], [(fold != q).sum(), (fold_t != q).sum()])
        weight = np.where(y == 1, 1 / y.sum(), 1 / (1 - y).sum()) * len(y) / 2
        for k in range(members):
            trees = HistGradientBoostingClassifier(
                max_iter=200, max_bins=127, validation_fraction=0.5, early_stopping=True, n_iter_no_change=10, random_state=100 * q + k
            ).fit(x, y, sample_weight=weight)
            own[fold == q] += trees.predict_proba(data[fold == q])[:, 1] / members
            signal += trees.predict_proba(search.signal)[:, 1] / members / folds
            if search.held_out:
                other += trees.predict_proba(search.background)[:, 1] / members / folds
    null = np.sort(other if search.held_out else own[truth == 0])[::-1]
    return {f"sic@{e:g}": round(float((signal > null[int(e * len(null))]).mean() / np.sqrt(e)), 3) for e in EFFICIENCIES}


def judge(search: Search, z: np.ndarray, rng: np.random.Generator, members: int = 5) -> dict[str, float]:
    """Closure and SIC of a template [N, D] in preprocessed space."""
    template = search.preprocess.inverse(z)
    out = {"closure": round(closure_auc(template, search.background, rng), 4)}
    if members:
        out |= significance(search, template, rng, members=members)
    return out


def summary(rows: list[dict[str, float]]) -> dict[str, list[float]]:
    """Median and 16 to 84 % band of each number."""
    keys = [k for k in rows[0] if k == "closure" or k.startswith("sic@")]
    return {k: [round(float(v), 4) for v in np.percentile([r[k] for r in rows], [50, 16, 84])] for k in keys}


def write_json(path: Path, content: object) -> None:
    """Atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(content, indent=1) + "\n")
    part.replace(path)


def machine() -> dict[str, object]:
    """What the times were measured on, and how busy it was."""
    import torch

    return {
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "cpu": torch.backends.cpu.get_cpu_capability(),
        "load": round(os.getloadavg()[0], 2),
        "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }
