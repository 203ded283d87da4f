"""The interpolators ``direct`` and ``v-data``: the model as it is."""

from __future__ import annotations

from adtoolkit.config import NoOptions
from adtoolkit.errors import MixError
from adtoolkit.interfaces import Context, Interpolator, Model
from adtoolkit.types import Window


class Direct(Interpolator[NoOptions]):
    """Evaluate the model at the masses of the window, as it is: the usual interpolation, by the network's own smoothness.

    The model is one of the sidebands or, in one-class work, of reference events.
    """

    def bind(self, model: Model, window: Window | None, ctx: Context) -> Model:  # noqa: ARG002 - part of the interface
        return model


class VData(Interpolator[NoOptions]):
    """The same for a model of all events, which is no interpolation at all: signal in the window is taken for background.

    It serves the SIGMA papers as the negative control.
    """

    def bind(self, model: Model, window: Window | None, ctx: Context) -> Model:  # noqa: ARG002 - part of the interface
        if window is None:
            raise MixError("'v-data' is the negative control of interpolations into a window.", "Give one: --window LO HI")
        return model
