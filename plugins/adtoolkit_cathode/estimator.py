"""The estimator ``cathode``: a conditional flow of the sidebands."""

from __future__ import annotations

from adtoolkit.interfaces import BackgroundEstimator, Context
from adtoolkit.nn.mixture import FlowMixture, fit_flow
from adtoolkit.nn.plan import TrainingPlan
from adtoolkit.types import Sample
from adtoolkit_cathode.config import CathodeFlowConfig


class CathodeFlow(BackgroundEstimator[CathodeFlowConfig]):
    """p(x | m) of the sidebands as a normalizing flow; evaluated at masses in the window, it interpolates.

    References:
        | Hallin, Isaacson, Kasieczka, Krause, Nachman, Quadfasel, Schlaffer, Shih, Sommerhalder, "Classifying anomalies through
          outer density estimation (CATHODE)", arXiv:2109.00546
        | Nachman, Shih, "Anomaly detection with density estimation", arXiv:2001.04990
    """

    def fit(self, train: Sample, val: Sample, ctx: Context) -> FlowMixture:
        c = self.config
        options = {"kind": c.flow, "blocks": c.blocks, "hidden": c.hidden, "bins": c.bins, "bound": c.bound}
        plan = TrainingPlan(
            steps=c.steps,
            epochs=c.epochs,
            batch=c.batch,
            lr=c.lr,
            weight_decay=c.weight_decay,
            decoupled=c.decoupled,
            schedule=c.schedule,
            clip=c.clip,
            ema=c.ema,
            validate_every=c.validate_every,
            keep=c.keep,
            keep_best=c.best_epochs,
        )
        model, _ = fit_flow(options, train, val, plan, ctx, raw_mass=c.raw_mass)
        return model
