"""The interpolators ``direct`` and ``v-data``: the model as it is."""

from __future__ import annotations

from adtoolkit.config import NoOptions
from adtoolkit.interfaces import Context, Interpolator, Model
from adtoolkit.types import Window


class Direct(Interpolator[NoOptions]):
    """Evaluate the model at the masses of the window, as it is.

    For a model of the sidebands (or of reference events) this is the usual interpolation by the network's own smoothness,
    and it is called ``direct``. For a model of all events it is no interpolation at all: signal in the window is taken for
    background. As ``v-data`` it serves the SIGMA papers as the negative control.
    """

    def bind(self, model: Model, window: Window | None, ctx: Context) -> Model:  # noqa: ARG002 - part of the interface
        return model
