"""Solvers and densities against closed forms."""

from __future__ import annotations

import math

import pytest
import torch

from adtoolkit.errors import ConfigError, RunError
from adtoolkit.nn import ode

S = 1e-3
SCALE = torch.tensor([0.5, 2.0, 1.0], dtype=torch.float64)


def oscillator(t, y):
    """y'' = -y as a system; the flow turns by the time passed."""
    return torch.stack([y[:, 1], -y[:, 0]], 1)


def gaussian_field(t, x, cond):
    """The flow-matching field of N(m, SCALE^2): Cov(u, x_t) / Var(x_t) is known in closed form."""
    b = 1 - (1 - S) * t
    gain = (t * SCALE.to(x.dtype) ** 2 - (1 - S) * b) / (t**2 * SCALE.to(x.dtype) ** 2 + b**2)
    return cond[:, :1] + gain * (x - t * cond[:, :1])


def gaussian_log_prob(x, m):
    width = (SCALE**2 + S**2).sqrt()
    return (-0.5 * ((x - m[:, None]) / width).square() - width.log() - 0.5 * math.log(2 * math.pi)).sum(1)


def events(n=500):
    g = torch.Generator().manual_seed(0)
    m = torch.linspace(-2, 3, n, dtype=torch.float64)[:, None]
    return m + SCALE * torch.randn(n, 3, generator=g, dtype=torch.float64), m


@pytest.mark.parametrize(("solver", "order"), [("midpoint", 2), ("heun", 2), ("rk4", 4)])
def test_solvers_converge_with_their_order(solver, order):
    """Halving the step divides the error by two to the order."""
    y = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    exact = torch.tensor([[math.cos(2), -math.sin(2)]], dtype=torch.float64)
    errors = [(ode.solve(oscillator, y, 0, 2, steps=n, solver=solver) - exact).norm().item() for n in (20, 40)]

    assert errors[0] / errors[1] == pytest.approx(2**order, rel=0.1)


@pytest.mark.parametrize("solver", ode.SOLVERS)
def test_solvers_run_backwards(solver):
    """There and back again."""
    y = torch.tensor([[1.0, 0.5]], dtype=torch.float64)
    there = ode.solve(oscillator, y, 0, 1, steps=100, solver=solver)

    torch.testing.assert_close(ode.solve(oscillator, there, 1, 0, steps=100, solver=solver), y, atol=1e-4, rtol=1e-4)


def test_the_adaptive_solver_keeps_its_tolerance():
    """Tighter tolerances, smaller error; the default is exact to about 1e-6."""
    y = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    exact = torch.tensor([[math.cos(5), -math.sin(5)]], dtype=torch.float64)
    errors = [(ode.solve(oscillator, y, 0, 5, solver="dopri5", rtol=r, atol=r) - exact).norm().item() for r in (1e-4, 1e-7)]

    assert errors[1] < 1e-6 < errors[0] < 1e-3


def test_the_adaptive_solver_gives_up_on_a_jump_to_infinity():
    """y' = y^2 blows up at t = 1."""
    with pytest.raises(RunError, match="adaptive solver"):
        ode.solve(lambda t, y: y**2, torch.ones(1, 1, dtype=torch.float64), 0, 2, solver="dopri5")


@pytest.mark.parametrize("chunk", [0, 1, 7, 500, 10_000])
def test_chunks_change_nothing(chunk):
    x, m = events()

    torch.testing.assert_close(ode.push(gaussian_field, x, m, chunk=chunk), ode.push(gaussian_field, x, m))


def test_no_events_give_no_draws():
    x, m = events()

    assert ode.push(gaussian_field, x[:0], m[:0]).shape == (0, 3)
    assert ode.log_prob(gaussian_field, x[:0], m[:0]).shape == (0,)


