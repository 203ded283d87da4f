"""Scores that were made elsewhere get the numbers that a run would give them."""

import numpy as np
import pytest
from scipy.stats import norm

from adtoolkit.context import RunContext
from adtoolkit.errors import ConfigError, DataError, UnknownNameError
from adtoolkit.metrics.outside import evaluate
from adtoolkit.registry import default_registry
from adtoolkit.scored import Scored
from adtoolkit.types import Sample, Window


@pytest.fixture(scope="module")
def table() -> dict[str, np.ndarray]:
    """Signal one standard deviation above background."""
    rng = np.random.default_rng(3)
    truth = np.repeat([0, 1], [6000, 600])
    return {"m": rng.uniform(3, 4, 6600), "score": rng.normal(truth, 1.0), "truth": truth}


def test_auc_is_that_of_two_normals(table) -> None:
    """Phi(1 / sqrt 2), within three standard errors; the interval holds the value."""
    numbers = evaluate(**table, metrics=["auc"])

    assert abs(numbers["auc"] - norm.cdf(1 / np.sqrt(2))) < 3 * 0.011
    assert numbers["auc-lo"] < numbers["auc"] < numbers["auc-hi"]


def test_numbers_are_those_of_the_metric_on_the_same_events(table) -> None:
    window = Window(3.2, 3.8)
    n = len(table["m"])
    events = Sample(np.zeros((n, 0)), table["m"], truth=table["truth"])
    scored = Scored(events, table["score"].astype(np.float32), np.zeros(n, np.int8), events[:0], np.zeros((0, 1)), (), window)
    metric = default_registry().make(default_registry().get("metric", "max-sic").component)
    expected = metric.compute(scored, RunContext(seed=4, scope=("metric", "max-sic")))

    numbers = evaluate(**table, window=(3.2, 3.8), metrics=["max-sic"], seed=4)

    assert numbers == pytest.approx(dict(expected), abs=0)


def test_only_events_of_the_window_count_and_options_are_used(table) -> None:
    inside = (table["m"] > 3.2) & (table["m"] < 3.8)
    cut = {name: values[inside] for name, values in table.items()}

    options = {"sic": {"at": [0.1]}}
    assert evaluate(**table, window=(3.2, 3.8), metrics=["sic"], options=options) == evaluate(**cut, metrics=["sic"], options=options)


def test_weights_decide_which_events_count(table) -> None:
    """Background of weight zero is no background."""
    weight = np.where((table["truth"] == 0) & (table["score"] < 0), 0.0, 1.0)
    kept = weight > 0

    weighted, cut = (
        evaluate(**table, weight=weight, metrics=["auc"])["auc"],
        evaluate(**{k: v[kept] for k, v in table.items()}, metrics=["auc"])["auc"],
    )

    assert weighted == pytest.approx(cut, abs=1e-9)


def test_template_gives_the_excess_without_truth(table) -> None:
    """600 of the 6,600 events are signal: the cut at a tenth of the background passes more than expected."""
    rng = np.random.default_rng(1)
    heard: list[str] = []

    numbers = evaluate(
        table["m"],
        table["score"],
        template=(rng.uniform(3, 4, 20_000), rng.normal(size=20_000)),
        metrics=["auc", "excess"],
        note=heard.append,
    )

    passed = 600 * norm.sf(norm.isf(0.1) - 1) + 6000 * 0.1
    assert numbers["expected@1e-1"] == pytest.approx(660)
    assert abs(numbers["observed@1e-1"] - passed) < 4 * np.sqrt(passed)
    assert "auc" not in numbers
    assert heard[0] == "auc: left out, since it needs truth."


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"score": np.zeros(3)}, r"'score' has the shape \[3\] where \[6600\] is needed"),
        ({"m": np.zeros((2, 2))}, "where one column is needed"),
        ({"score": np.full(6600, np.nan)}, "'score' is empty or holds values that are not finite"),
        ({"truth": np.full(6600, 2)}, "'truth' holds other values than 0 and 1"),
        ({"template": (np.zeros(4), np.zeros(5))}, "template scores"),
        ({"metrics": ["closure"]}, "'closure' compares features, of which there are none here"),
        ({"m": np.full(6600, "x")}, "'m' holds no numbers"),
        ({"weight": np.resize([1, -1], 6600)}, "Event weights are negative"),
        ({"weight": np.zeros(6600)}, "Event weights are negative, not finite or all zero"),
    ],
)
def test_malformed_tables_are_refused(table, change, message) -> None:
    with pytest.raises(DataError, match=message):
        evaluate(**{**table, **change})


def test_options_of_metrics_that_are_not_asked_for_are_refused(table) -> None:
    with pytest.raises(ConfigError, match="options of 'sic', which is not among the metrics: auc"):
        evaluate(**table, metrics=["auc"], options={"sic": {"at": (0.1,)}})
    with pytest.raises(UnknownNameError, match="Did you mean 'sic'"):
        evaluate(**table, metrics=["auc"], options={"sik": {}})


def test_what_several_metrics_note_is_said_once(table) -> None:
    heard = []
    evaluate(**table, window=(3.2, 3.8), note=heard.append)

    assert len(heard) == len(set(heard)) > 0


def test_unknown_metric_is_refused_with_the_nearest(table) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'max-sic'"):
        evaluate(**table, metrics=["maxsic"])


def test_scores_that_single_precision_cannot_tell_apart_are_pointed_out(table) -> None:
    notes: list[str] = []
    close = 1 - 1e-9 * np.arange(len(table["m"]))

    evaluate(table["m"], close, table["truth"], metrics=["auc"], note=notes.append)

    assert any("cannot be told from others in single precision; give log-odds" in note for note in notes)
