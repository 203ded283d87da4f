import numpy as np
import pytest

from adtoolkit.preprocess import EDGE, Preprocess
from adtoolkit.types import Sample


@pytest.fixture
def events():
    rng = np.random.default_rng(0)
    return Sample(np.column_stack([rng.exponential(2, 5000), rng.uniform(-1, 1, 5000), rng.normal(100, 3, 5000)]), rng.uniform(2, 5, 5000))


def test_preprocessed_features_have_mean_zero_and_spread_one(events):
    z = Preprocess.fit(events).forward(events.x)

    np.testing.assert_allclose(z.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(z.std(0), 1, atol=1e-5)


def test_inverse_undoes_forward(events):
    p = Preprocess.fit(events)
    np.testing.assert_allclose(p.inverse(p.forward(events.x)), events.x, rtol=1e-4, atol=1e-4)


def test_log_det_equals_the_numerical_derivative(events):
    p = Preprocess.fit(events)
    x = events.x[:50].astype(np.float64)
    h = 1e-6 * (p.high - p.low)
    slope = (p._standard(x + h) - p._standard(x - h)) / (2 * h)

    np.testing.assert_allclose(p.log_det(x), np.log(slope).sum(1), rtol=1e-4, atol=1e-4)


def test_events_outside_the_bounds_are_clipped_counted_and_finite(events):
    p = Preprocess.fit(events)
    far = np.vstack([events.x[:3], [[1e6, 0, 100]], [[1, -9, 100]]]).astype(np.float32)

    assert p.clipped(far) == 2
    assert p.clipped(events.x) == 0
    assert np.isfinite(p.forward(far)).all()
    assert np.isfinite(p.log_det(far)).all()
    assert p.forward(far)[3, 0] == pytest.approx((np.log((1 - EDGE) / EDGE) - p.mean[0]) / p.std[0], rel=1e-5)


def test_no_events_give_no_events(events):
    p = Preprocess.fit(events)
    assert p.forward(events.x[:0]).shape == (0, 3)
    assert p.clipped(events.x[:0]) == 0


def test_save_and_load_give_the_same_numbers(events, tmp_path):
    p = Preprocess.fit(events)
    p.save(tmp_path / "p.json")
    np.testing.assert_array_equal(Preprocess.load(tmp_path / "p.json").forward(events.x), p.forward(events.x))


def test_features_can_be_left_as_they_are(events, tmp_path):
    cells = np.column_stack([events.x, np.zeros(len(events.x))]).astype(np.float32)
    none = Preprocess.none(4)
    none.save(tmp_path / "none.json")

    assert none.forward(cells) is cells
    assert Preprocess.load(tmp_path / "none.json").inverse(cells) is cells
    assert not none.log_det(cells).any()
    assert none.clipped(cells) == 0
