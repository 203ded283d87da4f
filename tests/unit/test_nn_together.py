"""Trainings as one stack: members as they would be alone, events kept once, and when it is not done."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from adtoolkit.cfm_config import CfmConfig
from adtoolkit.context import RunContext
from adtoolkit.interfaces import FitTask
from adtoolkit.nn import checkpoint, pool, together
from adtoolkit.nn.cfm_fit import fit_cfm
from adtoolkit.nn.plan import TrainingPlan
from adtoolkit.types import Sample, Window

CPU = torch.device("cpu")
WINDOWS = (Window(3.0, 3.4), Window(3.2, 3.6), Window(4.0, 5.5))
SMALL = CfmConfig(hidden=16, blocks=2, steps=40, batch=128, precision="float32")


def toy(n=1200, seed=0, weighted=False):
    rng = np.random.default_rng(seed)
    m = rng.uniform(2, 6, n)
    x = np.column_stack([m - 3.5 + 0.5 * rng.standard_normal(n), rng.standard_normal(n)])
    return Sample(x, m, weight=rng.uniform(0.5, 2, n).astype("f") if weighted else None)


def tasks(folder, weighted=False, tell=lambda event: None):
    """Three windows of one dataset, with sidebands of different sizes and seeds of their own."""
    events = toy(weighted=weighted)
    found = []
    for i, window in enumerate(WINDOWS):
        side = events[~window.contains(events.m)]
        found.append(FitTask(side[50:], side[:50], RunContext(seed=i, scope=("masked",), workdir=folder / str(i), tell=tell)))
    return found


def weights(model):
    return torch.cat([p.flatten() for p in model.network.state_dict().values()])


@pytest.fixture
def stacked(monkeypatch):
    """Counts the stacks that are trained."""
    sizes = []
    train = together.train_together

    def counted(models, *rest, **options):
        sizes.append(len(models))
        return train(models, *rest, **options)

    monkeypatch.setattr(together, "train_together", counted)
    return sizes


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("options", [{}, {"schedule": "cosine", "ema": 0.0}, {"mass_embedding": "frequencies", "norm": "none"}])
def test_a_member_ends_as_it_would_alone(tmp_path, stacked, weighted, options):
    """Weights agree to 1e-4 after a short training, over several epochs of different lengths, whatever the neighbours."""
    config = SMALL.model_copy(update=options)
    many = fit_cfm(config, tasks(tmp_path / "many", weighted))
    alone = [fit_cfm(config, [task])[0] for task in tasks(tmp_path / "alone", weighted)]

    assert stacked == [3]
    assert {len(t.train) // 128 for t in tasks(tmp_path)} == {8, 5}
    for one, other in zip(many, alone, strict=True):
        torch.testing.assert_close(weights(one), weights(other), atol=1e-4, rtol=0)
        assert one.mass_range == other.mass_range
        assert not one.network.training


def test_members_come_back_in_order_and_do_not_depend_on_their_place(tmp_path):
    forward, backward = fit_cfm(SMALL, tasks(tmp_path / "a")), fit_cfm(SMALL, tasks(tmp_path / "b")[::-1])

    for one, other in zip(forward, backward[::-1], strict=True):
        torch.testing.assert_close(weights(one), weights(other), atol=1e-4, rtol=0)
    assert (weights(forward[0]) - weights(forward[1])).abs().max() > 0.01


@pytest.mark.parametrize("options", [{"dropout": 0.1}, {"norm": "batch"}, {"keep": "best"}, {"schedule": "plateau"}, {"patience": 3}])
def test_what_a_stack_cannot_do_is_trained_one_by_one(tmp_path, stacked, options):
    """Then the models are those of single trainings to the last bit."""
    config = SMALL.model_copy(update=options)
    many = fit_cfm(config, tasks(tmp_path / "many"))
    alone = [fit_cfm(config, [task])[0] for task in tasks(tmp_path / "alone")]

    assert stacked == []
    assert all(torch.equal(weights(a), weights(b)) for a, b in zip(many, alone, strict=True))


def test_trainings_of_unequal_batches_or_lengths_are_not_stacked():
    """Too few events for a batch, or epochs of other lengths: another group."""
    steps, epochs = TrainingPlan(steps=10, batch=100), TrainingPlan(epochs=2, batch=100)

    assert together.groups(steps, [150, 900, 60, 400, 60], 8, CPU) == [[0, 1, 3], [2, 4]]
    assert together.groups(epochs, [150, 199, 900, 250], 8, CPU) == [[0, 1]]


def test_a_stack_is_as_large_as_pays():
    """Wide steps gain nothing from each other on a CPU; elsewhere memory is the limit."""
    plan = TrainingPlan(steps=10, batch=1024)

    assert together.groups(plan, [5000] * 20, 128, CPU) == []
    assert [len(g) for g in together.groups(plan, [5000] * 20, 32, CPU)] == [20]
    assert [len(g) for g in together.groups(plan, [5000] * 20, 128, CPU, most=8)] == [8, 8, 4]
    assert together.groups(plan, [5000] * 20, 32, CPU, most=1) == []
    assert [len(g) for g in together.groups(plan, [5000] * 600, 128, torch.device("cuda"))] == [512, 88]


def test_an_interrupted_stack_ends_with_the_same_weights(tmp_path, monkeypatch):
    """Broken off in the middle of everybody's epoch and started again: the same to the last bit."""

    def break_off(event):
        if event.kind == "step" and event.values["step"] == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint.Checkpoint, "due", lambda self: True)
        with pytest.raises(KeyboardInterrupt):
            fit_cfm(SMALL, tasks(tmp_path / "broken", tell=break_off))
        notes = []
        resumed = fit_cfm(SMALL, tasks(tmp_path / "broken", tell=lambda event: notes.append(event.text)))
    undisturbed = fit_cfm(SMALL, tasks(tmp_path / "undisturbed"))

    assert any("go on from their checkpoint after step 10 of 40" in note for note in notes)
    assert all(torch.equal(weights(a), weights(b)) for a, b in zip(resumed, undisturbed, strict=True))


