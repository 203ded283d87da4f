"""Control regions: what a scorer learns beside the window, and what of it is kept."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from support.control import WINDOW, Numbered, beside, events, moved_anew, notes_of

from adtoolkit.config import NoOptions
from adtoolkit.context import RunContext, silent
from adtoolkit.control import score_control
from adtoolkit.control_plan import regions
from adtoolkit.interfaces import FittedScorer, Scorer
from adtoolkit.plugin import Component
from adtoolkit.stages import Part, Workshop
from adtoolkit.store import Store


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
        self.range = data.range
        ctx.note("it remembers")
        if self.fails_at is not None and (data.window.m > self.fails_at).any():
            raise ZeroDivisionError("by the test")
        return Remembers(np.concatenate([data.window.x[:, 0], background.template.x[:, 0]]))


def scored_beside(tmp_path, scorer, tell=silent):
    data = events(20_000)
    data = replace(data, x=np.arange(20_000, dtype=np.float32)[:, None])
    part = Part(Component(kind="scorer", name="memory", target=f"{__name__}:Memory", summary="."), scorer)
    found = beside(tmp_path, data, Numbered(), tell=tell, oversample=2.0)
    return score_control(Workshop(Store(tmp_path), RunContext(tell=tell), {}), part, found, 3, {"model": 1})


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
    assert any("No control regions: 'memory' failed there" in text for text in notes_of(told))


def test_a_scorer_of_the_window_alone_is_told_the_region_and_notes_say_where(tmp_path):
    told, scorer = [], Memory(NoOptions())
    scored_beside(tmp_path / "anywhere", scorer)
    assert scorer.range is None

    scorer.outside = False
    control, _ = scored_beside(tmp_path / "window", scorer, told.append)
    low, high = regions(WINDOW, 1.0)

    assert scorer.range == high
    assert np.isfinite(control.score).all()
    assert set(notes_of(told)) == {f"In the control region from {side.lo:g} to {side.hi:g}: it remembers" for side in (low, high)}


def test_groups_of_a_template_stay_in_one_fold_and_regions_share_none(tmp_path):
    part = Part(Component(kind="scorer", name="memory", target=f"{__name__}:Memory", summary="."), Memory(NoOptions()))
    control, _ = score_control(Workshop(Store(tmp_path), RunContext(), {}), part, moved_anew(tmp_path), 2, {"model": 1})

    folds_of = [set(control.template_fold[control.template_group == group]) for group in range(4)]
    assert [len(folds) for folds in folds_of] == [1, 1, 1, 1]
    assert set.union(*folds_of) == {0, 1, 2, 3}
    assert set(control.template_group) == {0, 1, 2, 3}


def test_fewer_groups_than_folds_leave_no_control_and_end_no_search(tmp_path):
    told = []
    part = Part(Component(kind="scorer", name="memory", target=f"{__name__}:Memory", summary="."), Memory(NoOptions()))
    shop = Workshop(Store(tmp_path), RunContext(tell=told.append), {})

    assert score_control(shop, part, moved_anew(tmp_path), 5, {"model": 1}) == (None, [])
    assert any("No control regions: 'memory' failed there" in text for text in notes_of(told))


def test_weights_of_the_data_decide_what_masses_are_drawn_and_stay_with_the_data(tmp_path):
    data = events(20_000)
    weight = np.where(data.m < 3.0, 0, 1).astype(np.float32)
    weight[data.m > 3.8] *= 2.5
    found = beside(tmp_path, replace(data, weight=weight), Numbered())
    part = Part(Component(kind="scorer", name="memory", target=f"{__name__}:Memory", summary="."), Memory(NoOptions()))
    control, _ = score_control(Workshop(Store(tmp_path), RunContext(), {}), part, found, 3, {"model": 1})

    assert len(found.regions) == 2
    for region in found.regions:
        assert (region.background.template.m >= 3.0).all()
        assert (region.background.sample(100, np.random.default_rng(0)).m >= 3.0).all()
    assert np.array_equal(control.weight, np.where(control.m > 3.8, 2.5, control.m >= 3.0).astype(np.float32))
