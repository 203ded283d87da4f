"""The options. Imported by ``adtool show``, so it imports nothing heavy either."""

from pydantic import PositiveInt

from adtoolkit.config import ComponentConfig


class GaussianConfig(ComponentConfig):
    """Options of a Gaussian that follows the mass.

    Attributes:
        knots: Masses, equally many events apart, between which mean and covariance are straight lines.
    """

    knots: PositiveInt = 6
