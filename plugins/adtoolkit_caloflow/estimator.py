"""The estimator ``caloflow``: two flows of reference showers, trained one after the other."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from adtoolkit.errors import DataError
from adtoolkit.interfaces import BackgroundEstimator, Context
from adtoolkit.nn import seed_from, to_tensor
from adtoolkit.nn.plan import TrainingPlan
from adtoolkit.nn.training import train
from adtoolkit.types import Sample, Window
from adtoolkit_caloflow.config import CaloFlowConfig
from adtoolkit_caloflow.flow import FlowShape, SplineFlow, make_flow
from adtoolkit_caloflow.geometry import Geometry
from adtoolkit_caloflow.model import CaloFlow
from adtoolkit_caloflow.transform import ShowerTransform


class CaloFlowEstimator(BackgroundEstimator[CaloFlowConfig]):
    """p(layer energies | E) times p(shares of the voxels | layer energies, E), of showers at incident energy E.

    Deviations from the publication, undone by the preset ``paper``: smaller networks for 108 voxels, shares that are one to one with
    the voxels, standardised coordinates, AdamW with a one-cycle rate and averaged weights. Not undone: the flows are float32 (the
    transform is float64).

    References:
        | Krause, Nachman, Pang, Shih, Zhu, "Anomaly detection with flow-based fast calorimeter simulators", arXiv:2312.11618
        | Krause, Shih, "CaloFlow: fast and accurate generation of calorimeter showers with normalizing flows", arXiv:2106.05285
    """

    def check(self, events: Sample, window: Window | None) -> None:  # noqa: ARG002 - there is none
        """Refuse what are no showers at an energy.

        Raises:
            DataError: on negative voxels or energies, conditions besides the energy, or layers that do not fit.
        """
        Geometry.of(events.x.shape[1], self.config.layers)
        if events.context is not None:
            raise DataError(f"caloflow knows one condition, the energy; these data have {events.cond.shape[1]}.", "Leave the others out.")
        if bad := int((events.x < 0).any(1).sum()):
            raise DataError(f"{bad:,} showers have a voxel with negative energy.", "Give caloflow energies in MeV, not preprocessed.")
        if bad := int((events.m < 0).sum()):
            raise DataError(f"{bad:,} showers have a negative energy m.", "Give caloflow the incident energy in GeV as m.")

    def fit(self, train: Sample, val: Sample, ctx: Context) -> CaloFlow:
        """Train on showers in MeV at incident energies m in GeV.

        Raises:
            DataError: as `check`, and where there are no events or values that are not finite.
            RunError: if a training diverges.
        """
        if not len(train):
            raise DataError("There are no showers to train on.", "Check the cuts.")
        for sample in (train, val):
            if bad := int((~np.isfinite(sample.x).all(1)).sum()):
                raise DataError(f"{bad:,} showers have values that are not finite numbers.", "Drop those events: --drop-invalid")
            self.check(sample, None)
        c = self.config
        geometry = Geometry.of(train.x.shape[1], c.layers)
        transform = ShowerTransform.fit(train.x, train.m, train.weights, geometry.layers, c.shares, c.noise / 1e3, c.threshold / 1e3)
        layers = len(geometry.layers)
        energy = FlowShape(
            groups=(layers,),
            conditions=1,
            blocks=c.energy_blocks,
            hidden=c.energy_hidden,
            depth=c.energy_depth,
            bins=c.bins,
            bound=c.bound,
            knee=c.knee,
            alternate=False,
        )
        shape = FlowShape(
            groups=tuple(n for n in transform.coordinates if n),
            conditions=1 + layers,
            blocks=c.blocks,
            hidden=c.hidden,
            depth=c.depth,
            bins=c.bins,
            bound=c.bound,
            knee=c.knee,
            dropout=c.dropout,
        )
        first = self._train("energies", energy, transform, train, val, ctx)
        second = self._train("voxels", shape, transform, train, val, ctx)
        known = train.m[train.weights > 0]
        return CaloFlow(transform, geometry, first, second, (float(known.min()), float(known.max())), seed_from(ctx.rng("noise")))

    def _train(self, name: str, shape: FlowShape, transform: ShowerTransform, on: Sample, val: Sample, ctx: Context) -> SplineFlow:
        scoring = Coordinates(transform, first=name == "energies")
        shift = scale = None
        if self.config.standardise:
            g = torch.Generator().manual_seed(seed_from(ctx.rng(name, "scale")) >> 1)
            y, _ = scoring(to_tensor(on.x), to_tensor(on.cond), g)
            w = to_tensor(on.weights, dtype=torch.float64)[:, None] / float(on.weights.sum(dtype=np.float64))
            mean = (w * y).sum(0)
            spread = (w * (y - mean).square()).sum(0).sqrt()
            shift, scale = mean.float(), torch.where(spread > 0, spread, 1.0).float()
        flow = make_flow(shape, seed_from(ctx.rng(name, "initial weights")), shift, scale)

        def loss(model: nn.Module, x: Tensor, cond: Tensor, weight: Tensor | None, generator: torch.Generator) -> Tensor:
            y, given = scoring(x, cond, generator)
            value: Tensor = -model(y.float(), given.float())
            return value.mean() if weight is None else (value * weight).mean()

        train(flow, loss, on, val, TrainingPlan(**self.config.plan(energy=scoring.first)), ctx, name=name)
        return flow


class Coordinates:
    """Coordinates and conditions of one of the flows, with fresh noise at every call.

    Args:
        transform: Makes them.
        first: Those of the layer energies; else those of the shares.
    """

    def __init__(self, transform: ShowerTransform, *, first: bool) -> None:
        self.transform, self.first = transform, first

    def __call__(self, x: Tensor, cond: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """[N, D] in MeV, [N, 1] in GeV -> [N, K], [N, C]; float64 where the device has it."""
        t = self.transform
        wide = torch.float32 if x.device.type == "mps" else torch.float64
        voxels = x.to(wide) + t.noise * torch.rand(x.shape, generator=generator, device=x.device, dtype=wide)
        energies, cond = t.energies(voxels), cond.to(wide)
        if self.first:
            return t.log_energies(energies), t.incident(cond)
        return t.logits(voxels), t.condition(cond, energies)
