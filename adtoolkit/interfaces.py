"""What authors write: one abstract class per kind of component, and a protocol per capability of a model.

Everything here speaks numpy. Features are preprocessed (see `adtoolkit.preprocess`), m is in its own unit.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, Generic, Protocol, Self, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from adtoolkit.capabilities import Cap
from adtoolkit.config import ComponentConfig
from adtoolkit.types import Array, Dataset, Mask, Sample, Window

if TYPE_CHECKING:
    from adtoolkit.background import Background
    from adtoolkit.preprocess import Preprocess
    from adtoolkit.scored import Scored

C = TypeVar("C", bound=ComponentConfig)


class Context(Protocol):
    """What the runner hands to every call: where, with which seeds, and whom to tell."""

    @property
    def device(self) -> str:
        """``cpu``, ``cuda`` or ``mps``."""

    @property
    def workdir(self) -> Path:
        """A folder of this call's own, kept when the run is killed: checkpoints go here."""

    def rng(self, *purpose: str) -> np.random.Generator:
        """A generator that depends on the run's seed, the component and the purpose, on nothing else."""

    def log(self, step: int, **values: float) -> None:
        """Report progress: ``steps`` (how many in all), ``loss`` and the like."""

    def note(self, text: str) -> None:
        """Tell the reader something: a number of clipped events, a member that did not converge."""


class Model(ABC):
    """A fitted thing, immutable, that can be stored. What else it can do, it says through the protocols below."""

    @abstractmethod
    def save(self, directory: Path) -> None:
        """Write to an empty folder: safetensors, a ``state_dict``, HDF5 or JSON, never pickles."""

    @classmethod
    @abstractmethod
    def load(cls, directory: Path, device: str) -> Self:
        """Read what `save` wrote; must give the same answers."""


@runtime_checkable
class CanSample(Protocol):
    """`Cap.SAMPLE`."""

    def sample(self, cond: Array, rng: np.random.Generator) -> Array:
        """[N, 1+C] conditions -> [N, D] draws, one per row."""


@runtime_checkable
class DrawsFromEvents(Protocol):
    """Models that make draws from a limited number of events, which recur: folds must not tear apart what shares one.

    Else a classifier would be tested with what it was trained on, and no cut behind it would be right.
    """

    def sample_grouped(self, cond: Array, rng: np.random.Generator) -> tuple[Array, NDArray[np.int64]]:
        """As `CanSample.sample`, and [N] a number for each draw: draws with different numbers share no event."""


@runtime_checkable
class CanLogProb(Protocol):
    """`Cap.LOG_PROB`."""

    def log_prob(self, x: Array, cond: Array) -> Array:
        """[N, D], [N, 1+C] -> [N] natural log of p(x | cond) in the space of the x given."""


@runtime_checkable
class CanReconstruct(Protocol):
    """`Cap.RECONSTRUCT`."""

    def reconstruct(self, x: Array, cond: Array) -> Array:
        """[N, D], [N, 1+C] -> [N, D]."""


@runtime_checkable
class HasField(Protocol):
    """`Cap.FIELD`: the one protocol that speaks torch, because `adtoolkit.nn.ode` integrates and differentiates it."""

    def field(self, t: Any, x: Any, cond: Any) -> Any:
        """[] time, [N, D] tensor, [N, 1+C] tensor -> [N, D] velocity; t = 0 is noise N(0, I), t = 1 is data."""


@runtime_checkable
class HasCoordinates(Protocol):
    """Models that work in coordinates y of their own; the density there, not that of x, may be what a method publishes as its score."""

    def log_det(self, x: Array, cond: Array) -> Array:
        """[N, D], [N, 1+C] -> [N] ``log |dy/dx|``: subtract it from `CanLogProb.log_prob` to get the density of y."""


@runtime_checkable
class InPhysicalUnits(Protocol):
    """Models of physical features, such as events of another program; before such a model is used, it is told how a run preprocesses."""

    def preprocessed(self, prep: Preprocess, ctx: Context) -> Model:
        """The same model for preprocessed features; events that are clipped are counted with ``ctx.note``. Cheap, not stored."""


@runtime_checkable
class KnowsItsRange(Protocol):
    """Models that can tell at which conditions they extrapolate; a run flags and counts such events."""

    def outside(self, cond: Array) -> Mask:
        """[N, 1+C] -> [N]: conditions beyond those of the training."""


PROTOCOLS: Final[dict[Cap, type]] = {Cap.SAMPLE: CanSample, Cap.LOG_PROB: CanLogProb, Cap.RECONSTRUCT: CanReconstruct, Cap.FIELD: HasField}


class _Configured(ABC, Generic[C]):
    """Keeps its frozen options; does no work until it is called."""

    def __init__(self, config: C) -> None:
        self.config = config

    def check(self, events: Sample, window: Window | None) -> None:
        """Refuse what this component cannot work with: blinded data in physical units. Called before anything is trained.

        Raises:
            AdtoolError: saying what is wrong and what to do.
        """


