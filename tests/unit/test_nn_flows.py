"""Conditional flows: bijections with the right determinant, densities that are one, mixtures in probability."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from nflows.transforms.splines.rational_quadratic import unconstrained_rational_quadratic_spline

from adtoolkit.context import RunContext
from adtoolkit.densities import LOWEST
from adtoolkit.errors import ConfigError, DataError
from adtoolkit.flowconfig import FlowConfig
from adtoolkit.nn import flows_spline
from adtoolkit.nn.flows import FlowShape, flow_loss, make_flow
from adtoolkit.nn.flows_affine import AffineMade, FlowBatchNorm
from adtoolkit.nn.flows_nets import MaskedNet
from adtoolkit.nn.mixture import FlowMixture, fit_flow
from adtoolkit.types import Sample

KINDS = ["maf", "rqs-autoregressive", "rqs-coupling"]


def lively(kind, features, seed=3, **numbers):
    """A flow far from the identity, in float64 and evaluation mode."""
    flow = make_flow(FlowShape(kind=kind, features=features, **{"blocks": 3, "hidden": 16, **numbers}), seed).double()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        for layer in flow.layers:
            if isinstance(layer, FlowBatchNorm):
                layer.mean.normal_(generator=generator)
                layer.var.uniform_(0.5, 2, generator=generator)
    return flow.eval()


def points(n, features, seed=0, spread=2.0):
    generator = torch.Generator().manual_seed(seed)
    x = spread * torch.randn(n, features, generator=generator, dtype=torch.float64)
    return x, torch.rand(n, 1, generator=generator, dtype=torch.float64) + 3


@pytest.mark.parametrize("features", [1, 2, 5])
@pytest.mark.parametrize("kind", KINDS)
def test_the_inverse_undoes_the_flow_in_both_directions(kind, features):
    """Data to noise to data, and noise to data to noise, are the identity in float64, in the tails of splines too."""
    flow = lively(kind, features)
    x, cond = points(500, features, spread=1.5 if kind == "maf" else 4.0)

    assert torch.allclose(flow.to_data(flow.to_noise(x, cond), cond), x, atol=1e-8)
    assert torch.allclose(flow.to_noise(flow.to_data(x, cond), cond), x, atol=1e-8)


@pytest.mark.parametrize("features", [1, 2, 5])
@pytest.mark.parametrize("kind", KINDS)
def test_log_prob_is_that_of_the_brute_force_jacobian(kind, features):
    """log p = log N(u) + log |det du/dx|, with the determinant from autograd."""
    flow = lively(kind, features)
    x, cond = points(6, features)
    expected = []
    for i in range(len(x)):
        jacobian = torch.autograd.functional.jacobian(lambda v, i=i: flow.to_noise(v[None], cond[i : i + 1])[0], x[i])
        u = flow.to_noise(x[i : i + 1], cond[i : i + 1])[0]
        expected.append(torch.distributions.Normal(0, 1).log_prob(u).sum() + torch.linalg.slogdet(jacobian).logabsdet)

    assert torch.allclose(flow(x, cond), torch.stack(expected), atol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_the_density_integrates_to_one(kind):
    """Summed over a fine grid in two dimensions."""
    flow = lively(kind, 2)
    line = torch.linspace(-16, 16, 241, dtype=torch.float64)
    grid = torch.cartesian_prod(line, line)
    with torch.no_grad():
        total = flow(grid, torch.full((len(grid), 1), 3.4, dtype=torch.float64)).exp().sum() * (line[1] - line[0]) ** 2

    assert total.item() == pytest.approx(1, abs=5e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_draws_follow_the_density(kind):
    """Means of functions of the draws are those of an integral over the density."""
    flow = lively(kind, 2)
    line = torch.linspace(-16, 16, 241, dtype=torch.float64)
    grid = torch.cartesian_prod(line, line)
    with torch.no_grad():
        p = flow(grid, torch.full((len(grid), 1), 3.4, dtype=torch.float64)).exp() * (line[1] - line[0]) ** 2
    drawn = FlowMixture([flow.float()]).sample(np.full((10_000, 1), 3.4, "f"), np.random.default_rng(0))
    for f in (lambda v: v, lambda v: abs(v), lambda v: v[:, :1] * v[:, 1:]):
        integral = (p[:, None] * f(grid)).sum(0).numpy()
        values = f(drawn.astype(np.float64))

        assert values.mean(0) == pytest.approx(integral, abs=5 * values.std(0).max() / 100 + 5e-3)


def test_the_published_flow_has_its_number_of_parameters():
    """15 blocks of 128 units with four features and one condition: 274,800 (arXiv:2001.04990, public code)."""
    assert sum(p.numel() for p in make_flow(FlowShape(kind="maf", features=4), 0).parameters()) == 274_800


def test_shifts_and_scales_of_a_feature_know_only_those_before_it():
    """The Jacobian of the published network is strictly triangular; as published, the condition enters without bias and not at all
    for the first feature (the reversals give every feature its turn)."""
    torch.manual_seed(0)
    net = AffineMade(4, 1, 32).double()
    x, cond = points(1, 4)
    jacobian = torch.autograd.functional.jacobian(lambda v: net(v[None], cond)[0], x[0]).reshape(4, 2, 4)
    by_condition = torch.autograd.functional.jacobian(lambda c: net(x, c[None])[0], cond[0])

    assert torch.equal(jacobian.abs().amax(1) > 0, torch.ones(4, 4).tril(-1).bool())
    assert not by_condition[:2].any()
    assert (by_condition[2:] != 0).all()
    assert net.condition.bias is None


@pytest.mark.parametrize("features", [1, 2, 5])
def test_every_feature_of_a_spline_layer_knows_the_mass_and_those_before_it(features):
    """Otherwise than in the published network, the first feature's spline depends on the mass too."""
    torch.manual_seed(0)
    net = MaskedNet(features, 1, 32, 5).double()
    x, cond = points(1, features)
    jacobian = torch.autograd.functional.jacobian(lambda v: net(v[None], cond)[0], x[0]).reshape(features, 5, features)
    by_condition = torch.autograd.functional.jacobian(lambda c: net(x, c[None])[0], cond[0])

    assert torch.equal(jacobian.abs().amax(1) > 0, torch.ones(features, features).tril(-1).bool())
    assert (by_condition != 0).all()


