"""R-ANODE on a bump in closed form, whose background density is exact."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from adtoolkit.background import Background
from adtoolkit.context import RunContext
from adtoolkit.data import toy_bump
from adtoolkit.mass import Tabulated
from adtoolkit.testing.worlds import ToyModel, toy_world
from adtoolkit.types import Window
from adtoolkit_ranode.config import RAnodeConfig
from adtoolkit_ranode.scorer import RAnode

WINDOW = Window(3.3, 3.7)
FAST: dict[str, Any] = {"layers": 2, "hidden": 32, "batch": 128, "members": 2, "epochs": 15, "best_epochs": 3, "mode": "fixed", "w": 0.05}


def exact_background():
    """The true p(x | m), and the true p(m)."""
    edges = np.linspace(WINDOW.lo, WINDOW.hi, 401)
    density = np.exp(toy_bump.log_prob_mass_background((edges[1:] + edges[:-1]) / 2))
    return Background(ToyModel(), Tabulated.of(edges, density))


def world(n_signal, seed=1):
    """The toy, and what a scorer may learn from."""
    made = toy_world(seed=seed, n=12_000, n_signal=n_signal, n_test=2000)
    return made, made.scorer_data()


def fit(data, background=None, told=None, seed=0, workdir=None, **options):
    """A fast training; notes are appended to ``told``."""
    ctx = RunContext(seed=seed, **({"tell": lambda event: told.append(event.text)} if told is not None else {}))
    ctx = ctx if workdir is None else replace(ctx, workdir=workdir)
    return RAnode(RAnodeConfig(**FAST | options)).fit(data, background or exact_background(), ctx)
