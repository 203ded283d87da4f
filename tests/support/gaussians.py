"""Events with a normal distribution that moves with m, and its density."""

from __future__ import annotations

import math

import numpy as np

from adtoolkit.types import Sample


def toy(n=12_000, seed=0):
    """x ~ N(m - 3.5, 0.5^2) and N(0, 1), m falling exponentially from 2 to 6."""
    rng = np.random.default_rng(seed)
    m = 2 - np.log(1 - rng.uniform(0, 1 - np.exp(-4), n))
    x = np.column_stack([m - 3.5 + 0.5 * rng.standard_normal(n), rng.standard_normal(n)])
    return Sample(x.astype("f"), m.astype("f"))


def toy_log_prob(x, m):
    """[N] log p(x | m)."""
    return -0.5 * ((x[:, 0] - m + 3.5) / 0.5) ** 2 - 0.5 * x[:, 1] ** 2 - math.log(0.5) - math.log(2 * math.pi)
