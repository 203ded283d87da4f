"""The training loop: which epochs are kept, and what steps and losses that are no numbers do."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support.lines import Listener, line, linear_model, regression
from torch import nn

from adtoolkit.context import RunContext
from adtoolkit.errors import RunError
from adtoolkit.nn.training import TrainingPlan, train
from adtoolkit.types import Sample


def climbing(model, x, cond, weight, generator):
    """Training raises the weight by about the rate each step, and the loss of validation with it: later epochs are worse."""
    return model.weight.sum() * (-1 if model.training else 1)


def test_untrained_weights_are_never_among_the_best(tmp_path):
    """Where training only makes things worse, the best epochs are 1, 2, 3, with the weights after those epochs, not before."""
    model = linear_model()
    before = model.weight.item()
    plan = TrainingPlan(
        epochs=6, batch=100, lr=0.1, weight_decay=0, ema=0.0, keep="best", keep_best=3, validate_every=1, schedule="constant"
    )
    report = train(model, climbing, line(), line(50), plan, RunContext(workdir=tmp_path))
    after = [before + 0.1 * 2 * epoch for epoch in (1, 2, 3)]  # two steps of Adam per epoch, each of the size of the rate

    assert report.kept_epochs == (1, 2, 3)
    assert [w["weight"].item() for w in report.kept] == pytest.approx(after, abs=1e-4)
    assert [dict(report.val_loss)[e] for e in report.kept_epochs] == pytest.approx(after, abs=1e-4)
    assert model.weight.item() == pytest.approx(after[0], abs=1e-4)


def test_the_best_epochs_are_those_of_lowest_validation_loss(tmp_path):
    """However the losses jump about; as many as there were looks, if fewer than asked for."""

    def noisy(model, x, cond, weight, generator):
        return regression(model, x, cond, weight, generator) + (0.3 if model.training else 1) * model.weight.square().sum() * 0.1

    plan = TrainingPlan(epochs=15, batch=20, lr=0.3, ema=0.0, keep="best", keep_best=4, validate_every=1, schedule="constant")
    report = train(linear_model(), noisy, line(), line(50, seed=1), plan, RunContext(workdir=tmp_path))
    ranked = [epoch for epoch, _ in sorted(report.val_loss, key=lambda look: look[1])]
    few = train(
        linear_model(),
        regression,
        line(),
        line(50, seed=1),
        TrainingPlan(epochs=3, batch=20, keep="best", keep_best=10, validate_every=1),
        RunContext(workdir=tmp_path / "few"),
    )

    assert list(report.kept_epochs) == ranked[:4]
    assert report.kept_epoch == ranked[0]
    assert sorted(few.kept_epochs) == [1, 2, 3]


def test_the_best_epochs_survive_an_interruption(tmp_path):
    """Interrupted twice and resumed, all kept weights equal the undisturbed training's bit for bit."""
    plan = TrainingPlan(epochs=12, batch=30, lr=0.05, ema=0.0, keep="best", keep_best=4, validate_every=1, checkpoint_seconds=1e-9)

    def run(folder, stops):
        for stop in (*stops, 0):
            try:
                report = train(
                    linear_model(), regression, line(), line(50, seed=1), plan, RunContext(seed=5, workdir=folder, tell=Listener(stop))
                )
            except KeyboardInterrupt:
                continue
        return report

    expected, actual = run(tmp_path / "a", ()), run(tmp_path / "b", (3, 8))

    assert expected == actual
    assert len(actual.kept) == 4
    assert all(torch.equal(a[k], b[k]) for a, b in zip(expected.kept, actual.kept, strict=True) for k in a)


class Poison(torch.autograd.Function):
    """The identity, with gradients that are not a number where the second argument says so."""

    @staticmethod
    def forward(context, value, bad):
        context.save_for_backward(bad)
        return value.clone()

    @staticmethod
    def backward(context, gradient):
        (bad,) = context.saved_tensors
        return torch.where(bad, torch.nan, gradient), None


def poisoned(where):
    """A regression in which events of x above 100 have a bad ``loss`` or ``gradient``, or are masked out of the loss."""

    def loss(model, x, cond, weight, generator):
        bad = x[:, 0] > 100
        per_event = (model(cond)[:, 0] - torch.where(bad, 0.0, x[:, 0])).square()
        if where == "loss":
            return torch.where(bad, torch.nan, per_event).mean()
        if where == "gradient":  # the loss itself is finite
            return Poison.apply(per_event, bad).mean()
        ratio = (model(cond)[:, 0] - x[:, 0]) / (~bad).float()
        return ratio[~bad].square().mean()  # "masked": what is left out still multiplies zero by infinity in the backward pass

    return loss


