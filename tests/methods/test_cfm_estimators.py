"""What holds for every flow-matching estimator, whatever it is trained on and however it sees the mass."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from support.gaussians import check_draws_follow_the_density, toy, toy_log_prob

from adtoolkit.context import RunContext
from adtoolkit.errors import DataError
from adtoolkit.interfaces import CanLogProb, CanSample, FitTask, HasField, TrainsTogether
from adtoolkit.interpolators.anchors import anchors_of, check_anchors
from adtoolkit.interpolators.config import AnchorConfig
from adtoolkit.nn import checkpoint
from adtoolkit.nn.cfm_model import CfmModel
from adtoolkit.types import Sample, Window
from adtoolkit_masked_cfm.config import MaskedCfmConfig
from adtoolkit_masked_cfm.estimator import MaskedCfm
from adtoolkit_sigma.config import SigmaConfig
from adtoolkit_sigma.estimator import Sigma

WINDOW = Window(3.3, 3.7)
METHODS = {"sigma": (Sigma, SigmaConfig), "masked-cfm": (MaskedCfm, MaskedCfmConfig)}
TINY = {"hidden": 8, "blocks": 1, "steps": 20, "batch": 100}


@pytest.fixture(params=METHODS)
def name(request):
    return request.param


@pytest.fixture
def fit(name, tmp_path):
    """``fit(train, folder=..., seed=..., tell=..., **options)`` of each estimator, with a few events to validate with."""

    def call(train, val=None, folder="fit", seed=3, tell=lambda event: None, **options):
        estimator, config = METHODS[name]
        ctx = RunContext(seed=seed, workdir=tmp_path / folder, tell=tell)
        return estimator(config(**options)).fit(train, toy(50) if val is None else val, ctx)

    return call


@pytest.fixture(scope="module", params=METHODS)
def trained(request, tmp_path_factory):
    """Trained for some seconds; the masked one on the sidebands."""
    estimator, config = METHODS[request.param]
    events = toy()
    if request.param == "masked-cfm":
        events = events[~WINDOW.contains(events.m)]
    octaves = {"mass_frequencies": 4} if request.param == "sigma" else {}
    ctx = RunContext(seed=1, scope=(request.param,), workdir=tmp_path_factory.mktemp("fit"))
    options = config(hidden=32, blocks=2, steps=1200, batch=512, solver_steps=10, lr=4e-3, **octaves)
    return estimator(options).fit(events, toy(2000, seed=1), ctx)


def weights(model):
    return torch.cat([p.flatten() for p in model.network.state_dict().values()])


def test_the_trained_model_has_the_closed_form_density(trained):
    """On the toy, log p differs from the truth by little, in the window too, and draws have the right moments."""
    for events, most in ((toy(2000, seed=2), 0.06), (Sample(*_inside(2000)), 0.06)):
        excess = toy_log_prob(events.x, events.m) - trained.log_prob(events.x, events.cond)
        draws = trained.sample(events.cond, np.random.default_rng(0))

        assert 0 <= excess.mean() + 0.01 < most  # the mean is a Kullback-Leibler divergence
        assert (draws[:, 0] - events.m + 3.5).mean() == pytest.approx(0, abs=0.06)
        assert (draws[:, 0] - events.m + 3.5).std() == pytest.approx(0.5, abs=0.05)
        assert draws[:, 1].std() == pytest.approx(1, abs=0.08)


def _inside(n):
    rng = np.random.default_rng(3)
    m = rng.uniform(WINDOW.lo, WINDOW.hi, n)
    return np.column_stack([m - 3.5 + 0.5 * rng.standard_normal(n), rng.standard_normal(n)]), m


def test_draws_agree_with_the_density(trained):
    check_draws_follow_the_density(trained)


def test_an_estimated_divergence_depends_on_the_event_alone_and_is_right_on_average(trained):
    """The cheap density scatters about the exact one, the same in any company."""
    cheap = CfmModel(trained.network, trained.options, trained.mass_range, _integration(trained, trace="hutchinson"))
    events = toy(1500, seed=4)
    exact, estimate = trained.log_prob(events.x, events.cond), cheap.log_prob(events.x, events.cond)
    off = estimate - exact

    assert off.std() > 1e-3
    assert off.mean() == pytest.approx(0, abs=4 * float(off.std()) / 1500**0.5)
    np.testing.assert_allclose(cheap.log_prob(events.x[5:8], events.cond[5:8]), estimate[5:8], atol=1e-4)


def test_densities_converge_with_their_own_steps(trained):
    """More steps, closer to very many; draws are not touched by them."""
    events = toy(150, seed=5)
    models = {
        n: CfmModel(trained.network, trained.options, trained.mass_range, _integration(trained, density_steps=n)) for n in (4, 16, 80)
    }
    found = {n: model.log_prob(events.x, events.cond) for n, model in models.items()}

    assert np.abs(found[16] - found[80]).mean() < 0.3 * np.abs(found[4] - found[80]).mean()
    assert np.array_equal(*(models[n].sample(events.cond, np.random.default_rng(0)) for n in (4, 80)))


def _integration(model, **changes):
    return replace(model.integration, **changes)


def test_a_stored_model_gives_the_same_answers(trained, tmp_path):
    """Bit for bit, without pickles."""
    trained.save(tmp_path)
    back = CfmModel.load(tmp_path, "cpu")
    cond = np.linspace(2.5, 5, 100, dtype="f")[:, None]
    x = trained.sample(cond, np.random.default_rng(0))

    assert np.array_equal(x, back.sample(cond, np.random.default_rng(0)))
    assert np.array_equal(trained.log_prob(x, cond), back.log_prob(x, cond))
    assert (trained.mass_range, trained.integration) == (back.mass_range, back.integration)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model.json", "network.safetensors"]


def test_the_kind_of_context_is_stored_with_the_model(fit, tmp_path):
    """Weights of linear gates fit a network of non-linear ones, which would answer wrongly: the model file tells them apart."""
    model = fit(toy(500), gate_activation=False, **TINY)
    model.save(tmp_path)
    cond = np.linspace(2.5, 5, 100, dtype="f")[:, None]
    x = model.sample(cond, np.random.default_rng(0))

    assert np.array_equal(x, CfmModel.load(tmp_path, "cpu").sample(cond, np.random.default_rng(0)))
    meta = (tmp_path / "model.json").read_text()
    (tmp_path / "model.json").write_text(meta.replace('"gate_activation": false', '"gate_activation": true'))
    assert not np.allclose(x, CfmModel.load(tmp_path, "cpu").sample(cond, np.random.default_rng(0)), atol=1e-3)


def test_the_seed_decides_the_training_and_the_global_generators_do_not(fit):
    """Same seed, same weights; another seed, others; torch's own generator is neither read nor moved."""
    found = []
    for k, seed in enumerate((1, 1, 2)):
        torch.manual_seed(k)
        before = torch.get_rng_state()
        found.append(weights(fit(toy(500), folder=str(k), seed=seed, **TINY)))
        assert torch.equal(before, torch.get_rng_state())

    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


