"""Which metrics are computed when none are named."""

from __future__ import annotations

import pytest

from adtoolkit.registry import default_registry
from adtoolkit.resolving import DEFAULT_METRICS, METRICS_OF_WINDOWS, resolve_config


@pytest.mark.parametrize(("scorer", "also"), [("r-anode", ("likelihood-ratio",)), ("anode", ()), ("cathode", ())])
def test_statistics_of_log_ratios_are_usual_where_the_scores_are_such(scorer: str, also: tuple[str, ...]) -> None:
    config = resolve_config(default_registry(), {"estimator": {"name": "cathode"}, "scorer": {"name": scorer}})
    assert config.metrics.names == (*DEFAULT_METRICS, *METRICS_OF_WINDOWS, *also)


def test_metrics_that_are_named_are_the_only_ones() -> None:
    config = resolve_config(
        default_registry(), {"estimator": {"name": "cathode"}, "scorer": {"name": "r-anode"}, "metrics": {"names": ["auc"]}}
    )
    assert config.metrics.names == ("auc",)


def test_draws_of_a_one_class_model_are_no_expectation_to_count_against() -> None:
    config = resolve_config(default_registry(), {"estimator": {"name": "cathode"}, "window": {"none": True}})
    assert config.metrics.names == DEFAULT_METRICS