@pytest.mark.parametrize("where", ["loss", "gradient", "masked"])
def test_a_step_that_is_not_finite_changes_nothing_and_is_counted(where, tmp_path):
    """Leaving NaN events out of the mean does not protect the gradients; the step is skipped, and the weights stay finite."""
    good = line(390)
    bad = Sample(np.full((10, 1), 1000, "f"), np.zeros(10, "f"))
    heard, model = Listener(), linear_model()
    plan = TrainingPlan(epochs=6, batch=4, lr=0.05, ema=0.9, weight_decay=0)
    report = train(model, poisoned(where), Sample.concat(good, bad), line(0), plan, RunContext(workdir=tmp_path, tell=heard))

    assert 20 < report.skipped <= 60
    assert model.weight.item() == pytest.approx(2, abs=0.1)
    assert all(np.isfinite(p.detach().numpy()).all() for p in model.parameters())
    assert np.isfinite(report.train_loss).all()
    assert f"skipped {report.skipped:,} of {report.steps:,} steps" in heard.notes[-1]


def test_a_skipped_step_leaves_weights_moments_and_batch_statistics(tmp_path):
    """After good steps and then a bad one, model and optimiser are bit for bit what they were before it."""
    from adtoolkit.nn.guard import StepGuard

    torch.manual_seed(0)
    model = nn.Sequential(nn.BatchNorm1d(2), nn.Linear(2, 1))
    parameters = list(model.parameters())
    optimizer = torch.optim.AdamW(parameters, lr=0.1, fused=True)
    guard = StepGuard(model, parameters, optimizer, clip=1.0)

    def step(x):
        guard.remember()
        optimizer.zero_grad()
        value = model(x).square().mean()
        value.backward()
        guard.step(value)

    step(torch.randn(8, 2))
    step(torch.randn(8, 2))
    before = [v.clone() for v in (*model.state_dict().values(), *(t for s in optimizer.state.values() for t in s.values()))]
    step(torch.full((8, 2), torch.inf))
    after = [*model.state_dict().values(), *(t for s in optimizer.state.values() for t in s.values())]

    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert guard.skipped.item() == 1
    step(torch.randn(8, 2))

    assert not torch.equal(before[2], model.state_dict()["0.running_mean"])


def test_without_bad_steps_the_guard_changes_no_bit(tmp_path):
    """The same weights as plain AdamW with plain clipping."""
    model, expected = linear_model(), linear_model()
    events = line(100)
    order = None

    def spy(module, x, cond, weight, generator):
        nonlocal order
        order = [*(order or []), (x.clone(), cond.clone())]
        return regression(module, x, cond, weight, generator)

    plan = TrainingPlan(epochs=2, batch=25, lr=0.05, ema=0.0, clip=0.5, schedule="constant", weight_decay=0.01, checkpoint_seconds=0)
    train(model, spy, events, line(0), plan, RunContext(workdir=tmp_path))
    optimizer = torch.optim.AdamW(expected.parameters(), lr=0.05, weight_decay=0.01, fused=True)
    for x, cond in order:
        optimizer.zero_grad()
        regression(expected, x, cond, None, None).backward()
        nn.utils.clip_grad_norm_(expected.parameters(), 0.5)
        optimizer.step()

    assert torch.equal(model.weight, expected.weight)
    assert torch.equal(model.bias, expected.bias)


def test_a_divergent_epoch_is_not_hidden_from_the_choice_of_epochs(tmp_path):
    """A validation loss that is not finite counts against its epoch; events are not left out of it; it is told of."""
    heard = Listener()

    def diverging(model, x, cond, weight, generator):
        value = regression(model, x, cond, weight, generator)
        return value if model.training or model.weight < 1.5 else value * torch.inf

    plan = TrainingPlan(epochs=3, batch=100, lr=0.5, ema=0.0, keep="best", validate_every=1, schedule="constant")
    report = train(linear_model(), diverging, line(), line(50, seed=1), plan, RunContext(workdir=tmp_path, tell=heard))

    assert not np.isfinite([v for _, v in report.val_loss]).all()
    assert np.isfinite(dict(report.val_loss)[report.kept_epoch])
    assert "no finite validation loss" in heard.notes[-1]


def test_a_validation_loss_that_is_never_finite_ends_the_training(tmp_path):
    def loss(model, x, cond, weight, generator):
        return regression(model, x, cond, weight, generator) * (1 if model.training else torch.nan)

    plan = TrainingPlan(epochs=50, batch=100, validate_every=1)
    with pytest.raises(RunError, match="validation loss of 'training' became nan in epoch 3, at 3 looks in a row"):
        train(linear_model(), loss, line(), line(50), plan, RunContext(workdir=tmp_path))
