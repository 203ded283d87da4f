"""Monotonic rational-quadratic splines without branches: the same operations for every event, whatever its bin or tail."""

from __future__ import annotations

import math
from typing import Final

import torch
from torch import Tensor
from torch.nn.functional import pad, softplus

#: Least width, height (as shares of the box) and slope of a bin, as in the reference of R-ANODE (arXiv:2312.11629).
LEAST: Final = 1e-6
#: Added to the slopes' parameters, so that zeros give a slope of one: the identity.
_UNIT: Final = math.log(math.expm1(1 - LEAST))


def parameters_per_dimension(bins: int) -> int:
    """Widths, heights and inner slopes of a spline."""
    return 3 * bins - 1


def rational_quadratic(x: Tensor, parameters: Tensor, bound: float, *, inverse: bool = False) -> tuple[Tensor, Tensor]:
    """Map each number by a spline of its own inside [-bound, bound], and by the identity outside.

    Inputs are clamped into the box before the spline and chosen from after it (where twice), so that neither value nor
    gradient of an event in the tails passes through the box.

    The parameters of a spline lie one behind the other along the last but one axis, and events along the last: what sums and
    normalises over bins then runs over contiguous events, which is fast on a CPU.

    Args:
        x: [..., B] numbers.
        parameters: [..., 3 K - 1, B] without bounds: K widths, K heights, K - 1 slopes; all zero is the identity.
        bound: Half the side of the box.
        inverse: Go from y to x.

    Returns:
        The mapped numbers [..., B] and the logs of the absolute slope at them [..., B].

    References:
        Durkan, Bekasov, Murray, Papamakarios, "Neural Spline Flows", arXiv:1906.04032, eqs. 4 to 8.
    """
    bins = (parameters.shape[-2] + 1) // 3
    inside = x.abs() < bound
    at = torch.where(inside, x, 0.0)
    # widths (row 0) and heights (row 1) go through the same softmax, sum and gather
    shares = torch.unflatten(parameters[..., : 2 * bins, :], -2, (2, bins)).softmax(-2) * (1 - LEAST * bins) + LEAST
    knots = pad(shares[..., :-1, :].cumsum(-2), (0, 0, 1, 0))  # left ends [..., 2, K, B], as shares of the box
    level = (at + bound) / (2 * bound)
    index = (level[..., None, :] >= knots[..., 1 if inverse else 0, 1:, :]).sum(-2, keepdim=True)  # [..., 1, B] which bin
    pick = index[..., None, :, :].expand(*index.shape[:-2], 2, 1, -1)
    x0, y0 = (2 * bound * knots.gather(-2, pick)[..., 0, :] - bound).unbind(-2)
    w, h = (2 * bound * shares.gather(-2, pick)[..., 0, :]).unbind(-2)
    # the slope is one at both ends of the box; only the two slopes of the bin pass through the softplus
    raw = pad(parameters[..., 2 * bins :, :], (0, 0, 1, 1)).gather(-2, torch.cat([index, index + 1], -2))
    d0, d1 = (softplus(raw + _UNIT) + LEAST).unbind(-2)
    s = h / w
    bend = d0 + d1 - 2 * s
    if inverse:
        rise = at - y0
        a, b, c = h * (s - d0) + rise * bend, h * d0 - rise * bend, -s * rise
        theta = (2 * c / (-b - (b.square() - 4 * a * c).clamp_min(0).sqrt())).clamp(0, 1)
        value = theta * w + x0
    else:
        theta = ((at - x0) / w).clamp(0, 1)
    rest = theta * (1 - theta)
    below = s + bend * rest
    if not inverse:
        value = y0 + h * (s * theta.square() + d0 * rest) / below
    slope = s.square() * (d1 * theta.square() + 2 * s * rest + d0 * (1 - theta).square()) / below.square()
    log_slope = torch.where(inside, slope, 1.0).log()
    return torch.where(inside, value, x), -log_slope if inverse else log_slope
