"""The path of flow matching and its loss."""

from __future__ import annotations

import pytest
import torch

from adtoolkit.nn.cfm import FlowMatchingLoss, stratified_times, weighted_mean

S = 1e-3


def draws(n=1000, d=3, dtype=torch.float64):
    g = torch.Generator().manual_seed(0)
    return torch.randn(n, d, generator=g, dtype=dtype), 2 + torch.randn(n, d, generator=g, dtype=dtype)


def test_the_path_starts_at_noise_and_ends_at_data():
    """x_0 = x0 and x_1 = x1 + sigma x0."""
    x0, x1 = draws()
    start, _ = FlowMatchingLoss(S).path(x0, x1, torch.zeros(1000, dtype=torch.float64))
    end, _ = FlowMatchingLoss(S).path(x0, x1, torch.ones(1000, dtype=torch.float64))

    torch.testing.assert_close(start, x0)
    torch.testing.assert_close(end, x1 + S * x0)


def test_the_velocity_is_the_derivative_of_the_path():
    """u = d x_t / dt = x1 - (1 - sigma) x0 at any time."""
    x0, x1 = draws()
    t = torch.rand(1000, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) * 0.99
    loss, h = FlowMatchingLoss(S), 1e-6
    _, u = loss.path(x0, x1, t)
    slope = (loss.path(x0, x1, t + h)[0] - loss.path(x0, x1, t - h)[0]) / (2 * h)

    torch.testing.assert_close(u, x1 - (1 - S) * x0)
    torch.testing.assert_close(u, slope, atol=1e-6, rtol=1e-6)


def test_times_are_uniform_and_spread_evenly():
    """No gap between neighbouring times is much wider than the mean one; the first and the second half look alike."""
    t = stratified_times(1000, torch.Generator().manual_seed(0))
    gaps = t.sort().values.diff()

    assert 0 <= t.min() < t.max() < 1
    assert gaps.max() < 3e-3
    assert t[:500].mean() == pytest.approx(0.5, abs=5e-3)


def test_times_differ_between_batches_and_are_each_uniform():
    """The random shift makes every single time uniform over batches."""
    g = torch.Generator().manual_seed(0)
    first = torch.stack([stratified_times(7, g)[3] for _ in range(2000)])

    assert first.mean() == pytest.approx(0.5, abs=0.03)
    assert first.std() == pytest.approx(12**-0.5, abs=0.02)


def test_the_true_field_of_a_gaussian_has_the_least_loss():
    """For data N(mu, s^2) the optimal field is affine; any other has a larger loss with the same draws."""
    mu, s = 1.5, 0.5
    x1 = mu + s * torch.randn(20_000, 2, generator=torch.Generator().manual_seed(0))

    def best(t, x, cond):
        b = (1 - (1 - S) * t)[:, None]
        t = t[:, None]
        gain = (t * s**2 - (1 - S) * b) / (t**2 * s**2 + b**2)  # Cov(u, x_t) / Var(x_t)
        return mu + gain * (x - t * mu)

    def loss(field):
        return FlowMatchingLoss(S)(field, x1, x1[:, :1], None, torch.Generator().manual_seed(1)).item()

    for shift, factor in ((0.1, 1.0), (0.0, 1.05), (0.0, 0.95)):
        assert loss(best) < loss(lambda t, x, c, a=shift, f=factor: a + f * best(t, x, c))


def test_the_loss_uses_its_generator_alone():
    """Same seed, same loss; the global generator is not moved."""
    x1 = draws(dtype=torch.float32)[1]
    field = lambda t, x, cond: x  # noqa: E731
    before = torch.get_rng_state()
    losses = [FlowMatchingLoss(S)(field, x1, x1[:, :1], None, torch.Generator().manual_seed(k)).item() for k in (1, 1, 2)]

    assert losses[0] == losses[1] != losses[2]
    assert torch.equal(before, torch.get_rng_state())


def test_weights_multiply_the_events_losses():
    values = torch.tensor([1.0, 3.0])

    assert weighted_mean(values, None) == 2
    assert weighted_mean(values, torch.tensor([0.0, 2.0])) == 3
