"""The interpolator ``displacement``: end points of the same noise at both anchors."""

from __future__ import annotations

from copy import deepcopy

import numpy as np

from adtoolkit.errors import MixError
from adtoolkit.interfaces import CanSample, Context, Interpolator, Model
from adtoolkit.interpolators.anchors import Anchors, anchors_of, check_anchors
from adtoolkit.interpolators.config import DisplacementConfig
from adtoolkit.types import Array, Sample, Window


class Displacement(Interpolator[DisplacementConfig]):
    """x = xi X(z; m1) + (1-xi) X(z; m2): the same noise z is carried to both anchors, and the end points are interpolated.

    Moving edges are transported instead of blended. Needs a model whose draws are a function of noise that depends on the
    generator alone, in the same order for every condition; then a generator in the same state gives the same noise twice.
    """

    def check(self, events: Sample, window: Window | None) -> None:
        check_anchors(self.config, events, window)

    def bind(self, model: Model, window: Window | None, ctx: Context) -> Displaced:  # noqa: ARG002 - part of the interface
        if not isinstance(model, CanSample):
            raise MixError(f"'displacement' needs draws, which a {type(model).__name__} does not give.", "Use another estimator.")
        return Displaced(model, anchors_of(self.config, window, model))


class Displaced:
    """The background between the anchors, beyond them the model itself; it has draws but no density."""

    def __init__(self, model: CanSample, anchors: Anchors) -> None:
        self.model, self.anchors = model, anchors

    def sample(self, cond: Array, rng: np.random.Generator) -> Array:
        """[N, 1+C] -> [N, D]."""
        return self.anchors.split(cond[:, 0], lambda rows: self._between(cond[rows], rng), lambda rows: self.model.sample(cond[rows], rng))

    def _between(self, cond: Array, rng: np.random.Generator) -> Array:
        below = self.model.sample(_moved(cond, self.anchors.lo), deepcopy(rng))
        above = self.model.sample(_moved(cond, self.anchors.hi), rng)
        xi = self.anchors.share(cond[:, :1]).astype(np.float32)
        return np.asarray(xi * below + (1 - xi) * above, dtype=np.float32)


def _moved(cond: Array, mass: float) -> Array:
    out = np.array(cond, copy=True)
    out[:, 0] = mass
    return out
