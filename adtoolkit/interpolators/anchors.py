"""Two masses around the window, and what share each has of a mass in between."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from adtoolkit.errors import DataError
from adtoolkit.interpolators.config import AnchorConfig
from adtoolkit.types import Array, Mask, Sample, Window


@runtime_checkable
class KnowsMassRange(Protocol):
    """A model that says which masses it was trained on."""

    @property
    def mass_range(self) -> tuple[float, float]:
        """Lowest and highest training mass."""


@dataclass(frozen=True)
class Anchors:
    """Two masses, below and above the window.

    Example:
        >>> round(Anchors(3.2, 3.8).share(3.5), 6)
        0.5
    """

    lo: float
    hi: float

    @property
    def masses(self) -> tuple[float, float]:
        return self.lo, self.hi

    def share(self, m: Any) -> Any:
        """xi(m) = (hi - m) / (hi - lo): the lower anchor's share, 1 at ``lo`` and 0 at ``hi``; arrays and tensors alike."""
        return (self.hi - m) / (self.hi - self.lo)

    def split(self, m: Array, between: Callable[[Mask], Array], beyond: Callable[[Mask], Array]) -> Array:
        """[N] masses -> [N, ...]: one answer for events between the anchors, another for those beyond, each asked only if there are any.

        Beyond the anchors lie events of the sidebands, where a model needs no interpolation, and where one would be an extrapolation.
        """
        inside = np.asarray((m >= self.lo) & (m <= self.hi))
        if inside.all():
            return between(inside)
        if not inside.any():
            return beyond(inside | True)
        first, second = between(inside), beyond(~inside)
        out = np.empty((len(m), *first.shape[1:]), first.dtype)
        out[inside], out[~inside] = first, second
        return out

    def weights(self, m: Any) -> Any:
        """Tensor [N] -> [N, 2]: the shares of both anchors."""
        import torch

        xi = self.share(m)
        return torch.stack([xi, 1 - xi], 1)


def anchors_of(config: AnchorConfig, window: Window | None, model: object) -> Anchors:
    """The anchors that the options put around a window.

    Raises:
        DataError: if there is no window, if an anchor is not outside it, or lies outside the model's training masses.
    """
    if window is None:
        raise DataError("An interpolation needs a window.", "Give one: --window LO HI")
    margin = 0.25 * window.width if config.margin is None else config.margin
    anchors = Anchors(window.lo - margin if config.lo is None else config.lo, window.hi + margin if config.hi is None else config.hi)
    if not (anchors.lo <= window.lo and anchors.hi >= window.hi):
        raise DataError(
            f"The anchors {anchors.lo:g} and {anchors.hi:g} must lie outside the window {window.lo:g} to {window.hi:g}.",
            "Choose interpolator.lo below and interpolator.hi above it.",
        )
    if isinstance(model, KnowsMassRange):
        first, last = model.mass_range
        if anchors.lo < first or anchors.hi > last:
            raise DataError(
                f"The anchors {anchors.lo:g} and {anchors.hi:g} must lie within the training masses, {first:g} to {last:g}.",
                "Use a smaller interpolator.margin, or a window further inside.",
            )
    return anchors


@dataclass(frozen=True)
class _Seen:
    """Stands for the model before there is one."""

    mass_range: tuple[float, float]


def check_anchors(config: AnchorConfig, events: Sample, window: Window | None) -> None:
    """Refuse anchors that the data do not reach, before anything is trained.

    Raises:
        DataError: as `anchors_of`.
    """
    anchors_of(config, window, _Seen((float(events.m.min()), float(events.m.max()))))
