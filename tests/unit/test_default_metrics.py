"""Which metrics are computed when none are named."""

from __future__ import annotations

import pytest

from adtoolkit.registry import default_registry
from adtoolkit.resolving import DEFAULT_METRICS, resolve_config


@pytest.mark.parametrize(("scorer", "also"), [("r-anode", ("likelihood-ratio",)), ("anode", ()), ("cathode", ())])
def test_statistics_of_log_ratios_are_usual_where_the_scores_are_such(scorer: str, also: tuple[str, ...]) -> None:
    config = resolve_config(default_registry(), {"estimator": {"name": "cathode"}, "scorer": {"name": scorer}})
    assert config.metrics.names == (*DEFAULT_METRICS, *also)


def test_metrics_that_are_named_are_the_only_ones() -> None:
    config = resolve_config(
        default_registry(), {"estimator": {"name": "cathode"}, "scorer": {"name": "r-anode"}, "metrics": {"names": ["auc"]}}
    )
    assert config.metrics.names == ("auc",)
