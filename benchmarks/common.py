"""What the benchmarks share: a clock, files of results, LHC Olympics events, a plain two-sample test."""

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
from adtoolkit.types import Sample, Window

COLUMNS = ["pxj1", "pyj1", "pzj1", "mj1", "tau1j1", "tau2j1", "tau3j1", "pxj2", "pyj2", "pzj2", "mj2", "tau1j2", "tau2j2", "tau3j2"]
FEATURES = ("m_J1", "delta_m", "tau21_J1", "tau21_J2", "delta_R")
WINDOW = Window(3.3, 3.7)


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
    """Events of one search, preprocessed: training and validation of all masses, blinded; the window's with truth, and signal left over."""

    train: Sample
    val: Sample
    window: Sample
    left: Sample

    @property
    def background(self) -> Sample:
        """The known background of the window."""
        return self.window[self.window.truth == 0].blind()


def search_lhco(path: Path, n_signal: int, seed: int, features: int = 5) -> Search:
    """All background of the official file with ``n_signal`` injected signal events, as a run would prepare them."""
    events = read_lhco(path)
    events = replace(events, x=events.x[:, :features])
    signal = np.random.default_rng(seed).permutation(np.flatnonzero(events.truth == 1))
    data = events[np.concatenate([np.flatnonzero(events.truth == 0), signal[:n_signal]])]
    data = data[np.random.default_rng(seed).permutation(len(data))]
    preprocess = Preprocess.fit(data)
    ready, n_val = preprocess.apply(data.blind()), len(data) // 20
    window, left = (preprocess.apply(part[WINDOW.contains(part.m)]) for part in (data, events[signal[n_signal:]]))
    return Search(ready[n_val:], ready[:n_val], window, left)


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
