"""The toy's densities are densities, its draws follow them, and its score is the best there is."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from adtoolkit.context import RunContext
from adtoolkit.data import toy_bump as toy
from adtoolkit.data.config import ToyBumpConfig


def test_mass_densities_integrate_to_one():
    m = np.linspace(*toy.RANGE, 20_001)

    assert np.trapezoid(np.exp(toy.log_prob_mass_background(m)), m) == pytest.approx(1, abs=1e-6)
    assert np.trapezoid(np.exp(toy.log_prob_mass_signal(m)), m) == pytest.approx(1, abs=1e-6)
    assert toy.log_prob_mass_background([2.0, 6.0]).tolist() == [-np.inf, -np.inf]


@pytest.mark.parametrize("edge", [False, True])
@pytest.mark.parametrize("log_prob", [toy.log_prob_background, toy.log_prob_signal])
@pytest.mark.parametrize("m", [2.6, 3.5, 4.9])
def test_feature_densities_integrate_to_one_at_every_mass(log_prob, edge, m):
    a = np.linspace(-8, 10, 401)
    b = np.linspace(0, 2, 1_001) if edge else a
    grid = np.stack(np.meshgrid(a, b, indexing="ij"), axis=-1).reshape(-1, 2)
    density = np.exp(log_prob(grid, np.full(len(grid), m), edge=edge)).reshape(len(a), len(b))

    assert np.trapezoid(np.trapezoid(density, b, axis=1), a) == pytest.approx(1, abs=4e-3)


@pytest.mark.parametrize("edge", [False, True])
@pytest.mark.parametrize("kind", ["background", "signal"])
def test_draws_follow_the_density(kind, edge):
    """E[f] from draws equals the integral of f times the density, per feature, at one mass."""
    rng = np.random.default_rng(0)
    n, m = 40_000, 4.2
    sample, log_prob = (
        (toy.sample_background, toy.log_prob_background) if kind == "background" else (toy.sample_signal, toy.log_prob_signal)
    )
    x = sample(np.full(n, m), rng, n_features=2, edge=edge)
    grid = np.linspace(1e-9, 2, 4_001) if edge else np.linspace(-8, 10, 4_001)
    other = np.full_like(grid, x[0, 0])
    log_p = log_prob(np.column_stack([other, grid]), np.full(len(grid), m), edge=edge)
    density = np.exp(log_p - log_p.max())
    cdf = np.concatenate([[0], np.cumsum((density[1:] + density[:-1]) / 2)])

    assert stats.kstest(x[:, 1], lambda v: np.interp(v, grid, cdf / cdf[-1])).pvalue > 1e-3
    assert np.isfinite(log_prob(x, np.full(n, m), edge=edge)).all()


def test_masses_follow_their_densities():
    rng = np.random.default_rng(1)
    grid = np.linspace(*toy.RANGE, 10_001)
    cdf = np.cumsum(np.exp(toy.log_prob_mass_background(grid)))
    m = toy.sample_mass_background(20_000, rng)

    assert stats.kstest(m, lambda v: np.interp(v, grid, cdf / cdf[-1])).pvalue > 1e-3
    assert stats.kstest(toy.sample_mass_signal(20_000, rng), stats.norm(toy.CENTRE, toy.WIDTH).cdf).pvalue > 1e-3


@pytest.mark.parametrize("edge", [False, True])
def test_no_other_score_beats_the_optimal_one(edge):
    rng = np.random.default_rng(2)
    m = rng.uniform(3.3, 3.7, 20_000)
    x = np.concatenate([toy.sample_background(m, rng, edge=edge), toy.sample_signal(m, rng, edge=edge)])
    truth, m = np.repeat([0, 1], len(m)), np.tile(m, 2)
    best = np.nan_to_num(toy.optimal_score(x, m, edge=edge), neginf=-1e9)
    others = [x[:, 0], x[:, 1], -x[:, 2] if edge else x[:, 2], x[:, :2].sum(axis=1), -toy.log_prob_background(x, m, edge=edge)]

    assert roc_auc_score(truth, best) > 0.9
    assert all(roc_auc_score(truth, best) > roc_auc_score(truth, other) + 0.005 for other in others)


def test_the_source_gives_what_was_asked_for():
    config = ToyBumpConfig(n_signal=50, n_background=1_000, n_reference=300, n_test=200, n_features=4)
    data = toy.ToyBump(config).load(RunContext(seed=5))
    again = toy.ToyBump(config.model_copy(update={"n_signal": 80})).load(RunContext(seed=5))

    assert [len(data.events), int(data.events.truth.sum()), len(data.test), len(data.reference)] == [1_050, 50, 400, 300]
    assert data.features == ("x0", "x1", "x2", "x3")
    assert sorted(data.events.m[data.events.truth == 0]) == sorted(again.events.m[again.events.truth == 0])
    assert data.digest == toy.ToyBump(config).load(RunContext(seed=5)).digest
    assert toy.ToyBump(ToyBumpConfig(n_reference=0)).load(RunContext()).reference is None