class DataSource(_Configured[C]):
    """Gives a `Dataset`. The seed behind ``ctx.rng`` is the data seed alone, so that all methods see the same events."""

    @abstractmethod
    def load(self, ctx: Context) -> Dataset:
        """Read or make the events.

        Raises:
            DataError: on anything wrong with them, before any training.
        """


class BackgroundEstimator(_Configured[C]):
    """Learns p(x | m) of a region. Which region, and what the model can do, stands in its `Component`.

    Attributes:
        made_elsewhere: Whether its draws were made before and elsewhere, for the window of the search: it can be of no control region.
    """

    made_elsewhere: ClassVar[bool] = False

    @abstractmethod
    def fit(self, train: Sample, val: Sample, ctx: Context) -> Model:
        """Train on blinded, preprocessed events and return a new model; the inputs are not changed."""

    def arithmetic(self, device: str) -> str:  # noqa: ARG002 - for those that choose
        """What of this machine changes the numbers besides the kind of device: its arithmetic, the content of a file that is read.

        Where there is something, it is part of the model's key.
        """
        return ""

    def independent_groups(self) -> int | None:
        """How many groups its model's draws will come in, where they are made from events (`DrawsFromEvents`); None if that is no limit.

        A search needs as many as it has folds, which is then known before the training.
        """
        return None


@dataclass(frozen=True)
class FitTask:
    """One of several trainings that are done together: the arguments of `BackgroundEstimator.fit`."""

    train: Sample
    val: Sample
    ctx: Context


@runtime_checkable
class TrainsTogether(Protocol):
    """Estimators that train several models at once (stacked parameters), to fill a device that one small model leaves idle."""

    def fit_many(self, tasks: Sequence[FitTask]) -> list[Model]:
        """A model per task, in order; each is what ``fit`` alone gives, up to rounding."""


class Interpolator(_Configured[C]):
    """Carries a model into the window: a rule from a model to a model."""

    @abstractmethod
    def bind(self, model: Model, window: Window | None, ctx: Context) -> Any:
        """A model that stands for the background at masses in the window; cheap, nothing is trained. Not stored."""


@dataclass(frozen=True)
class ScorerData:
    """What a scorer may learn from: the events outside the fold that it will score. Blinded unless ``truth`` is declared.

    Attributes:
        window: Events in the window (all events where there is no window).
        sideband: Events outside the window; empty where there is none.
        reference: Events known to be background, in the window; only for scorers that declare ``reference``.
        labelled: Truth-labelled test events of the other folds, in the window; only for scorers that declare ``truth``.
        range: The window itself, in the unit of m.
    """

    window: Sample
    sideband: Sample
    reference: Sample | None = None
    labelled: Sample | None = None
    range: Window | None = None


class FittedScorer(Model):
    """A trained scorer."""

    @abstractmethod
    def score(self, events: Sample) -> Array:
        """[N] scores, higher = more anomalous; finite."""

    def summary(self) -> Mapping[str, float]:
        """Numbers worth reporting, for example a fitted signal fraction."""
        return {}

    def curves(self) -> Mapping[str, Array]:
        """Name to [K, 2] points worth drawing, for example a likelihood scan."""
        return {}


@runtime_checkable
class CanSampleSignal(Protocol):
    """`Cap.SIGNAL`: a fitted scorer that has learnt what the signal looks like."""

    def sample_signal(self, n: int, rng: np.random.Generator) -> Sample:
        """n events of the learnt signal: preprocessed x, m in the window."""


class Scorer(_Configured[C]):
    """Learns how anomalous an event of the window is, given a background."""

    #: False for scorers that learn nothing from the data: they are fitted once and need no folds.
    trains: ClassVar[bool] = True

    #: False for scorers whose scores mean nothing outside the window: events there are left without one (NaN).
    outside: bool = True

    @abstractmethod
    def fit(self, data: ScorerData, background: Background | None, ctx: Context) -> FittedScorer:
        """Train and return a new fitted scorer; ``background`` is None only for scorers that need no model capability."""


class Metric(_Configured[C]):
    """Turns scored events into numbers. The one place that truth is meant for."""

    #: What it needs: ``truth``, ``template``, ``log-ratio``; one that cannot be computed is reported as skipped.
    needs: ClassVar[frozenset[str]] = frozenset()
    #: What it makes use of where it can be had, and what is not computed for no one: ``control``.
    wants: ClassVar[frozenset[str]] = frozenset()

    @abstractmethod
    def compute(self, scored: Scored, ctx: Context) -> Mapping[str, float]:
        """Flat names to numbers; an interval of NAME is NAME-lo and NAME-hi (68 %)."""
