"""The training loop: batches, weights, averaging, stopping, and going on after a kill."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from support.lines import Listener, line, linear_model, regression
from torch import nn

from adtoolkit.context import RunContext
from adtoolkit.errors import ConfigError, DataError, RunError
from adtoolkit.nn.training import TrainingPlan, train
from adtoolkit.types import Sample


@pytest.mark.parametrize(
    ("n", "batch", "per_epoch"), [(100, 1000, 1), (100, 100, 1), (100, 99, 1), (100, 50, 2), (101, 50, 2), (7, 2, 3), (1, 5, 1)]
)
def test_no_batch_is_empty_and_a_rest_is_left_out(n, batch, per_epoch, tmp_path):
    """Batches are always full: larger than the sample, equal to it, dividing it or not."""
    sizes = []

    def loss(model, x, cond, weight, generator):
        sizes.append(len(x))
        return regression(model, x, cond, weight, generator)

    report = train(linear_model(), loss, line(n), line(0), TrainingPlan(epochs=3, batch=batch), RunContext(workdir=tmp_path))

    assert report.steps == 3 * per_epoch
    assert set(sizes) == {min(n, batch)}


def test_steps_do_not_grow_with_the_events(tmp_path):
    """A plan in steps takes exactly those, its last epoch in part."""
    report = train(linear_model(), regression, line(1000), line(0), TrainingPlan(steps=25, batch=100), RunContext(workdir=tmp_path))

    assert (report.steps, report.epochs) == (25, 3)


def test_learns_a_line_and_reports_each_epoch_once(tmp_path):
    """The loss falls to the noise, and every epoch is told of with the number of epochs."""
    heard = Listener()
    model = linear_model()

    report = train(
        model,
        regression,
        line(),
        line(seed=1),
        TrainingPlan(epochs=60, batch=20, lr=0.05, ema=0.9, validate_every=5),
        RunContext(workdir=tmp_path, tell=heard),
    )

    assert model.weight.item() == pytest.approx(2, abs=0.02)
    assert model.bias.item() == pytest.approx(1, abs=0.02)
    assert [s["step"] for s in heard.steps] == list(range(1, 61))
    assert {s["steps"] for s in heard.steps} == {60}
    assert report.val_loss[-1][1] < 1e-3 < report.val_loss[0][1]
    assert not model.training


def test_zero_weights_hide_events(tmp_path):
    """Events of weight 0 do not count, however wrong they are."""
    good, bad = line(200), line(200, seed=1)
    weight = np.concatenate([np.full(200, 3.0), np.zeros(200)]).astype("f")
    both = Sample(np.concatenate([good.x, bad.x + 100]), np.concatenate([good.m, bad.m]), weight=weight)
    model = linear_model()

    train(model, regression, both, line(0), TrainingPlan(epochs=60, batch=40, lr=0.05, ema=0.9), RunContext(workdir=tmp_path))

    assert model.bias.item() == pytest.approx(1, abs=0.03)


def test_equal_weights_change_nothing(tmp_path):
    """A common factor of all weights is divided out, to the last bit."""
    results = []
    for weight in (None, np.full(200, 7, "f")):
        model = linear_model()
        train(
            model,
            regression,
            line(weight=weight),
            line(0),
            TrainingPlan(epochs=3, batch=50, checkpoint_seconds=0),
            RunContext(workdir=tmp_path),
        )
        results.append(model.weight.item())

    assert results[0] == results[1]


@pytest.mark.parametrize("schedule", ["one-cycle", "plateau"])
def test_an_interrupted_training_ends_with_the_same_bits(schedule, tmp_path):
    """Interrupted twice and resumed, weights, losses and choice equal the undisturbed training's, dropout included."""
    plan = TrainingPlan(
        epochs=12, batch=30, lr=0.01, schedule=schedule, keep="best", validate_every=2, plateau_patience=1, checkpoint_seconds=1e-9, ema=0.9
    )

    def run(folder, stops):
        for stop in (*stops, 0):
            torch.manual_seed(0)
            model = nn.Sequential(nn.Linear(1, 16), nn.Dropout(0.3), nn.ReLU(), nn.Linear(16, 1))
            try:
                report = train(model, regression, line(), line(50, seed=1), plan, RunContext(seed=5, workdir=folder, tell=Listener(stop)))
            except KeyboardInterrupt:
                continue
        return report, model.state_dict()

    expected, weights = run(tmp_path / "a", ())
    actual, resumed = run(tmp_path / "b", (3, 8))

    assert expected == actual
    assert all(torch.equal(weights[k], resumed[k]) for k in weights)