def test_draws_of_the_closed_form_field_have_its_moments():
    """Mean m and widths SCALE."""
    noise = torch.randn(20_000, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x = ode.push(gaussian_field, noise, torch.full((20_000, 1), 1.5, dtype=torch.float64), steps=40)

    torch.testing.assert_close(x.mean(0), torch.full((3,), 1.5, dtype=torch.float64), atol=0.05, rtol=0)
    torch.testing.assert_close(x.std(0), SCALE, atol=0, rtol=0.02)


@pytest.mark.parametrize("solver", ["midpoint", "rk4", "dopri5"])
def test_the_density_is_the_closed_form(solver):
    """ln p of a Gaussian, in float64, with the exact trace."""
    x, m = events()
    actual = ode.log_prob(gaussian_field, x, m, steps=200, solver=solver, chunk=333)

    torch.testing.assert_close(actual, gaussian_log_prob(x, m[:, 0]), atol=2e-2 if solver == "midpoint" else 1e-3, rtol=0)


def test_the_density_converges_with_the_steps():
    x, m = events()
    exact = gaussian_log_prob(x, m[:, 0])
    errors = [(ode.log_prob(gaussian_field, x, m, steps=n) - exact).abs().mean().item() for n in (25, 50, 100, 200)]

    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 5e-3


def test_the_exact_trace_is_the_trace_of_the_jacobian():
    """The density of a non-linear map agrees with brute force: log p(z) plus the log-determinant of dz/dx."""
    A = torch.randn(3, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    field = lambda t, x, cond: torch.tanh(x @ A) + cond[:, :1] * t  # noqa: E731
    x, m = events(20)

    def back(place, condition):
        return ode.solve(lambda t, y: field(t, y, condition), place, 1, 0, steps=100, solver="rk4")

    z = back(x, m)
    jacobian = torch.stack([torch.autograd.functional.jacobian(lambda p, i=i: back(p[None], m[i : i + 1])[0], x[i]) for i in range(20)])
    expected = -0.5 * z.square().sum(1) - 1.5 * math.log(2 * math.pi) + torch.linalg.slogdet(jacobian)[1]

    torch.testing.assert_close(ode.log_prob(field, x, m, steps=100, solver="rk4"), expected, atol=1e-6, rtol=1e-6)


def test_the_random_trace_is_right_on_average():
    """Hutchinson's estimate of one event, over many draws, centres on the exact density."""
    A = torch.randn(3, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    field = lambda t, x, cond: torch.tanh(x @ A)  # noqa: E731
    x, m = (v[:1].repeat(4000, 1) for v in events(1))
    exact = ode.log_prob(field, x[:1], m[:1])
    estimates = ode.log_prob(field, x, m, trace="hutchinson", generator=torch.Generator().manual_seed(0))

    assert estimates.std() > 0.01
    assert estimates.mean().item() == pytest.approx(exact.item(), abs=4 * estimates.std().item() / 4000**0.5)


def test_directions_from_the_events_own_bits_are_fair_and_nobody_elses():
    """As many up as down in every feature, unrelated between features and events; the same in any company."""
    x = torch.randn(20_000, 4, generator=torch.Generator().manual_seed(0))
    near = torch.cat([x[:1], x[:1] * (1 + 1e-6), x[:1]])
    signs = 2.0 * ode._bits(x) - 1

    assert torch.equal(ode._bits(x[7:9]), ode._bits(x)[7:9])
    assert torch.equal(*ode._bits(near)[[0, 2]].double())
    assert signs.mean(0).abs().max() < 0.04
    assert (signs.T @ signs / len(x) - torch.eye(4)).abs().max() < 0.04
    assert (signs.T @ x.sign() / len(x)).abs().max() < 0.04
    assert (signs[1:] * signs[:-1]).mean(0).abs().max() < 0.04


def test_the_random_trace_needs_no_generator_to_be_right_on_average():
    """Directions taken from the events: over many events, the estimates centre on the exact densities."""
    A = torch.randn(3, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    field = lambda t, x, cond: torch.tanh(x @ A)  # noqa: E731
    x, m = events(3000)
    before = torch.get_rng_state()
    off = ode.log_prob(field, x, m, trace="hutchinson") - ode.log_prob(field, x, m)

    assert torch.equal(before, torch.get_rng_state())
    assert off.std() > 0.01
    assert off.mean().item() == pytest.approx(0, abs=4 * off.std().item() / 3000**0.5)


def test_the_adaptive_solver_takes_the_density_of_a_field_with_kinks_in_few_steps():
    """Steps follow the events; the divergence, which jumps at every kink, comes along. Judged too, it would never be content."""
    g = torch.Generator().manual_seed(1)
    A, B = (torch.randn(3, 3, generator=g, dtype=torch.float64) for _ in range(2))
    calls = 0

    def field(t, x, cond):
        nonlocal calls
        calls += 1
        return torch.relu(x @ A - 0.3) @ B / 3

    x, m = events(100)
    adaptive = ode.log_prob(field, x, m, solver="dopri5")
    evaluations, calls = calls, 0
    fine = ode.log_prob(field, x, m, solver="midpoint", steps=400)

    assert evaluations < 1000
    assert (adaptive - fine).abs().mean() < 1e-3


def test_unjudged_columns_set_no_steps():
    """A second column of pure noise in time neither stops the solver nor spoils the first."""
    noisy = lambda t, y: torch.stack([-y[:, 0], torch.sin(1e6 * t).expand(len(y))], 1)  # noqa: E731
    y = torch.tensor([[1.0, 0.0]], dtype=torch.float64)

    assert ode.solve(noisy, y, 0, 1, solver="dopri5", judged=1)[0, 0].item() == pytest.approx(math.exp(-1), abs=1e-5)
    with pytest.raises(RunError, match="adaptive solver"):
        ode.solve(noisy, 1 + 0 * y, 0, 1, solver="dopri5", rtol=1e-12, atol=1e-12)


def test_an_unknown_solver_or_no_step_is_refused():
    y = torch.zeros(1, 1)
    for bad in ({"solver": "euler"}, {"steps": 0}):
        with pytest.raises(ConfigError, match="midpoint"):
            ode.solve(lambda t, y: y, y, 0, 1, **bad)


@pytest.mark.parametrize("trace", ["exact", "hutchinson"])
@pytest.mark.parametrize("solver", ode.SOLVERS)
def test_an_event_without_a_density_is_told_by_nan_and_spoils_no_other(solver, trace):
    """An input that is no number, one that is infinite, and a path that leaves the numbers on its way, in one chunk."""
    x = torch.tensor([[0.5], [math.nan], [1.0], [math.inf], [-0.5], [3.0], [0.1]], dtype=torch.float64)
    cond = torch.tensor([[1.0], [1.0], [math.nan], [1.0], [1.0], [1.0], [1.0]], dtype=torch.float64)
    field = lambda t, y, c: -c * y**3  # noqa: E731  # backwards: y' = y^3, infinite after 1 / (2 y^2)
    actual = ode.log_prob(field, x, cond, solver=solver, trace=trace, steps=50)
    good = torch.tensor([0, 4, 6])

    assert torch.isfinite(actual).nonzero().flatten().tolist() == good.tolist()
    assert torch.isnan(actual[[1, 2, 3, 5]]).all()
    torch.testing.assert_close(
        actual[good], ode.log_prob(field, x[good], cond[good], solver=solver, trace=trace, steps=50), atol=1e-5, rtol=0
    )
