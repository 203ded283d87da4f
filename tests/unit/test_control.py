"""Control regions: a template that is wrong beside the window too makes no discovery inside."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from adtoolkit.config import NoOptions
from adtoolkit.context import RunContext, silent
from adtoolkit.control import LEAST, draw_control, regions
from adtoolkit.errors import DataError
from adtoolkit.metrics.config import ExcessConfig
from adtoolkit.metrics.excess import Excess, bias_of, cut_at
from adtoolkit.plugin import Component
from adtoolkit.runconfig import TemplateTable
from adtoolkit.scored import Control, Scored
from adtoolkit.stages import Part, Workshop
from adtoolkit.store import Store
from adtoolkit.types import Sample, Window

WINDOW = Window(3.3, 3.7)


def search(seed, bias, n_signal=0, n=12_000):
    """Two folds; of the data everywhere ``bias`` more lies above the score that a tenth of the template exceeds."""
    rng = np.random.default_rng(seed)
    m = rng.uniform(2.5, 4.5, n).astype(np.float32)
    inside = np.flatnonzero(WINDOW.contains(m))
    template = np.repeat([0, 1], [0, 4 * len(inside)])
    beside = regions(WINDOW, 1.0)
    near = np.concatenate([m[side.contains(m)] for side in beside])
    drawn = np.repeat(near, 4)

    def scores(size, extra):
        high = rng.random(size) < 0.1 * (1 + extra)
        return np.where(high, rng.uniform(0.9, 1.0, size), rng.uniform(0.0, 0.9, size)).astype(np.float32)

    score = scores(n, bias)
    score[inside[:n_signal]] = 0.95
    two = [(np.arange(k) % 2).astype(np.int8) for k in (n, len(template), len(drawn))]
    return Scored(
        events=Sample(np.zeros((n, 1)), m),
        score=score,
        fold=two[0],
        test=Sample(np.zeros((0, 1)), np.zeros(0)),
        test_score=np.zeros((0, 2), np.float32),
        features=("a",),
        window=WINDOW,
        template=Sample(np.zeros((len(template), 1)), np.full(len(template), 3.5)),
        template_score=scores(len(template), 0.0),
        template_fold=two[1],
        control=Control(beside, drawn, scores(len(drawn), 0.0), two[2]),
    )


def told(scored):
    return Excess(ExcessConfig(at=(0.1,))).compute(scored, RunContext())


def test_a_template_that_is_wrong_everywhere_makes_no_discovery():
    numbers = [told(search(seed, 0.3)) for seed in range(100)]

    assert np.mean([n["excess-z@1e-1"] for n in numbers]) > 3
    assert max(n["excess-z-corrected@1e-1"] for n in numbers) < 2
    bias, error = np.array([[n["control-bias@1e-1"], n["control-bias@1e-1-hi"] - n["control-bias@1e-1"]] for n in numbers]).T
    assert np.mean(bias) == pytest.approx(0.3, abs=0.02)
    assert np.std(bias) == pytest.approx(np.mean(error), rel=0.3)


def test_with_a_good_template_a_signal_stays_one():
    clean, signal = (told(search(7, 0.0, n_signal)) for n_signal in (0, 150))

    assert abs(clean["excess-z-corrected@1e-1"]) < 2
    assert signal["excess-z@1e-1"] > signal["excess-z-corrected@1e-1"] > 4


def test_a_bias_below_zero_does_not_make_an_excess():
    """Fewer events pass beside the window than the template lets expect; inside it is right."""
    scored = search(3, 0.0)
    outside = ~WINDOW.contains(scored.events.m)
    scored = replace(scored, score=np.where(outside, 0.8 * scored.score, scored.score))
    numbers = told(scored)

    assert numbers["control-bias@1e-1"] < -0.5
    assert abs(numbers["excess-z-corrected@1e-1"]) <= abs(numbers["excess-z@1e-1"])


def test_the_bias_is_that_of_counting_by_hand():
    scored = search(1, 0.2)
    cut = cut_at(scored, 0.1)
    near = np.logical_or.reduce([side.contains(scored.events.m) for side in scored.control.windows])
    observed = expected = 0.0
    for k in (0, 1):
        own = near & (scored.fold == k)
        observed += (scored.score[own] > cut.levels[k]).sum()
        expected += (scored.control.score[scored.control.fold == k] > cut.levels[k]).mean() * own.sum()

    assert bias_of(scored, cut).value == pytest.approx(observed / expected - 1, rel=1e-12)


def test_without_control_regions_errors_are_statistical():
    numbers = told(replace(search(0, 0.0), control=None))

    assert not any("control" in name or "corrected" in name for name in numbers)


class Shifted:
    """Draws the masses themselves; refuses windows above 3.8, as an interpolation would beyond its anchors."""

    config = NoOptions()

    def bind(self, model, window, ctx):
        if window.hi > 4.05:
            raise DataError("beyond")
        return self

    def sample(self, cond, rng):
        return cond.astype(np.float32)


def drawn(tmp_path, events, model=None, tell=silent, **options):
    part = Part(Component(kind="interpolator", name="shifted", target=f"{__name__}:Shifted", summary="."), Shifted())
    shop, table = Workshop(Store(tmp_path), RunContext(tell=tell), {}), TemplateTable(**options)
    return draw_control(shop, part, model, events, WINDOW, table, {"model": 1}, tmp_path)


def events(n, lo=2.0, hi=5.0):
    m = np.random.default_rng(0).uniform(lo, hi, n).astype(np.float32)
    return Sample(np.zeros((n, 1)), m)


def test_regions_leave_a_gap_for_what_leaks_out_of_the_window():
    low, high = regions(Window(10.0, 14.0), 0.5)

    assert (low.lo, low.hi, high.lo, high.hi) == (7.0, 9.0, 15.0, 17.0)


def test_control_events_have_the_masses_of_the_data_and_leave_out_what_the_rule_refuses(tmp_path):
    data = events(20_000)
    low, _ = regions(WINDOW, 1.0)
    told = []
    entry, control = drawn(tmp_path, data, tell=told.append, oversample=2.0)
    again, same = drawn(tmp_path, data, oversample=2.0)

    assert low.contains(control.m).all()
    assert [event.text for event in told if event.kind == "note"] == ["No control region from 3.8 to 4.2: beyond"]
    assert np.isin(control.m, data.m).all()
    assert len(control) == 2 * low.contains(data.m).sum()
    assert np.array_equal(control.x, same.x)
    assert (entry.reused, again.reused) == (False, True)


def test_few_events_or_a_model_that_moves_events_have_no_control(tmp_path):
    class Moves:
        def sample_grouped(self, cond, rng):
            raise AssertionError

    assert drawn(tmp_path, events(LEAST, 2.0, 5.0)) is None
    assert drawn(tmp_path, events(20_000), Moves()) is None
