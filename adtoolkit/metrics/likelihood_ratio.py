"""Signal fraction and significance from density ratios R = p_signal / p_background of events that their model has not seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from adtoolkit.interfaces import Context, Metric
from adtoolkit.metrics.config import LikelihoodRatioConfig
from adtoolkit.scored import Scored
from adtoolkit.types import Array

Floats = NDArray[np.float64]

#: Logs of ratios are cut off here, so that sums of ratios stay finite. A scorer gives as much to events without a background density.
LARGEST: Final = 500.0
#: A signal fraction stays below one: at one, a single event with R = 0 has no likelihood.
_MOST: Final = 1 - 1e-9


@dataclass(frozen=True)
class Profile:
    """The likelihood of the signal fraction w.

    Attributes:
        w: Where it is highest, in [0, 1).
        lo: Lower end of the interval in which the log likelihood is within 1/2 of its maximum (68 % if it is a parabola), at least 0.
        hi: Upper end.
        q0: Twice the log of the likelihood ratio of w and 0.
    """

    w: float
    lo: float
    hi: float
    q0: float


def log_likelihood(log_r: NDArray[np.floating], w: float, weight: NDArray[np.floating] | None = None) -> float:
    """sum_i weight_i log(1 + w (R_i - 1)) of [N] logs of ratios: how much likelier the events are with a share w of signal than without."""
    terms = np.logaddexp(np.log(w) + _clipped(log_r), np.log1p(-w)) if w > 0 else np.zeros(len(log_r))
    return float(terms.sum() if weight is None else (terms * weight).sum())


def weights_in(scored: Scored) -> Floats | None:
    """[N] weights of the data in the window, of mean 1; None where all are equal, so that a common factor decides nothing."""
    if scored.events.weight is None:
        return None
    weight = scored.events.weight[scored.inside(scored.events)].astype(np.float64)
    return None if np.all(weight == weight[:1]) else weight / weight.mean()


def ratios_in(scored: Scored) -> tuple[Array, int]:
    """[N] logs of ratios of the data in the window, and of how many there is no background density.

    Those are taken for background. One of them would outweigh all other events, though it says nothing but that the background's model
    fails there.
    """
    log_r = scored.score[scored.inside(scored.events)]
    unknown = log_r >= LARGEST
    return np.where(unknown, np.float32(-LARGEST), log_r), int(unknown.sum())


def profile(log_r: NDArray[np.floating], weight: NDArray[np.floating] | None = None) -> Profile:
    """Maximise `log_likelihood`, which is concave in w. No events: w may be anything, and is 0.

    A weight of events that is not 1 makes this a weighted fit, whose interval and q0 are not those of a likelihood.
    """
    excess = np.expm1(_clipped(log_r))
    weights = np.ones(len(excess)) if weight is None else weight.astype(np.float64)

    def slope(w: float) -> float:
        return float((weights * excess / (1 + w * excess)).sum())

    def drop(w: float) -> float:
        return best - log_likelihood(log_r, w, weights) - 0.5

    at = 0.0 if slope(0.0) <= 0 else _root(slope, 0.0, _MOST)
    best = log_likelihood(log_r, at, weights)
    lo = 0.0 if drop(0.0) <= 0 else _root(lambda w: drop(w), 0.0, at)
    hi = _MOST if drop(_MOST) <= 0 else _root(lambda w: -drop(w), at, _MOST)
    return Profile(at, lo, hi, max(2 * best, 0.0))


def log_e_value(log_r: NDArray[np.floating], fold: NDArray[np.integer], w: Mapping[int, float]) -> float:
    """log of the mean over folds k of prod_{i in k} [1 + w_k (R_i - 1)], with w_k and R from the other folds alone.

    References:
        Wasserman, Ramdas, Balakrishnan, "Universal inference", arXiv:1912.11436.
    """
    logs = [log_likelihood(log_r[fold == k], w[k]) for k in sorted(w)]
    return float(np.logaddexp.reduce(logs) - np.log(len(logs)))


def p_of_q0(q0: float) -> float:
    """Probability of a larger q0 without signal: half a chi2 distribution with one degree of freedom, half a point mass at 0."""
    from scipy.stats import norm

    return 1.0 if q0 <= 0 else float(norm.sf(np.sqrt(q0)))


def _clipped(log_r: NDArray[np.floating]) -> Floats:
    return np.clip(np.asarray(log_r, np.float64), -LARGEST, LARGEST)


def _root(falling: Callable[[float], float], lo: float, hi: float, halvings: int = 100) -> float:
    """Where a function that is positive at ``lo`` and falls changes its sign, at most ``hi``."""
    for _ in range(halvings):
        middle = (lo + hi) / 2
        lo, hi = (middle, hi) if falling(middle) > 0 else (lo, middle)
    return (lo + hi) / 2


class LikelihoodRatio(Metric[LikelihoodRatioConfig]):
    """The cross-fitted signal fraction of the window, its likelihood ratio q0 against none, and an e-value.

    All of them take the background density for exact: what it gets wrong counts as signal, so a significance is evidence of
    a signal only as far as the density is. Names end in ``@exact-background`` to say so.

    References:
        | Asymptotic distribution of q0: Cowan, Cranmer, Gross, Vitells, arXiv:1007.1727, section 3.
        | Residual likelihood: Das, Kasieczka, Shih, arXiv:2312.11629.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"log-ratio"})

    def compute(self, scored: Scored, ctx: Context) -> Mapping[str, float]:
        inside = scored.inside(scored.events)
        (log_r, unknown), fold, weight = ratios_in(scored), scored.fold[inside], weights_in(scored)
        if unknown:
            ctx.note(f"likelihood-ratio: {unknown:,} of {len(log_r):,} events without a background density are taken for background.")
        found = profile(log_r, weight)
        out: dict[str, Any] = {"signal-fraction": found.w, "signal-fraction-lo": found.lo, "signal-fraction-hi": found.hi}
        if scored.folds < 2:
            ctx.note("likelihood-ratio: no q0, since a model was judged by the events that it was trained on; use at least two folds.")
            return out
        if weight is not None:
            ctx.note("likelihood-ratio: no q0, since the events have weights and a weighted sum of logs is no likelihood.")
            return out
        suffix = "@exact-background"
        out |= {f"q0{suffix}": found.q0, f"lr-z{suffix}": float(np.sqrt(found.q0)), f"lr-p{suffix}": p_of_q0(found.q0)}
        own = {k: fit["w"] for k, fit in enumerate(scored.fits) if "w" in fit}
        if len(own) == scored.folds:
            log_e = log_e_value(log_r, fold, {k: float(np.clip(w, 0.0, _MOST)) for k, w in own.items()})
            out |= {f"e-log10{suffix}": log_e / np.log(10), f"e-p{suffix}": float(np.exp(min(0.0, -log_e)))}
        else:
            ctx.note("likelihood-ratio: no e-value, since the folds report no signal fraction 'w' of their own.")
        ctx.note(
            "likelihood-ratio: takes the background density for exact, so that what it gets wrong counts as signal, and the learnt signal "
            "for the true one: where it is not, signal-fraction is too small. Its interval holds neither."
        )
        return out
