"""Efficiencies, ROC, AUC, significance improvement and their bootstrap, on plain arrays of scores::

    from adtoolkit.metrics.curves import Ranking, auc, bootstrap, sic

    ranking = Ranking.of(signal_scores, background_scores)
    sic(ranking, [1e-2])                                   # eps_S / sqrt(eps_B)
    bootstrap(ranking, lambda r: sic(r, [1e-2]), rng)      # 200 replicas of it

The j-th highest of n background scores is taken as the threshold of background efficiency j / (n + 1) (Weibull's plotting position), whose
expectation over samples is exact for any distribution of scores. Only the order of the scores matters.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Block:
    """Background and signal scored by one model, with one threshold. Sorted from the highest score down; build it with `Block.of`.

    Attributes:
        background: [n] weights.
        signal: [s] weights.
        first: [n] index of the first background event with the same score.
        last: [n] one past the last background event with the same score.
        above: [n] how many signal events score higher.
        reached: [n] how many signal events score as high or higher.
        background_index: [n] where each background event stood in the input.
        signal_index: [s] the same for signal.
        unit: Weight of one background event, which sets the step of the thresholds.
    """

    background: Float
    signal: Float
    first: NDArray[np.int64]
    last: NDArray[np.int64]
    above: NDArray[np.int64]
    reached: NDArray[np.int64]
    background_index: NDArray[np.int64]
    signal_index: NDArray[np.int64]
    unit: float = 1.0

    @classmethod
    def of(cls, signal: Float, background: Float, signal_weight: Float, background_weight: Float) -> Self:
        """From scores and weights ([s], [n]); NaN scores are left out."""
        s_index, b_index = np.flatnonzero(~np.isnan(signal)), np.flatnonzero(~np.isnan(background))
        s_index, b_index = s_index[np.argsort(-signal[s_index], kind="stable")], b_index[np.argsort(-background[b_index], kind="stable")]
        s, b = -signal[s_index], -background[b_index]  # ascending, as searchsorted wants it
        weights = background_weight[b_index]
        return cls(
            background=weights,
            signal=signal_weight[s_index],
            first=np.searchsorted(b, b, "left"),
            last=np.searchsorted(b, b, "right"),
            above=np.searchsorted(s, b, "left"),
            reached=np.searchsorted(s, b, "right"),
            background_index=b_index,
            signal_index=s_index,
            unit=float(weights.mean()) if len(weights) else 1.0,
        )

    @property
    def size(self) -> float:
        """Sum of the background's weights."""
        return float(self.background.sum())

    def efficiency(self, eps: Float) -> Float:
        """[e] background efficiencies -> [e] signal efficiencies; NaN without signal or background.

        The ROC is the polygon through (0, 0), the points (j, signal above the j-th background event) for j = 1 .. n, and (n + 1, all), in
        units of one background event. Along a group of background events with one score the signal of that score comes in linearly: an
        uninformative score lies on the diagonal.
        """
        passed, s = _cumulated(self.background), _cumulated(self.signal)
        total = passed[-1]
        if not (s[-1] > 0 and total > 0):
            return np.full(len(eps), np.nan)

        def group(event: NDArray[np.int64]) -> tuple[Float, Float, Float, Float]:
            """Of the events' groups: weight before, weight after, signal above, slope inside."""
            start, stop = passed[self.first[event]], passed[self.last[event]]
            low, high = s[self.above[event]], s[self.reached[event]]
            return start, stop, low, (high - low) / (stop - start + self.unit)

        wanted = np.clip(eps, 0.0, 1.0) * (total + self.unit)
        start, stop, low, slope = group(np.searchsorted(passed[1:], np.clip(wanted, np.nextafter(0.0, 1.0), total), "left"))
        enter = start + np.minimum(self.unit, stop - start)
        begin, _, low_before, slope_before = group(np.searchsorted(passed[1:], start, "left"))
        before = np.where(start > 0, low_before + slope_before * (start - begin), 0.0)
        rising = before + (low + slope * (enter - start) - before) * (wanted - start) / (enter - start)
        end = low + slope * (stop - start)
        beyond = end + (s[-1] - end) * (wanted - total) / self.unit
        return np.asarray(np.where(wanted > total, beyond, np.where(wanted < enter, rising, low + slope * (wanted - start))) / s[-1])

    def auc(self) -> float:
        """Probability that signal scores higher than background, ties counting half."""
        s = _cumulated(self.signal)
        total = s[-1] * self.size
        return float(self.background @ (s[self.above] + s[self.reached]) / (2 * total)) if total > 0 else np.nan


def _cumulated(weights: Float) -> Float:
    """[n] -> [n+1] running sum that starts at 0."""
    out = np.zeros(len(weights) + 1)
    np.cumsum(weights, out=out[1:])
    return out


#: Poisson(1) by one look-up of 16 random bits: exact to 1e-5 and faster than drawing.
_POISSON = np.searchsorted(np.cumsum(np.exp(-1.0) / np.cumprod([1, *range(1, 12)])), (np.arange(2**16) + 0.5) / 2**16).astype(np.float64)


def _counts(rng: np.random.Generator, n: int) -> Float:
    return _POISSON[rng.integers(2**16, size=n, dtype=np.uint16)]