def test_every_member_reports_its_own_loss(tmp_path):
    """As often as the shortest epoch ends; the seeds differ, so do the losses."""
    heard = []
    fit_cfm(SMALL, tasks(tmp_path, tell=heard.append))
    values = [event.values for event in heard if event.kind == "step"]

    assert [v["step"] for v in values] == [s for s in range(1, 9) for _ in range(3)]
    assert {v["steps"] for v in values} == {8}
    assert len({v["loss"] for v in values}) == 24


def test_a_member_that_fails_is_trained_alone_and_the_others_stay(tmp_path, stacked, monkeypatch):
    """The ordinary loop knows what to do with steps that are not finite."""
    train = together.train_together

    def spoilt(models, *rest, **options):
        good = train(models, *rest, **options)
        with torch.no_grad():
            models[1].leave.weight.fill_(float("nan"))
        return [good[0], False, good[2]]

    monkeypatch.setattr(together, "train_together", spoilt)
    notes = []
    many = fit_cfm(SMALL, tasks(tmp_path / "many", tell=lambda event: notes.append(event.text)))
    (alone,) = fit_cfm(SMALL, tasks(tmp_path / "alone")[1:2])

    assert sum("did not stay finite" in note for note in notes) == 1
    assert torch.equal(weights(many[1]), weights(alone))


def test_members_do_not_feel_one_that_runs_away(tmp_path):
    """Features of 1e30 break one member alone, and that one is told apart."""
    from adtoolkit.nn.cfm import FlowMatchingLoss
    from adtoolkit.nn.velocity import build

    plan = TrainingPlan(steps=20, batch=128, validate_every=0)
    results = []
    for factor in (1.0, 1e30):
        given = tasks(tmp_path / f"{factor:g}")
        samples = [t.train for t in given]
        samples[1] = Sample(samples[1].x * np.float32(factor), samples[1].m)
        torch.manual_seed(0)
        models = [build(SMALL.network(2), (4.0, 1.0)) for _ in given]
        good = together.train_together(models, FlowMatchingLoss(), samples, plan, [t.ctx for t in given])
        results.append((good, [torch.cat([p.flatten() for p in m.parameters()]) for m in models]))

    assert [good for good, _ in results] == [[True] * 3, [True, False, True]]
    assert all(torch.equal(results[0][1][i], results[1][1][i]) for i in (0, 2))


def test_shared_events_are_kept_once():
    """The table holds the union; each sample finds its own events, in its own order, with weights and conditions."""
    events = toy(weighted=True)
    parts = [events[~w.contains(events.m)] for w in WINDOWS] + [events[::-1]]
    table, rows = pool.pool(parts)

    assert table.shape == (1200, 2 + 1 + 1)
    for part, index in zip(parts, rows, strict=True):
        np.testing.assert_array_equal(table[index], np.column_stack([part.x, part.m, part.weights]))


def test_equal_events_stay_as_many_as_they_were():
    events = Sample(np.zeros((5, 1)), np.array([1.0, 1, 2, 2, 2]))
    table, (rows,) = pool.pool([events])

    assert table.shape == (2, 3)
    assert table[rows, 1].tolist() == [1, 1, 2, 2, 2]


def test_events_of_equal_hash_are_still_told_apart(monkeypatch):
    """Then nothing is shared, and nothing is lost."""
    monkeypatch.setattr(pool, "_hash", lambda block: np.zeros(len(block), np.uint64))
    a, b = toy(20), toy(10, seed=1)
    table, rows = pool.pool([a, b])

    np.testing.assert_array_equal(table[rows[1]][:, :2], b.x)
    assert len(table) == 30
