"""Control regions: what is drawn beside the window."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support.control import WINDOW, Numbered, Shifted, beside, events, moved_anew, notes_of

from adtoolkit.control import LEAST
from adtoolkit.control_plan import control_width, regions
from adtoolkit.densities import LOWEST
from adtoolkit.errors import CacheError, DataError
from adtoolkit.metrics.config import ExcessConfig
from adtoolkit.metrics.excess import Excess
from adtoolkit.plugin import Cap, Component
from adtoolkit.runconfig import TemplateTable
from adtoolkit.types import Sample, Window


def test_regions_leave_a_gap_for_what_leaks_out_of_the_window():
    low, high = regions(Window(10.0, 14.0), 0.5)

    assert (low.lo, low.hi, high.lo, high.hi) == (7.0, 9.0, 15.0, 17.0)


def test_control_events_have_the_masses_of_the_data_and_leave_out_what_the_rule_refuses(tmp_path):
    data = events(20_000)
    low, _ = regions(WINDOW, 1.0)
    told = []
    found = beside(tmp_path, data, Shifted(), tell=told.append, oversample=2.0)
    again = beside(tmp_path, data, Shifted(), oversample=2.0)
    (side,) = found.regions

    assert side.window == low
    assert low.contains(side.data.m).all()
    assert notes_of(told) == ["No control region from 3.8 to 4.2: beyond"]
    assert np.isin(side.background.template.m, side.data.m).all()
    assert len(side.background.template) == 2 * len(side.data)
    assert np.array_equal(side.background.template.x, again.regions[0].background.template.x)
    assert (found.entries[0].reused, again.entries[0].reused) == (False, True)


def test_a_control_region_has_no_more_data_than_the_window(tmp_path):
    """Else its classifier would learn more of the template's faults than that of the window."""
    data = Sample.concat(events(2000, 3.3, 3.7), events(30_000, 2.0, 3.3))
    (side,) = beside(tmp_path, data, Shifted()).regions

    assert len(side.data) == WINDOW.contains(data.m).sum()
    assert np.isin(side.data.m, data.m).all()


def test_regions_with_few_events_are_left_out(tmp_path):
    assert beside(tmp_path, events(LEAST, 2.0, 5.0), Shifted()).regions == ()


def test_a_region_knows_its_own_mass_density_and_the_densities_of_its_events(tmp_path):
    data, told = events(20_000), []
    (side,) = beside(tmp_path, data, Shifted(), tell=told.append, densities=True).regions
    grid = np.linspace(side.window.lo, side.window.hi, 1001)[1:-1].astype(np.float32)
    far = Sample(np.zeros((1, 1)), np.array([3.5]))

    assert np.exp(side.background.log_prob_mass(Sample(np.zeros((999, 1)), grid))).mean() * side.window.width == pytest.approx(1, abs=0.01)
    assert side.background.log_prob_mass(far) == -np.inf
    assert ("density", "rule from 2.8 to 3.2") in {(event.stage, event.label) for event in told}
    assert np.array_equal(side.background.known.look_up(side.data, evaluate=None), -side.data.m)
    assert side.background.known.look_up(side.background.template, evaluate=None).shape == (len(side.background.template),)


def test_without_densities_the_masses_of_a_region_are_those_of_its_data(tmp_path):
    """A model of p(m) that cannot be fitted there is no reason to do without the region."""
    (region,) = beside(tmp_path, events(20_000, lo=2.8), Shifted()).regions

    assert np.isin(region.background.sample(100, np.random.default_rng(0)).m, region.data.m).all()


class Fails(Shifted):
    """At one of its methods, at high masses alone."""

    def __init__(self, at, error=None, value=None):
        self.at, self.error, self.value = at, error, value

    def bind(self, model, window, ctx):
        return self

    def sample(self, cond, rng):
        if self.at == "sample" and (cond > 3.7).any():
            return self.fail(cond.astype(np.float32))
        return cond.astype(np.float32)

    def log_prob(self, x, cond):
        if self.at == "log_prob" and (cond > 3.7).any():
            return self.fail(-cond[:, 0])
        return -cond[:, 0]

    def fail(self, right):
        if self.error is not None:
            raise self.error
        return np.full_like(right, self.value)


FAILURES = {
    "draws": (Fails("sample", ZeroDivisionError("by the test")), (), "No control regions: The stage 'template'"),
    "draws that are not finite": (Fails("sample", value=np.nan), (0,), "No control region from 3.8 to 4.2: 0 of "),
    "densities": (Fails("log_prob", DataError("by the test")), (0,), "No control region from 3.8 to 4.2: by the test"),
    "no densities": (Fails("log_prob", value=LOWEST), (0,), "No control region from 3.8 to 4.2: The background gives no density"),
}


@pytest.mark.parametrize(("rule", "left", "note"), FAILURES.values(), ids=FAILURES)
def test_what_fails_in_a_control_region_is_noted_and_ends_no_search(rule, left, note, tmp_path):
    told = []
    found = beside(tmp_path, events(20_000), rule, tell=told.append, densities=True)

    assert [region.window for region in found.regions] == [regions(WINDOW, 1.0)[i] for i in left]
    assert [text.startswith(note) for text in notes_of(told)] == [True]


def test_a_full_disk_is_no_fault_of_a_control_region(tmp_path):
    with pytest.raises(CacheError):
        beside(tmp_path, events(20_000), Fails("sample", CacheError("full")))


def test_a_region_whose_events_weigh_nothing_is_left_out(tmp_path):
    data, told = events(20_000), []
    found = beside(tmp_path, replace(data, weight=(data.m > 3.3).astype(np.float32)), Numbered(), tell=told.append)

    assert [region.window for region in found.regions] == [regions(WINDOW, 1.0)[1]]
    assert notes_of(told) == ["No control region from 2.8 to 3.2: The data have no event of weight above zero there."]


def test_a_model_may_be_made_anew_for_each_region_and_its_draws_keep_their_groups(tmp_path):
    found = moved_anew(tmp_path)

    assert len(found.entries) == 3
    assert moved_anew(tmp_path).entries[0].reused
    assert not moved_anew(tmp_path, trial="again").entries[0].reused, "other models draw other templates"
    for side in found.regions:
        template = side.background.template
        assert np.array_equal(template.x[:, 0] - np.float32(side.window.lo) > 0.5, template.group == 1)


SCORERS = {
    "trained anywhere": ({"outside": True, "trains": True}, frozenset(), 1.0),
    "trained for the window": ({"outside": False, "trains": True}, frozenset(), 0.0),
    "for the window, not trained": ({"outside": False, "trains": False}, frozenset(), 1.0),
    "of truth": ({"outside": True, "trains": True}, frozenset({Cap.TRUTH}), None),
}


@pytest.mark.parametrize(("traits", "needs", "width"), SCORERS.values(), ids=SCORERS)
def test_control_regions_are_as_wide_as_asked_or_by_what_they_cost(traits, needs, width):
    record = Component(kind="scorer", name="one", target="a:B", summary=".", needs=needs)
    scorer, notes, excess = type("One", (), traits)(), [], [Excess(ExcessConfig())]

    assert control_width(TemplateTable(), excess, record, scorer, notes.append) == (width or 0)
    assert [note for note in notes if "--set template.control=1" in note] == notes
    assert len(notes) == (width == 0.0)
    assert control_width(TemplateTable(control=0.5), excess, record, scorer, notes.append) == (0 if width is None else 0.5)
    assert control_width(TemplateTable(control=0), excess, record, scorer, notes.append) == 0
    assert control_width(TemplateTable(control=1), [], record, scorer, notes.append) == 0, "no metric wants them"