@dataclass(frozen=True)
class Ranking:
    """Signal against background, in one or more blocks that each have a threshold of their own (the folds of a cross-fit).

    Attributes:
        blocks: One per model. An efficiency is the mean over the blocks, weighted by their background.
        signals: How many distinct signal events there are; blocks may share them.
        backgrounds: How many distinct background events there are.
        copies: In how many blocks a background event stands on average.
    """

    blocks: tuple[Block, ...]
    signals: int
    backgrounds: int
    copies: float

    @classmethod
    def of(
        cls, signal: ArrayLike, background: ArrayLike, signal_weight: ArrayLike | None = None, background_weight: ArrayLike | None = None
    ) -> Self:
        """From scores.

        Args:
            signal: [S] scores, or [S, K] by each of K models; NaN where a model must not be used on an event.
            background: [B] or [B, K], likewise.
            signal_weight: [S] event weights.
            background_weight: [B] event weights.
        """
        s, b = (np.asarray(a, np.float64) for a in (signal, background))
        s, b = (a[:, None] if a.ndim == 1 else a for a in (s, b))
        s_weight, b_weight = (
            np.ones(len(a)) if w is None else np.asarray(w, np.float64) for a, w in ((s, signal_weight), (b, background_weight))
        )
        blocks = tuple(Block.of(s[:, k], b[:, k], s_weight, b_weight) for k in range(s.shape[1]))
        stands = (~np.isnan(b)).sum(1)
        return cls(blocks, len(s), len(b), float(stands[stands > 0].mean()) if stands.any() else 1.0)

    def resampled(self, rng: np.random.Generator) -> Self:
        """A Poisson bootstrap replica: each event counts k times, k ~ Poisson(1), the same in all blocks that it stands in."""
        signal = _counts(rng, self.signals)
        background = _counts(rng, self.backgrounds) if self.copies > 1 else None
        blocks = (
            replace(
                block,
                signal=block.signal * signal[block.signal_index],
                background=block.background
                * (_counts(rng, len(block.background)) if background is None else background[block.background_index]),
            )
            for block in self.blocks
        )
        return replace(self, blocks=tuple(blocks))

    @property
    def size(self) -> float:
        """Effective number of distinct background events behind the efficiencies: (sum w)^2 / sum w^2."""
        total = sum(block.size for block in self.blocks)
        squares = sum(float((block.background**2).sum()) for block in self.blocks)
        return total**2 / squares / self.copies if squares else 0.0

    @property
    def usable(self) -> bool:
        """Whether any block has both classes."""
        return any(block.signal.sum() > 0 and block.background.sum() > 0 for block in self.blocks)

    def mean(self, values: Sequence[Any]) -> Any:
        """Mean of one value per block, weighted by the blocks' background; blocks without a value are left out."""
        sizes = np.array([block.size for block in self.blocks])
        stacked = np.array(values, np.float64)
        good = ~np.isnan(stacked.reshape(len(sizes), -1)).any(1) & (sizes > 0)
        return np.nan * stacked[0] if not good.any() else np.tensordot(sizes[good] / sizes[good].sum(), stacked[good], axes=1)


def signal_efficiency(ranking: Ranking, eps: ArrayLike) -> Float:
    """[e] background efficiencies -> [e] signal efficiencies."""
    wanted = np.atleast_1d(np.asarray(eps, np.float64))
    return np.asarray(ranking.mean([block.efficiency(wanted) for block in ranking.blocks]))


def auc(ranking: Ranking) -> float:
    """Area under the ROC curve."""
    return float(ranking.mean([block.auc() for block in ranking.blocks]))


def sic(ranking: Ranking, eps: ArrayLike) -> Float:
    """[e] background efficiencies -> [e] significance improvement eps_S / sqrt(eps_B)."""
    wanted = np.atleast_1d(np.asarray(eps, np.float64))
    return signal_efficiency(ranking, wanted) / np.sqrt(wanted)


def grid(floor: float, n: int = 400) -> Float:
    """[n] background efficiencies from ``floor`` to 1, equal steps in the logarithm."""
    return np.geomspace(min(floor, 1.0), 1.0, n)


def max_sic(ranking: Ranking, floor: float) -> tuple[float, float]:
    """The largest SIC at background efficiencies from ``floor`` on, and the background efficiency where it is reached."""
    eps = grid(floor)
    values = sic(ranking, eps)
    if np.isnan(values).all():
        return np.nan, np.nan
    best = int(np.nanargmax(values))
    return float(values[best]), float(eps[best])


def background_efficiency(ranking: Ranking, eps_s: ArrayLike, n: int = 1500) -> Float:
    """[e] signal efficiencies -> [e] background efficiencies, at least that of a tenth of an event."""
    eps = grid(0.1 / max(ranking.size, 1.0), n)
    reached = signal_efficiency(ranking, eps)
    wanted = np.atleast_1d(np.asarray(eps_s, np.float64))
    if np.isnan(reached).any():
        return np.full(len(wanted), np.nan)
    rising = np.maximum.accumulate(reached)
    return np.exp(np.interp(wanted, rising, np.log(eps)))


def bootstrap(ranking: Ranking, statistic: Callable[[Ranking], Any], rng: np.random.Generator, replicas: int = 200) -> Float:
    """[R, ...] the statistic of each of R Poisson bootstrap replicas."""
    return np.array([statistic(ranking.resampled(rng)) for _ in range(replicas)])


def interval(values: Float, estimate: ArrayLike) -> tuple[Float, Float]:
    """The central 68 % of [R, ...] replicas, widened where needed to hold the [...] estimate.

    Where only a few background events pass, the replicas scatter around a higher SIC than the estimate, which is low there (see
    docs/explanation/metrics.md); the percentiles then cover the true value as often as they say, while shifted ones do not.
    """
    lo, hi = np.nanpercentile(values, [16, 84], axis=0)
    return np.fmin(lo, estimate), np.fmax(hi, estimate)