@pytest.mark.parametrize("n", [100, 101, 199, 300, 37])
@pytest.mark.parametrize("norm", ["layer", "batch"])
def test_any_number_of_events_is_trained_on(fit, n, norm):
    """Exact multiples of a batch, one more, one less, fewer than one: no empty batch, none of a single event."""
    model = fit(toy(n), norm=norm, **{**TINY, "steps": 0, "epochs": 3})

    assert torch.isfinite(weights(model)).all()


def test_dropout_and_batch_statistics_are_off_in_use_and_on_in_training(fit):
    """Asked twice, a model with dropout says the same; frozen from the first epoch, dropout has no part in the training."""
    dropped = fit(toy(500), folder="a", dropout=0.5, norm="batch", **TINY)
    frozen = [fit(toy(500), folder=f"f{p}", dropout=p, frozen_from=0, **TINY) for p in (0.0, 0.5)]
    plain = fit(toy(500), folder="b", dropout=0.5, **TINY)
    events = toy(100)

    assert not dropped.network.training
    assert np.array_equal(dropped.log_prob(events.x, events.cond), dropped.log_prob(events.x, events.cond))
    assert torch.equal(weights(frozen[0]), weights(frozen[1]))
    assert not torch.equal(weights(frozen[0]), weights(plain))


def test_weights_are_honoured(fit):
    """A population of weight zero is not learnt."""
    good = toy(4000)
    bad = Sample(good.x + 5, good.m)
    both = Sample(np.concatenate([good.x, bad.x]), np.concatenate([good.m, bad.m]), weight=np.repeat([1, 0], 4000).astype("f"))
    model = fit(both, hidden=32, blocks=2, mass_frequencies=2, steps=400, batch=512, lr=4e-3, ema=0.98)
    draws = model.sample(good.cond[:2000], np.random.default_rng(0))

    assert (draws[:, 1] > 3).mean() < 0.02


def test_an_interrupted_fit_ends_with_the_same_weights(fit, monkeypatch):
    """A fit broken off and started again gives what an undisturbed one gives, to the last bit."""
    options = {**TINY, "steps": 0, "epochs": 8, "dropout": 0.1}

    def break_off(event):
        if event.kind == "step" and event.values["step"] == 5:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint.Checkpoint, "due", lambda self: True)  # every epoch, whatever the clock says
        with pytest.raises(KeyboardInterrupt):
            fit(toy(500), folder="broken", tell=break_off, **options)
        resumed = fit(toy(500), folder="broken", **options)
    undisturbed = fit(toy(500), folder="undisturbed", **options)

    assert torch.equal(weights(undisturbed), weights(resumed))


