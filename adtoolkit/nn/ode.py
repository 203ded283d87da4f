"""From a velocity field to draws and densities: ODE solvers with a fixed number of steps, and an adaptive reference.

A field carries noise N(0, I) at t = 0 to data at t = 1. For networks with ReLU kinks higher order does not pay. Ten midpoint
steps are 20 evaluations, where an adaptive solver at 1e-5 takes about 320 (benchmarks/results/sigma_speed.json).
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from functools import cache
from typing import Final, Literal, get_args

import torch
from torch import Tensor

from adtoolkit.errors import ConfigError
from adtoolkit.nn.cfm import Velocity
from adtoolkit.nn.dopri5 import dopri5

Solver = Literal["midpoint", "heun", "rk4", "dopri5"]
SOLVERS: Final[tuple[Solver, ...]] = get_args(Solver)
Trace = Literal["exact", "hutchinson"]

#: A right-hand side: time [], state [N, ...] -> [N, ...].
Rhs = Callable[[Tensor, Tensor], Tensor]


def _midpoint(f: Rhs, t: Tensor, y: Tensor, h: Tensor) -> Tensor:
    return y + h * f(t + h / 2, y + h / 2 * f(t, y))


def _heun(f: Rhs, t: Tensor, y: Tensor, h: Tensor) -> Tensor:
    k1 = f(t, y)
    return y + h / 2 * (k1 + f(t + h, y + h * k1))


def _rk4(f: Rhs, t: Tensor, y: Tensor, h: Tensor) -> Tensor:
    k1 = f(t, y)
    k2 = f(t + h / 2, y + h / 2 * k1)
    k3 = f(t + h / 2, y + h / 2 * k2)
    return y + h / 6 * (k1 + 2 * k2 + 2 * k3 + f(t + h, y + h * k3))


_STEPS: Final = {"midpoint": _midpoint, "heun": _heun, "rk4": _rk4}


def solve(
    f: Rhs,
    y: Tensor,
    t0: float,
    t1: float,
    *,
    steps: int = 10,
    solver: Solver = "midpoint",
    rtol: float = 1e-5,
    atol: float = 1e-6,
    judged: int | None = None,
) -> Tensor:
    """Carry ``y`` from ``t0`` to ``t1`` (either direction).

    Args:
        f: Right-hand side dy/dt = f(t, y).
        y: [N, ...] state at ``t0``; its dtype is that of the computation.
        t0: Start.
        t1: End.
        steps: Equal steps; the adaptive solver ignores it.
        solver: ``midpoint`` and ``heun`` evaluate f twice per step, ``rk4`` four times, ``dopri5`` as its tolerances ask.
        rtol: Relative tolerance of ``dopri5``.
        atol: Absolute tolerance of ``dopri5``.
        judged: Leading columns of y whose error ``dopri5`` controls; None: all.

    Raises:
        ConfigError: if the solver is unknown or there are no steps.
    """
    if solver == "dopri5":
        return dopri5(f, y, t0, t1, rtol=rtol, atol=atol, judged=judged)
    if solver not in _STEPS or steps < 1:
        raise ConfigError(f"Cannot integrate with solver '{solver}' and {steps} steps.", f"Use at least one step of {', '.join(SOLVERS)}.")
    step = _STEPS[solver]
    times = torch.linspace(t0, t1, steps + 1, dtype=y.dtype, device=y.device)  # on the device once: no copies in the loop
    h = (times[-1] - times[0]) / steps
    for i in range(steps):
        y = step(f, times[i], y, h)
    return y


@torch.no_grad()
def push(field: Velocity, noise: Tensor, cond: Tensor, *, steps: int = 10, solver: Solver = "midpoint", chunk: int = 0) -> Tensor:
    """Noise [N, D] and conditions [N, C] -> draws [N, D].

    Args:
        field: Velocity field.
        noise: [N, D] from N(0, I).
        cond: [N, C] conditions.
        steps: See `solve`.
        solver: See `solve`.
        chunk: Events carried at once; 0 takes all.
    """
    if not len(noise):
        return noise.clone()
    size = chunk or len(noise)
    parts = [
        solve(_at(field, c), z, 0.0, 1.0, steps=steps, solver=solver)
        for z, c in zip(torch.split(noise, size), torch.split(cond, size), strict=True)
    ]
    return torch.cat(parts)


def _at(field: Velocity, cond: Tensor) -> Rhs:
    return lambda t, y: field(t, y, cond)


def log_prob(
    field: Velocity,
    x: Tensor,
    cond: Tensor,
    *,
    steps: int = 20,
    solver: Solver = "midpoint",
    trace: Trace = "exact",
    generator: torch.Generator | None = None,
    chunk: int = 0,
) -> Tensor:
    """Density of the draws that `push` makes: ln p(x) = ln N(z; 0, I) - integral of div v, with z the noise that x came from.

    Args:
        field: Velocity field; must be differentiable in forward mode by ``torch.func``.
        x: [N, D] places.
        cond: [N, C] conditions.
        steps: See `solve`; the density needs about twice the steps of a draw.
        solver: See `solve`.
        trace: ``exact`` sums D derivatives; ``hutchinson`` takes one direction of +-1 per event, right on average (Grathwohl
            et al., arXiv:1810.01367).
        generator: Draws those directions; None takes them from the bits of each event, so that its density depends on
            nobody else.
        chunk: Events carried at once; 0 takes all.

    Returns:
        [N] natural logarithms, in the dtype of x; NaN for an event whose path leaves the numbers.
    """
    if not len(x):
        return x.new_zeros(0)
    size = chunk or len(x)
    parts = zip(torch.split(x, size), torch.split(cond, size), strict=True)
    return torch.cat([_log_prob(field, a, c, steps, solver, trace, generator) for a, c in parts])


def _bits(x: Tensor) -> Tensor:
    """[N, D] zeros and ones that look random and depend on each event's own float32 bits alone."""
    word = x.float().contiguous().view(torch.int32).long()
    place = torch.arange(1, x.shape[1] + 1, device=x.device)
    # every bit depends on all features: a sum of odd multiples, then the finaliser of MurmurHash3 in 32 bits
    mixed = ((word * (2 * place + 1)).sum(1, keepdim=True) * 0x9E3779B1 + place * 0x85EBCA77) & 0xFFFFFFFF
    for factor in (0x85EBCA6B, 0xC2B2AE35):
        mixed = ((mixed ^ (mixed >> 15)) * factor) & 0xFFFFFFFF
    return (mixed ^ (mixed >> 16)) & 1


