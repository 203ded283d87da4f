"""Cut and count: how many events of the window pass a cut, against what the template lets expect. Needs no truth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from adtoolkit.interfaces import Context, Metric
from adtoolkit.metrics.config import ExcessConfig
from adtoolkit.metrics.ranking import power
from adtoolkit.metrics.selection import threshold
from adtoolkit.scored import Scored
from adtoolkit.types import Array, Mask

#: Fewer effective events do not tell how much their weights differ.
_FEW: Final = 10


@dataclass(frozen=True)
class Cut:
    """A cut on the score at a background efficiency that the template sets, fold by fold.

    Events count with their weights.

    Attributes:
        passed: [N] which events of the data pass.
        expected: Background expected to pass in the window: eps times its data, or the share of the template that passes where more
            of its scores are equal to a level than a cut can part.
        template_error: Statistical error of ``expected`` from the number of template events that pass; where they were made from
            groups of events, it follows from how much the groups differ.
        observed: How many pass in the window.
        levels: [K] the score that each fold's events must exceed.
        unit: Effective weight of an event behind the cut: as many events of this weight would have the same statistical error.
    """

    passed: Mask
    expected: float
    template_error: float
    observed: float
    levels: tuple[float, ...]
    unit: float

    @property
    def error(self) -> float:
        """Statistical error of data and template on ``observed - expected`` where there is no signal."""
        return float(np.hypot(np.sqrt(self.expected * self.unit), self.template_error))

    @property
    def significance(self) -> float:
        """Standard deviations of the excess (negative: of a deficit), for a Poisson count over an uncertain expectation.

        Asymptotic formula of the profile likelihood with a Gaussian constraint (Li and Ma 1983; Cowan et al. 2012), of weighted events as
        of so many of equal weight (Bohm and Zech, arXiv:1309.1287).
        """
        return self.over(self.expected, self.template_error)

    def over(self, expected: float, error: float) -> float:
        """The same over another expectation, known to +- error."""
        return significance(self.observed / self.unit, expected / self.unit, error / self.unit)


def significance(n: float, b: float, s: float) -> float:
    """Of n events where b +- s are expected."""
    if b <= 0:
        return 0.0
    if s <= 0:
        z2 = 2 * ((n * np.log(n / b) if n else 0.0) - (n - b))
    else:
        v = s * s
        first = n * np.log(n * (b + v) / (b * b + n * v)) if n else 0.0
        z2 = 2 * (first - b * b / v * np.log1p(v * (n - b) / (b * (b + v))))
    return float(np.sign(n - b) * np.sqrt(max(z2, 0.0)))


def cut_at(scored: Scored, eps: float) -> Cut:
    """Cut each fold at the score that a share ``eps`` of its held-out template exceeds (without a template: of its data in the window)."""
    inside = scored.inside(scored.events)
    if scored.template_score is not None and scored.template_fold is not None:
        by, by_fold = scored.template_score, scored.template_fold
    else:
        by, by_fold = scored.score[inside], scored.fold[inside]
    levels, shares = _levels(by, by_fold, scored.folds, eps)
    passed = scored.score > levels[scored.fold]
    weight = scored.events.weights.astype(np.float64)
    expected, error = float((shares[scored.fold[inside]] * weight[inside]).sum()), 0.0
    if scored.template is not None:
        error = expected * _relative_error(by > levels[by_fold], scored.template.group, shares[by_fold], scored.folds)
    kept = passed & inside
    return Cut(passed, expected, error, float(weight[kept].sum()), tuple(levels.tolist()), effective_weight(weight[kept], weight[inside]))


def effective_weight(kept: NDArray[np.float64], everything: NDArray[np.float64]) -> float:
    """Sum of squares over sum of [K] weights: the scale of the Poisson distribution that approximates their sum.

    Where they are worth fewer than `_FEW` events, that of [N] ``everything`` stands in.

    References:
        Bohm, Zech, arXiv:1309.1287.
    """
    for weight in (kept, everything):
        square = float((weight**2).sum())
        if square > 0 and (weight is everything or weight.sum() ** 2 >= _FEW * square):
            return square / float(weight.sum())
    return 1.0


def _levels(score: Array, fold: NDArray[np.integer], folds: int, eps: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """[K] per fold the score that a share ``eps`` of these events exceeds, and [K] the share that does: another where scores are equal."""
    levels, shares = np.full(folds, np.inf), np.full(folds, eps)
    for k in range(folds):
        own = score[fold == k]
        levels[k] = threshold(own, eps)
        if (own == levels[k]).sum() > 1:
            shares[k] = (own > levels[k]).mean()
    return levels, shares


@dataclass(frozen=True)
class Bias:
    """How many more events of the data pass such a cut in the control regions than the template lets expect there.

    Attributes:
        value: Observed over expected, minus one.
        error: Its statistical error, of data and template.
    """

    value: float
    error: float

    def significance(self, cut: Cut) -> float:
        """Of the excess in the window: the expectation raised by the bias, and all of the bias as its systematic error.

        Other than in the source, a bias below zero does not lower the expectation: it may be one of the control regions alone, and would
        make an excess; and the error of the bias itself counts.

        References:
            arXiv:2411.00085.
        """
        raised = 1 + max(self.value, 0.0)
        error = np.sqrt(cut.template_error**2 + (cut.expected * self.value) ** 2 + (cut.expected * self.error) ** 2)
        return cut.over(cut.expected * raised, float(error) * raised)


def bias_of(scored: Scored, eps: float) -> Bias | None:
    """The template's bias behind cuts that ``eps`` of it pass, from the control regions, fold by fold as in the window.

    None without control regions, or where they have too few events for such a cut.
    """
    control = scored.control
    if control is None or eps * (_fewest(control.template_fold, control.folds) + 1) < 1:
        return None
    levels, shares = _levels(control.template_score, control.template_fold, control.folds, eps)
    passed = control.template_score > levels[control.template_fold]
    weight = np.ones(len(control.score)) if control.weight is None else control.weight.astype(np.float64)
    kept = weight[control.score > levels[control.fold]]
    unit = effective_weight(kept, weight)
    observed, expected = float(kept.sum()) / unit, float((shares[control.fold] * weight).sum()) / unit
    if not passed.any() or expected < 1:
        return None
    ratio = observed / expected
    drawn = _relative_error(passed, control.template_group, shares[control.template_fold], control.folds)
    return Bias(ratio - 1, float(max(ratio, 1 / expected) * np.hypot(1 / np.sqrt(max(observed, 1)), drawn)))


def _relative_error(passed: Mask, group: NDArray[np.int64] | None, share: NDArray[np.float64], folds: int) -> float:
    """Of the efficiency of [T] template events that pass with a probability ``share``: Poisson, and at least what groups scatter by.

    Each fold's cut is set on its own groups, which takes a degree of freedom per fold.
    """
    expected = max(float(share.sum()), 1.0)
    poisson = 1 / np.sqrt(expected)
    if group is None:
        return float(poisson)
    _, place = np.unique(group, return_inverse=True)
    beyond = np.bincount(place, weights=passed - share)
    free = max(len(beyond) - folds, 1)
    return float(max(poisson, np.sqrt((beyond**2).sum() * len(beyond) / free) / expected))


def _fewest(template_fold: NDArray[np.integer] | None, folds: int) -> float:
    """Template events of the fold that has the fewest; infinite without a template."""
    return np.inf if template_fold is None else float(np.bincount(template_fold, minlength=folds).min())


class Excess(Metric[ExcessConfig]):
    """Events of the window that pass a cut, and how many the template lets expect, at fixed background efficiencies.

    The expectation is eps times the data in the window, so a signal that is not small raises it a little. Its error, and ``excess-z``,
    are statistical: a template that differs from the background makes an excess too. Where there are control
    regions beside the window, the search is repeated there: ``control-bias`` says how many more events pass than the template lets
    expect, and ``excess-z-corrected`` has the expectation raised by it and all of it as a systematic error. It does not know of a bias
    that only the window has. The interval of the expectation ends at 0. Events count with their weights.

    References:
        Cut and count over windows without a fit: arXiv:2411.00085.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"template"})
    wants: ClassVar[frozenset[str]] = frozenset({"control"})

    def compute(self, scored: Scored, ctx: Context) -> Mapping[str, float]:
        out: dict[str, float] = {}
        fewest = _fewest(scored.template_fold, scored.folds)
        for eps in self.config.at:
            cut = cut_at(scored, eps)
            if (effective := cut.expected / cut.unit) < self.config.least:
                ctx.note(f"excess@{power(eps)} left out: {effective:.3g} events are expected, fewer than {self.config.least:g}.")
                continue
            if eps * (fewest + 1) < 1:
                ctx.note(
                    f"excess@{power(eps)} left out: a fold has {fewest:,.0f} events of the template, too few for a cut that {eps:g} pass."
                )
                continue
            name = power(eps)
            out |= {f"observed@{name}": cut.observed, f"expected@{name}": cut.expected}
            out |= {f"expected@{name}-lo": max(cut.expected - cut.error, 0.0), f"expected@{name}-hi": cut.expected + cut.error}
            out[f"excess-z@{name}"] = cut.significance
            if (bias := bias_of(scored, eps)) is not None:
                out |= {f"control-bias@{name}{end}": bias.value + sign * bias.error for end, sign in (("", 0), ("-lo", -1), ("-hi", 1))}
                out[f"excess-z-corrected@{name}"] = bias.significance(cut)
        group = None if scored.template is None else scored.template.group
        if out and group is not None and (n := len(np.unique(group))) <= scored.folds:
            what = f"excess: the template comes in {n} groups for {scored.folds} folds"
            ctx.note(f"{what}; nothing tells how much groups differ, and errors are those of independent events: too small.")
        if any("corrected" in name for name in out):
            ctx.note("excess-z has statistical errors only; excess-z-corrected allows for the template's bias, measured beside the window.")
        elif out:
            ctx.note("excess: statistical errors only; a template that differs from the background makes an excess too.")
        return out
