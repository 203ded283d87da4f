"""The estimator ``masked-cfm``: a flow-matching model of the sidebands of one window."""

from __future__ import annotations

from collections.abc import Sequence

from adtoolkit.errors import DataError
from adtoolkit.interfaces import BackgroundEstimator, Context, FitTask
from adtoolkit.nn.cfm_fit import arithmetic, check_conditions, fit_cfm
from adtoolkit.nn.cfm_model import CfmModel
from adtoolkit.types import Sample, Window
from adtoolkit_masked_cfm.config import MaskedCfmConfig


class MaskedCfm(BackgroundEstimator[MaskedCfmConfig]):
    """Conditional flow matching of the events outside the window, evaluated at the masses inside.

    The smoothness of the network in m is what interpolates, so that m enters it raw, or by low frequencies. Each window
    needs a training of its own; `fit_many` trains those of a scan together. Without a window it learns the reference events.

    References:
        | SIGMA: Single Interpolated Generative Model for Anomalies (Das, Shih), arXiv:2410.20537, its baseline
        | Classifying Anomalies THrough Outer Density Estimation (Hallin et al.), arXiv:2109.00546, the scheme
        | Flow Matching for Generative Modeling (Lipman et al.), arXiv:2210.02747
    """

    def check(self, events: Sample, window: Window | None) -> None:
        check_conditions(events)
        if window is None:  # a density of the reference events, at their own masses
            return
        below, above = int((events.m <= window.lo).sum()), int((events.m >= window.hi).sum())
        if not (below and above):
            raise DataError(
                f"Of the sidebands, {below} events lie below and {above} above the window {window.lo:g} to {window.hi:g}; "
                "an interpolation needs both.",
                "Choose a window further inside.",
            )

    def fit(self, train: Sample, val: Sample, ctx: Context) -> CfmModel:
        return fit_cfm(self.config, [FitTask(train, val, ctx)])[0]

    def fit_many(self, tasks: Sequence[FitTask]) -> list[CfmModel]:
        """The windows of a scan, or several seeds, at once."""
        return fit_cfm(self.config, tasks)

    def arithmetic(self, device: str) -> str:
        return arithmetic(self.config, device)
