"""The stacked training of R-ANODE: its loss, its independence of the stack, its numbers where densities are extreme."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import expit

from adtoolkit.context import RunContext
from adtoolkit.types import Sample, Window
from adtoolkit_ranode import training
from adtoolkit_ranode.config import RAnodeConfig
from adtoolkit_ranode.flow import StackedFlow
from adtoolkit_ranode.mixture import Box, log_mixture, responsibility
from adtoolkit_ranode.training import Events, Member, train

KINDS = ["coupling", "autoregressive"]
OPTIONS = {"layers": 2, "hidden": 16, "batch": 64, "epochs": 4, "best_epochs": 2, "mode": "fixed", "anneal": 0.5}


def flow(kind="coupling", dimensions=3, dropout=0.0):
    return StackedFlow(dimensions, kind, layers=4, hidden=16, depth=2, bins=6, bound=5.0, dropout=dropout)


def rows(of, n, scale=5.0):
    return scale * torch.stack([of.start(torch.Generator().manual_seed(i)) for i in range(n)]).double()


def events(n=600, d=3, seed=0):
    rng = np.random.default_rng(seed)
    z = torch.as_tensor(rng.normal(size=(d, n)), dtype=torch.float32)
    background = -0.5 * (z.square() + np.log(2 * np.pi)).sum(0)
    z[:, : n // 20] = torch.as_tensor(rng.normal(1.5, 0.3, (d, n // 20)), dtype=torch.float32)
    return Events(z, background, torch.ones(n))


def members(n_events, n, w=0.05):
    out = []
    for e in range(n):
        order = torch.randperm(n_events, generator=torch.Generator().manual_seed(e))
        out.append(Member(1000 + e, order[n_events // 5 :], order[: n_events // 5], w))
    return out


def run(chosen, config, tmp_path, data=None, kind="coupling", dropout=0.0):
    data = data or events()
    return train(flow(kind, dropout=dropout), data, chosen, config, RunContext(workdir=Path(tmp_path)))


@pytest.mark.parametrize("kind", KINDS)
def test_flows_invert_and_their_density_is_that_of_the_change_of_variables(kind):
    of = flow(kind)
    own = rows(of, 3)
    noise = torch.randn(3, 3, 40, generator=torch.Generator().manual_seed(1), dtype=torch.float64)

    drawn = of.inverse(own, noise)

    assert not torch.allclose(drawn, noise, atol=0.1)
    for p in range(3):
        jacobian = torch.autograd.functional.jacobian(lambda u, p=p: of.inverse(own[p : p + 1], u[None, :, None])[0, :, 0], noise[p, :, 7])
        expected = -0.5 * (noise[p, :, 7].square() + np.log(2 * np.pi)).sum() - torch.linalg.slogdet(jacobian)[1]
        torch.testing.assert_close(of.log_prob(own, drawn)[p, 7], expected, atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_every_dimension_is_mapped_and_depends_on_every_other(kind):
    of = flow(kind, dimensions=4)
    at = torch.randn(4, generator=torch.Generator().manual_seed(2), dtype=torch.float64)

    jacobian = torch.autograd.functional.jacobian(lambda u: of.inverse(rows(of, 1), u[None, :, None])[0, :, 0], at)

    assert (jacobian.abs() > 1e-9).all()


@pytest.mark.parametrize("kind", KINDS)
def test_a_flow_begins_close_to_a_standard_normal(kind):
    of = flow(kind)
    z = torch.randn(1, 3, 500, generator=torch.Generator().manual_seed(3))

    log_p = of.log_prob(of.start(torch.Generator().manual_seed(0))[None], z)[0]

    expected = -0.5 * (z[0].square() + np.log(2 * np.pi)).sum(0)
    assert (log_p - expected).abs().mean() < 0.15


def test_mixture_likelihood_is_that_of_brute_force():
    rng = np.random.default_rng(0)
    signal, background = rng.normal(0, 8, (2, 200))
    w = expit(rng.normal(-4, 2, 200))

    value = log_mixture(*(torch.as_tensor(v) for v in (signal, background, np.log(w / (1 - w)))))

    np.testing.assert_allclose(value, np.log(w * np.exp(signal) + (1 - w) * np.exp(background)), atol=1e-12)


@pytest.mark.parametrize("at", [-200.0, 200.0])
@pytest.mark.parametrize("background", [-200.0, -5.0, 200.0])
def test_loss_and_gradient_are_finite_and_right_for_extreme_densities(at, background):
    """exp would overflow in float32 at 88; a floor under the logarithm would kill the gradient."""
    signal = torch.tensor([at], requires_grad=True)
    logit = torch.tensor(np.log(0.01 / 0.99), dtype=torch.float32, requires_grad=True)

    value = log_mixture(signal, torch.tensor([background]), logit)
    value.sum().backward()

    assert torch.isfinite(value).all()
    expected = expit(np.log(0.01 / 0.99) + at - background)
    np.testing.assert_allclose(signal.grad, expected, atol=1e-6)
    np.testing.assert_allclose(responsibility(signal.detach(), torch.tensor([background]), logit.detach()), expected, atol=1e-6)
    np.testing.assert_allclose(logit.grad, expected - 0.01, atol=1e-6)


def test_both_densities_tiny_still_pull_the_signal():
    signal = torch.tensor([-120.0], requires_grad=True)

    log_mixture(signal, torch.tensor([-125.0]), torch.tensor(np.log(0.01 / 0.99))).sum().backward()

    np.testing.assert_allclose(signal.grad, expit(np.log(0.01 / 0.99) + 5), rtol=1e-5)


@pytest.mark.parametrize(("kind", "dropout"), [("coupling", 0.0), ("autoregressive", 0.0), ("coupling", 0.2)])
def test_members_of_a_stack_are_trained_as_if_they_were_alone(kind, dropout, tmp_path):
    config = RAnodeConfig(**OPTIONS | {"mode": "learned"}, clip=0.05)
    chosen = members(600, 4)

    together = run(chosen, config, tmp_path, kind=kind, dropout=dropout)

    for p, member in enumerate(chosen):
        alone = run([member], config, tmp_path, kind=kind, dropout=dropout)
        torch.testing.assert_close(together.rows[p], alone.rows[0], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(together.gain[p], alone.gain[0], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(together.w[p], alone.w[0], atol=1e-5, rtol=1e-5)


def test_members_that_stop_early_do_not_change_the_others(tmp_path):
    config = RAnodeConfig(**OPTIONS | {"epochs": 30, "lr": 0.02}, patience=1)
    chosen = members(600, 4)

    together = run(chosen, config, tmp_path)

    assert len(set(together.epochs.tolist())) > 1
    assert (together.epochs < 30).any()
    for p, member in enumerate(chosen):
        alone = run([member], config, tmp_path)
        assert alone.epochs.tolist() == together.epochs[p : p + 1].tolist()
        torch.testing.assert_close(together.rows[p], alone.rows[0], atol=1e-4, rtol=1e-4)


def test_best_epochs_are_those_of_highest_held_out_gain(tmp_path, monkeypatch):
    seen = []
    judge = training._Loop._judge

    def spy(self):
        with torch.no_grad():
            index = self.val
            signal = self.flow.log_prob(self.optimiser.rows, self.events.z[:, index].transpose(0, 1))
            background = self.events.background[index]
            seen.append((log_mixture(signal, background, self.logit[:, None]) - background).mean(1))
        return judge(self)

    monkeypatch.setattr(training._Loop, "_judge", spy)
    trained = run(members(600, 3), RAnodeConfig(**OPTIONS | {"epochs": 7, "best_epochs": 3}), tmp_path)

    expected = torch.stack(seen).sort(0, descending=True).values[:3].T
    torch.testing.assert_close(trained.gain.sort(1, descending=True).values, expected, atol=1e-6, rtol=0)


def test_validation_is_a_mean_over_events_not_over_batches(tmp_path):
    """Doubling every validation event, or halving the weight of them all, changes nothing."""
    data = events()
    one = members(600, 1)[0]
    twice = Member(one.seed, one.train, torch.cat([one.val, one.val]), one.w)
    weight = data.weight.clone()
    weight[one.val] = 0.5
    lighter = Events(data.z, data.background, weight)
    config = RAnodeConfig(**OPTIONS)

    expected = run([one], config, tmp_path / "a", data).gain
    torch.testing.assert_close(run([twice], config, tmp_path / "b", data).gain, expected, atol=1e-6, rtol=0)
    torch.testing.assert_close(run([one], config, tmp_path / "c", lighter).gain, expected, atol=1e-6, rtol=0)


def test_a_fixed_signal_fraction_is_neither_decayed_nor_moved(tmp_path):
    """AdamW's weight decay would pull a logit to zero, that is w to one half."""
    config = RAnodeConfig(**OPTIONS, weight_decay=0.9)

    trained = run(members(600, 2, w=0.005), config, tmp_path)

    np.testing.assert_allclose(trained.w, 0.005, rtol=1e-4)


