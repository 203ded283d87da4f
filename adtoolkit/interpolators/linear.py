"""The interpolator ``linear``: a blend of two velocity fields."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from torch import Tensor

from adtoolkit.errors import MixError
from adtoolkit.interfaces import CanSample, Context, HasField, Interpolator, Model
from adtoolkit.interpolators.anchors import Anchors, anchors_of, check_anchors
from adtoolkit.interpolators.config import LinearConfig
from adtoolkit.nn import torch_device
from adtoolkit.nn.cfm import Velocity
from adtoolkit.nn.integration import Integration
from adtoolkit.types import Array, Mask, Sample, Window


class Linear(Interpolator[LinearConfig]):
    """v(t, x | m) = xi v(t, x | m1) + (1-xi) v(t, x | m2), with anchors m1 < m2 around the window and xi = (m2-m)/(m2-m1).

    Exact where the mean of x at fixed x_t is linear in m, as for a Gaussian of fixed width whose mean moves linearly; a
    moving edge is blended, not moved.

    References:
        | SIGMA: Single Interpolated Generative Model for Anomalies (Das, Shih), arXiv:2410.20537
    """

    def check(self, events: Sample, window: Window | None) -> None:
        check_anchors(self.config, events, window)

    def bind(self, model: Model, window: Window | None, ctx: Context) -> BlendedField:
        if not (isinstance(model, HasField) and isinstance(model, CanSample)):
            raise MixError(
                f"'linear' needs a velocity field and draws, which a {type(model).__name__} lacks.", "Use --interpolator displacement."
            )
        c = self.config
        integration = Integration(c.solver, c.solver_steps, c.density_steps, c.trace)
        return BlendedField(model, model, anchors_of(c, window, model), integration, torch_device(ctx.device))


class BlendedField:
    """The background between the anchors, by integrating the blended field; beyond them the model's own.

    Args:
        model: The field at the anchors.
        sampler: The same model; its draws tell the number of features.
        anchors: Where.
        integration: Solver and steps.
        device: Of the field.
    """

    def __init__(self, model: HasField, sampler: CanSample, anchors: Anchors, integration: Integration, device: torch.device) -> None:
        self.model, self.anchors, self.integration, self.device = model, anchors, integration, device
        self._sampler = sampler

    def velocity(self, t: Tensor, x: Tensor, cond: Tensor) -> Tensor:
        """[], [N, D], [N, 1+C] -> [N, D]: two evaluations of the field."""
        below, above = (self.model.field(t, x, torch.cat([torch.full_like(cond[:, :1], m), cond[:, 1:]], 1)) for m in self.anchors.masses)
        blended: Tensor = torch.lerp(above, below, self.anchors.share(cond[:, :1]))
        return blended

    def sample(self, cond: Array, rng: np.random.Generator) -> Array:
        """[N, 1+C] -> [N, D]."""
        features = self._sampler.sample(cond[:0], np.random.default_rng(0)).shape[1]  # a field alone does not say its D

        def draw(field: Velocity, rows: Mask) -> Array:
            return self.integration.draw(field, features, cond[rows], rng, self.device)

        return self.anchors.split(cond[:, 0], partial(draw, self.velocity), partial(draw, self.model.field))

    def log_prob(self, x: Array, cond: Array) -> Array:
        """[N, D], [N, 1+C] -> [N]."""

        def density(field: Velocity, rows: Mask) -> Array:
            return self.integration.density(field, x[rows], cond[rows], self.device)

        return self.anchors.split(cond[:, 0], partial(density, self.velocity), partial(density, self.model.field))