@pytest.mark.parametrize("preset", ["smoke", "paper"])
def test_presets_train(name, preset, tmp_path):
    """Both presets run: here for a few steps, in their own arithmetic and with their own layers."""
    estimator, config = METHODS[name]
    few = {"epochs": 2, "hidden": 16, "frozen_from": 1} if preset == "paper" else {"steps": 20}
    model = estimator(config.preset(preset, **few)).fit(toy(5000), toy(500), RunContext(workdir=tmp_path))

    assert np.isfinite(model.sample(toy(10).cond, np.random.default_rng(0))).all()


@pytest.mark.parametrize("n", [0, 1, 7, 4096, 5001])
def test_any_number_of_events_is_drawn_whatever_the_chunks(trained, n):
    """None, one, odd and more than a chunk, none dropped; the same events, taken apart, are the same."""
    cond = np.linspace(2, 6, n, dtype="f")[:, None]
    x = trained.sample(cond, np.random.default_rng(0))

    assert x.shape == (n, 2)
    assert x.dtype == np.float32
    assert trained.log_prob(x[:9], cond[:9]).shape == (min(n, 9),)
    if n > 4096:
        np.testing.assert_allclose(x[:100], trained.sample(cond[:100], np.random.default_rng(0)), atol=1e-5)


def test_masses_and_features_beyond_the_training_have_finite_answers(trained):
    """Nothing turns into NaN there, so no event is lost: draws at other masses, densities five spreads away."""
    cond = np.array([[1.0], [1.9], [6.5], [9.0]], "f")
    far = np.full((4, 2), 5, "f")

    assert np.isfinite(trained.sample(cond, np.random.default_rng(0))).all()
    assert np.isfinite(trained.log_prob(far, cond)).all()


def test_answers_carry_no_gradients(trained):
    """A model is a thing to ask: no weight of it asks for a gradient."""
    assert not any(p.requires_grad for p in trained.network.parameters())
    assert not trained.field(torch.tensor(0.5), torch.zeros(3, 2), torch.full((3, 1), 3.0)).requires_grad


def test_the_model_can_do_what_its_record_says(trained):
    assert all(isinstance(trained, p) for p in (CanSample, CanLogProb, HasField))


def test_anchors_that_pass_the_check_before_the_training_pass_after_it(fit):
    """The highest mass may be among the events for validation: it counts in both places, so a refusal comes early."""
    events = toy(500)
    order = np.argsort(events.m)
    train, val = events[order[1:-1]], events[order[[0, -1]]]
    lo, hi = float(events.m.min()), float(events.m.max())
    anchors = AnchorConfig(lo=lo, hi=hi)
    model = fit(train, val, **TINY)
    check_anchors(anchors, events, WINDOW)

    assert model.mass_range == (lo, hi)
    assert anchors_of(anchors, WINDOW, model).masses == (lo, hi)
    with pytest.raises(DataError, match="training masses"):
        check_anchors(AnchorConfig(hi=hi + 1e-3), events, WINDOW)


def test_events_that_cannot_be_trained_on_are_refused_before_anything_is_trained(name, tmp_path):
    """None, one mass, no finite numbers, conditions that the network does not see; among several tasks too."""
    estimator, config = METHODS[name]
    good = toy(300)
    bad = {
        "no events": good[:0],
        r"All 10 training events have the mass 3\.5": Sample(np.zeros((10, 2), "f"), np.full(10, 3.5, "f")),
        "not finite": Sample(np.full((10, 2), np.nan, "f"), np.arange(10, dtype="f")),
        "1 conditions besides m": Sample(good.x, good.m, context=good.x[:, :1]),
        "negative weights": Sample(good.x, good.m, weight=-np.ones(300, "f")),
    }
    heard = []
    ctx = RunContext(workdir=tmp_path, tell=heard.append)
    for match, events in bad.items():
        with pytest.raises(DataError, match=match):
            estimator(config(**TINY)).fit_many([FitTask(good, good[:0], ctx), FitTask(events, good[:0], ctx)])

    assert heard == []
    with pytest.raises(DataError, match="The events have 1 conditions besides m"):
        estimator(config(**TINY)).check(bad["1 conditions besides m"], None)


def test_several_trainings_are_one_call(name, tmp_path):
    """`fit` is `fit_many` of one; no task, no model."""
    estimator, config = METHODS[name]
    instance = estimator(config(**TINY))
    ctx = RunContext(seed=5, workdir=tmp_path)
    alone = instance.fit(toy(300), toy(50), ctx)
    (model,) = instance.fit_many([FitTask(toy(300), toy(50), ctx)])

    assert isinstance(instance, TrainsTogether)
    assert instance.fit_many([]) == []
    assert torch.equal(weights(alone), weights(model))
