"""Reference scorers: what any method should beat (random, CWoLa) and what bounds it from above (idealised, supervised)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np

from adtoolkit.config import NoOptions
from adtoolkit.errors import DataError
from adtoolkit.interfaces import Context, FittedScorer, Scorer, ScorerData
from adtoolkit.scorers.config import ClassifierConfig, CwolaConfig
from adtoolkit.scorers.contrast import MIN_EVENTS, ContrastScorer, contrast, equal_total
from adtoolkit.types import Array, Sample, Window

if TYPE_CHECKING:
    from adtoolkit.background import Background


@dataclass(frozen=True)
class RandomScorer(FittedScorer):
    """A number in [0, 1) that depends on the event's content and the seed alone, so not on the batch that it comes in."""

    seed: int

    def score(self, events: Sample) -> Array:
        columns = np.column_stack([events.x, events.cond]) + np.float32(0.0)  # -0 and 0 are one value
        state = np.full(len(events), self.seed, np.uint64)
        for column in columns.view(np.uint32).T:
            # The mixing step of splitmix64 (Steele, Lea, Flood 2014).
            state = (state ^ column.astype(np.uint64)) + np.uint64(0x9E3779B97F4A7C15)
            state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            state = state ^ (state >> np.uint64(31))
        return ((state >> np.uint64(40)).astype(np.float64) / 2**24).astype(np.float32)

    def save(self, directory: Path) -> None:
        (directory / "random.json").write_text(json.dumps({"seed": self.seed}))

    @classmethod
    def load(cls, directory: Path, device: str) -> Self:  # noqa: ARG003 - nothing to place on a device
        return cls(json.loads((directory / "random.json").read_text())["seed"])


class Random(Scorer[NoOptions]):
    """The floor: no information at all. Its SIC is sqrt(eps_B)."""

    trains: ClassVar[bool] = False

    def fit(self, data: ScorerData, background: Background | None, ctx: Context) -> RandomScorer:  # noqa: ARG002
        return RandomScorer(int(ctx.rng("random").integers(2**63)))


#: Sideband events on a side that leave `MIN_EVENTS` for training at any number of folds: three standard deviations above twice as many.
_BEFORE_FOLDS = 64


class Cwola(Scorer[CwolaConfig]):
    """The window's events against those of the sidebands next to it.

    Both classes weigh the same in total, and so do the low and the high sideband, so that a feature that runs linearly with m
    has equal means in both classes. Fails where features depend on m.

    References:
        Collins, Howe, Nachman, "Anomaly detection for resonant new physics with machine learning", arXiv:1805.02664; widths and weights as
        in the CATHODE paper, arXiv:2109.00546.
    """

    def _sidebands(self, events: Sample, window: Window | None, least: int) -> tuple[Sample, Sample]:
        if window is None:
            raise DataError("CWoLa compares a window with its sidebands, but there is no window.", "Give one: --window LO HI")
        width = self.config.sideband or window.width / 2
        low = events[(events.m <= window.lo) & (events.m > window.lo - width)]
        high = events[(events.m >= window.hi) & (events.m < window.hi + width)]
        for side, sample in (("below", low), ("above", high)):
            if len(sample) < least:
                message = f"CWoLa finds {len(sample)} events within {width:g} {side} the window; it needs at least {least}."
                raise DataError(message, "Widen the sideband: --set scorer.sideband=WIDTH")
        return low, high

    def check(self, events: Sample, window: Window | None) -> None:
        self._sidebands(events, window, _BEFORE_FOLDS)

    def fit(self, data: ScorerData, background: Background | None, ctx: Context) -> ContrastScorer:  # noqa: ARG002
        return contrast(data.window, equal_total(*self._sidebands(data.sideband, data.range, MIN_EVENTS)), self.config, ctx)


class Idealised(Scorer[ClassifierConfig]):
    """The window's events against true background of the window: what a template without faults of its own can do."""

    def fit(self, data: ScorerData, background: Background | None, ctx: Context) -> ContrastScorer:  # noqa: ARG002
        if data.reference is None:
            raise DataError("The idealised scorer needs true background.", "Leave some out of the data: --set data.n_background=N")
        return contrast(data.window, data.reference, self.config, ctx)


class Supervised(Scorer[ClassifierConfig]):
    """True signal against true background of the window, from labelled events and from the data's own truth: the ceiling."""

    def fit(self, data: ScorerData, background: Background | None, ctx: Context) -> ContrastScorer:  # noqa: ARG002
        parts = [s for s in (data.window, data.labelled) if s is not None and s.truth is not None]
        if not parts:
            raise DataError("The supervised scorer needs truth labels.", "Choose data that have them, or another scorer.")
        signal = Sample.concat(*(s[s.truth == 1] for s in parts))
        return contrast(signal, Sample.concat(*(s[s.truth == 0] for s in parts)), self.config, ctx)
