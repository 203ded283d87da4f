"""The mixture of signal and background: coordinates without leaks, likelihoods without overflow, a guarded background."""

from __future__ import annotations

from dataclasses import dataclass
from math import lgamma

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import logsigmoid

from adtoolkit.background import Background
from adtoolkit.densities import possible
from adtoolkit.types import Array, Sample, Window

Floats = NDArray[np.float64]

#: Spread of the logit of a uniform number: the mass coordinate of an even spectrum has about the spread of the features.
_SPREAD = np.pi / np.sqrt(3)
#: Degrees of freedom of the guard.
_NU = 2.0


@dataclass(frozen=True)
class Box:
    """Coordinates (m, x) -> R^(1+D) in which a density cannot leak out of the window: m becomes a logit.

    The reference leaves m a plain number, so that p_sig has support outside the window, where p_data has none.

    Attributes:
        window: Where the density lives.
    """

    window: Window

    def forward(self, events: Sample) -> tuple[Array, Floats]:
        """Events in the window -> coordinates [1+D, N] and log |d coordinates / d(m, x)| [N]."""
        # float32 rounding at the ends is kept out of the logarithm
        u = np.clip((events.m.astype(np.float64) - self.window.lo) / self.window.width, 1e-9, 1 - 1e-9)
        y = (np.log(u) - np.log1p(-u)) / _SPREAD
        slope = -np.log(u) - np.log1p(-u) - np.log(self.window.width * _SPREAD)
        return np.concatenate([y[None].astype(np.float32), events.x.T]), slope

    def inverse(self, z: Array) -> Sample:
        """[1+D, N] -> events, strictly inside the window."""
        u = 1 / (1 + np.exp(-np.clip(z[0].astype(np.float64) * _SPREAD, -40, 40)))
        m = (self.window.lo + self.window.width * u).astype(np.float32)
        lo, hi = np.nextafter(np.asarray([self.window.lo, self.window.hi], np.float32), np.asarray([np.inf, -np.inf], np.float32))
        return Sample(np.ascontiguousarray(z[1:].T), np.clip(m, lo, hi))


def log_background(background: Background, events: Sample, guard: float) -> Floats:
    """[N] log of p_bg(x | m) p_bg(m), with a share ``guard`` of a broad density of x in it; -inf where the model gives none.

    In tails that hold one event in thousands a model's density may be too small by orders of magnitude, and nothing is as
    signal-like as an event that the background cannot make. The guard bounds that from below. Where the model gives no density it
    does not help: nothing is known there.
    """
    mass = background.log_prob_mass(events).astype(np.float64)
    density = background.log_prob(events).astype(np.float64)
    there = possible(density)
    if guard:
        norm = lgamma((_NU + 1) / 2) - lgamma(_NU / 2) - 0.5 * np.log(_NU * np.pi)
        broad = (norm - (_NU + 1) / 2 * np.log1p(events.x.astype(np.float64) ** 2 / _NU)).sum(1)
        density[there] = np.logaddexp(np.log1p(-guard) + density[there], np.log(guard) + broad[there])
    return np.where(there, density + mass, -np.inf)


def log_mixture(signal: Tensor, background: Tensor, logit: Tensor) -> Tensor:
    """log(w p_sig + (1-w) p_bg) of log densities, with w = sigmoid(logit); no density is ever exponentiated."""
    return torch.logaddexp(logsigmoid(logit) + signal, logsigmoid(-logit) + background)


def responsibility(signal: Tensor, background: Tensor, logit: Tensor) -> Tensor:
    """w p_sig / (w p_sig + (1-w) p_bg): how likely an event is signal."""
    return torch.sigmoid(logit + signal - background)
