"""The values that pass between components: windows, samples of events, datasets. Frozen, checked, numpy only."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from adtoolkit.errors import DataError
from adtoolkit.plugin import Region

Array = NDArray[np.float32]
Mask = NDArray[np.bool_]
Labels = NDArray[np.int8]


def shares(weight: Array | None) -> NDArray[np.float64] | None:
    """[N] weights -> [N] probabilities of being drawn, as `numpy.random.Generator.choice` takes them; None for equal ones."""
    return None if weight is None else weight.astype(np.float64) / weight.sum(dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Window:
    """The signal region ``lo < m < hi``, both ends strict, in the unit of m.

    Raises:
        DataError: if the two ends are not finite numbers in order.
    """

    lo: float
    hi: float

    def __post_init__(self) -> None:
        if not (np.isfinite(self.lo) and np.isfinite(self.hi) and self.lo < self.hi):
            raise DataError(f"The window {self.lo:g} to {self.hi:g} is not an interval.", "Give its lower end first: --window LO HI")

    def contains(self, m: NDArray[Any]) -> Mask:
        """[N] -> [N]: which masses lie inside."""
        return np.asarray((m > self.lo) & (m < self.hi))

    @property
    def width(self) -> float:
        return self.hi - self.lo

    @property
    def label(self) -> str:
        """For file names: ``3.3-3.7``, with all digits that tell windows apart."""
        return f"{self.lo:.12g}-{self.hi:.12g}"


@dataclass(frozen=True)
class Sample:
    """Events: features, mass and what else is known of them. The arrays are read-only.

    Attributes:
        x: [N, D] features.
        m: [N] resonant mass, or the leading condition.
        context: [N, C] further conditions, or None.
        truth: [N] 1 = signal, 0 = background; None once blinded or where nobody knows.
        weight: [N] non-negative event weights, or None for ones.
        row: [N] place in the file that the events came from, counted from 0, to join scores back to it; decides no number.
        group: [N] of draws that were made from events: draws of different groups share none, those of one group may. None: all
            events are independent of each other.

    Raises:
        DataError: if the lengths differ.
    """

    x: Array
    m: Array
    context: Array | None = None
    truth: Labels | None = None
    weight: Array | None = None
    row: NDArray[np.int64] | None = None
    group: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        for name, dtype, ndim in (
            ("x", np.float32, 2),
            ("m", np.float32, 1),
            ("context", np.float32, 2),
            ("truth", np.int8, 1),
            ("weight", np.float32, 1),
            ("row", np.int64, 1),
            ("group", np.int64, 1),
        ):
            value = getattr(self, name)
            if value is None:
                continue
            array = np.ascontiguousarray(value, dtype=dtype).view()
            if array.ndim != ndim:
                raise DataError(f"Sample.{name} has {array.ndim} dimensions where {ndim} are needed.")
            if len(array) != len(self.x):
                raise DataError(f"Sample.{name} has {len(array)} rows but x has {len(self.x)}.")
            array.flags.writeable = False
            object.__setattr__(self, name, array)

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: Any) -> Self:
        """The events chosen by a mask, slice or index array."""
        chosen: dict[str, Any] = {f.name: None if (v := getattr(self, f.name)) is None else v[index] for f in fields(self)}
        return type(self)(**chosen)

    @property
    def cond(self) -> Array:
        """[N, 1+C] conditions; column 0 is m, always."""
        return self.m[:, None] if self.context is None else np.column_stack([self.m, self.context])

    @property
    def weights(self) -> Array:
        """[N] weights, ones where none were given."""
        return np.ones(len(self), np.float32) if self.weight is None else self.weight

    def blind(self) -> Self:
        """The same events without truth labels, and without `row`: where a file is sorted by label, the place tells it."""
        return replace(self, truth=None, row=None)

    @classmethod
    def concat(cls, *samples: Sample) -> Sample:
        """All events of the samples, in order; a field missing in one of them is dropped (weights become ones)."""
        parts: dict[str, Any] = {}
        for f in fields(cls):
            values = [
                s.weights if f.name == "weight" and any(t.weight is not None for t in samples) else getattr(s, f.name) for s in samples
            ]
            parts[f.name] = None if any(v is None for v in values) else np.concatenate(values)
        return Sample(**parts)

    @cached_property
    def digest(self) -> str:
        """sha256 of the content, but for `row`."""
        sha = hashlib.sha256()
        for f in fields(self):
            value = getattr(self, f.name)
            if f.name == "row" or (f.name == "group" and value is None):
                continue
            sha.update(f.name.encode())
            if value is not None:
                sha.update(str(value.shape).encode())
                sha.update(value.tobytes())
        return sha.hexdigest()


@dataclass(frozen=True)
class Dataset:
    """What a data source gives: the events to search, and what is kept apart to judge the search by.

    Attributes:
        events: The data, signal region and sidebands; truth only for evaluation, stripped before any fit.
        test: Truth-labelled events, never trained on (but for scorers that declare ``truth``, cross-fitted); may be empty.
        reference: Events known to be background, in neither of the others; None where there are none.
        features: [D] names of the columns of x.
        mass: Name of m.
        unit: Unit of m, for axes.
        counts: What happened on the way here (``dropped: tau1 = 0`` -> 20); shown with every run.
        scale: How the runner brings features to the space of models: ``logit`` (see `adtoolkit.preprocess`), or ``none`` for
            data whose models have a transform of their own, of which some may be constant: calorimeter cells (`Cap.CELLS`).

    Raises:
        DataError: if names and columns do not match.
    """

    events: Sample
    test: Sample
    reference: Sample | None
    features: tuple[str, ...]
    mass: str = "m"
    unit: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)
    scale: Literal["logit", "none"] = "logit"

    def __post_init__(self) -> None:
        for name in ("events", "test", "reference"):
            sample = getattr(self, name)
            if sample is not None and sample.x.shape[1] != len(self.features):
                raise DataError(f"The {name} have {sample.x.shape[1]} features but {len(self.features)} names were given.")

    def region(self, region: Region, window: Window | None) -> Sample:
        """The blinded events that an estimator of this region is trained on.

        Raises:
            DataError: if the region needs a window or a reference that is not there.
        """
        if region is Region.REFERENCE:
            if self.reference is None:
                raise DataError(
                    "There are no reference events in these data.", "Leave some background out of the data: --set data.n_background=N"
                )
            return self.reference.blind()
        if region is Region.ALL:
            return self.events.blind()
        if window is None:
            raise DataError("A sideband needs a window.", "Give one: --window LO HI")
        return self.events[~window.contains(self.events.m)].blind()

    @cached_property
    def digest(self) -> str:
        """sha256 of all the events, truth included."""
        parts = [self.events.digest, self.test.digest, self.reference.digest if self.reference is not None else "", *self.features]
        return hashlib.sha256("|".join(parts).encode()).hexdigest()
