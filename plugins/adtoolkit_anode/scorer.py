"""The ANODE scorer: one density of the window's data, divided by another of the background."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from adtoolkit.densities import possible
from adtoolkit.errors import DataError, RunError
from adtoolkit.interfaces import Context, FittedScorer, Scorer, ScorerData
from adtoolkit.nn.mixture import FlowMixture, fit_flow
from adtoolkit.scorers.likelihood import LARGEST, LikelihoodScorer
from adtoolkit.types import Array, Sample
from adtoolkit_anode.config import AnodeConfig

if TYPE_CHECKING:
    from adtoolkit.background import Background

#: Shares of the data behind a cut for which the background is estimated directly.
CUTS = (0.1, 0.01)


@dataclass(frozen=True)
class AnodeScorer(FittedScorer):
    """``log R = log p_data(x | m) - log p_background(x | m)``; both densities are of preprocessed x, so no Jacobian enters.

    Where the background has no density the score is the largest, where the data have none and the background has one the
    lowest.

    Attributes:
        flow: p_data.
        density: [N] events -> [N] log p_background; may look up what a run knows already.
        model: The background's model, to be stored.
        numbers: What `summary` says.
    """

    flow: FlowMixture
    density: Callable[[Sample], Array]
    model: Any
    numbers: Mapping[str, float] = field(default_factory=dict)

    def score(self, events: Sample) -> Array:
        return log_ratio(self.flow.log_prob(events.x, events.cond), self.density(events))

    def summary(self) -> Mapping[str, float]:
        return self.numbers

    def save(self, directory: Path) -> None:
        """Store the flow, and the background where it is a model that can be stored."""
        for name, part in (("data", self.flow), ("background", LikelihoodScorer(self.model))):
            (directory / name).mkdir()
            part.save(directory / name)
        (directory / "anode.json").write_text(json.dumps(dict(self.numbers), indent=1), encoding="utf-8")

    @classmethod
    def load(cls, directory: Path, device: str) -> Self:
        """Read what `save` wrote.

        Raises:
            CacheError: if the background was composed by an interpolator and therefore not stored.
        """
        model = LikelihoodScorer.load(directory / "background", device).model
        numbers = json.loads((directory / "anode.json").read_text(encoding="utf-8"))
        return cls(
            FlowMixture.load(directory / "data", device), lambda events: np.asarray(model.log_prob(events.x, events.cond)), model, numbers
        )


def log_ratio(data: Array, background: Array) -> Array:
    """[N], [N] log-densities -> [N] finite scores; impossible under the background is the most anomalous (never the middle)."""
    wide = np.asarray(data, np.float64) - np.where(possible(background), background, 0.0)
    return np.where(possible(background), np.clip(wide, -LARGEST, LARGEST), LARGEST).astype(np.float32)


class Anode(Scorer[AnodeConfig]):
    """Divides a flow of the window's data by the background's density: an estimate of p_data / p_background without a classifier.

    The flow is conditional on m, so no density of m enters. The sidebands are not looked at: the background is the estimator's.

    References:
        | Nachman, Shih, "Anomaly detection with density estimation", arXiv:2001.04990
        | The ten best epochs, averaged in probability: Hallin et al., arXiv:2109.00546
        | Splines for the window's flow: Das, Kasieczka, Shih, "Residual ANODE", arXiv:2312.11629
    """

    outside: bool = False  # the flow knows masses of the window alone

    def fit(self, data: ScorerData, background: Background | None, ctx: Context) -> AnodeScorer:
        if background is None:
            raise RunError("The anode scorer needs a background with a density.", "Choose an estimator that gives log-prob.")
        events, config = data.window, self.config
        if len(events) < 2:
            raise DataError(f"There are {len(events)} events in the window; ANODE trains a density of them.", "Widen the window.")
        flows, held_out = [], []
        for k in range(config.members):
            order = ctx.rng("split", str(k)).permutation(len(events))
            cut = min(len(events) - 1, max(1, round(config.validation * len(events))))
            train, val = events[order[cut:]], events[order[:cut]]
            flow, _ = fit_flow(config, train, val, ctx, name=f"flow{k}")
            flows.append(flow)
            held_out.append((flow.log_prob(val.x, val.cond), background.log_prob(val), val.weights))
        joined = FlowMixture.joined(flows)
        for log_prob, whose, score in (
            (background.log_prob(events), "background", "highest"),
            (joined.log_prob(events.x, events.cond), "data", "lowest"),
        ):
            if unknown := int((~possible(log_prob)).sum()):
                ctx.note(f"anode: {unknown:,} of {len(events):,} events have no {whose} density; they get the {score} score.")
        numbers = summary(*(np.concatenate(column).astype(np.float64) for column in zip(*held_out, strict=True)))
        return AnodeScorer(joined, background.log_prob, background.model, numbers)


def summary(data: Any, background: Any, weight: Any) -> dict[str, float]:
    """Numbers of events that a flow was not trained on (though its epochs were chosen by them).

    ``expected@f``: share of the background behind the cut that keeps the share f of the data with the largest R, by the
    identity ``E_data[1{R > Rc} / R] = P_background(R > Rc)`` for the true p_data. Above f it means too few data there, below f
    an excess.

    Args:
        data: [N] log p_data.
        background: [N] log p_background.
        weight: [N] of the events.
    """
    score = log_ratio(data, background).astype(np.float64)
    known = possible(background) & possible(data) & (weight > 0)
    share = weight / weight.sum()
    found = {"log-prob data": data[known], "log-prob background": background[known]}
    numbers = {name: float(np.average(value, weights=weight[known])) for name, value in found.items() if known.any()}
    order = np.argsort(-score, kind="stable")
    for cut in CUTS:
        behind = order[np.cumsum(share[order]) <= cut + 1e-12]
        if len(behind):
            numbers[f"expected@{cut:g}"] = float((share[behind] * np.exp(-np.clip(score[behind], -50, LARGEST))).sum())
    return numbers
