"""Dormand and Prince's adaptive 5(4) method: the slow reference that the fixed-step solvers are judged by."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor

from adtoolkit.errors import RunError

# Tableau of Dormand and Prince (1980), J. Comput. Appl. Math. 6, 19-26, table 2.
_C: Final = (0.0, 1 / 5, 3 / 10, 4 / 5, 8 / 9, 1.0, 1.0)
_A: Final = (
    (),
    (1 / 5,),
    (3 / 40, 9 / 40),
    (44 / 45, -56 / 15, 32 / 9),
    (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
    (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
)
_E: Final = (71 / 57600, 0.0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40)  # fifth minus fourth order
_FIRST_STEP: Final = 0.05
_LEAST_STEP: Final = 1e-6


def dopri5(
    f: Callable[[Tensor, Tensor], Tensor],
    y: Tensor,
    t0: float,
    t1: float,
    *,
    rtol: float = 1e-5,
    atol: float = 1e-6,
    judged: int | None = None,
) -> Tensor:
    """Carry ``y`` [N, ...] from ``t0`` to ``t1``; a step is accepted on the largest error of any component.

    That error is taken from all events at once, so that one stiff event sets the step of all. One whose state or velocity is no
    number sets none, and one that would need steps of nothing is given up: it becomes NaN and the others go on. The last stage of
    an accepted step is the first of the next: six evaluations per step.

    Args:
        f: Right-hand side.
        y: State at ``t0``.
        t0: Start.
        t1: End.
        rtol: Relative tolerance.
        atol: Absolute tolerance.
        judged: Leading columns of y whose error counts; None: all. The rest follows in the same steps. For quantities that are
            carried along and jump, like the divergence of a field with kinks, no step is ever small enough.

    Raises:
        RunError: if the step shrinks to nothing for all events.
    """
    direction = 1.0 if t1 >= t0 else -1.0
    span = abs(t1 - t0)
    done, h = 0.0, min(span, _FIRST_STEP)
    first = f(y.new_tensor(t0), y)
    counts = (torch.isfinite(y) & torch.isfinite(first)).flatten(1).all(1)
    while done < span:
        h = min(h, span - done)
        t = t0 + direction * done
        ks = [first]
        place = y
        for i in range(1, 7):
            place = y + direction * h * sum(a * k for a, k in zip(_A[i], ks, strict=True) if a)
            ks.append(f(y.new_tensor(t + direction * h * _C[i]), place))
        error = h * sum((e * k for e, k in zip(_E, ks, strict=True) if e), torch.zeros_like(y))
        scale = atol + rtol * torch.maximum(y.abs(), place.abs())[:, :judged]
        off = torch.where(counts, (error[:, :judged] / scale).abs().flatten(1).amax(1), 0.0)
        ratio = float(off.max()) if len(y) else 0.0
        if ratio <= 1.0:
            done, y, first = (span if span - done - h < 1e-12 else done + h), place, ks[-1]
        h *= min(5.0, max(0.2, 0.9 * max(ratio, 1e-10) ** -0.2))
        if ratio <= 1.0 or h >= _LEAST_STEP * span:
            continue
        stuck = ~(off <= 1.0)
        if bool((stuck == counts).all()):
            raise RunError(
                f"The adaptive solver needs steps below {_LEAST_STEP:g} at t = {t:g}.",
                "The field is not smooth enough for it: use midpoint.",
            )
        y, first = (v.masked_fill(stuck.view(-1, *[1] * (v.ndim - 1)), torch.nan) for v in (y, first))
        counts, h = counts & ~stuck, min(span, _FIRST_STEP)
    return y
