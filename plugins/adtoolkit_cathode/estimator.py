"""The estimator ``cathode``: a conditional flow of the sidebands."""

from __future__ import annotations

from adtoolkit.interfaces import BackgroundEstimator, Context
from adtoolkit.nn.mixture import FlowMixture, fit_flow
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
        model, _ = fit_flow(self.config, train, val, ctx)
        return model
