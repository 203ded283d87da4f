"""Conditional flow matching: the path from noise to data, and the loss that a velocity field is trained with."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from torchcfm.conditional_flow_matching import TargetConditionalFlowMatcher

#: A velocity field: time [] or [B], place [B, D], conditions [B, C] -> velocity [B, D].
Velocity = Callable[[Tensor, Tensor, Tensor], Tensor]

_GOLDEN = 2654435769  # the golden ratio's fraction in units of 2^-32


def stratified_times(n: int, generator: torch.Generator, device: torch.device | str = "cpu") -> Tensor:
    """[n] times in [0, 1), each uniform, together spread evenly.

    The points of a golden-ratio (Kronecker) sequence with one random shift: their mean square gap is far below that of
    independent draws, and neighbours in the batch get unrelated times, so that sorted events do no harm.
    """
    shift = torch.rand((), generator=generator, device=device, dtype=torch.float32)
    # in integers: n times an irrational number has no digits left in float32 once n is large
    steps = torch.arange(n, device=device, dtype=torch.int64).mul_(_GOLDEN).bitwise_and_(0xFFFFFFFF)
    return steps.to(torch.float32).mul_(2.0**-32).add_(shift).remainder_(1.0)


def weighted_mean(values: Tensor, weight: Tensor | None) -> Tensor:
    """Mean of [B] values with weights whose mean over the whole sample is 1 (see `adtoolkit.nn.training`)."""
    return values.mean() if weight is None else (values * weight).mean()


class FlowMatchingLoss:
    """Mean squared error of a field against the velocity of the target path of Lipman et al.

    With noise x0 ~ N(0, I), data x1 and s = ``sigma``: x_t = t x1 + (1 - (1-s) t) x0 is pushed along at u = x1 - (1-s) x0
    (their eqs. 20-23). Path and velocity come from ``torchcfm``; noise and times are our own, so that no global
    generator is used.

    Args:
        sigma: Width left around a data point at t = 1.

    References:
        | Flow Matching for Generative Modeling (Lipman et al., 2022), arXiv:2210.02747
        | Improving and Generalizing Flow-Based Generative Models (Tong et al., 2023), arXiv:2302.00482 (torchcfm)
    """

    def __init__(self, sigma: float = 1e-3) -> None:
        self.sigma = sigma

    @cached_property
    def _matcher(self) -> TargetConditionalFlowMatcher:
        from torchcfm.conditional_flow_matching import TargetConditionalFlowMatcher  # seconds: only who trains pays

        return TargetConditionalFlowMatcher(sigma=self.sigma)

    def path(self, x0: Tensor, x1: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """[B, D], [B, D], [B] -> x_t and its velocity u, both [B, D]."""
        xt = self._matcher.sample_xt(x0, x1, t, x0)
        return xt, self._matcher.compute_conditional_flow(x0, x1, t, xt)

    def __call__(self, field: Velocity, x: Tensor, cond: Tensor, weight: Tensor | None, generator: torch.Generator) -> Tensor:
        """The loss of a batch: [B, D] data, [B, C] conditions, [B] weights or None -> []."""
        return self.value(field, x, cond, weight, self.draw(x, generator))

    def draw(self, x: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """What is random in the loss of [B, D] data: times [B] and noise [B, D]."""
        t = stratified_times(len(x), generator, x.device)
        return t, torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)

    def value(self, field: Velocity, x: Tensor, cond: Tensor, weight: Tensor | None, drawn: tuple[Tensor, ...]) -> Tensor:
        """The loss of a batch with the times and noise of `draw`."""
        t, x0 = drawn
        xt, u = self.path(x0, x, t)
        return weighted_mean((field(t, xt, cond) - u).square().mean(1), weight)