def test_the_published_flow_starts_orthogonal_with_zero_biases():
    net = make_flow(FlowShape(kind="maf", features=4), 0).layers[0].autoregressive_net

    assert torch.allclose(net.middle.weight @ net.middle.weight.T, torch.eye(128), atol=1e-5)
    assert not any(layer.bias.any() for layer in (net.join, net.middle, net.leave))


def test_splines_are_those_of_nflows_without_its_branches():
    """Values and derivatives agree in float64, inside, outside and backwards."""
    generator = torch.Generator().manual_seed(0)
    raw = torch.randn(2000, 3, 23, generator=generator, dtype=torch.float64)
    x = 4 * torch.randn(2000, 3, generator=generator, dtype=torch.float64)
    for inverse in (False, True):
        ours = flows_spline.spline(x, raw, 5.0, inverse=inverse)
        theirs = unconstrained_rational_quadratic_spline(
            x, raw[..., :8], raw[..., 8:16], raw[..., 16:] + flows_spline._UNIT, inverse=inverse, tail_bound=5.0
        )

        assert torch.allclose(ours[0], theirs[0], atol=1e-9)
        assert torch.allclose(ours[1], theirs[1], atol=1e-9)


def test_splines_start_as_the_identity():
    x = torch.linspace(-7, 7, 101)
    out, log_slope = flows_spline.spline(x, torch.zeros(101, 23), 5.0)

    assert torch.allclose(out, x, atol=1e-5)
    assert torch.allclose(log_slope, torch.zeros(101), atol=1e-5)


@pytest.mark.parametrize("kind", ["rqs-autoregressive", "rqs-coupling"])
def test_an_outlier_costs_its_logarithm_not_its_square(kind):
    """At 14 standard deviations the normal base alone would give -99; and what is compressed comes back."""
    flow = make_flow(FlowShape(kind=kind, features=1), 0).double()
    x, cond = torch.tensor([[14.0], [-14.0], [0.1], [1e4]], dtype=torch.float64), torch.zeros(4, 1, dtype=torch.float64)

    assert (flow(x, cond)[:2] > -20).all()
    assert torch.allclose(flow.to_data(flow.to_noise(x, cond), cond), x, rtol=1e-9)


