"""How well a score ranks signal above background: AUC, SIC, max SIC, rejection; each with a 68 % bootstrap interval."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final

import numpy as np

from adtoolkit.interfaces import Context, Metric
from adtoolkit.metrics.config import AucConfig, FlooredConfig, MaxSicConfig, RejectionConfig, SicConfig
from adtoolkit.metrics.curves import Ranking, auc, background_efficiency, bootstrap, interval, max_sic, sic
from adtoolkit.metrics.selection import Judged, judge
from adtoolkit.scored import Scored

#: How messages call what ``of`` limits the error of.
QUANTITY: Final = {"sic": "the SIC", "background": "eps_B"}


def power(eps: float) -> str:
    """How an efficiency is written in a metric's name: 0.03 -> ``3e-2``."""
    mantissa, _, exponent = f"{eps:e}".partition("e")
    return f"{float(mantissa):g}e{int(exponent)}"


def _judged(scored: Scored, ctx: Context, name: str) -> Judged | None:
    judged = judge(scored)
    if judged is None:
        ctx.note(f"{name}: not computed, since the window holds no signal and background of known truth.")
    elif judged.remark:
        ctx.note(judged.remark)
    return judged


def _banded(names: list[str], ranking: Ranking, statistic: Callable[[Ranking], Any], ctx: Context, replicas: int) -> dict[str, float]:
    """Values of a statistic under their names, with the ends of their intervals."""
    values = np.atleast_1d(statistic(ranking))
    lo, hi = interval(bootstrap(ranking, lambda r: np.atleast_1d(statistic(r)), ctx.rng("bootstrap"), replicas), values)
    return {f"{name}{end}": float(v) for i, name in enumerate(names) for end, v in (("", values[i]), ("-lo", lo[i]), ("-hi", hi[i]))}


def floor_of(ranking: Ranking, config: FlooredConfig) -> float:
    """The lowest background efficiency at which enough background events pass."""
    return min(1.0, config.least / ranking.size)


class Auc(Metric[AucConfig]):
    """Area under the ROC curve: the probability that a signal event scores higher than a background event."""

    needs: ClassVar[frozenset[str]] = frozenset({"truth"})

    def compute(self, scored: Scored, ctx: Context) -> Mapping[str, float]:
        judged = _judged(scored, ctx, "auc")
        return {} if judged is None else _banded(["auc"], judged.ranking, auc, ctx, self.config.replicas)


class Sic(Metric[SicConfig]):
    """Significance improvement eps_S / sqrt(eps_B) at fixed background efficiencies; one without statistics is left out, and said.

    References:
        Gallicchio, Schwartz, "Quark and gluon tagging at the LHC", arXiv:1106.3076 (the curve); arXiv:2109.00546 (the floor).
    """

    needs: ClassVar[frozenset[str]] = frozenset({"truth"})

    def compute(self, scored: Scored, ctx: Context) -> Mapping[str, float]:
        judged = _judged(scored, ctx, "sic")
        if judged is None:
            return {}
        floor = floor_of(judged.ranking, self.config)
        # An efficiency that is the floor itself counts, whatever rounding makes of it.
        at = [eps for eps in self.config.at if eps >= floor * (1 - 1e-9)]
        if len(at) < len(self.config.at):
            left_out = ", ".join(f"sic@{power(eps)}" for eps in self.config.at if eps not in at)
            ctx.note(
                f"{left_out} left out: with {judged.ranking.size:,.0f} background events, {self.config.least:g} pass only from "
                f"eps_B = {floor:.2g} on (relative error of {QUANTITY[self.config.of]} at most {self.config.max_rel_err:g})."
            )
        if not at:
            return {}
        return _banded([f"sic@{power(eps)}" for eps in at], judged.ranking, lambda r: sic(r, at), ctx, self.config.replicas)


class MaxSic(Metric[MaxSicConfig]):
    """The largest SIC at background efficiencies from the statistical floor on.

    A maximum over a noisy curve is biased upwards; ``max-sic-floor`` and ``max-sic-at`` say which part of the curve it comes from. The
    interval is that of the SIC at ``max-sic-at``.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"truth"})

    def compute(self, scored: Scored, ctx: Context) -> Mapping[str, float]:
        judged = _judged(scored, ctx, "max-sic")
        if judged is None:
            return {}
        floor = floor_of(judged.ranking, self.config)
        _, at = max_sic(judged.ranking, floor)
        if at <= floor * 1.05:
            ctx.note(f"max-sic lies at the statistical floor, eps_B = {floor:.2g}: more background of known truth might show a larger one.")
        return {
            **_banded(["max-sic"], judged.ranking, lambda r: sic(r, at), ctx, self.config.replicas),
            "max-sic-at": at,
            "max-sic-floor": floor,
        }


class Rejection(Metric[RejectionConfig]):
    """Background rejection 1 / eps_B at fixed signal efficiencies; one without statistics is left out, and said."""

    needs: ClassVar[frozenset[str]] = frozenset({"truth"})

    def compute(self, scored: Scored, ctx: Context) -> Mapping[str, float]:
        judged = _judged(scored, ctx, "rejection")
        if judged is None:
            return {}
        floor = floor_of(judged.ranking, self.config)
        reached = background_efficiency(judged.ranking, self.config.at)
        at = [eps for eps, b in zip(self.config.at, reached, strict=True) if b >= floor]
        if len(at) < len(self.config.at):
            left_out = ", ".join(f"rejection@{eps:g}" for eps in self.config.at if eps not in at)
            ctx.note(f"{left_out} left out: above {1 / floor:.0f}, fewer than {self.config.least:g} background events pass.")
        if not at:
            return {}
        names = [f"rejection@{eps:g}" for eps in at]
        return _banded(names, judged.ranking, lambda r: 1 / background_efficiency(r, at), ctx, self.config.replicas)
