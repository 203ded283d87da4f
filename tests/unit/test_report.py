"""What a run prints: numbers with as many digits as they deserve, counts, stages."""

import io

import pytest
from rich.console import Console

from adtoolkit.events import Event
from adtoolkit.progress import ProgressDisplay, ProgressLines
from adtoolkit.report import cached_seconds, counted, counts, with_interval


@pytest.mark.parametrize(
    ("value", "lo", "hi", "shown"),
    [
        (0.91234, 0.90, 0.92, ("0.912", "0.900 to 0.920")),
        (421.3, 320.0, 655.0, ("421", "320 to 655")),
        (3.162278, 3.162277, 3.162278, ("3.1623", "3.1623 to 3.1623")),
        (1.0, 1.0, 1.0, ("1.0000", "1.0000 to 1.0000")),
        (123456.0, 123456.0, 123456.0, ("123456", "123456 to 123456")),
        (0.0, 0.0, 0.0, ("0.000000", "0.000000 to 0.000000")),
    ],
)
def test_digits_follow_the_interval_up_to_five_that_count(value, lo, hi, shown):
    assert with_interval("x", {"x": value, "x-lo": lo, "x-hi": hi}) == shown


def test_counts_put_the_reason_behind_the_number():
    assert counted("data in window", 2834) == "data in window 2,834"
    assert counted("dropped: tau1 = 0", 1300) == "dropped 1,300 (tau1 = 0)"


def test_without_a_window_no_count_speaks_of_one():
    events = {"data": 9000, "data in window": 9000, "signal in data": 0, "signal in window": 0, "test signal in window": 70, "clipped": 0}

    assert counts(events, window=False) == "data 9,000, signal in data 0, test signal 70"
    assert counts(events, window=True).startswith("data 9,000, data in window 9,000, signal in data 0, signal in window 0, test signal in")


def test_what_came_from_the_cache_is_told_with_what_it_took_when_it_was_made():
    made = {"fit/ab": (86.24, True), "score/cd": (2.0, True), "score/ef": (3.0, True), "score/gh": (4.0, False)}
    stages = {path: {"seconds": seconds, "cpu": seconds, "reused": reused} for path, (seconds, reused) in made.items()}

    assert cached_seconds({"stages": stages}) == {
        "fit": " (from the cache; 86.2 s when it was made)",
        "score": " (from the cache; 5.0 s when it was made)",
    }
    assert cached_seconds({}) == {}


def test_without_a_terminal_each_stage_that_is_done_gets_a_line():
    console = Console(file=io.StringIO())
    lines = ProgressLines(console)
    for event in (
        Event("started", "fit", "sigma"),
        Event("step", "fit", "sigma", {"step": 3, "loss": 0.1}),
        Event("finished", "fit", "sigma", {"seconds": 12.34}),
        Event("reused", "score", "cathode, fold 1 of 5", {"seconds": 9.0}),
        Event("finished", "metrics", values={"seconds": 0.5}),
    ):
        lines.adtoolkit_on_event(event)

    assert [" ".join(line.split()) for line in console.file.getvalue().splitlines()] == [
        "train sigma 12.3 s",
        "score cathode, fold 1 of 5 from the cache",
        "measure 0.5 s",
    ]


@pytest.mark.parametrize("width", [80, 100, 140])
def test_times_are_whole_on_any_terminal(width):
    console = Console(file=io.StringIO(), force_terminal=True, width=width, color_system=None)
    display = ProgressDisplay(console)
    with display:
        display.adtoolkit_on_event(Event("started", "template", "with cathode trained without 3.1 to 3.3"))
        display.adtoolkit_on_event(Event("step", "template", "", {"step": 1200.0, "steps": 14000.0, "loss": 0.1234, "val": 0.1301}))
        display.progress.refresh()

    assert "0:00:00" in console.file.getvalue()