KILLED = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from support.lines import line, linear_model, regression
from adtoolkit.context import RunContext
from adtoolkit.nn.training import TrainingPlan, train
def tell(event):
    if event.kind == "step":
        print(event.values["step"], flush=True)
        time.sleep(0.02)
model = linear_model()
plan = TrainingPlan(epochs=30, batch=20, lr=0.01, checkpoint_seconds=1e-9)
train(model, regression, line(), line(0), plan, RunContext(workdir=Path(sys.argv[1]), tell=tell))
"""


def test_a_training_killed_by_sigkill_ends_with_the_same_bits(tmp_path):
    """The process is really killed; the next one goes on from its checkpoint."""
    plan = TrainingPlan(epochs=30, batch=20, lr=0.01, checkpoint_seconds=1e-9)
    expected = linear_model()
    train(expected, regression, line(), line(0), plan, RunContext(workdir=tmp_path / "undisturbed"))
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path / "killed"), str(Path(__file__).parents[1])], stdout=subprocess.PIPE, text=True
    )
    with process:
        for text in process.stdout:
            if int(text) == 11:
                process.send_signal(signal.SIGKILL)
                break
    heard, actual = Listener(), linear_model()

    train(actual, regression, line(), line(0), plan, RunContext(workdir=tmp_path / "killed", tell=heard))

    assert process.returncode == -signal.SIGKILL
    assert heard.steps[0]["step"] >= 11
    assert torch.equal(expected.weight, actual.weight)


def test_a_damaged_or_foreign_checkpoint_is_told_of_and_ignored(tmp_path):
    """Neither half a file nor another training's state is taken over."""
    (tmp_path / "training.ckpt").write_bytes(b"PK\x03\x04 torn")
    heard = Listener()
    plan = TrainingPlan(epochs=2, batch=50, checkpoint_seconds=1e-9)
    train(linear_model(), regression, line(), line(0), plan, RunContext(workdir=tmp_path, tell=heard))
    train(linear_model(), regression, line(100), line(0), plan, RunContext(workdir=tmp_path, tell=heard))
    weighted = line(100, weight=np.arange(100, dtype=np.float32))
    train(linear_model(), regression, weighted, line(0), plan, RunContext(workdir=tmp_path, tell=heard))

    assert "damaged" in heard.notes[0]
    assert ["another training" in note for note in heard.notes[1:]] == [True, True]


def test_validation_uses_fixed_draws(tmp_path):
    """With frozen weights the validation loss is the same number at every look, although the loss is random."""

    def noisy(model, x, cond, weight, generator):
        return regression(model, x, cond, weight, generator) * (1 + torch.rand((), generator=generator))

    report = train(
        linear_model(), noisy, line(), line(50), TrainingPlan(epochs=6, batch=50, lr=0.0, validate_every=1), RunContext(workdir=tmp_path)
    )

    assert len({loss for _, loss in report.val_loss}) == 1
    assert len(set(report.train_loss)) == 6


def test_keeps_the_best_weights_and_stops_early(tmp_path):
    """With a rate that makes things worse, the first look wins and patience ends the training."""

    def drifting(model, x, cond, weight, generator):
        return model.weight.sum() * (1 if model.training else -1)  # training lowers what validation wants high

    model = linear_model()
    plan = TrainingPlan(epochs=50, batch=100, lr=0.1, ema=0.0, keep="best", validate_every=1, patience=3, schedule="constant")
    report = train(model, drifting, line(), line(50), plan, RunContext(workdir=tmp_path))

    assert (report.kept_epoch, report.epochs, report.stopped_early) == (1, 4, True)
    assert -model.weight.item() == pytest.approx(report.val_loss[0][1])


def test_freezing_puts_the_model_into_evaluation_mode(tmp_path):
    """From that epoch on dropout and batch statistics rest, while weights still learn."""
    modes = []

    def loss(model, x, cond, weight, generator):
        modes.append(model.training)
        return regression(model, x, cond, weight, generator)

    train(linear_model(), loss, line(), line(0), TrainingPlan(epochs=4, batch=200, freeze_epoch=2), RunContext(workdir=tmp_path))

    assert modes == [True, True, False, False]


