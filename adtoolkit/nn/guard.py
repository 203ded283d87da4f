"""Steps of a training that must not happen: those with a loss or a gradient that is not a finite number."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class StepGuard:
    """Takes optimiser steps, and skips bad ones, without ever waiting for the device.

    Dropping events whose loss is NaN from the mean does not help: their gradients are NaN all the same, because
    0 times NaN is NaN. So the gradients are looked at, after the backward pass. A skipped step leaves weights, moments and
    step counts of the optimiser as they were, and the running statistics of batch normalisation too, which the forward
    pass has changed by then.

    Args:
        model: What is trained.
        parameters: Those of its parameters that are.
        optimizer: A fused one: its kernels obey ``found_inf``, as they do for torch's own gradient scaler.
        clip: Largest norm of the gradient; 0 does not clip.
    """

    def __init__(self, model: nn.Module, parameters: Sequence[Tensor], optimizer: torch.optim.Optimizer, clip: float) -> None:
        self.parameters, self.optimizer, self.clip = parameters, optimizer, clip
        norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._NormBase)]  # noqa: SLF001 - the common base
        self._statistics = [buffer for norm in norms for buffer in norm.buffers()]
        self._before = [buffer.clone() for buffer in self._statistics]
        device = parameters[0].device
        self.running, self.skipped = torch.zeros((), device=device), torch.zeros((), device=device)

    def reset(self) -> None:
        """Start an epoch."""
        self.running.zero_()
        self.skipped.zero_()

    def remember(self) -> None:
        """Before a forward pass."""
        for kept, buffer in zip(self._before, self._statistics, strict=True):
            kept.copy_(buffer)

    @torch.no_grad()
    def step(self, loss: Tensor) -> None:
        """After a backward pass: one optimiser step, or none."""
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        if self.clip:
            norm = nn.utils.clip_grad_norm_(self.parameters, self.clip)
        else:
            norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))  # noqa: SLF001 - as clip_grad_norm_ does
        good = norm.isfinite() & loss.isfinite()
        self.optimizer.found_inf = 1 - good.to(torch.float32)  # type: ignore[attr-defined]
        self.optimizer.step()
        self.running += torch.where(good, loss.detach(), 0.0)
        self.skipped += 1 - good.to(torch.float32)
        for kept, buffer in zip(self._before, self._statistics, strict=True):
            buffer.copy_(torch.where(good, buffer, kept))
