"""The estimator ``sigma``: one flow-matching model of all events."""

from __future__ import annotations

from collections.abc import Sequence

from adtoolkit.interfaces import BackgroundEstimator, Context, FitTask
from adtoolkit.nn.cfm_fit import arithmetic, check_conditions, fit_cfm
from adtoolkit.nn.cfm_model import CfmModel
from adtoolkit.types import Sample, Window
from adtoolkit_sigma.config import SigmaConfig


class Sigma(BackgroundEstimator[SigmaConfig]):
    """Conditional flow matching of all events, signal region included, with a network that resolves the mass finely.

    The model learns a resonance as part of p(x | m); an interpolator (``context``, ``linear``, ``displacement``) later goes
    around the window, so that one training serves every window.

    References:
        | SIGMA: Single Interpolated Generative Model for Anomalies (Das, Shih), arXiv:2410.20537
        | Flow Matching for Generative Modeling (Lipman et al.), arXiv:2210.02747
    """

    def check(self, events: Sample, window: Window | None) -> None:  # noqa: ARG002 - part of the interface
        check_conditions(events)

    def fit(self, train: Sample, val: Sample, ctx: Context) -> CfmModel:
        return fit_cfm(self.config, [FitTask(train, val, ctx)])[0]

    def fit_many(self, tasks: Sequence[FitTask]) -> list[CfmModel]:
        """Several seeds, or several data, at once."""
        return fit_cfm(self.config, tasks)

    def arithmetic(self, device: str) -> str:
        return arithmetic(self.config, device)
