"""Control regions: a template that is wrong beside the window too makes no discovery inside."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from adtoolkit.background import Background
from adtoolkit.config import NoOptions
from adtoolkit.context import RunContext, silent
from adtoolkit.control import LEAST, draw_control, regions, score_control
from adtoolkit.errors import DataError
from adtoolkit.interfaces import FittedScorer, Scorer
from adtoolkit.metrics.config import ExcessConfig
from adtoolkit.metrics.excess import Excess, bias_of
from adtoolkit.plugin import Component
from adtoolkit.runconfig import TemplateTable
from adtoolkit.scored import Control, Scored
from adtoolkit.stages import Part, Workshop
from adtoolkit.store import Store
from adtoolkit.types import Sample, Window

WINDOW = Window(3.3, 3.7)


def search(seed, bias, n_signal=0, n=12_000):
    """Two folds; of the data in window and control regions ``bias`` more lies above the score that a tenth of the template exceeds."""
    rng = np.random.default_rng(seed)
    m = rng.uniform(2.5, 4.5, n).astype(np.float32)
    inside = np.flatnonzero(WINDOW.contains(m))
    beside = regions(WINDOW, 1.0)
    near = np.concatenate([m[side.contains(m)] for side in beside])

    def scores(size, extra):
        high = rng.random(size) < 0.1 * (1 + extra)
        return np.where(high, rng.uniform(0.9, 1.0, size), rng.uniform(0.0, 0.9, size)).astype(np.float32)

    def folds(size, k=2):
        return (np.arange(size) % k).astype(np.int8)

    score = scores(n, bias)
    score[inside[:n_signal]] = 0.95
    template = np.full(4 * len(inside), 3.5)
    return Scored(
        events=Sample(np.zeros((n, 1)), m),
        score=score,
        fold=folds(n),
        test=Sample(np.zeros((0, 1)), np.zeros(0)),
        test_score=np.zeros((0, 2), np.float32),
        features=("a",),
        window=WINDOW,
        template=Sample(np.zeros((len(template), 1)), template),
        template_score=scores(len(template), 0.0),
        template_fold=folds(len(template)),
        control=Control(
            windows=beside,
            m=near,
            score=scores(len(near), bias),
            fold=folds(len(near), 4),
            template_m=np.repeat(near, 4),
            template_score=scores(4 * len(near), 0.0),
            template_fold=folds(4 * len(near), 4),
            folds=4,
        ),
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
    scored = replace(scored, control=replace(scored.control, score=0.8 * scored.control.score))
    numbers = told(scored)

    assert numbers["control-bias@1e-1"] < -0.5
    assert abs(numbers["excess-z-corrected@1e-1"]) <= abs(numbers["excess-z@1e-1"])


def test_the_bias_is_that_of_counting_by_hand():
    control = (scored := search(1, 0.2)).control
    observed = 0.0
    for k in range(4):
        drawn = np.sort(control.template_score[control.template_fold == k])[::-1]
        level = drawn[int(0.1 * len(drawn))]  # a tenth lies above
        observed += (control.score[control.fold == k] > level).sum()

    assert bias_of(scored, 0.1).value == pytest.approx(observed / (0.1 * len(control.score)) - 1, abs=2 / (0.1 * len(control.score)))


def test_a_cut_that_would_lie_at_the_highest_score_tells_no_bias():
    scored = search(1, 0.2)
    few = np.flatnonzero(scored.control.template_fold != 3)

    assert bias_of(scored, 1e-4) is None
    control = replace(scored.control, template_score=scored.control.template_score[few], template_fold=scored.control.template_fold[few])
    assert bias_of(replace(scored, control=control), 0.1) is None, "a fold without template"


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
    beside = drawn(tmp_path, data, tell=told.append, oversample=2.0)
    again = drawn(tmp_path, data, oversample=2.0)
    (here,), (template,) = beside.data, beside.template

    assert beside.windows == (low,)
    assert low.contains(here.m).all()
    assert [event.text for event in told if event.kind == "note"] == ["No control region from 3.8 to 4.2: beyond"]
    assert np.isin(template.m, here.m).all()
    assert len(template) == 2 * len(here)
    assert np.array_equal(template.x, again.template[0].x)
    assert (beside.entry.reused, again.entry.reused) == (False, True)


def test_a_control_region_has_no_more_data_than_the_window(tmp_path):
    """Else its classifier would learn more of the template's faults than that of the window."""
    data = Sample.concat(events(2000, 3.3, 3.7), events(30_000, 2.0, 3.3))
    (here,) = drawn(tmp_path, data).data

    assert len(here) == WINDOW.contains(data.m).sum()
    assert np.isin(here.m, data.m).all()


def test_few_events_or_a_model_that_moves_events_have_no_control(tmp_path):
    class Moves:
        def sample_grouped(self, cond, rng):
            raise AssertionError

    assert drawn(tmp_path, events(LEAST, 2.0, 5.0)) is None
    assert drawn(tmp_path, events(20_000), Moves()) is None


class Remembers(FittedScorer):
    """Scores 1 what it was trained on."""

    def __init__(self, seen):
        self.seen = seen

    def score(self, events):
        return np.isin(events.x[:, 0], self.seen).astype(np.float32)

    def summary(self):
        return {}

    def save(self, directory):
        np.save(directory / "seen.npy", self.seen)

    @classmethod
    def load(cls, directory, device):
        return cls(np.load(directory / "seen.npy"))


class Memory(Scorer[NoOptions]):
    fails_at: float | None = None

    def fit(self, data, background, ctx):
        if self.fails_at is not None and (data.window.m > self.fails_at).any():
            raise ZeroDivisionError("by the test")
        return Remembers(np.concatenate([data.window.x[:, 0], background.template.x[:, 0]]))


class Numbered(Shifted):
    """Draws numbers that no event has."""

    def bind(self, model, window, ctx):
        return self

    def sample(self, cond, rng):
        return (100_000 + rng.permutation(1_000_000)[: len(cond), None]).astype(np.float32)


def scored_beside(tmp_path, scorer, tell=silent):
    data = events(20_000)
    data = replace(data, x=np.arange(20_000, dtype=np.float32)[:, None])
    rule = Part(Component(kind="interpolator", name="numbered", target=f"{__name__}:Numbered", summary="."), Numbered())
    part = Part(Component(kind="scorer", name="memory", target=f"{__name__}:Memory", summary="."), scorer)
    shop = Workshop(Store(tmp_path), RunContext(tell=tell), {})
    beside = draw_control(shop, rule, None, data, WINDOW, TemplateTable(oversample=2.0), {"model": 1}, tmp_path)
    return score_control(shop, part, beside, Background(None, None), 3, {"model": 1})


def test_beside_the_window_nothing_is_scored_by_what_it_was_trained_on(tmp_path):
    control, entries = scored_beside(tmp_path, Memory(NoOptions()))

    assert (control.folds, len(entries)) == (6, 6)
    for m, score, fold in (
        (control.m, control.score, control.fold),
        (control.template_m, control.template_score, control.template_fold),
    ):
        assert (score == 0).all()
        assert [set(fold[side.contains(m)]) for side in control.windows] == [{0, 1, 2}, {3, 4, 5}]


def test_a_scorer_that_fails_beside_the_window_ends_no_search(tmp_path):
    told, scorer = [], Memory(NoOptions())
    scorer.fails_at = 3.8
    control, entries = scored_beside(tmp_path, scorer, told.append)

    assert control is None
    assert len(entries) == 3
    assert any("No control regions: 'memory' failed there." in event.text for event in told if event.kind == "note")
