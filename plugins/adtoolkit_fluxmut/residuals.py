"""What is clustered: the residuals of objects, and draws of those of the reference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from adtoolkit.errors import RunError
from adtoolkit.interfaces import CanReconstruct, CanSample
from adtoolkit.types import Array, Mask

__all__ = ["HasResiduals", "residual_model"]


@runtime_checkable
class HasResiduals(Protocol):
    """``flux:residuals``: a model with a space of its own in which objects are compared with its reference."""

    def residuals(self, x: Array, cond: Array) -> Array:
        """[N, D], [N, 1+C] -> [N, K]."""

    def sample_residuals(self, cond: Array, rng: np.random.Generator) -> Array:
        """[N, 1+C] -> [N, K] draws of the reference's residuals."""

    def outside(self, cond: Array) -> Mask:
        """[N, 1+C] -> [N]: which conditions lie outside those that it was trained on."""


@dataclass(frozen=True)
class _Through:
    """Residuals x - xhat of a model that only samples and reconstructs; its range of training is not known."""

    model: Any

    def residuals(self, x: Array, cond: Array) -> Array:
        return np.asarray(x - self.model.reconstruct(x, cond), np.float32)

    def sample_residuals(self, cond: Array, rng: np.random.Generator) -> Array:
        return self.residuals(self.model.sample(cond, rng), cond)

    def outside(self, cond: Array) -> Mask:
        return np.zeros(len(cond), np.bool_)


def residual_model(model: Any) -> HasResiduals:
    """The model itself where it has residuals, else one made of its draws and reconstructions.

    Raises:
        RunError: if it can do neither.
    """
    if isinstance(model, HasResiduals):
        return model
    if isinstance(model, CanSample) and isinstance(model, CanReconstruct):
        return _Through(model)
    raise RunError(
        f"The background model {type(model).__name__} cannot both sample and reconstruct.",
        "Choose an estimator that gives both: --estimator flux-mutability",
    )