def test_the_signal_fraction_is_annealed_evenly_in_its_logarithm(tmp_path):
    config = RAnodeConfig(**OPTIONS | {"epochs": 10}, start=0.5)
    loop = training._Loop(flow(), events(), members(600, 2, w=0.005), config, RunContext(workdir=Path(tmp_path)))
    seen = []
    for loop.epoch in range(10):
        seen.append(float(loop._annealed(loop.logit).sigmoid()[0]))

    np.testing.assert_allclose(seen, [0.5 * 0.01 ** min(e / 5, 1) for e in range(10)], rtol=1e-4)


def test_a_learned_signal_fraction_is_not_decayed_but_follows_held_out_events(tmp_path):
    """Without a signal it falls, whatever the weight decay; a logit that decayed at this rate would end at a fraction of 0.48."""
    rng = np.random.default_rng(1)
    z = torch.as_tensor(rng.normal(size=(3, 600)), dtype=torch.float32)
    data = Events(z, -0.5 * (z.square() + np.log(2 * np.pi)).sum(0), torch.ones(600))
    config = RAnodeConfig(**OPTIONS | {"epochs": 12, "mode": "learned", "lr": 0.05}, weight_decay=0.9)

    trained = run(members(600, 2, w=0.05), config, tmp_path, data)

    assert (trained.w < 0.1).all()


