"""Which events of a run are compared with which: the conventions behind every efficiency."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from adtoolkit.metrics.curves import Ranking
from adtoolkit.scored import Scored
from adtoolkit.types import Mask, Sample

#: Test background below this share of the data's own leaves the judgement to the latter: a left-over of some events is no test sample.
_ENOUGH: Final = 0.1


@dataclass(frozen=True)
class Judged:
    """A ranking and where its events come from.

    Attributes:
        ranking: Signal against background.
        background: ``test background`` or ``cross-fitted background of the window``.
        signal: ``test signal`` or ``injected signal``.
    """

    ranking: Ranking
    background: str
    signal: str

    @property
    def remark(self) -> str:
        """What a reader should know of the choice; empty if nothing."""
        if self.signal != "injected signal":
            return ""
        return "No test signal lies in the window: signal efficiencies are those of the injected signal, cross-fitted."


def truth_is(sample: Sample, label: int) -> Mask:
    """[N] which events carry this truth label; none where truth is not known."""
    return np.zeros(len(sample), bool) if sample.truth is None else sample.truth == label


def held_out(scored: Scored) -> NDArray[np.float64]:
    """[N, K] the data's scores, each event in the column of the fold that did not train on it, NaN elsewhere."""
    own = scored.fold[:, None] == np.arange(scored.folds)
    return np.where(own, scored.score[:, None].astype(np.float64), np.nan)


def judge(scored: Scored) -> Judged | None:
    """Signal and background of the window, or None where truth knows none.

    Background is the test background if there is some: scored by the mean over the folds, or fold by fold if a fold trained on the event.
    Else, or if there is less than a tenth of the other, it is the data in the window that truth calls background, each event scored by
    the fold that did not train on it, with a threshold per fold. Signal is the test signal; only if there is none, the injected signal.
    """
    test, data = scored.inside(scored.test), scored.inside(scored.events)
    test_b, test_s = test & truth_is(scored.test, 0), test & truth_is(scored.test, 1)
    data_b, data_s = data & truth_is(scored.events, 0), data & truth_is(scored.events, 1)
    if test_b.sum() < _ENOUGH * data_b.sum():
        test_b = np.zeros_like(test_b)
    by_fold = scored.test_score.astype(np.float64)
    averaged = test_b.any() and test_s.any() and not np.isnan(by_fold[test_b | test_s]).any()
    if averaged:
        by_fold = by_fold.mean(1, keepdims=True)
    own = held_out(scored)
    b_scores, b_events = (by_fold[test_b], scored.test[test_b]) if test_b.any() else (own[data_b], scored.events[data_b])
    s_scores, s_events = (by_fold[test_s], scored.test[test_s]) if test_s.any() else (own[data_s], scored.events[data_s])
    ranking = Ranking.of(s_scores, b_scores, s_events.weight, b_events.weight)
    if not ranking.usable:
        return None
    background = "test background" if test_b.any() else "cross-fitted background of the window"
    return Judged(ranking, background, "test signal" if test_s.any() else "injected signal")


def threshold(scores: NDArray[np.floating], eps: float) -> float:
    """The score that a share ``eps`` of the background exceeds in expectation: the eps (n + 1)-th highest of [n] scores, interpolated."""
    ordered = np.sort(scores[~np.isnan(scores)].astype(np.float64))[::-1]
    if not len(ordered):
        return np.inf
    return float(np.interp(eps * (len(ordered) + 1), np.arange(1, len(ordered) + 1), ordered))
