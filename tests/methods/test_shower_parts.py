"""The calibration of the scorer ``shower-parts``: conformal p-values by brute force, and what cannot be computed."""

import numpy as np
import pytest

from adtoolkit_caloflow.scorer import LARGEST, Calibration


@pytest.fixture
def known():
    rng = np.random.default_rng(0)
    m = rng.uniform(1, 100, 2000).astype(np.float32)
    return (rng.normal(size=2000) * np.sqrt(m) + m).astype(np.float32), m


def test_scores_are_conformal_p_values_in_bins_of_m(known):
    value, m = known
    calibration = Calibration.fit(value, m, 4, both=False)
    asked, at = np.array([30.0, 60.0, 80.0], np.float32), np.array([20.0, 60.0, 99.0], np.float32)
    bins = [np.searchsorted(calibration.edges, at_m, side="right") for at_m in at]
    place = np.searchsorted(calibration.edges, m, side="right")
    brute = [(1 + (value[place == b] >= x).sum()) / ((place == b).sum() + 1) for x, b in zip(asked, bins, strict=True)]

    assert calibration.score(asked, at) == pytest.approx(-np.log10(brute), abs=1e-5)


def test_beyond_all_that_is_known_scores_go_on_rising(known):
    scores = Calibration.fit(*known, 4, both=False).score(np.array([1e3, 1e4, 1e5], np.float32), np.full(3, 50, np.float32))

    assert np.all(np.diff(scores) > 0.5)
    assert scores[0] > np.log10(500)


def test_with_both_ends_the_unusually_small_is_unusual_too(known):
    at = np.full(2, 50, np.float32)
    low, usual = Calibration.fit(*known, 4, both=True).score(np.array([-200, 50], np.float32), at)

    assert low > 2 > usual


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("both", [False, True])
def test_what_cannot_be_computed_is_the_most_unusual(known, value, both):
    scores = Calibration.fit(*known, 4, both=both).score(np.array([value, 1e30], np.float32), np.full(2, 50, np.float32))

    assert scores[0] == LARGEST > scores[1]
