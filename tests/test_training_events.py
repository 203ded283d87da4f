"""What a run lets the background model see: events of its region, on the scale of all of them, and no truth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from adtoolkit.data.toy_bump import ToyBump
from adtoolkit.errors import AdtoolError
from adtoolkit.plugin import Region
from adtoolkit.registry import default_registry
from adtoolkit.resolving import plan_of, resolve_config
from adtoolkit.runner import Run
from adtoolkit.store import Store
from adtoolkit.types import Window

WINDOW = Window(3.3, 3.7)
TABLES = {"data": {"name": "toy-bump", "n_background": 3000, "n_signal": 100}, "window": {"lo": WINDOW.lo, "hi": WINDOW.hi}}


def run_of(estimator: str, folder) -> Run | None:
    """A run of the estimator with what fits to it; None where it is not for such data."""
    registry = default_registry()
    config = resolve_config(registry, None, {**TABLES, "estimator": {"name": estimator}, "run": {"out": str(folder)}}, "smoke")
    try:
        plan = plan_of(config, registry)
    except AdtoolError:
        return None
    return Run(config, plan, registry, "cpu", Store(folder / "cache"))


ESTIMATORS = sorted(default_registry().names("estimator"))


def test_estimators_of_both_regions_are_among_those_tested(tmp_path):
    regions = {run.plan.region for name in ESTIMATORS if (run := run_of(name, tmp_path)) is not None and run.plan.estimates}

    assert regions >= {Region.ALL, Region.SIDEBAND}


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_an_estimator_of_the_sidebands_is_given_no_event_of_the_window_and_any_other_all(estimator, tmp_path):
    run = run_of(estimator, tmp_path)
    if run is None or run.plan.region not in (Region.ALL, Region.SIDEBAND):
        pytest.skip("no background model of the data")
    try:
        prepared = run.prepared()
    except AdtoolError as error:
        pytest.skip(f"needs more than a name: {error}")
    events = prepared.dataset.events
    job = run.fit_job(prepared)

    expected = events.m[~WINDOW.contains(events.m)] if run.plan.region is Region.SIDEBAND else events.m
    np.testing.assert_array_equal(np.sort(job.train_on.m), np.sort(expected))
    assert (job.window == WINDOW) is (run.plan.region is Region.SIDEBAND)
    assert job.train_on.truth is None


@pytest.mark.parametrize("estimator", ["cathode", "sigma"])
def test_features_are_scaled_by_the_range_of_all_data_and_what_lies_beyond_is_counted(estimator, tmp_path, monkeypatch):
    """Bounds of the sidebands, or of a share of the events, would move events of the window to the edge."""
    load = ToyBump.load

    def stretched(self, ctx):
        data = load(self, ctx)
        x, test = data.events.x.copy(), data.test.x.copy()
        extreme = np.flatnonzero(WINDOW.contains(data.events.m))[-4:]
        x[extreme, 0] = [20, -20, 20, -20]
        test[:7] = 50
        return replace(data, events=replace(data.events, x=x), test=replace(data.test, x=test))

    monkeypatch.setattr(ToyBump, "load", stretched)
    run = run_of(estimator, tmp_path)
    assert run is not None
    prepared = run.prepared()

    z = prepared.prep.forward(prepared.dataset.events.x)
    np.testing.assert_allclose(z.mean(0), 0, atol=1e-4)
    np.testing.assert_allclose(z.std(0), 1, atol=1e-4)
    assert prepared.prep.clipped(prepared.dataset.events.x) == 0
    x = prepared.dataset.events.x
    margin = 1e-3 * (x.max(0) - x.min(0))
    others = np.concatenate([prepared.dataset.test.x, prepared.dataset.reference.x])
    beyond = int(((others < x.min(0) - margin) | (others > x.max(0) + margin)).any(1).sum())
    assert prepared.counts["clipped to the feature range"] == beyond >= 7
