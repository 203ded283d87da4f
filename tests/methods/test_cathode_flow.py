"""The estimator ``cathode``: a conditional flow of the sidebands."""

from __future__ import annotations

import numpy as np
import pytest

from adtoolkit.context import RunContext
from adtoolkit.nn.flows_affine import FlowBatchNorm
from adtoolkit.plugin import Region
from adtoolkit.registry import default_registry
from adtoolkit.testing import toy_world
from adtoolkit_cathode.config import CathodeFlowConfig
from adtoolkit_cathode.estimator import CathodeFlow


def quick(**numbers):
    return CathodeFlowConfig(**{"hidden": 24, "batch": 200, "steps": 0, "epochs": 6, "lr": 5e-3, **numbers})


def fit(config, folder, tell=lambda event: None, seed=0):
    train, val = toy_world(seed=4, n=2500).training(Region.SIDEBAND)
    return CathodeFlow(config).fit(train, val, RunContext(seed=seed, workdir=folder, tell=tell))


def test_the_paper_preset_is_the_published_flow():
    """arXiv:2109.00546: 15 blocks of 128 units; Adam 1e-4 with weight decay 1e-6, batches of 256, the ten best of 100 epochs."""
    paper = CathodeFlowConfig.preset("paper")
    expected = {
        "flow": "maf", "blocks": 15, "hidden": 128, "raw_mass": True, "epochs": 100, "steps": 0, "batch": 256, "lr": 1e-4,
        "weight_decay": 1e-6, "decoupled": False, "schedule": "constant", "clip": 0, "ema": 0, "validate_every": 1, "keep": "best",
        "best_epochs": 10,
    }  # fmt: skip

    assert expected.items() <= paper.model_dump().items()


def test_it_is_trained_on_the_sidebands_or_without_a_window_on_the_reference_and_evaluated_directly():
    record = default_registry().get("estimator", "cathode").component

    assert record.trains_on == (Region.SIDEBAND, Region.REFERENCE)
    assert (record.default_interpolator, record.default_scorer) == ("direct", "cathode")


def test_interpolates_into_a_window_it_has_not_seen(tmp_path):
    """In the window the density is within 0.1 of the exact one on average, and draws have its mean."""
    world = toy_world(seed=4, n=5000)
    train, val = world.training(Region.SIDEBAND)
    model = CathodeFlow(quick(epochs=14, blocks=4)).fit(train, val, RunContext(workdir=tmp_path))
    inside = world.background(np.random.default_rng(0).uniform(3.3, 3.7, 4000), np.random.default_rng(1))
    drawn = model.sample(inside.cond, np.random.default_rng(2))

    assert np.mean(world.log_prob(inside.x, inside.m) - model.log_prob(inside.x, inside.cond)) == pytest.approx(0, abs=0.1)
    assert drawn.mean(0) == pytest.approx(inside.x.mean(0), abs=0.1)


def test_the_published_flow_averages_its_best_epochs_each_with_its_own_statistics(tmp_path):
    """Members are epochs from 1 on; each has the whole-sample statistics of its own weights, which a fresh pass reproduces."""
    config = quick(**{**CathodeFlowConfig.presets["paper"], "blocks": 2, "hidden": 16, "epochs": 6, "best_epochs": 4, "lr": 3e-3})
    model = fit(config, tmp_path)
    train, _ = toy_world(seed=4, n=2500).training(Region.SIDEBAND)
    statistics = []
    for flow in model.members:
        layers = [layer for layer in flow.layers if isinstance(layer, FlowBatchNorm)]
        before = [layer.mean.clone() for layer in layers]
        flow.refresh(*(flow.shift.new_tensor(v) for v in (train.x, train.cond)))
        statistics.append(float(before[-1][0]))

        assert all(layer.mean.allclose(mean, atol=1e-5) for layer, mean in zip(layers, before, strict=True))

    assert len(set(statistics)) == len(model.members) == 4
    assert min(model.epochs) >= 1
    assert max(model.epochs) <= 6


@pytest.mark.parametrize("preset", ["paper", ""])
def test_a_resumed_fit_ends_with_the_same_bits(preset, tmp_path, monkeypatch):
    """Interrupted after the second epoch, the mixture equals the undisturbed fit's bit for bit."""
    from adtoolkit.nn import training

    monkeypatch.setattr(training.Checkpoint, "due", lambda self: True)
    config = quick(**{**CathodeFlowConfig.presets.get(preset, {}), "blocks": 2, "hidden": 8, "epochs": 4, "best_epochs": 3})

    def stop(event):
        if event.kind == "step" and event.values["step"] == 2:
            raise KeyboardInterrupt

    expected = fit(config, tmp_path / "a")
    with pytest.raises(KeyboardInterrupt):
        fit(config, tmp_path / "b", stop)
    notes = []
    actual = fit(config, tmp_path / "b", lambda event: notes.append(event.text))
    at = toy_world(seed=5, n=300).dataset.events

    assert any("goes on from its checkpoint after epoch 2" in note for note in notes)
    assert actual.epochs == expected.epochs
    assert np.array_equal(actual.log_prob(at.x, at.cond), expected.log_prob(at.x, at.cond))


def test_another_seed_gives_another_flow(tmp_path):
    at = toy_world(seed=5, n=50).dataset.events
    one, other = (fit(quick(epochs=1), tmp_path / str(seed), seed=seed).log_prob(at.x, at.cond) for seed in (0, 1))

    assert not np.allclose(one, other)