@pytest.mark.parametrize("value", [5.0, -5.0, 1e30, -1e30, 5.0 - 1e-6])
def test_gradients_of_splines_are_finite_at_the_edges_and_far_outside(value):
    """Tails are chosen by a double where, so that nothing of the box reaches their gradient."""
    raw = (3 * torch.randn(1, 23, generator=torch.Generator().manual_seed(0))).requires_grad_()
    x = torch.tensor([value], requires_grad=True)
    out, log_slope = flows_spline.spline(x, raw, 5.0)
    (out + log_slope).sum().backward()

    assert torch.isfinite(x.grad).all()
    assert torch.isfinite(raw.grad).all()


def test_batch_norm_layers_use_the_batch_in_training_and_the_whole_sample_in_evaluation():
    """After a refresh, evaluating all events gives what one training-mode pass of all of them as a single batch gives."""
    flow = lively("maf", 3)
    x, cond = points(20_000, 3)
    flow.train()
    with torch.no_grad():
        one_batch = flow(x, cond)
        other_batch = flow(x[:64], cond[:64])
    flow.refresh(x, cond)
    flow.eval()
    with torch.no_grad():
        evaluated = flow(x, cond)

    assert torch.allclose(evaluated, one_batch, atol=1e-9)
    assert not torch.allclose(evaluated[:64], other_batch, atol=1e-3)


def test_training_passes_leave_the_statistics_of_evaluation_alone():
    """No running average: only the pass over the whole sample sets them."""
    layer = FlowBatchNorm(2).train()
    layer(torch.randn(50, 2, generator=torch.Generator().manual_seed(0)))

    assert layer.mean.tolist() == [0, 0]
    assert layer.var.tolist() == [1, 1]


def normal_events(n, seed):
    """x | m ~ N((m, -2 m), [1, 0.5^2]) with correlation 0.6."""
    rng = np.random.default_rng(seed)
    m = rng.uniform(-1, 1, n)
    a, b = rng.standard_normal((2, n))
    return Sample(np.column_stack([m + a, -2 * m + 0.5 * (0.6 * a + 0.8 * b)]).astype("f"), m.astype("f"))


@pytest.mark.parametrize("kind", KINDS)
def test_learns_a_conditional_normal_distribution(kind, tmp_path):
    """Mean, spread, correlation and log-likelihood come out right at a mass that was cut out of the training events."""
    events = normal_events(8000, 0)
    events = events[np.abs(events.m - 0.5) > 0.1]
    config = FlowConfig(flow=kind, blocks=2, hidden=24, steps=300, batch=400, lr=1e-2, ema=0.99, validate_every=0)
    model, _ = fit_flow(config, events, events[:0], RunContext(workdir=tmp_path))
    drawn = model.sample(np.full((20_000, 1), 0.5, "f"), np.random.default_rng(0))
    fresh = normal_events(4000, 1)
    z0 = fresh.x[:, 0] - fresh.m
    z1 = ((fresh.x[:, 1] + 2 * fresh.m) / 0.5 - 0.6 * z0) / 0.8
    exact = -0.5 * (z0**2 + z1**2) - np.log(2 * np.pi * 0.5 * 0.8)

    assert drawn.mean(0) == pytest.approx([0.5, -1.0], abs=0.08)
    assert drawn.std(0) == pytest.approx([1.0, 0.5], rel=0.08)
    assert np.corrcoef(drawn.T)[0, 1] == pytest.approx(0.6, abs=0.05)
    assert model.log_prob(fresh.x, fresh.cond).mean() == pytest.approx(exact.mean(), abs=0.03)


def two_members():
    return [make_flow(FlowShape(kind="maf", features=1, blocks=1, hidden=4), seed=s) for s in (0, 1)]


def shifted(flow, by):
    """A normal distribution around ``by``."""
    with torch.no_grad():
        for p in flow.parameters():
            p.zero_()
        flow.layers[1].beta -= by
    return flow


def test_mixtures_average_densities_not_their_logarithms():
    """log p = log((p_1 + p_2) / 2), which the mean of the logs is not."""
    a, b = (shifted(f, by) for f, by in zip(two_members(), (0.0, 6.0), strict=True))
    x, cond = np.array([[0.0], [3.0], [6.0]], "f"), np.zeros((3, 1), "f")
    one, other = FlowMixture([a]).log_prob(x, cond), FlowMixture([b]).log_prob(x, cond)

    actual = FlowMixture([a, b]).log_prob(x, cond)

    assert actual == pytest.approx(np.logaddexp(one, other) - np.log(2), abs=1e-5)
    assert abs(actual - (one + other) / 2)[0] > 5


