"""The parametrisation gives the numbers that its formulas give by hand, and its profiles are densities."""

import numpy as np
import pytest

from adtoolkit_showers.gflash import Medium, draw_longitudinal, longitudinal, mean_spots, profile, radial, spot_shape
from adtoolkit_showers.photons import ARGON, LEAD, STACK

ENERGIES = np.array([1.0, 10.0, 50.0, 100.0])


def test_materials_and_their_effective_medium():
    """Lead and liquid argon, 2 mm and 4 mm, by hand."""
    assert pytest.approx(7.355, abs=5e-4) == 1000 * LEAD.critical_energy
    assert pytest.approx(29.13, abs=5e-3) == 1000 * ARGON.critical_energy
    assert STACK.z == pytest.approx(69.41, abs=5e-3)
    assert STACK.x0 == pytest.approx(1.5593, abs=5e-5)
    assert STACK.moliere == pytest.approx(3.6875, abs=5e-5)
    assert pytest.approx(8.9643, abs=5e-5) == 1000 * STACK.critical_energy
    assert 1 / STACK.per_x0 == pytest.approx(2.5988, abs=5e-5)
    assert STACK.e_hat == pytest.approx(0.6906, abs=5e-5)


def test_longitudinal_moments_of_single_showers():
    """Mean and width of ln T and ln alpha, their correlation, and the number of spots, at 1, 10, 50 and 100 GeV."""
    moments = longitudinal(ENERGIES, STACK)

    assert np.log(ENERGIES / STACK.critical_energy) == pytest.approx([4.7145, 7.0171, 8.6265, 9.3197], abs=1e-4)
    assert moments.ln_t == pytest.approx([1.2463, 1.7544, 2.0000, 2.0897], abs=1e-4)
    assert moments.ln_alpha == pytest.approx([1.0783, 1.4034, 1.5808, 1.6484], abs=1e-4)
    assert moments.sigma_t == pytest.approx([0.2947, 0.1595, 0.1207, 0.1093], abs=1e-4)
    assert moments.sigma_alpha == pytest.approx([0.3443, 0.2117, 0.1668, 0.1528], abs=1e-4)
    assert moments.rho == pytest.approx([0.6756, 0.6226, 0.5856, 0.5696], abs=1e-4)
    assert mean_spots(ENERGIES, STACK) == pytest.approx([93.6, 852.0, 3988, 7752.5], rel=1e-3)


def test_radii_at_three_depths():
    core, tail, p = radial(np.full(3, np.log(10.0)), np.array([0.25, 1.0, 2.0]), STACK)

    assert core == pytest.approx([0.0605, 0.1215, 0.2077], abs=1e-4)
    assert tail == pytest.approx([1.4162, 0.5864, 0.7682], abs=1e-4)
    assert p == pytest.approx([0.9786, 0.9096, 0.6231], abs=1e-4)


def test_a_medium_without_layers_is_a_homogeneous_one():
    """With 1/F_S = 0 and e_hat = 1 the means and the radial profile are those for homogeneous calorimeters."""
    iron = Medium(z=26, x0=1.76, moliere=1.7, critical_energy=0.0216, per_x0=0, e_hat=1, resolution=0.1)
    ln_y, tau, ln_e = np.log(10 / 0.0216), 0.7, np.log(10.0)
    moments = longitudinal(np.array([10.0]), iron)
    core, tail, p = radial(np.array([ln_e]), np.array([tau]), iron)

    assert moments.ln_t[0] == pytest.approx(np.log(ln_y - 0.812))
    assert moments.ln_alpha[0] == pytest.approx(np.log(0.81 + (0.458 + 2.26 / 26) * ln_y))
    assert core[0] == pytest.approx(0.0251 + 0.00319 * ln_e + (0.1162 - 0.000381 * 26) * tau)
    k4 = 0.3585 + 0.0421 * ln_e
    assert tail[0] == pytest.approx((0.659 - 0.00309 * 26) * (np.exp(-2.59 * (tau - 0.645)) + np.exp(k4 * (tau - 0.645))))
    depth = (0.401 + 0.00187 * 26 - tau) / (1.313 - 0.0686 * ln_e)
    assert p[0] == pytest.approx((2.632 - 0.00094 * 26) * np.exp(depth - np.exp(depth)))


def radial_profile(r, core, tail, p):
    """The share of the energy per Moliere radius, of the densities that spots are drawn from."""
    part = {scale: 2 * r * scale**2 / (r**2 + scale**2) ** 2 for scale in (float(core[0]), float(tail[0]))}
    return p * part[float(core[0])] + (1 - p) * part[float(tail[0])]


def test_profiles_are_densities_with_their_maximum_where_it_should_be():
    t, r = np.linspace(1e-6, 80, 200_001), np.geomspace(1e-5, 1e4, 100_001)
    alpha, depth = np.exp(1.5808), np.exp(2.0)
    f_t = profile(t, alpha, (alpha - 1) / depth)
    f_r = radial_profile(r, *radial(np.array([3.0]), np.array([1.0]), STACK))

    assert np.trapezoid(f_t, t) == pytest.approx(1, abs=1e-6)
    assert t[np.argmax(f_t)] == pytest.approx(depth, abs=1e-3)
    assert np.trapezoid(f_r, r) == pytest.approx(1, abs=1e-4)


def test_draws_have_the_moments_asked_for():
    moments = longitudinal(np.full(20_000, 50.0), STACK)
    t, alpha = np.log(draw_longitudinal(moments, np.random.default_rng(1)))

    assert t.mean() == pytest.approx(moments.ln_t[0], abs=0.005)
    assert alpha.mean() == pytest.approx(moments.ln_alpha[0], abs=0.005)
    assert t.std() == pytest.approx(moments.sigma_t[0], rel=0.03)
    assert alpha.std() == pytest.approx(moments.sigma_alpha[0], rel=0.03)
    assert np.corrcoef(t, alpha)[0, 1] == pytest.approx(moments.rho[0], abs=0.02)


def test_soft_showers_stay_within_bounds():
    """Below the critical energy the formulas have no meaning; what comes out can still be drawn from."""
    moments = longitudinal(np.geomspace(1e-4, 1, 1000), STACK)
    t, alpha = draw_longitudinal(moments, np.random.default_rng(0))
    t_spot, alpha_spot = spot_shape(t, alpha, STACK)

    assert (t >= 0.5).all()
    assert (alpha >= 1.1).all()
    assert (moments.sigma_t <= 0.5).all()
    assert (alpha_spot > 1).all()
    assert (t_spot > 0).all()
