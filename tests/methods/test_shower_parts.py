"""The scorer ``shower-parts``: calibration by ranks at like energy."""

from __future__ import annotations

import numpy as np
import pytest

from adtoolkit.registry import default_registry
from adtoolkit.resolving import resolve_config
from adtoolkit_caloflow.scorer import Calibration


def test_scores_are_conformal_in_every_bin_of_energy():
    """Fresh values pass -log10(p) = 1 a tenth of the time at every m, though their size depends on m."""
    rng = np.random.default_rng(0)

    def draw(n):
        m = rng.uniform(0, 10, n).astype(np.float32)
        return (m * rng.exponential(size=n)).astype(np.float32), m

    value, m = draw(20_000)
    calibration = Calibration.fit(value, m, 20, both=False)
    fresh, where = draw(20_000)
    passed = calibration.score(fresh, where) >= 1

    assert passed.mean() == pytest.approx(0.1, abs=0.01)
    assert passed[where > 5].mean() == pytest.approx(passed[where < 5].mean(), abs=0.02)


def test_beyond_the_calibration_values_are_still_ordered():
    value = np.linspace(0, 1, 99, dtype=np.float32)
    score = Calibration.fit(value, value, 1, both=False).score(np.array([0.5, 1.0, 2.0, 20.0], np.float32), np.zeros(4, np.float32))

    assert score[1] == pytest.approx(-np.log10(2 / 100))
    assert (np.diff(score) > 0).all()


def test_both_ends_of_an_occupancy_are_unusual():
    rng = np.random.default_rng(1)
    value = rng.normal(5, 1, 5000).astype(np.float32)
    calibration = Calibration.fit(value, np.ones(5000, np.float32), 5, both=True)
    low, middle, high = calibration.score(np.array([1.0, 5.0, 9.0], np.float32), np.ones(3, np.float32))

    assert min(low, high) > 3
    assert middle < 0.1


def test_it_brings_the_estimator_it_looks_into():
    config = resolve_config(default_registry(), flags={"data": {"name": "calo-showers"}, "scorer": {"name": "shower-parts"}})

    assert config.estimator.name == "caloflow"
