"""A flow-matching model whose mass-dependent activations are interpolated between anchors: SIGMA's background."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from adtoolkit.interpolators.anchors import Anchors
from adtoolkit.nn.cfm_model import CfmModel
from adtoolkit.types import Array, Mask
from adtoolkit_sigma.network import BlendContext


class Blend:
    """The background between two anchors, where it never evaluates the network at a mass between them; beyond them the model itself.

    Args:
        model: Trained on masses that reach both anchors.
        anchors: Where.
    """

    def __init__(self, model: CfmModel, anchors: Anchors) -> None:
        self.model, self.anchors = model, anchors
        self._masses = torch.tensor(anchors.masses, dtype=torch.float32, device=model.device)

    def velocity(self, t: Tensor, x: Tensor, cond: Tensor) -> Tensor:
        """[], [N, D], [N, 1+C] -> [N, D]: one pass through the trunk."""
        provider = BlendContext(self._masses.to(x.dtype), self.anchors.weights(cond[:, 0]))
        return self.model.network.velocity(t, x, provider)

    def sample(self, cond: Array, rng: np.random.Generator) -> Array:
        """[N, 1+C] -> [N, D]."""

        def draw(rows: Mask) -> Array:
            return self.model.integration.draw(self.velocity, self.model.features, cond[rows], rng, self.model.device)

        return self.anchors.split(cond[:, 0], draw, lambda rows: self.model.sample(cond[rows], rng))

    def log_prob(self, x: Array, cond: Array) -> Array:
        """[N, D], [N, 1+C] -> [N]."""

        def density(rows: Mask) -> Array:
            return self.model.integration.density(self.velocity, x[rows], cond[rows], self.model.device)

        return self.anchors.split(cond[:, 0], density, lambda rows: self.model.log_prob(x[rows], cond[rows]))
