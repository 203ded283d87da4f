"""The estimator ``sigma``: one flow-matching model of all events."""

from __future__ import annotations

from typing import Any

import torch

from adtoolkit.errors import DataError
from adtoolkit.interfaces import BackgroundEstimator, Context
from adtoolkit.nn import isolated_rng, seed_from, torch_device, training
from adtoolkit.nn.cfm import FlowMatchingLoss
from adtoolkit.nn.plan import TrainingPlan
from adtoolkit.types import Sample
from adtoolkit_sigma.config import SigmaConfig
from adtoolkit_sigma.model import Integration, SigmaModel, build


class Sigma(BackgroundEstimator[SigmaConfig]):
    """Conditional flow matching of all events, signal region included, with a network that resolves the mass finely.

    The model learns a resonance as part of p(x | m); an interpolator (``context``, ``linear``, ``displacement``) later goes
    around the window, so that one training serves every window.

    References:
        | SIGMA: Single Interpolated Generative Model for Anomalies (Das, Shih), arXiv:2410.20537
        | Flow Matching for Generative Modeling (Lipman et al.), arXiv:2210.02747
    """

    def fit(self, train: Sample, val: Sample, ctx: Context) -> SigmaModel:
        c = self.config
        if not len(train):
            raise DataError("There are no events to train on.", "Check the window and the cuts.")
        lo, hi = float(train.m.min()), float(train.m.max())
        if not lo < hi:
            raise DataError(f"All {len(train)} training events have the mass {lo:g}; SIGMA needs a range of masses.", "Choose another m.")
        device = torch_device(ctx.device)
        options: dict[str, Any] = {
            "features": train.x.shape[1],
            **c.model_dump(
                include={"hidden", "blocks", "norm", "activation", "dropout", "gate_activation", "mass_frequencies", "time_frequencies"}
            ),
        }
        with isolated_rng(seed_from(ctx.rng("initial weights"))):
            network = build((lo, hi), options)
        network.mixed = c.precision == "bfloat16" or (c.precision == "auto" and has_fast_bfloat16(device))
        training.train(network, FlowMatchingLoss(c.sigma_min), train, val, self._plan(), ctx)
        return SigmaModel(network, options, (lo, hi), Integration(c.solver, c.solver_steps))

    def _plan(self) -> TrainingPlan:
        c = self.config
        return TrainingPlan(
            steps=c.steps,
            epochs=c.epochs,
            batch=c.batch,
            lr=c.lr,
            weight_decay=c.weight_decay,
            schedule=c.schedule,
            ema=c.ema,
            validate_every=c.validate_every,
            validate_from=c.validate_from,
            patience=c.patience,
            keep=c.keep,
            freeze_epoch=c.frozen_from,
        )


def has_fast_bfloat16(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 matrices in hardware: CPUs with AMX, and GPUs since Ampere."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type == "cpu":  # older torch cannot tell: float32
        capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
        return bool(capabilities.get("amx_bf16"))
    return False
