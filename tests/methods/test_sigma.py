"""SIGMA: the network's algebra, the trained model on a closed-form toy, and the interpolation in the context."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from support.gaussians import check_draws_follow_the_density, toy

from adtoolkit.context import RunContext
from adtoolkit.errors import DataError, MixError
from adtoolkit.interfaces import CanLogProb, CanSample, HasField
from adtoolkit.interpolators.anchors import Anchors
from adtoolkit.interpolators.config import DisplacementConfig, LinearConfig
from adtoolkit.interpolators.displacement import Displacement
from adtoolkit.interpolators.linear import Linear
from adtoolkit.nn import ode
from adtoolkit.nn.velocity import FrequencyEmbedding, PlainContext, build
from adtoolkit.types import Window
from adtoolkit_sigma.config import ContextConfig, SigmaConfig
from adtoolkit_sigma.estimator import Sigma
from adtoolkit_sigma.interpolator import ContextInterpolator
from adtoolkit_sigma.network import BlendContext
from adtoolkit_sigma.plugin import adtoolkit_register_components

WINDOW = Window(3.3, 3.7)
RANGE = (2.0, 6.0)
SCALE = (4.0, 4.0)  # its centre and width
OPTIONS = {
    "features": 5, "hidden": 32, "blocks": 3, "norm": "layer", "activation": "relu", "dropout": 0.0, "gate_activation": True,
    "mass_embedding": "frequencies", "mass_frequencies": 8, "time_frequencies": 3,
}  # fmt: skip


def network(dtype=torch.float64, **options):
    """Random weights, all large enough to matter."""
    torch.manual_seed(1)
    net = build(OPTIONS | options, SCALE).eval()
    for p in net.parameters():
        torch.nn.init.normal_(p, std=0.3)
    return net.to(dtype).requires_grad_(False)


def places(n=64, dtype=torch.float64):
    g = torch.Generator().manual_seed(2)
    m = 3.3 + 0.4 * torch.rand(n, generator=g, dtype=dtype)
    return torch.randn(n, 5, generator=g, dtype=dtype), m, torch.tensor(0.37, dtype=dtype)


FAST = SigmaConfig(hidden=32, blocks=2, mass_frequencies=4, steps=1500, batch=512, solver_steps=10, lr=4e-3)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    ctx = RunContext(seed=1, scope=("sigma",), workdir=tmp_path_factory.mktemp("sigma"))
    return Sigma(FAST).fit(toy(), toy(2000, seed=1), ctx)


def naive_blend(net, t, x, m, lo, hi):
    """Both branches evaluated on the whole batch, layer by layer, as the method is written down."""
    xi = ((hi - m) / (hi - lo))[:, None]
    relu, first, gates = torch.relu, [], []
    for anchor in (lo, hi):
        u = torch.full_like(m, anchor).sub(sum(RANGE) / 2).div(RANGE[1] - RANGE[0])[:, None]
        tk = math.pi * torch.arange(1, 4, dtype=x.dtype) * t
        mk = math.pi * 2.0 ** torch.arange(8, dtype=x.dtype) * u
        tk = tk.expand(len(x), 3)
        c = torch.cat([tk.cos(), mk.cos(), tk.sin(), mk.sin()], 1)
        first.append(relu(x @ net.enter.weight.T + c @ net.inform.weight.T + net.inform.bias))
        gates.append(relu(c @ net.gates.weight.T + net.gates.bias))
    h, g = (xi * a + (1 - xi) * b for a, b in (first, gates))
    for i, block in enumerate(net.blocks):
        h = h + block(h) * torch.sigmoid(g[:, i * 32 : (i + 1) * 32])
    return h @ net.leave.weight.T + net.leave.bias


@pytest.mark.parametrize("mass", [3.2, 3.8])
def test_the_blend_is_the_network_itself_at_an_anchor(mass):
    """v(x | t, m_j) is reproduced to 1e-6 at both anchors."""
    net = network()
    x, _, t = places()
    m = torch.full((64,), mass, dtype=x.dtype)
    anchors = Anchors(3.2, 3.8)
    blend = net.velocity(t, x, BlendContext(torch.tensor(anchors.masses, dtype=x.dtype), anchors.weights(m)))

    torch.testing.assert_close(blend, net.velocity(t, x, PlainContext(m)), atol=1e-6, rtol=1e-6)


def test_the_context_table_equals_the_naive_two_branches():
    """One trunk pass with a table of the anchors' vectors against both branches on the whole batch, to 1e-6."""
    net = network()
    x, m, t = places()
    anchors = Anchors(3.2, 3.8)
    fast = net.velocity(t, x, BlendContext(torch.tensor(anchors.masses, dtype=x.dtype), anchors.weights(m)))
    naive = naive_blend(net, t, x, m, *anchors.masses)

    assert fast.std() > 1
    torch.testing.assert_close(fast, naive, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize(
    "options",
    [{"norm": "batch"}, {"norm": "none"}, {"activation": "silu"}, {"gate_activation": False}, {"normal_base": True}, {"blocks": 1}],
)
def test_every_kind_of_network_is_reproduced_at_an_anchor(options):
    """The interpolation uses the trained network's own layers, whatever they are."""
    net = network(**options)
    x, _, t = places()
    blend = BlendContext(torch.tensor([3.2, 3.8], dtype=x.dtype), torch.tensor([[1.0, 0.0]], dtype=x.dtype).expand(64, 2))

    torch.testing.assert_close(net.velocity(t, x, blend), net(t, x, torch.full((64, 1), 3.2, dtype=x.dtype)), atol=1e-6, rtol=1e-6)


def test_masses_inside_the_window_play_no_part():
    """The blend depends on the mass through the shares alone: no frequency of a window mass is ever formed."""
    net = network()
    x, _, t = places(2)
    anchors = torch.tensor([3.2, 3.8], dtype=x.dtype)
    weights = Anchors(3.2, 3.8).weights
    at = [net.velocity(t, x, BlendContext(anchors, weights(torch.full((2,), m, dtype=x.dtype)))) for m in (3.4, 3.5, 3.6)]
    bends = (at[0] - 2 * at[1] + at[2]).abs().max() / (at[0] - at[2]).abs().max()
    plain = [net(t, x, torch.full((2, 1), m, dtype=x.dtype)) for m in (3.4, 3.5, 3.6)]

    assert bends < 0.5 < (plain[0] - 2 * plain[1] + plain[2]).abs().max() / (plain[0] - plain[2]).abs().max()


def test_both_ends_of_the_mass_range_are_told_apart():
    """On [-1/2, 1/2] no two masses share an embedding; on the published [-1, 1] the two ends do."""
    ours = FrequencyEmbedding(4.0, 4.0, 8, 3)
    published = FrequencyEmbedding(4.0, 2.0, 8, 3)  # half the range as the whole: 2 and 6 become -1 and 1
    ends = torch.tensor([2.0, 6.0])

    assert (published(torch.tensor(0.0), ends).diff(dim=0)).abs().max() < 1e-3
    assert (ours(torch.tensor(0.0), ends).diff(dim=0)).abs().max() > 1.9
    grid = ours(torch.tensor(0.0), torch.linspace(2, 6, 200))
    assert torch.pdist(grid).min() > 0.05


def test_training_in_bfloat16_leaves_evaluation_in_float32():
    """Mixed arithmetic is for training only; gradients still reach every weight."""
    net = build(OPTIONS, SCALE)
    net.mixed = True
    x, m, _ = places(64, torch.float32)
    t = torch.rand(64, generator=torch.Generator().manual_seed(0))
    plain = net.eval()(t, x, m[:, None])
    mixed = net.train()(t, x, m[:, None])
    mixed.square().mean().backward()

    assert mixed.dtype == torch.float32
    assert 0 < (mixed - plain).abs().max() < 0.05
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in net.parameters())


