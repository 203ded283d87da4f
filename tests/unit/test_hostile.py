"""What other people's data, names and plugins may bring: refused or pointed out before training, and never a broken report."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from adtoolkit.arrays import read_arrays, write_arrays
from adtoolkit.context import RunContext
from adtoolkit.data.checks import check_labels, doubtful
from adtoolkit.errors import DataError
from adtoolkit.metrics.config import ExcessConfig
from adtoolkit.metrics.excess import Excess
from adtoolkit.metrics.outside import evaluate
from adtoolkit.report import print_result
from adtoolkit.results import Results, RunResult
from adtoolkit.scored import Scored
from adtoolkit.types import Sample, Window

RNG = np.random.default_rng(0)


def sample(n=500, **fields):
    return Sample(RNG.normal(size=(n, 2)), RNG.uniform(3, 4, n), **fields)


def test_a_template_too_small_for_a_cut_gives_no_excess_there():
    """The cut would lie at its highest score, and far more than the share asked for would pass."""
    notes = []
    m, score = RNG.uniform(3, 4, 2000), RNG.random(2000)
    told = evaluate(m, score, template=(m[:200], RNG.random(200)), metrics=["excess"], note=notes.append)

    assert {name.partition("@")[2] for name in told if "z@" in name} == {"1e-1", "1e-2"}
    assert any("excess@1e-3 left out: a fold has 200 events of the template" in note for note in notes)


def test_where_the_cut_can_be_set_it_is_not_biased():
    z = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        scored = Scored(
            events=Sample(np.zeros((1000, 1)), np.full(1000, 3.5)),
            score=rng.random(1000).astype(np.float32),
            fold=(np.arange(1000) % 5).astype(np.int8),
            test=Sample(np.zeros((0, 1)), np.zeros(0)),
            test_score=np.zeros((0, 5), np.float32),
            features=("a",),
            template=Sample(np.zeros((4000, 1)), np.full(4000, 3.5)),
            template_score=rng.random(4000).astype(np.float32),
            template_fold=(np.arange(4000) % 5).astype(np.int8),
        )
        z.append(Excess(ExcessConfig(at=(1e-2,))).compute(scored, RunContext())["excess-z@1e-2"])

    assert abs(np.mean(z)) < 0.25


def test_spikes_and_outliers_of_features_are_pointed_out():
    x = RNG.normal(size=(3000, 5)).astype(np.float32)
    x[:40, 1] = -999
    x[0, 2] = 1e30
    x[:, 3] = x[:, 3] > 0
    texts = list(doubtful(x, ("good", "sentinel", "outlier", "two", "also good")))

    assert [text.split("'")[1] for text in texts] == ["sentinel", "outlier", "two"]
    assert "the value -999 in 1.3% of the events" in texts[0]
    assert "Outliers set its scale" in texts[1]


@pytest.mark.parametrize(
    "fields",
    [
        {"weight": np.full(500, -1.0)},
        {"weight": np.where(np.arange(500) == 3, np.nan, 1.0)},
        {"weight": np.zeros(500)},
        {"truth": np.full(500, 7)},
    ],
)
def test_weights_and_labels_that_mean_nothing_are_refused(fields):
    with pytest.raises(DataError):
        check_labels(sample(**fields))


def test_good_weights_and_labels_are_accepted():
    check_labels(sample(weight=RNG.random(500), truth=np.arange(500) % 2))
    check_labels(sample())


def test_blind_events_do_not_tell_their_place_in_a_file():
    events = sample(truth=np.arange(500) % 2, row=np.arange(500))

    assert events.blind().row is None
    assert events[10:20].row.tolist() == list(range(10, 20))


def test_windows_that_differ_have_different_labels():
    assert Window(3.3, 3.7).label == "3.3-3.7"
    assert Window(3.3, 3.7000001).label == "3.3-3.7000001"


def test_arrays_come_back_and_nothing_else_is_left(tmp_path):
    write_arrays(tmp_path / "a.h5", {"g/x": np.arange(5), "none": None}, note="n")

    assert read_arrays(tmp_path / "a.h5")["g/x"].tolist() == [0, 1, 2, 3, 4]
    assert [path.name for path in tmp_path.iterdir()] == ["a.h5"]


def test_names_that_look_like_markup_are_printed_as_they_are(tmp_path):
    names = "closure-pull-a[/b]"
    result = RunResult(
        "done",
        tmp_path / "o[/red]x",
        {names: 1.0},
        {"cut: a[/b] > 1": 3},
        {"total": 1.0},
        {"m[/x]": "why [/y]"},
        notes=("note [/z]",),
        manifest={"scorer": {"s[/w]": 1.0}},
    )
    console = Console(file=io.StringIO(), width=200)
    print_result(result, console, "cpu", window=True)
    text = console.file.getvalue()

    assert all(each in text for each in (names, "o[/red]x", "a[/b] > 1", "m[/x]", "why [/y]", "note [/z]", "s[/w]"))


class Bad:
    """A metric that gives no number."""

    needs = frozenset()

    def compute(self, scored, ctx):
        return {"x": "high"}


class Good(Bad):
    """One that does."""

    def compute(self, scored, ctx):
        return {"y": 2}


def test_a_metric_that_gives_no_number_loses_no_other(tmp_path):
    results = Results(tmp_path)
    events = sample()
    scored = Scored(events, events.x[:, 0], np.zeros(500, np.int8), events[:0], np.zeros((0, 1), np.float32), ("a", "b"))
    results.measure({"bad": Bad(), "good": Good()}, replace(scored), RunContext())

    assert results.metrics == {"y": 2.0}
    assert results.skipped["bad"].startswith("failed: ValueError")
