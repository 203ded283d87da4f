"""Rational-quadratic splines and stacked optimisers against closed forms, brute force and torch's own."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from adtoolkit.nn.spline import LEAST, parameters_per_dimension, rational_quadratic
from adtoolkit.nn.stacked import StackedAdamW, mlp_layout


def parameters(bins, n, seed=0, scale=2.0):
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(parameters_per_dimension(bins), n, generator=generator, dtype=torch.float64)


def by_hand(x, p, bound):
    """Durkan et al., eq. 4, one number at a time."""
    bins = (len(p) + 1) // 3

    def shares(q):
        q = np.exp(q - q.max())
        return q / q.sum() * (1 - LEAST * bins) + LEAST

    w, h = 2 * bound * shares(p[:bins]), 2 * bound * shares(p[bins : 2 * bins])
    d = np.r_[1.0, np.log1p(np.exp(p[2 * bins :] + np.log(np.expm1(1 - LEAST)))) + LEAST, 1.0]
    if abs(x) >= bound:
        return x, 0.0
    left, low = np.r_[0, np.cumsum(w)] - bound, np.r_[0, np.cumsum(h)] - bound
    k = min(np.searchsorted(left, x, side="right") - 1, bins - 1)
    t, s = (x - left[k]) / w[k], h[k] / w[k]
    below = s + (d[k + 1] + d[k] - 2 * s) * t * (1 - t)
    slope = s**2 * (d[k + 1] * t**2 + 2 * s * t * (1 - t) + d[k] * (1 - t) ** 2) / below**2
    return low[k] + h[k] * (s * t**2 + d[k] * t * (1 - t)) / below, np.log(slope)


@pytest.mark.parametrize("bins", [2, 8])
def test_splines_are_those_of_the_paper(bins):
    x = torch.linspace(-4, 4, 401, dtype=torch.float64)
    p = parameters(bins, 401)

    value, slope = rational_quadratic(x, p, 3.0)

    expected = np.array([by_hand(float(x[i]), p[:, i].numpy(), 3.0) for i in range(401)])
    np.testing.assert_allclose(np.stack([value, slope], 1), expected, atol=1e-10)


def test_the_inverse_undoes_the_spline_and_its_slope():
    x = torch.linspace(-4, 4, 401, dtype=torch.float64)
    p = parameters(8, 401)

    value, slope = rational_quadratic(x, p, 3.0)
    back, other = rational_quadratic(value, p, 3.0, inverse=True)

    torch.testing.assert_close(back, x, atol=1e-7, rtol=0)
    torch.testing.assert_close(other, -slope, atol=1e-6, rtol=0)


def test_zero_parameters_are_the_identity():
    x = torch.linspace(-4, 4, 81, dtype=torch.float64)

    value, slope = rational_quadratic(x, torch.zeros(23, 81, dtype=torch.float64), 3.0)

    torch.testing.assert_close(value, x)
    torch.testing.assert_close(slope, torch.zeros_like(x))


@pytest.mark.parametrize("far", [3.0, 1e6, float("inf")])
@pytest.mark.parametrize("scale", [1.0, 60.0])
def test_gradients_are_finite_in_the_tails_and_for_extreme_parameters(far, scale):
    x = torch.tensor([-far, -2.9999, 0.0, 1.0, far]).requires_grad_()
    p = parameters(8, 5, scale=scale).float().requires_grad_()

    value, slope = rational_quadratic(x, p, 3.0)
    (torch.where(x.abs() < 3, value, 0.0).sum() + slope.sum()).backward()

    assert torch.isfinite(slope).all()
    assert torch.isfinite(p.grad).all()
    assert (p.grad[:, [0, 4]] == 0).all()


def test_stacked_optimisers_take_the_steps_of_torch():
    """One row of them is AdamW with clipping by norm."""
    start = torch.randn(3, 7, generator=torch.Generator().manual_seed(1))
    own = StackedAdamW(start.clone(), lr=0.01, weight_decay=0.1, clip=1.0)
    single = [row.clone().requires_grad_() for row in start]
    theirs = [torch.optim.AdamW([row], lr=0.01, weight_decay=0.1) for row in single]

    for _ in range(20):
        own.step(torch.stack([3 * row**3 for row in own.rows]))
        for row, optimiser in zip(single, theirs, strict=True):
            row.grad = 3 * row.detach() ** 3
            torch.nn.utils.clip_grad_norm_([row], 1.0)
            optimiser.step()

    torch.testing.assert_close(own.rows, torch.stack([row.detach() for row in single]), atol=1e-5, rtol=1e-5)


def test_a_step_that_is_not_finite_leaves_its_row_alone_and_is_counted():
    own = StackedAdamW(torch.ones(2, 3), lr=0.1, weight_decay=0.1)
    own.step(torch.ones(2, 3))
    before = {name: value.clone() for name, value in own.state().items()}

    own.step(torch.tensor([[1.0, float("nan"), 0.0], [1.0, 1.0, 1.0]]))

    after = own.state()
    for name in ("rows", "mean", "square", "steps"):
        torch.testing.assert_close(after[name][0], before[name][0], atol=0, rtol=0)
        assert not torch.equal(after[name][1], before[name][1])
    assert after["skipped"].tolist() == [1, 0]


def test_rows_split_into_the_tensors_of_a_network():
    layout = mlp_layout([2, 5, 3], last=0.1)
    row = layout.start(torch.Generator().manual_seed(0))

    tensors = layout.views(torch.stack([row, row]))

    assert [tuple(t.shape) for t in tensors] == [(2, 5, 2), (2, 5, 1), (2, 3, 5), (2, 3, 1)]
    assert layout.size == 33 == len(row)
    assert tensors[3].abs().max() == 0
    assert 0 < tensors[2].abs().max() <= 0.1 / 5**0.5