def test_a_loss_that_is_not_a_number_ends_the_training(tmp_path):
    """One sentence names the training and what to do."""
    with pytest.raises(RunError, match=r"loss of 'flow'.* became nan .*in 1 of 1 steps of epoch 1 of 5.*learning rate"):
        train(
            linear_model(),
            lambda *a: regression(*a) * float("nan"),
            line(),
            line(0),
            TrainingPlan(epochs=5),
            RunContext(workdir=tmp_path),
            name="flow",
        )


@pytest.mark.parametrize(
    ("sample", "match"),
    [
        (line(0), "no events"),
        (Sample(np.full((5, 1), np.nan, "f"), np.zeros(5, "f")), "not finite"),
        (line(5, weight=np.zeros(5, "f")), "none above zero"),
        (line(2, weight=np.array([1, -1], "f")), "negative"),
    ],
)
def test_bad_events_are_refused(sample, match, tmp_path):
    with pytest.raises(DataError, match=match):
        train(linear_model(), regression, sample, line(0), TrainingPlan(epochs=1), RunContext(workdir=tmp_path))


def test_a_plan_needs_steps_or_epochs():
    with pytest.raises(ConfigError, match="either steps or epochs"):
        TrainingPlan()


def test_the_one_cycle_rate_rises_and_ends_at_zero():
    """Highest at the end of the warm-up, nearly zero at the end."""
    plan = TrainingPlan(steps=1000, lr=0.5, warmup=0.3)
    rates = [plan.rate(i, 1000) for i in range(1000)]

    assert max(rates) == pytest.approx(0.5, rel=1e-3)
    assert np.argmax(rates) == pytest.approx(300, abs=2)
    assert rates[-1] < 1e-5
    assert rates[0] < 0.03


def test_the_global_generator_of_torch_is_left_alone(tmp_path):
    """Dropout and initialisation of others do not depend on a training that ran before."""
    model = nn.Sequential(nn.Dropout(0.5), nn.Linear(1, 1))
    before = torch.get_rng_state()
    train(model, regression, line(), line(50), TrainingPlan(epochs=2, batch=50), RunContext(workdir=tmp_path))

    assert torch.equal(before, torch.get_rng_state())


def test_validation_is_the_mean_over_events_not_over_batches(tmp_path, monkeypatch):
    """Chunks of unequal size give what one chunk gives."""
    from adtoolkit.nn import training

    plan = TrainingPlan(epochs=1, batch=100, validate_every=1)
    losses = []
    for chunk in (1000, 30):
        monkeypatch.setattr(training, "_VALIDATION_CHUNK", chunk)
        report = train(linear_model(), regression, line(), line(100, seed=1), plan, RunContext(workdir=tmp_path / str(chunk)))
        losses.append(report.val_loss[0][1])

    assert losses[0] == pytest.approx(losses[1], rel=1e-6)


def test_whole_sample_statistics_are_refreshed_for_the_weights_that_are_judged_and_kept(tmp_path):
    """Before every look, and at the end, with all training events and with averaged weights in place."""
    model, seen = linear_model(), []

    def refresh(x, cond):
        seen.append((len(x), model.weight.item()))

    plan = TrainingPlan(epochs=4, batch=50, lr=0.05, ema=0.9, validate_every=2)
    train(model, regression, line(), line(50), plan, RunContext(workdir=tmp_path), refresh=refresh)

    assert [n for n, _ in seen] == [200, 200, 200, 200]  # after epochs 1, 3 and 4, and at the end
    assert seen[-1][1] == model.weight.item()


def test_adam_with_an_l2_penalty_is_not_adamw(tmp_path):
    """Not decoupled: the penalty enters the gradient, so that Adam's steps keep their size."""
    weights = []
    for decoupled in (True, False):
        model = linear_model()
        plan = TrainingPlan(epochs=5, batch=50, lr=0.01, ema=0.0, weight_decay=1.0, decoupled=decoupled, checkpoint_seconds=0)
        train(model, regression, line(), line(0), plan, RunContext(workdir=tmp_path))
        weights.append(model.weight.item())

    assert weights[0] != weights[1]