def test_members_draw_equally_many_events_at_every_mass():
    """Exactly half of the draws are each member's, and which, does not depend on the place in the list."""
    model = FlowMixture([shifted(f, by) for f, by in zip(two_members(), (0.0, 60.0), strict=True)])
    drawn = model.sample(np.repeat(np.array([[3.0], [4.0]], "f"), 500, 0), np.random.default_rng(0))[:, 0] > 30

    assert drawn.sum() == 500
    assert 200 < drawn[:500].sum() < 300


def test_an_impossible_event_gets_the_lowest_density_and_not_that_of_one():
    """Not a number in one member counts as zero density there; in all of them the event is impossible, never p = 1."""
    good, bad = two_members()
    shifted(good, 0.0)
    with torch.no_grad():
        bad.layers[1].beta += torch.nan
    x, cond = np.zeros((3, 1), "f"), np.zeros((3, 1), "f")

    assert FlowMixture([good, bad]).log_prob(x, cond) == pytest.approx(FlowMixture([good]).log_prob(x, cond) - np.log(2), abs=1e-6)
    assert FlowMixture([bad]).log_prob(x, cond).tolist() == [LOWEST] * 3
    assert FlowMixture([good]).log_prob(x + np.float32(1e30), cond).tolist() == [LOWEST] * 3


@pytest.mark.parametrize("kind", KINDS)
def test_a_stored_mixture_answers_the_same(kind, tmp_path):
    """Weights, statistics and shape come back; masks are made anew and not stored."""
    model = FlowMixture([lively(kind, 3, seed=s).float() for s in (1, 2)], (4, 9))
    x, cond = (v.float().numpy() for v in points(300, 3))
    model.save(tmp_path)
    loaded = FlowMixture.load(tmp_path, "cpu")

    assert np.array_equal(loaded.log_prob(x, cond), model.log_prob(x, cond))
    assert np.array_equal(loaded.sample(cond, np.random.default_rng(0)), model.sample(cond, np.random.default_rng(0)))
    assert loaded.epochs == [4, 9] or loaded.epochs == (4, 9)


def test_the_mass_enters_raw_or_standardised(tmp_path):
    """Both ways are stored with the flow; a constant mass does not divide by zero."""
    events = normal_events(200, 0)
    config = FlowConfig(blocks=1, hidden=4, steps=1, batch=50, validate_every=0)
    fixed = Sample(events.x, np.full(200, 3.5, "f"))
    raw, _ = fit_flow(config.model_copy(update={"raw_mass": True}), events, events[:0], RunContext(workdir=tmp_path / "raw"))
    scaled, _ = fit_flow(config, events, events[:0], RunContext(workdir=tmp_path / "scaled"))
    constant, _ = fit_flow(config, fixed, fixed[:0], RunContext(workdir=tmp_path / "constant"))

    assert (raw.members[0].shift.item(), raw.members[0].scale.item()) == (0, 1)
    assert scaled.members[0].scale.item() == pytest.approx(events.m.std(), rel=1e-4)
    assert np.isfinite(constant.log_prob(events.x, np.full((200, 1), 3.5, "f"))).all()


def test_weights_of_events_enter_the_likelihood():
    """Twice the weight is the event twice."""
    flow = lively("rqs-coupling", 2)
    x, cond = points(3, 2)
    weight = torch.tensor([1.5, 0.75, 0.75], dtype=torch.float64)  # mean one

    expected = -flow(x[[0, 0, 1, 2]], cond[[0, 0, 1, 2]]).mean()

    assert flow_loss(flow, x, cond, weight, torch.Generator()).item() == pytest.approx(expected.item())


def test_bad_shapes_and_events_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="no flow with"):
        FlowShape(kind="maf", features=4, bins=1)
    config = FlowConfig(flow="maf", steps=1)
    with pytest.raises(DataError, match="no events"):
        fit_flow(config, normal_events(0, 0), normal_events(0, 0), RunContext(workdir=tmp_path))
    bad = Sample(np.zeros((2, 1), "f"), np.array([1.0, np.nan], "f"))
    with pytest.raises(DataError, match="1 events have a mass"):
        fit_flow(config, bad, bad[:0], RunContext(workdir=tmp_path))
