"""A small regression to train: a straight line, its model, its loss, and somebody who listens."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn

from adtoolkit.types import Sample


def regression(model, x, cond, weight, generator):
    """Squared error of x[:, 0] as a function of the condition."""
    per_event = (model(cond)[:, 0] - x[:, 0]).square()
    return per_event.mean() if weight is None else (per_event * weight).mean()


def line(n=200, weight=None, seed=0):
    """Events on the line x = 2 m + 1, with a little noise."""
    rng = np.random.default_rng(seed)
    m = rng.uniform(-1, 1, n).astype("f")
    return Sample((2 * m + 1 + 0.01 * rng.standard_normal(n))[:, None].astype("f"), m, weight=weight)


def linear_model():
    """What fits it."""
    torch.manual_seed(0)
    return nn.Linear(1, 1)


@dataclass
class Listener:
    """Collects events; can raise after some epoch, as a kill would."""

    stop_after: int = 0
    steps: list = field(default_factory=list)
    notes: list = field(default_factory=list)

    def __call__(self, event):
        if event.kind == "note":
            self.notes.append(event.text)
        if event.kind == "step":
            self.steps.append(dict(event.values))
            if event.values["step"] == self.stop_after:
                raise KeyboardInterrupt