def test_draws_of_the_interpolation_agree_with_its_density(trained):
    check_draws_follow_the_density(ContextInterpolator(ContextConfig()).bind(trained, WINDOW, RunContext()))


def test_interpolations_find_the_background_of_the_window(trained):
    """On a smooth toy each of them gives a template close to the truth between the anchors."""
    cond = np.random.default_rng(0).uniform(3.3, 3.7, (6000, 1)).astype("f")
    for interpolator in (ContextInterpolator(ContextConfig()), Linear(LinearConfig()), Displacement(DisplacementConfig())):
        x = interpolator.bind(trained, WINDOW, RunContext()).sample(cond, np.random.default_rng(1))

        assert (x[:, 0] - cond[:, 0] + 3.5).mean() == pytest.approx(0, abs=0.08)
        assert (x[:, 0] - cond[:, 0] + 3.5).std() == pytest.approx(0.5, abs=0.06)


def test_context_and_linear_agree_with_the_model_at_the_anchors(trained):
    """The same noise gives the same draws there."""
    cond = np.repeat([[3.2], [3.8]], 50, 0).astype("f")
    expected = trained.sample(cond, np.random.default_rng(0))
    for interpolator in (ContextInterpolator(ContextConfig()), Linear(LinearConfig())):
        actual = interpolator.bind(trained, WINDOW, RunContext()).sample(cond, np.random.default_rng(0))

        np.testing.assert_allclose(actual, expected, atol=1e-4)


def test_few_steps_of_the_midpoint_rule_are_enough(trained):
    """The error falls with the square of the step; ten steps are within 1 % of the adaptive reference, of unit spread."""
    background = ContextInterpolator(ContextConfig()).bind(trained, WINDOW, RunContext())
    cond = torch.linspace(3.31, 3.69, 500)[:, None]
    noise = torch.randn(500, 2, generator=torch.Generator().manual_seed(0))
    reference = ode.push(background.velocity, noise, cond, solver="dopri5")
    errors = [(ode.push(background.velocity, noise, cond, steps=n) - reference).abs().mean().item() for n in (5, 10, 20, 40)]

    assert errors == sorted(errors, reverse=True)
    assert errors[1] < 0.01
    assert errors[3] < errors[0] / 16


def test_the_interpolation_can_do_what_its_record_says(trained):
    """Draws and density; the blend has no field of its own to give away."""
    background = ContextInterpolator(ContextConfig()).bind(trained, WINDOW, RunContext())

    assert [isinstance(background, p) for p in (CanSample, CanLogProb, HasField)] == [True, True, False]


def test_faults_are_one_sentence(trained):
    """Another model, anchors beyond the training masses."""
    with pytest.raises(DataError, match="training masses"):
        ContextInterpolator(ContextConfig(margin=3)).bind(trained, WINDOW, RunContext())
    with pytest.raises(MixError, match="--interpolator linear"):
        ContextInterpolator(ContextConfig()).bind(object(), WINDOW, RunContext())


def test_records_name_what_exists_and_cost_no_torch():
    """Both records point at importable classes; plugin and options are read without torch."""
    from importlib import import_module

    for record in adtoolkit_register_components():
        for target in (record.target, record.config):
            module, name = target.split(":")
            assert hasattr(import_module(module), name)
    code = "import sys, adtoolkit_sigma.plugin, adtoolkit_sigma.config; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
