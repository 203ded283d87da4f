"""The estimator ``gaussian``."""

from adtoolkit.interfaces import BackgroundEstimator, Context
from adtoolkit.types import Sample
from adtoolkit_mahalanobis.config import GaussianConfig
from adtoolkit_mahalanobis.model import ConditionalGaussian


class Gaussian(BackgroundEstimator[GaussianConfig]):
    """A Gaussian of the region that it is trained on; in the window it is what lies between the knots beside it."""

    def fit(self, train: Sample, val: Sample, ctx: Context) -> ConditionalGaussian:  # noqa: ARG002 - nothing to validate, nothing random
        return ConditionalGaussian.fit(train, self.config.knots)
