"""What is built into the velocity network."""

from __future__ import annotations

import math

import pytest
import torch

from adtoolkit.nn import ode
from adtoolkit.nn.cfm import FlowMatchingLoss
from adtoolkit.nn.velocity import build

OPTIONS = {"features": 3, "mass_embedding": "raw", "mass_frequencies": 2, "time_frequencies": 3, "hidden": 16, "blocks": 2}


def network(**options):
    net = build(OPTIONS | options).double().eval().requires_grad_(False)
    net.leave.weight.zero_()
    net.leave.bias.zero_()
    return net


def test_an_untrained_network_with_a_normal_base_is_the_model_of_normal_data():
    """Its last layer at zero, noise is carried to noise and the density is the standard normal one."""
    net = network(normal_base=True)
    x = torch.randn(200, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    m = torch.ones(200, 1, dtype=torch.float64)
    pushed = ode.push(net, x, m, steps=40, solver="rk4", chunk=100)
    log_p = ode.log_prob(net, x, m, steps=40, solver="rk4", trace="exact", chunk=100)

    torch.testing.assert_close(pushed, x, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(log_p, -0.5 * (x.square() + math.log(2 * math.pi)).sum(1), atol=1e-5, rtol=1e-5)


def test_what_is_left_to_learn_has_the_same_spread_at_all_times():
    """For normal data the loss of the base alone is 1 / q, so that the network's share has variance 1 everywhere."""
    net, g = network(normal_base=True), torch.Generator().manual_seed(0)
    x0, x1 = (torch.randn(100_000, 3, generator=g, dtype=torch.float64) for _ in range(2))
    m = torch.ones(len(x0), 1, dtype=torch.float64)
    for t in (0.05, 0.5, 0.9):
        at = torch.full((len(x0),), t, dtype=torch.float64)
        place, velocity = FlowMatchingLoss(1e-6).path(x0, x1, at)
        rest = (velocity - net(at, place, m)) * math.sqrt(t**2 + (1 - t) ** 2)

        assert rest.var() == pytest.approx(1, abs=0.02)
        assert abs(torch.corrcoef(torch.stack([rest.flatten(), place.flatten()]))[0, 1]) < 0.01


def test_without_the_base_the_last_layer_is_the_velocity():
    x = torch.randn(5, 3, dtype=torch.float64)

    assert not network()(torch.tensor(0.3), x, x[:, :1]).any()
