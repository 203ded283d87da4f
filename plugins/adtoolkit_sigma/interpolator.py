"""The interpolator ``context``: SIGMA's own."""

from __future__ import annotations

from adtoolkit.errors import MixError
from adtoolkit.interfaces import Context, Interpolator, Model
from adtoolkit.interpolators.anchors import anchors_of, check_anchors
from adtoolkit.nn.cfm_model import CfmModel
from adtoolkit.types import Sample, Window
from adtoolkit_sigma.config import ContextConfig
from adtoolkit_sigma.model import Blend


class ContextInterpolator(Interpolator[ContextConfig]):
    """Interpolate, linearly in the mass, every activation of the network that sees it, between two anchors around the window.

    With anchors m1 < m2 and xi = (m2 - m) / (m2 - m1), the first layer becomes
    xi ReLU(W x + W_c c1 + b) + (1-xi) ReLU(W x + W_c c2 + b), each block's gate likewise (before the sigmoid), and the trunk
    runs once behind them. At m = m1 and m = m2 this is the model itself; in between, the window's events play no part.

    References:
        | SIGMA: Single Interpolated Generative Model for Anomalies (Das, Shih), arXiv:2410.20537
    """

    def check(self, events: Sample, window: Window | None) -> None:
        check_anchors(self.config, events, window)

    def bind(self, model: Model, window: Window | None, ctx: Context) -> Blend:  # noqa: ARG002 - part of the interface
        if not isinstance(model, CfmModel):
            raise MixError(
                f"'context' interpolates inside SIGMA's network, but was given a {type(model).__name__}.", "Use --interpolator linear."
            )
        return Blend(model, anchors_of(self.config, window, model))
