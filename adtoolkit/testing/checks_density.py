"""Checks that a model's density is one, and that its draws follow it. The slow ones: densities may be solved for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
from numpy.typing import NDArray

from adtoolkit.capabilities import Cap
from adtoolkit.testing.bundles import model_of, points, real_caps, world_of
from adtoolkit.testing.checks import NotApplicable, conformance, require

if TYPE_CHECKING:
    from adtoolkit.testing.subject import Subject

#: Points of the importance sampling per mass, and draws to compare with.
_POINTS: Final = 1500

#: What smoke-trained models are allowed, beyond four standard errors.
_TOLERANCE: Final = 0.08


@dataclass(frozen=True)
class Integral:
    """Importance sampling of a density at one mass.

    Attributes:
        m: The mass.
        x: [N, D] points.
        log_prob: [N] of the model there.
        weight: [N] p / q; their mean is the integral.
    """

    m: float
    x: NDArray[np.float32]
    log_prob: NDArray[np.float64]
    weight: NDArray[np.float64]

    def mean(self, value: NDArray[np.float64]) -> tuple[float, float]:
        """Expectation of [N] values under the density, and its standard error."""
        terms = self.weight * value
        return float(terms.mean()), float(terms.std() / np.sqrt(len(terms)))


def _integrals(subject: Subject) -> list[Integral]:
    """At two masses: half the points from a Gaussian twice as wide as the data, half from a box of six spreads."""

    def make() -> list[Integral]:
        model = model_of(subject)
        if Cap.LOG_PROB not in real_caps(model):
            reason = f"its model does not offer {Cap.LOG_PROB}"
            raise NotApplicable(reason)
        world = world_of(subject)
        seen = np.quantile(points(subject, 500).m, [0.25, 0.75])
        found = []
        for i, m in enumerate(seen.astype(np.float32)):
            rng = np.random.default_rng([17, i])
            near = world.background(np.full(2000, m), rng).x
            centre, wide = near.mean(0), 2 * near.std(0)
            half = np.float32(3) * wide
            x = np.concatenate([rng.normal(centre, wide, (_POINTS // 2, 2)), rng.uniform(centre - half, centre + half, (_POINTS // 2, 2))])
            normal = (-0.5 * ((x - centre) / wide) ** 2 - np.log(wide) - 0.5 * np.log(2 * np.pi)).sum(1)
            box = np.where((np.abs(x - centre) < half).all(1), -np.log(2 * half).sum(), -np.inf)
            proposal = np.logaddexp(normal, box) + np.log(0.5)
            log_prob = np.asarray(model.log_prob(x.astype(np.float32), np.full((len(x), 1), m, np.float32)), np.float64)
            found.append(Integral(float(m), x.astype(np.float32), log_prob, np.exp(log_prob - proposal)))
        return found

    return cast("list[Integral]", subject.once("integrals", make))


@conformance("estimator", "interpolator")
def check_log_prob_integrates_to_one(subject: Subject) -> None:
    """The density of the model integrates to one over x, at every mass."""
    for at in _integrals(subject):
        total, error = at.mean(np.ones(len(at.x)))
        require(abs(total - 1) < _TOLERANCE + 4 * error, f"At m = {at.m:.2f} it integrates to {total:.3f} +- {error:.3f}.")
        require(
            error < 0.1, f"At m = {at.m:.2f} the integral is {total:.2f} +- {error:.2f}: the density is too spiky or too wide to integrate."
        )


@conformance("estimator", "interpolator")
def check_sample_agrees_with_log_prob(subject: Subject) -> None:
    """The draws follow the density: mean log p, mean and spread of x are the same from draws and by integration."""
    model: Any = model_of(subject)
    if Cap.SAMPLE not in real_caps(model):
        reason = f"its model does not offer {Cap.SAMPLE}"
        raise NotApplicable(reason)
    for at in _integrals(subject):
        cond = np.full((_POINTS // 2, 1), at.m, np.float32)
        drawn = model.sample(cond, np.random.default_rng(23))
        total = at.mean(np.ones(len(at.x)))[0]
        require(total > 0, f"At m = {at.m:.2f} the density is zero everywhere.")
        pairs = {"mean log p": (np.asarray(model.log_prob(drawn, cond), np.float64), at.log_prob)}
        for i in range(drawn.shape[1]):
            pairs[f"mean x{i}"] = (drawn[:, i].astype(np.float64), at.x[:, i].astype(np.float64))
            pairs[f"mean |x{i}|"] = (np.abs(drawn[:, i]).astype(np.float64), np.abs(at.x[:, i]).astype(np.float64))
        for what, (sampled, integrated) in pairs.items():
            expected, error = at.mean(integrated)
            off = sampled.mean() - expected / total
            allowed = _TOLERANCE + 4 * float(np.hypot(error, sampled.std() / np.sqrt(len(sampled))))
            require(
                abs(off) < allowed,
                f"At m = {at.m:.2f}, {what} is {sampled.mean():.3f} from draws and {expected / total:.3f} by integration.",
            )
