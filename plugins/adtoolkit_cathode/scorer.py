"""The CATHODE scorer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adtoolkit.errors import RunError
from adtoolkit.interfaces import Context, Scorer, ScorerData
from adtoolkit.scorers.contrast import ContrastScorer, contrast
from adtoolkit_cathode.config import CathodeConfig

if TYPE_CHECKING:
    from adtoolkit.background import Background


class Cathode(Scorer[CathodeConfig]):
    """The window's data against a template drawn from a background model: an estimate of p_data(x) / p_background(x).

    Any estimator and interpolator that can sample may give the template.

    References:
        Hallin, Isaacson, Kasieczka, Krause, Nachman, Quadfasel, Schlaffer, Shih, Sommerhalder, "Classifying anomalies through outer density
        estimation (CATHODE)", arXiv:2109.00546. Trees as the classifier: Finke et al., arXiv:2309.13111.
    """

    def fit(self, data: ScorerData, background: Background | None, ctx: Context) -> ContrastScorer:
        if background is None:
            raise RunError("The cathode scorer needs a background template.", "Choose an estimator: --estimator NAME")
        return contrast(data.window, background.template, self.config, ctx)
