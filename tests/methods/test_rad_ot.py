"""RAD-OT: matching against brute force, backgrounds in closed form, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from adtoolkit.context import RunContext
from adtoolkit.data import toy_bump
from adtoolkit.errors import DataError
from adtoolkit.types import Sample, Window
from adtoolkit_rad_ot.config import RadOtConfig
from adtoolkit_rad_ot.estimator import RadOt
from adtoolkit_rad_ot.gap import find_gap
from adtoolkit_rad_ot.matching import Points, in_blocks, transport

WINDOW = Window(3.3, 3.7)


def context(seed=0):
    return RunContext(seed=seed, scope=("rad-ot",))


def masses(n, seed=0, lo=2.5, hi=5.0):
    """Falling spectrum outside the window."""
    m = toy_bump.sample_mass_background(n, np.random.default_rng(seed))
    return m[~WINDOW.contains(m) & (m > lo) & (m < hi)]


def moving_normal(n, seed=0, slope=1.0):
    """x0 ~ N(slope (m - 3.5), 1), x1 ~ N(0, 1)."""
    m = masses(n, seed)
    x = np.random.default_rng(seed + 1).standard_normal((len(m), 2))
    x[:, 0] += slope * (m - 3.5)
    return Sample(x, m)


def fit(events, seed=0, **options):
    return RadOt(RadOtConfig(**options)).fit(events[::2], events[1::2], context(seed))


def at(mass, n=20_000):
    return np.full((n, 1), mass, np.float32)


def points(x, weight=None):
    return Points(x, np.ones(len(x)) if weight is None else weight)


def test_matching_is_the_assignment_of_least_cost():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((60, 3)), rng.standard_normal((60, 3)) + 0.5
    cost = ((x[:, None] - y[None]) ** 2).sum(-1)
    rows, columns = linear_sum_assignment(cost)

    pairs, moved = transport(points(x), points(y))

    assert {tuple(pair) for pair in pairs.tolist()} == set(zip(rows.tolist(), columns.tolist(), strict=True))
    assert moved == pytest.approx(1 / 60)


def test_transport_keeps_the_weights_of_both_sides():
    rng = np.random.default_rng(1)
    a, b = rng.uniform(0.1, 2, 40), rng.uniform(0.1, 2, 25)
    pairs, moved = transport(points(rng.standard_normal((40, 2)), a), points(rng.standard_normal((25, 2)), b))

    assert np.bincount(pairs[:, 0], moved, 40) == pytest.approx(a / a.sum())
    assert np.bincount(pairs[:, 1], moved, 25) == pytest.approx(b / b.sum())


def test_blocks_use_every_event_once():
    rng = np.random.default_rng(2)
    pairs, weights = in_blocks(points(rng.standard_normal((700, 2))), points(rng.standard_normal((700, 2))), 200, rng)

    assert (np.bincount(pairs[:, 0]) == 1).all()
    assert (np.bincount(pairs[:, 1]) == 1).all()
    assert weights == pytest.approx(1 / 700)


@pytest.mark.parametrize(("below", "above"), [(6000, 60), (60, 6000), (6000, 170), (170, 170), (60, 60)])
def test_unequal_sides_keep_all_events_and_their_weights(below, above):
    """Parts of the larger side share the events of the smaller one, so that none is left without."""
    rng = np.random.default_rng(2)
    w = rng.uniform(0.5, 2, below)
    pairs, weights = in_blocks(points(rng.standard_normal((below, 2)), w), points(rng.standard_normal((above, 2))), 50, rng)

    assert weights.sum() == pytest.approx(1)
    assert (np.bincount(pairs[:, 0], minlength=below) > 0).all()
    assert (np.bincount(pairs[:, 1], minlength=above) > 0).all()
    # parts differ a little in weight, hence also what is moved to a point by each
    assert np.bincount(pairs[:, 0], weights) / (w / w.sum()) == pytest.approx(1, abs=0.3)
    assert np.bincount(pairs[:, 1], weights) * above == pytest.approx(1, abs=0.3)


def test_few_events_matched_many_times_are_told():
    events = moving_normal(40_000)
    below, above = events[events.m < 3.3], events[events.m > 3.7]
    told = []
    for n in (200, 2000):
        ctx = RunContext(scope=("rad-ot",), tell=told.append)
        some = Sample.concat(below[below.m > 2.9][:6000], above[above.m < 4.1][:n])
        RadOt(RadOtConfig(block=500, repeats=1)).fit(some, some[:0], ctx)
    texts = [event.text for event in told if event.kind == "note" and "each" in event.text]

    assert len(texts) == 1
    assert "the 200 events above are matched with about 30 others each" in texts[0]


def test_gaussian_with_a_moving_mean_is_reproduced():
    model = fit(moving_normal(40_000), block=1000)
    for mass in (3.35, 3.5, 3.65):
        x = model.sample(at(mass), np.random.default_rng(5))

        # standard errors of about 0.01; draws are averages of pairs, hence a few per cent narrower
        assert x.mean(0) == pytest.approx([mass - 3.5, 0], abs=0.04)
        assert x.std(0) == pytest.approx([1, 1], abs=0.06)


def test_a_moving_edge_is_transported_not_blended():
    """x uniform below an end e(m) = m: a blend of the sidebands would reach the end of the upper one."""
    m = masses(30_000)
    events = Sample(np.column_stack([m * np.random.default_rng(3).random(len(m)), np.zeros(len(m))]), m)
    x = fit(events, width=0.2, block=1000).sample(at(3.4), np.random.default_rng(5))[:, 0]

    # the sidebands end at 3.3 and 3.9; within 0.2 the end itself moves by 3 %
    assert (x > 3.4 * 1.02).mean() < 0.002
    assert (x > 3.4 * 0.95).mean() == pytest.approx(0.05, abs=0.012)


def test_draws_lie_on_the_line_of_their_pair():
    model = fit(moving_normal(4000), block=300)
    ends = [model.sample(at(mass, 500), np.random.default_rng(7)) for mass in (3.3, 3.7)]
    middle = model.sample(at(3.5, 500), np.random.default_rng(7))

    assert middle == pytest.approx((ends[0] + ends[1]) / 2, abs=1e-5)


def test_pairs_of_different_groups_share_no_event():
    model = fit(moving_normal(4000), block=300, groups=7)

    assert set(model.group.tolist()) == set(range(7))
    for side in (0, 1):
        owners = {tuple(pair) for pair in np.column_stack([model.pairs[:, side], model.group]).tolist()}
        assert len(owners) == len({event for event, _ in owners}) > 200


def test_draws_tell_the_group_of_their_pair():
    model = fit(moving_normal(4000), block=300)
    x, group = model.sample_grouped(at(1.0, 2000), np.random.default_rng(7))  # far below: the lower events themselves
    owner = {tuple(model.below[i, 1:].tolist()): g for i, g in zip(model.pairs[:, 0], model.group.tolist(), strict=True)}

    assert np.array_equal(x, model.sample(at(1.0, 2000), np.random.default_rng(7)))
    assert [owner[row] for row in map(tuple, x.tolist())] == group.tolist()


def test_beyond_its_pair_a_mass_is_given_the_nearer_event():
    model = fit(moving_normal(4000), block=300)
    low, high = (model.sample(at(mass, 2000), np.random.default_rng(7)) for mass in (1.0, 9.0))

    assert {tuple(row) for row in low.tolist()} <= {tuple(row) for row in model.below[:, 1:].tolist()}
    assert {tuple(row) for row in high.tolist()} <= {tuple(row) for row in model.above[:, 1:].tolist()}


def test_draws_in_portions_are_those_of_the_whole():
    model = fit(moving_normal(4000), block=300)
    cond = np.random.default_rng(0).uniform(3.3, 3.7, (500, 1)).astype(np.float32)
    rng = np.random.default_rng(8)
    parts = [model.sample(cond[:123], rng), model.sample(cond[123:], rng)]

    assert np.array_equal(np.concatenate(parts), model.sample(cond, np.random.default_rng(8)))


def test_weights_are_followed():
    """Of two populations, 3 apart, one of four times the weight: four fifths of the draws are its own."""
    events = moving_normal(12_000, slope=0.0)
    second = np.arange(len(events)) % 2 == 1
    x = events.x.copy()
    x[second, 1] += 8
    weighted = replace(events, x=x, weight=np.where(second, 4.0, 1.0).astype(np.float32))
    model = RadOt(RadOtConfig(block=500)).fit(weighted[:-1000], weighted[-1000:], context())

    assert (model.sample(at(3.5), np.random.default_rng(0))[:, 1] > 4).mean() == pytest.approx(0.8, abs=0.02)


@pytest.mark.parametrize("window", [(3.3, 3.7), (2.7, 2.8), (4.0, 4.4)])
@pytest.mark.parametrize("rounded", [False, True])
def test_gap_is_the_window(window, rounded):
    m = toy_bump.sample_mass_background(40_000, np.random.default_rng(4))
    if rounded:
        m = np.round(m, 3)
    lo, hi = find_gap(m[~Window(*window).contains(m)].astype(np.float32))

    assert lo == pytest.approx(window[0], abs=0.01)
    assert hi == pytest.approx(window[1], abs=0.01)


@pytest.mark.parametrize("seed", range(10))
def test_a_thinning_tail_and_a_steep_edge_are_no_gaps(seed):
    """Few events to 2, a steep rise there and a long tail: widest spacings and jumps of the density, but nothing is missing."""
    rng = np.random.default_rng(seed)
    m = np.concatenate([rng.uniform(1, 2, 300), 2 + rng.exponential(0.3, 20_000), 2 + rng.pareto(3, 2000)])

    with pytest.raises(DataError, match="have no gap"):
        find_gap(m)


def test_one_empty_side_is_refused():
    events = moving_normal(8000)

    with pytest.raises(DataError, match="one side may be empty"):
        fit(events[events.m < 3.3])
    with pytest.raises(DataError, match=r"0 events within 0\.4 above"):
        RadOt(RadOtConfig()).check(events[events.m < 3.3], WINDOW)
    with pytest.raises(DataError, match="below the window"):
        RadOt(RadOtConfig()).check(events[events.m > 3.3], WINDOW)


def test_sidebands_without_a_visible_gap_are_refused_before_the_fit():
    """A window so narrow that few masses are missing in it; events of weight 0 count as little as in the fit."""
    m = toy_bump.sample_mass_background(3000, np.random.default_rng(0))
    events = Sample(np.zeros((len(m), 2)), m)
    with pytest.raises(DataError, match="have no gap"):
        RadOt(RadOtConfig(width=0.5)).check(events, Window(3.3, 3.305))
    with pytest.raises(DataError, match=r"0 events within 0\.4 above"):
        RadOt(RadOtConfig()).check(replace(events, weight=(m < 3.7).astype("f")), WINDOW)


def test_too_narrow_sidebands_and_too_few_events_are_refused():
    with pytest.raises(DataError, match=r"--set estimator\.width"):
        fit(moving_normal(8000), width=1e-4)
    with pytest.raises(DataError, match="too few"):
        fit(moving_normal(50))
    with pytest.raises(DataError, match="no window"):
        RadOt(RadOtConfig()).check(moving_normal(500), None)


def test_a_hole_in_the_spectrum_that_is_not_the_window_is_refused_before_the_fit():
    rng = np.random.default_rng(0)
    m = np.concatenate([rng.uniform(1, 2, 4000), rng.uniform(3, 6, 12_000)])
    events = Sample(np.column_stack([m]), m)

    with pytest.raises(DataError, match=r"largest gap in the masses, 2 to 3, which is not the window 4\.5-4\.8") as error:
        RadOt(RadOtConfig()).check(events, Window(4.5, 4.8))
    assert "Cut away" in error.value.fix


def test_more_groups_than_the_events_allow_are_refused_before_the_fit():
    events = moving_normal(2000)

    with pytest.raises(DataError, match="into 100 groups") as error:
        RadOt(RadOtConfig(groups=100)).check(events, WINDOW)

    allowed = int(error.value.fix.partition("groups=")[2].partition(",")[0])
    RadOt(RadOtConfig(groups=allowed)).check(events, WINDOW)
    fit(events[~WINDOW.contains(events.m)], groups=allowed)


def test_further_conditions_are_refused():
    events = moving_normal(8000)

    with pytest.raises(DataError, match="no condition but the mass"):
        fit(replace(events, context=np.zeros((len(events), 1), np.float32)))
