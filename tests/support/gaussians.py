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


def check_draws_follow_the_density(model, n=4000):
    """Means and squares of draws at one mass are those of the density, by weighing events of the toy; and that is normalised."""
    m = np.full(n, 3.5, "f")
    cond, noise = m[:, None], np.random.default_rng(4).standard_normal((n, 2))
    truth = (noise * [0.5, 1]).astype("f")
    weight = np.exp(model.log_prob(truth, cond).astype(np.float64) - toy_log_prob(truth, m))
    drawn = model.sample(cond, np.random.default_rng(5)).astype(np.float64)

    assert abs(weight.mean() - 1) < 4 * weight.std() / n**0.5
    for power in (1, 2):
        own, expected = drawn**power, (weight / weight.mean())[:, None] * truth.astype(np.float64) ** power
        error = np.sqrt((own.var(0) + expected.var(0)) / n)
        assert (np.abs(own.mean(0) - expected.mean(0)) < 4 * error).all()
        assert (error < 0.06 * own.std(0)).all()
