"""The estimator ``caloflow``: transform, flows, density, draws."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from adtoolkit.context import RunContext
from adtoolkit.densities import LOWEST
from adtoolkit.errors import DataError
from adtoolkit.interfaces import HasCoordinates
from adtoolkit.nn.plan import TrainingPlan
from adtoolkit.types import Sample
from adtoolkit_caloflow.config import CaloFlowConfig
from adtoolkit_caloflow.estimator import CaloFlowEstimator, Coordinates
from adtoolkit_caloflow.flow import FlowShape, SplineFlow, make_flow
from adtoolkit_caloflow.geometry import Geometry
from adtoolkit_caloflow.model import CaloFlow, mean_square_latent, region_sizes
from adtoolkit_caloflow.transform import ALPHA, ShowerTransform, content_noise
from adtoolkit_showers.config import CaloShowersConfig
from adtoolkit_showers.source import CaloShowers

LAYERS = (5, 4, 3)


def showers(n, layers=(36, 36, 36), seed=0, deep=0.0):
    """A stand-in for a calorimeter: layer energies that share E, a bright core in each layer, most other voxels empty."""
    rng = np.random.default_rng(seed)
    energy = rng.uniform(1, 100, n)
    first = np.clip(rng.beta(2, 6, n) * (1 - deep), 1e-4, 0.9)
    parts = np.stack([first, (1 - first) * 0.99, (1 - first) * 0.01], 1) * (937 * energy * rng.normal(1, 0.02, n))[:, None]
    voxels = []
    for i, size in enumerate(layers):
        profile = 30 * np.exp(-np.abs(np.arange(size) - size // 2)) + 0.01
        share = rng.gamma(profile, size=(n, size))
        voxels.append(parts[:, i : i + 1] * share / share.sum(1, keepdims=True))
    x = np.concatenate(voxels, 1)
    x[x < 0.05] = 0
    return Sample(x.astype(np.float32), energy.astype(np.float32))


def transform(shares, layers=LAYERS, seed=0):
    sample = showers(200, layers, seed)
    return ShowerTransform.fit(sample.x, sample.m, sample.weights, layers, shares, 1e-3, 1e-2), sample


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    sample = showers(2000)
    folder = tmp_path_factory.mktemp("caloflow")
    config = CaloFlowConfig.preset("smoke", epochs=8, energy_epochs=15, bins=5)
    return CaloFlowEstimator(config).fit(sample[:1800], sample[1800:], RunContext(workdir=folder))


def flow_of(config, *, first):
    """The flow of a preset, untrained, for the detector of the paper."""
    c, coordinates = config, 504 if config.shares == "layer" else 501
    if first:
        shape = FlowShape(groups=(3,), conditions=1, blocks=c.energy_blocks, hidden=c.energy_hidden, depth=c.energy_depth, bins=c.bins)
    else:
        shape = FlowShape(groups=(coordinates,), conditions=4, blocks=c.blocks, hidden=c.hidden, depth=c.depth, bins=c.bins)
    with torch.device("meta"):  # counted, never filled
        return SplineFlow(shape, torch.zeros(shape.features), torch.ones(shape.features))


@pytest.mark.parametrize(("first", "parameters"), [(True, 79_134), (False, 37_835_280)])
def test_the_paper_preset_has_the_published_networks(first, parameters):
    flow = flow_of(CaloFlowConfig.preset("paper"), first=first)

    assert sum(p.numel() for p in flow.parameters()) == parameters


def test_the_paper_preset_has_the_published_training():
    """Adam at 1e-4, batches of 200; halved at epochs 5, 15, 40 and 60 of 75, and at 50 of 100."""
    paper = CaloFlowConfig.preset("paper")
    first, second = (TrainingPlan(**paper.plan(energy=energy)) for energy in (True, False))
    rates = [first.rate(epoch, 75) / 1e-4 for epoch in (0, 4, 5, 14, 15, 39, 40, 59, 60, 74)]

    assert rates == [1, 1, 0.5, 0.5, 0.25, 0.25, 0.125, 0.125, 0.0625, 0.0625]
    assert [second.rate(epoch, 100) / 1e-4 for epoch in (49, 50)] == [1, 0.5]
    assert (first.decoupled, first.batch, second.batch, second.keep) == (False, 200, 200, "best")


@pytest.mark.parametrize("shares", ["rest", "layer"])
def test_showers_come_back_from_their_coordinates(shares):
    t, sample = transform(shares)
    voxels = torch.tensor(sample.x, dtype=torch.float64) + 1e-3 * torch.rand(sample.x.shape, dtype=torch.float64)
    energies = t.energies(voxels)
    back = t.showers(t.from_log_energies(t.log_energies(energies)), t.logits(voxels))
    expected = torch.where(voxels < t.threshold, 0.0, voxels)

    assert t.logits(voxels).shape[1] == len(t.kept) == (12 if shares == "layer" else 9)
    assert torch.allclose(back, expected, rtol=1e-7, atol=1e-6)


def test_coordinates_are_the_published_ones():
    """``2 (log10(E / MeV) - 1)``; logits of shares of the layer, squeezed by alpha; conditions as logs of 10 GeV and of 100 GeV."""
    t, _ = transform("layer", (2, 1))
    x = torch.tensor([[30.0, 70.0, 1000.0]], dtype=torch.float64)
    energies = t.energies(x)
    u = ALPHA + (1 - 2 * ALPHA) * np.array([0.3, 0.7])[np.array(t.order[:2])]

    assert t.log_energies(energies)[0].tolist() == pytest.approx([2.0, 4.0])
    assert t.logits(x)[0, :2].tolist() == pytest.approx(np.log(u / (1 - u)))
    assert t.condition(torch.tensor([[100.0]]), energies)[0].tolist() == pytest.approx([1.0, -1.0, 0.0], abs=1e-4)


def test_draws_hold_no_more_energy_than_the_training_has(fitted):
    """Layer energies are coordinates of a logarithm: a rare draw far outside would hold a multiple of the incident energy."""
    sample = showers(2000)
    most = (sample.x.sum(1) / (1e3 * sample.m)).max()
    drawn = fitted.sample(np.full((20_000, 1), 50, np.float32), np.random.default_rng(0))

    assert drawn.sum(1).max() <= 1.06 * most * 50e3
    assert fitted.transform.most[-1] == pytest.approx(most, rel=1e-5)


def test_shares_of_the_rest_hardly_differ_from_the_published_for_dim_voxels():
    """Where the brightest voxel dominates its layer, all others have the logits that shares of the layer have, within 1 % of a nat."""
    x = np.array([[1.0, 0.5, 1e5, 2.0, 0.0]], np.float32)
    weight = np.ones(1, np.float32)
    rest, layer = (ShowerTransform.fit(x, 100 * weight, weight, (5,), shares, 1e-3, 1e-2) for shares in ("rest", "layer"))
    voxels = torch.tensor(x, dtype=torch.float64)

    assert rest.kept.tolist() == [4, 1, 0, 3]
    assert torch.allclose(rest.logits(voxels), layer.logits(voxels)[:, :4], atol=1e-2)


@pytest.mark.parametrize("shares", ["rest", "layer"])
def test_the_jacobian_is_that_of_automatic_differentiation(shares):
    """log |det| where the transform is one to one, log of the surface element where it has more coordinates than voxels."""
    t, sample = transform(shares)
    for row in sample.x[:5]:
        voxels = torch.tensor(row, dtype=torch.float64) + 1e-3

        def everything(v):
            v = v[None]
            return torch.cat([t.log_energies(t.energies(v)), t.logits(v)], 1)[0]

        jacobian = torch.autograd.functional.jacobian(everything, voxels)
        expected = torch.linalg.slogdet(jacobian)[1] if shares == "rest" else torch.logdet(jacobian.T @ jacobian) / 2

        assert float(t.log_det(voxels[None])[0]) == pytest.approx(float(expected), abs=1e-5)


@pytest.mark.parametrize("knee", [0.0, 2.0])
def test_the_flow_inverts_itself_and_knows_its_determinant(knee):
    """In float64: data to noise and back, the log-determinant is that of automatic differentiation, and tails are the identity."""
    shape = FlowShape(groups=(3, 2), conditions=2, blocks=3, hidden=16, depth=1, bound=4.0, knee=knee)
    flow = make_flow(shape, seed=1, shift=torch.arange(5.0) / 10, scale=torch.linspace(0.5, 2, 5)).double().requires_grad_(False)
    x, cond = torch.randn(40, 5, dtype=torch.float64), torch.randn(40, 2, dtype=torch.float64)
    noise, log_det = flow.to_noise(x, cond)
    jacobian = torch.autograd.functional.jacobian(lambda v: flow.to_noise(v[None], cond[:1])[0][0], x[0])
    far = 100 + x

    assert float((flow.to_data(noise, cond) - x).abs().max()) < 1e-6
    assert float(log_det[0]) == pytest.approx(float(torch.linalg.slogdet(jacobian)[1]), abs=1e-9)
    assert knee or torch.allclose(flow.to_noise(far, cond)[0], (far - flow.shift) / flow.scale)


def test_latent_noise_keeps_to_the_layer_of_its_voxel():
    """Permutations stay inside layers: with networks that ignore their inputs, noise depends on voxels of its own place alone."""
    flow = make_flow(FlowShape(groups=(4, 3), conditions=1, blocks=4, hidden=8, depth=0), seed=3)
    for block in flow.blocks:
        torch.nn.init.zeros_(block.made.final_layer.weight)
    x = torch.randn(1, 7)
    jacobian = torch.autograd.functional.jacobian(lambda v: flow.to_noise(v, torch.zeros(1, 1))[0][0], x)[:, 0]

    assert torch.equal(jacobian != 0, torch.eye(7, dtype=torch.bool))


def test_training_and_scoring_see_the_same_coordinates(fitted):
    """A shower whose voxels dwarf the noise has the same coordinates where the flows are trained and where they score."""
    t = fitted.transform
    x = np.full((1, 108), 1e5, np.float32)
    voxels, given = next(fitted._noisy(x, np.array([[50.0]], np.float32)))
    scoring = torch.cat(
        [t.log_energies(t.energies(voxels)), t.incident(given), t.logits(voxels), t.condition(given, t.energies(voxels))], 1
    )
    g = torch.Generator().manual_seed(0)
    parts = [part for first in (True, False) for part in Coordinates(t, first=first)(torch.tensor(x), torch.tensor([[50.0]]), g)]

    assert torch.allclose(torch.cat(parts, 1), scoring, atol=1e-7)


def test_noise_is_uniform_and_the_events_own():
    x = showers(400).x
    noise = content_noise(x, seed=7)
    order = np.random.default_rng(0).permutation(len(x))

    assert np.array_equal(content_noise(x[order], 7), noise[order])
    assert (content_noise(x, 8) != noise).mean() > 0.99
    assert np.histogram(noise, 10, (0, 1))[0] == pytest.approx(np.full(10, noise.size / 10), rel=0.05)
    assert abs(np.corrcoef(noise[:, 0], noise[:, 1])[0, 1]) < 0.15


def test_it_knows_photons_from_late_showers(fitted):
    """Held-out showers have latent noise of the size of their number of coordinates; those that start late score lower."""
    held, late = showers(1500, seed=5), showers(500, seed=6, deep=0.9)
    parts = fitted.parts(held.x, held.cond)
    score, other = (fitted.log_prob(s.x, s.cond) - fitted.log_det(s.x, s.cond) for s in (held, late))
    latent = mean_square_latent(parts, region_sizes(fitted))

    assert isinstance(fitted, HasCoordinates)
    assert np.allclose(score, -parts["flow-1"] - parts["flow-2"], atol=2e-2)
    assert all(0.8 < latent[f"layer-{i}"] < 1.2 for i in range(3))
    assert np.mean(np.searchsorted(np.sort(-score), -other) / len(score)) > 0.8


def test_draws_have_the_energies_and_shapes_of_the_training(fitted):
    held = showers(1500, seed=5)
    drawn = fitted.sample(held.cond, np.random.default_rng(0))
    for i in range(3):
        part = slice(36 * i, 36 * i + 36)
        shares = [(x[:, part].sum(1) / x.sum(1)).mean() for x in (held.x, drawn)]

        assert shares[1] == pytest.approx(shares[0], rel=0.2)
    assert drawn.min() >= 0
    assert not ((drawn > 0) & (drawn < 0.01)).any()
    assert (drawn > 0.01).mean() == pytest.approx((held.x > 0.01).mean(), abs=0.1)


def test_empty_and_impossible_showers_have_finite_densities(fitted):
    """No energy at all, in a layer or in E, is finite; negative voxels and NaN have the lowest density, and count for nothing besides."""
    x = np.repeat(showers(1).x, 5, axis=0)
    x[1], x[2, :36], x[3, 0], x[4, 0] = 0, 0, -1, np.nan
    cond = np.array([[50.0], [0.0], [50.0], [50.0], [50.0]], np.float32)
    with np.errstate(invalid="ignore"):
        value, log_det = fitted.log_prob(x, cond), fitted.log_det(x, cond)

    assert np.isfinite(value).all()
    assert (value[:3] > LOWEST).all()
    assert (value[3:].tolist(), log_det[3:].tolist()) == ([LOWEST, LOWEST], [0, 0])
    assert fitted.outside(cond).tolist() == [False, True, False, False, False]


def test_layers_follow_from_the_number_of_voxels():
    known = {n: Geometry.of(n).layers for n in (504, 108, 7)}

    assert known == {504: (288, 144, 72), 108: (36, 36, 36), 7: (7,)}
    assert Geometry.of(7, (3, 4)).layers == (3, 4)
    with pytest.raises(DataError, match="make 7, but the showers have 8"):
        Geometry.of(8, (3, 4))


@pytest.mark.parametrize(("voxels", "scale"), [(504, 1), (108, 4)])
def test_regions_are_those_of_the_paper(voxels, scale):
    """Of the square second layer: 16 voxels in the core, 48 around them, 80 outside, 72 on either side; pooled a quarter as many."""
    sizes = {name: int(inside.sum()) for name, inside in Geometry.of(voxels).regions().items()}

    assert [sizes[name] * scale for name in ("core", "middle", "outer", "left", "right")] == [16, 48, 80, 72, 72]
    assert sum(sizes[f"layer-{i}"] for i in range(3)) == voxels


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x, m: (-x, m, None), "negative energy"),
        (lambda x, m: (x, -m, None), "negative energy m"),
        (lambda x, m: (x, m, m[:, None]), "one condition"),
    ],
)
def test_what_is_no_shower_is_refused(change, message):
    sample = showers(5)
    x, m, context = change(sample.x, sample.m)
    with pytest.raises(DataError, match=message):
        CaloFlowEstimator(CaloFlowConfig()).check(Sample(x, m, context=context), None)


def test_density_of_layer_energies_integrates_to_one():
    """The first flow in two dimensions, summed over a grid."""
    flow = make_flow(FlowShape(groups=(2,), conditions=1, blocks=2, hidden=8, depth=1, bound=3.0, alternate=False), seed=2)
    axis = torch.linspace(-6, 6, 241)
    grid = torch.cartesian_prod(axis, axis)
    with torch.no_grad():
        total = flow(grid, torch.full((len(grid), 1), 0.3)).exp().sum() * 0.05**2

    assert float(total) == pytest.approx(1, abs=1e-3)
    assert math.isfinite(float(total))


def test_the_published_shares_train_score_and_draw(tmp_path):
    """``paper`` in small: shares of the layer, nothing standardised, dropout; stored and read again it answers the same."""
    small = {"blocks": 2, "hidden": 16, "epochs": 1, "energy_blocks": 2, "energy_hidden": 8, "energy_epochs": 1, "layers": LAYERS}
    sample = showers(400, LAYERS)
    model = CaloFlowEstimator(CaloFlowConfig.preset("paper", **small)).fit(sample[:350], sample[350:], RunContext(workdir=tmp_path))
    drawn = model.sample(sample.cond, np.random.default_rng(0))
    folder = tmp_path / "model"
    folder.mkdir()
    model.save(folder)
    again = CaloFlow.load(folder, "cpu")

    assert model.shape.shape.features == 12
    assert np.isfinite(drawn).all()
    assert np.isfinite(model.log_prob(sample.x, sample.cond)).all()
    assert np.array_equal(again.log_prob(sample.x, sample.cond), model.log_prob(sample.x, sample.cond))


@pytest.mark.slow
def test_on_simulated_photons_it_finds_what_the_publication_finds(tmp_path):
    """Wide pairs from anywhere and decays inside are found, collinear pairs in front are not; latent noise is normal (minutes)."""

    def simulate(**options):
        config = CaloShowersConfig(**{"n_reference": 0, "n_background": 1, "n_signal": 0, "n_test": 1, "n_test_signal": 500, **options})
        return CaloShowers(config).load(RunContext(seed=3, scope=("data",)))

    reference = simulate(n_reference=12_000, n_test=4000)
    train, photons = reference.reference, reference.test[reference.test.truth == 0]
    model = CaloFlowEstimator(CaloFlowConfig()).fit(train[:10_000], train[10_000:11_000], RunContext(workdir=tmp_path))
    held = train[11_000:]
    latent = mean_square_latent(model.parts(held.x, held.cond), region_sizes(model))

    def score(sample):
        return model.log_det(sample.x, sample.cond) - model.log_prob(sample.x, sample.cond)

    def auc(mass, place):
        test = simulate(masses=[mass], displacements=[place]).test
        return float(np.mean(np.searchsorted(np.sort(score(photons)), score(test[test.truth == 1]))) / len(photons))

    assert auc(5.0, 0.33) > 0.95
    assert auc(0.005, 1.00) < 0.6
    assert min(auc(mass, place) for mass in (0.005, 5.0) for place in (1.08, 1.32)) > 0.9
    assert np.mean([latent[f"layer-{i}"] for i in range(3)]) == pytest.approx(1, abs=0.05)