@cache
def _load_forward_mode() -> None:
    """Its first use loads code that warns of torch's own deprecations, which is nobody's business here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.func.jvp(torch.sin, (torch.zeros(()),), (torch.ones(()),))


@torch.no_grad()
def _log_prob(
    field: Velocity, x: Tensor, cond: Tensor, steps: int, solver: Solver, trace: str, generator: torch.Generator | None
) -> Tensor:
    _load_forward_mode()
    d = x.shape[1]
    if trace == "exact":
        tangents = torch.eye(d, dtype=x.dtype, device=x.device)[:, None, :].expand(d, *x.shape)
    else:
        signs = _bits(x) if generator is None else torch.randint(0, 2, x.shape, generator=generator, device=x.device)
        tangents = (2 * signs - 1).to(x.dtype)[None]

    def augmented(t: Tensor, y: Tensor) -> Tensor:
        """Velocity and divergence; the D (or one) directional derivatives share one evaluation of the field."""
        place = y[:, :d].contiguous()

        def along(tangent: Tensor) -> tuple[Tensor, Tensor]:
            value, slope = torch.func.jvp(lambda z: field(t, z, cond), (place,), (tangent,))  # type: ignore[misc]  # two values without has_aux
            return value, (slope * tangent).sum(1)

        value, slopes = torch.func.vmap(along, out_dims=(None, 0))(tangents)  # type: ignore[arg-type]  # its stub forbids None here
        return torch.cat([value, slopes.sum(0)[:, None]], 1)

    end = solve(augmented, torch.cat([x, x.new_zeros(len(x), 1)], 1), 1.0, 0.0, steps=steps, solver=solver, judged=d)
    z, moved = end[:, :d], end[:, d]
    value = -0.5 * (z.square().sum(1) + d * math.log(2 * math.pi)) + moved
    return value.masked_fill(~torch.isfinite(end).all(1), torch.nan)
