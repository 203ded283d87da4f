"""Options of the metrics. Importing this costs no numpy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, PositiveInt

from adtoolkit.config import ComponentConfig

#: A share of events that pass a cut.
Efficiency = Annotated[float, Field(gt=0.0, lt=1.0)]


class BootstrapConfig(ComponentConfig):
    """Options of metrics with bootstrap intervals.

    Attributes:
        replicas: Bootstrap replicas behind an interval.
    """

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"smoke": {"replicas": 20}, "paper": {}}

    replicas: PositiveInt = 200


class AucConfig(BootstrapConfig):
    """Options of `adtoolkit.metrics.ranking.Auc`."""


class FlooredConfig(BootstrapConfig):
    """Options of metrics that stop where too few background events pass.

    Attributes:
        max_rel_err: Largest relative statistical error that is allowed ...
        of: ... of what: the SIC (6.25 passing background events at 0.2, the convention of arXiv:2109.00546) or the background efficiency
            (25 at 0.2, that of arXiv:2309.13111).
    """

    max_rel_err: float = Field(default=0.2, gt=0.0)
    of: Literal["sic", "background"] = "sic"

    @property
    def least(self) -> float:
        """How many background events must pass; the SIC's relative error is half that of eps_B, being 1 / sqrt of it."""
        return (1.0 if self.of == "background" else 0.25) / self.max_rel_err**2


class SicConfig(FlooredConfig):
    """Options of `adtoolkit.metrics.ranking.Sic`.

    Attributes:
        at: Background efficiencies.
    """

    at: tuple[Efficiency, ...] = (1e-1, 1e-2, 1e-3, 1e-4)


class MaxSicConfig(FlooredConfig):
    """Options of `adtoolkit.metrics.ranking.MaxSic`."""


class RejectionConfig(FlooredConfig):
    """Options of `adtoolkit.metrics.ranking.Rejection`.

    Attributes:
        at: Signal efficiencies.
    """

    at: tuple[Efficiency, ...] = (0.2, 0.5)


class ClosureConfig(BootstrapConfig):
    """Options of `adtoolkit.metrics.closure.Closure`.

    Attributes:
        folds: Folds of the two-sample test.
        members: Classifiers per fold.
        limit: Events per class at most.
        bins: Bins of a feature for its pulls, equally filled by background.
        moments: Report the shift of each feature's mean and the ratio of its width too.
    """

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"smoke": {"replicas": 20, "members": 1, "limit": 5000}, "paper": {}}

    folds: int = Field(default=5, ge=2)
    members: PositiveInt = 2
    limit: PositiveInt = 50_000
    bins: int = Field(default=30, ge=2)
    moments: bool = False


class SculptingConfig(ComponentConfig):
    """Options of `adtoolkit.metrics.sculpting.Sculpting`.

    Attributes:
        at: Background efficiency of the cut, in the window.
        bins: Bins of m, equally filled, at most (arXiv:2210.14924 uses 300); fewer where the cut leaves less than 10 events per bin.
        trials: Random selections to compare with.
    """

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"smoke": {"trials": 20}, "paper": {"bins": 300, "trials": 100}}

    at: float = Field(default=1e-2, gt=0.0, lt=1.0)
    bins: int = Field(default=50, ge=2)
    trials: PositiveInt = 200


class ExcessConfig(ComponentConfig):
    """Options of `adtoolkit.metrics.excess.Excess`.

    Attributes:
        at: Background efficiencies of the cuts.
        least: Events that must be expected; with fewer a cut is left out.
    """

    at: tuple[Efficiency, ...] = (1e-1, 1e-2, 1e-3)
    least: float = Field(default=1.0, gt=0.0)


class LikelihoodRatioConfig(ComponentConfig):
    """`adtoolkit.metrics.likelihood_ratio.LikelihoodRatio` has nothing to set."""
