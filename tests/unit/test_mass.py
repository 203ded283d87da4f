import numpy as np
import pytest

from adtoolkit.errors import ConfigError
from adtoolkit.mass import MassConfig, Tabulated, fit_mass
from adtoolkit.types import Window

WINDOW = Window(3.3, 3.7)


@pytest.fixture
def falling():
    """Masses from the dijet function itself, by inversion on a fine grid."""
    grid = np.linspace(2.4, 7, 20001)
    x = grid / 13
    density = (1 - x) ** 9 / x**5
    cumulative = np.cumsum(density)
    rng = np.random.default_rng(1)
    return np.interp(rng.random(1_000_000) * cumulative[-1], cumulative, grid).astype(np.float32), grid, density


@pytest.mark.parametrize("name", ["kde", "histogram", "sideband-fit"])
def test_density_integrates_to_one_and_follows_the_truth(falling, name):
    m, grid, density = falling
    model = fit_mass(MassConfig(name=name), m, WINDOW)
    at = np.linspace(3.3005, 3.6995, 4001).astype(np.float32)
    p = np.exp(model.log_prob(at))
    true = np.interp(at, grid, density)
    true /= true.mean() * WINDOW.width

    assert p.mean() * WINDOW.width == pytest.approx(1, abs=2e-3)
    # statistics: 60 bins of about 1,070 events in the histogram, so 0.8 x 3 % there
    assert np.abs(p / true - 1).mean() < {"kde": 0.03, "histogram": 0.035, "sideband-fit": 0.02}[name]


@pytest.mark.parametrize("name", ["kde", "histogram", "sideband-fit"])
def test_draws_lie_in_the_window_and_follow_the_density(falling, name):
    model = fit_mass(MassConfig(name=name), falling[0], WINDOW)
    drawn = model.sample(200_000, np.random.default_rng(2))
    count, edges = np.histogram(drawn, bins=20, range=(3.3, 3.7))
    fine = np.linspace(3.3, 3.7, 20 * 200 + 1)
    centres = ((fine[1:] + fine[:-1]) / 2).astype(np.float32)
    expected = np.exp(model.log_prob(centres)).reshape(20, 200).mean(1) * (edges[1] - edges[0]) * len(drawn)

    assert WINDOW.contains(drawn).all()
    assert (((count - expected) ** 2) / expected).sum() < 20 + 5 * np.sqrt(40)


@pytest.mark.parametrize("name", ["kde", "histogram", "sideband-fit"])
@pytest.mark.parametrize("weighted", [False, True])
def test_every_mass_in_the_window_has_a_density_though_few_events_leave_bins_empty(falling, name, weighted):
    few = falling[0][:2000]
    weight = np.random.default_rng(4).choice([0, 1e-3, 2e-3], len(few)).astype("f") if weighted else None
    model = fit_mass(MassConfig(name=name, bins=1000), few, WINDOW, weight)
    at = np.linspace(3.3, 3.7, 40_001).astype(np.float32)
    at = at[WINDOW.contains(at)]
    p = np.exp(model.log_prob(at))

    assert WINDOW.contains(few).sum() < 1000
    assert len(at) >= 39_999
    assert np.isfinite(model.log_prob(at)).all()
    assert p.mean() * WINDOW.width == pytest.approx(1, abs=2e-3)


@pytest.mark.parametrize("name", ["kde", "histogram", "sideband-fit"])
def test_a_density_does_not_know_the_events_that_it_was_made_from(falling, name):
    """Else a score that divides by it would rank the data's own events, or others, by their masses alone; most so at the ends."""
    m, grid, true = falling
    own, others = m[:30_000], m[500_000:]
    own, others = own[WINDOW.contains(own)], others[WINDOW.contains(others)]
    model = fit_mass(MassConfig(name=name), own if name != "sideband-fit" else m[:30_000], WINDOW)
    away = model.log_prob(others) - np.log(np.interp(others, grid, true) / np.interp(np.linspace(3.3, 3.7, 1001), grid, true).mean() / 0.4)

    assert model.log_prob(own).mean() - model.log_prob(others).mean() < {"kde": 0.01, "histogram": 0.02, "sideband-fit": 0.01}[name]
    # three standard deviations: 1,700 events, of which 150 decide the KDE at an end of the window
    assert np.quantile(np.abs(away), [0.99, 1]) == pytest.approx(0, abs={"kde": 0.3, "histogram": 0.5, "sideband-fit": 0.1}[name])


def test_the_histogram_adds_one_event_in_equal_parts():
    model = fit_mass(MassConfig(name="histogram", bins=4), np.float32([3.35, 3.45, 3.45]), WINDOW)
    np.testing.assert_allclose(np.exp(model.log_prob(np.float32([3.35, 3.45, 3.55]))) * 0.1, np.array([1.25, 2.25, 0.25]) / 4)


def test_sideband_fit_does_not_see_a_peak_in_the_window(falling):
    m = falling[0]
    peak = np.random.default_rng(3).normal(3.5, 0.02, 5000).astype(np.float32)
    blind = fit_mass(MassConfig(name="sideband-fit"), m, WINDOW)
    seeing = fit_mass(MassConfig(name="sideband-fit"), np.concatenate([m, peak]), WINDOW)

    at = np.float32([3.35, 3.5, 3.65])
    np.testing.assert_allclose(seeing.log_prob(at), blind.log_prob(at), atol=1e-3)


def test_outside_the_window_the_density_is_zero(falling):
    assert np.isneginf(fit_mass(MassConfig(), falling[0], WINDOW).log_prob(np.float32([3.2, 3.8]))).all()


def test_sideband_fit_without_sidebands_is_refused():
    with pytest.raises(ConfigError, match="both sides"):
        fit_mass(MassConfig(name="sideband-fit"), np.linspace(3.3, 3.7, 1000, dtype=np.float32), WINDOW)


def test_without_a_window_the_observed_masses_are_drawn():
    m = np.float32([1, 2, 3])
    assert set(fit_mass(MassConfig(), m, None).sample(100, np.random.default_rng(0))) == {1, 2, 3}


def test_tabulated_density_is_exact():
    model = Tabulated.of(np.array([0.0, 1.0, 3.0]), np.array([2.0, 1.0]))
    np.testing.assert_allclose(np.exp(model.log_prob(np.float32([0.5, 2.0]))), [0.5, 0.25])
