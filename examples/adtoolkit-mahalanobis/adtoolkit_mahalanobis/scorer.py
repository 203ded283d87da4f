"""The scorer ``mahalanobis``."""

from adtoolkit.background import Background
from adtoolkit.errors import RunError
from adtoolkit.interfaces import Context, Scorer, ScorerData
from adtoolkit_mahalanobis.config import GaussianConfig
from adtoolkit_mahalanobis.model import ConditionalGaussian


class Mahalanobis(Scorer[GaussianConfig]):
    """The distance from a Gaussian of the template, which any background that can be drawn from gives.

    References:
        Mahalanobis, "On the generalised distance in statistics", Proc. Natl. Inst. Sci. India 2 (1936) 49.
    """

    trains = False  # it never looks at the data, so it is fitted once and needs no folds

    def fit(self, data: ScorerData, background: Background | None, ctx: Context) -> ConditionalGaussian:  # noqa: ARG002
        if background is None:
            raise RunError("The scorer mahalanobis needs a background template.", "Choose an estimator: --estimator NAME")
        return ConditionalGaussian.fit(background.template, self.config.knots)