def test_events_of_weight_zero_play_no_part(tmp_path):
    data = events()
    keep = torch.arange(600) % 2 == 0
    other = data.z.clone()
    other[:, ~keep] = 3.0
    config = RAnodeConfig(**OPTIONS)
    weight = torch.where(keep, 2.0, 0.0)

    one = run(members(600, 1), config, tmp_path, Events(data.z, data.background, weight))
    two = run(members(600, 1), config, tmp_path, Events(other, data.background, weight))

    torch.testing.assert_close(one.rows, two.rows, atol=1e-6, rtol=1e-6)


def test_a_step_with_an_infinite_density_is_skipped_and_counted_and_the_rest_is_learnt(tmp_path):
    """One NaN in a batch must not become NaN weights: the backward pass of a dropped row is NaN too."""
    data = events()
    broken = Events(data.z, torch.where(torch.arange(600) == 17, torch.nan, data.background), data.weight)
    chosen = [m for m in members(600, 6) if 17 in m.train][:2]

    trained = run(chosen, RAnodeConfig(**OPTIONS), tmp_path, broken)

    assert (trained.skipped > 0).all()
    assert (trained.skipped <= 4).all()  # one batch per epoch
    assert torch.isfinite(trained.rows).all()
    assert torch.isfinite(trained.gain).all()


def test_the_coordinates_of_the_box_are_undone_and_their_slope_is_the_derivative():
    box = Box(Window(3.3, 3.7))
    m = np.linspace(3.305, 3.695, 50).astype(np.float32)
    sample = Sample(np.random.default_rng(0).normal(size=(50, 2)), m)

    z, slope = box.forward(sample)
    back = box.inverse(z)

    np.testing.assert_allclose(back.m, m, atol=1e-6)
    np.testing.assert_array_equal(back.x, sample.x)
    step = 1e-3
    ahead, behind = (box.forward(Sample(sample.x, m + d))[0][0].astype(float) for d in (step, -step))
    np.testing.assert_allclose(np.exp(slope), (ahead - behind) / (2 * step), rtol=0.02)


def test_a_member_that_can_take_no_steps_has_no_gain_and_the_others_go_on(tmp_path):
    """Its first weights are not judged as if they had been trained."""
    data = events(400)
    data.background[:100] = torch.nan
    both = [Member(1, torch.arange(100), torch.arange(200, 300), 0.05), Member(2, torch.arange(100, 200), torch.arange(200, 300), 0.05)]

    trained = run(both, RAnodeConfig(**OPTIONS), tmp_path, data)

    assert (trained.gain[0] == -torch.inf).all()
    assert trained.gain[1].isfinite().all()
    assert trained.epochs.tolist() == [1, OPTIONS["epochs"]]
    assert trained.skipped.tolist() == [1, 0]  # 100 events in batches of 64: one step an epoch


def test_masses_at_the_very_ends_of_the_window_have_finite_coordinates():
    box = Box(Window(3.3, 3.7))
    ends = np.nextafter(np.array([3.3, 3.7], np.float32), np.array([9, 0], np.float32))

    z, slope = box.forward(Sample(np.zeros((2, 1)), ends))

    assert np.isfinite(z).all()
    assert np.isfinite(slope).all()
    assert box.window.contains(box.inverse(np.array([[-1e9, 1e9], [0, 0]], np.float32)).m).all()
