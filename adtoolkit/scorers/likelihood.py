"""Minus the log density of the background: what is rare is anomalous. Knows nothing of a signal."""

from __future__ import annotations

import importlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np

from adtoolkit.arrays import read_arrays, write_arrays
from adtoolkit.densities import Densities
from adtoolkit.errors import CacheError, RunError
from adtoolkit.interfaces import CanLogProb, Context, FittedScorer, HasCoordinates, Model, Scorer, ScorerData
from adtoolkit.mass import Tabulated
from adtoolkit.scorers.config import LikelihoodConfig
from adtoolkit.scorers.ranks import ConditionalRanks, check_bins
from adtoolkit.types import Array, Sample, Window

if TYPE_CHECKING:
    from adtoolkit.background import Background
    from adtoolkit.mass import MassModel
    from adtoolkit.preprocess import Preprocess

#: Scores are cut off here, so that a density of zero is the most anomalous score and not an infinity.
LARGEST = 1e6


@dataclass(frozen=True)
class LikelihoodScorer(FittedScorer):
    """-log p(x | m), cut off at +-1e6: in the model's own coordinates, or in physical units of x.

    Attributes:
        model: The bound model.
        mass: p(m) where -log p(m) is to be added, else None.
        physical: How features were preprocessed, where the density is to be that of physical x, else None.
        ranks: Where the score is to be a rank at given m, else None.
        known: Densities that were evaluated before, or None.
    """

    model: CanLogProb
    mass: MassModel | None = None
    physical: Preprocess | None = None
    ranks: ConditionalRanks | None = None
    known: Densities | None = None

    def score(self, events: Sample) -> Array:
        if not len(events):
            return np.zeros(0, np.float32)
        value = -self._log_prob(events).astype(np.float64)
        if self.physical is not None:
            value -= self.physical.log_det(self.physical.inverse(events.x))
        elif isinstance(self.model, HasCoordinates):
            value += self.model.log_det(events.x, events.cond)
        if self.mass is not None:
            value -= self.mass.log_prob(events.m)
        score = np.clip(np.nan_to_num(value, nan=LARGEST, posinf=LARGEST, neginf=-LARGEST), -LARGEST, LARGEST).astype(np.float32)
        return score if self.ranks is None else self.ranks.rank(score, events.m)

    def _log_prob(self, events: Sample) -> Array:
        def evaluate(unknown: Sample) -> Array:
            return np.asarray(self.model.log_prob(unknown.x, unknown.cond))

        return evaluate(events) if self.known is None else self.known.look_up(events, evaluate)

    def save(self, directory: Path) -> None:
        """Store the model where it is one that can be stored; what an interpolator composed is made anew from its parts."""
        stored = isinstance(self.model, Model) and (self.mass is None or isinstance(self.mass, Tabulated))
        path = f"{type(self.model).__module__}:{type(self.model).__qualname__}" if stored else ""
        (directory / "likelihood.json").write_text(json.dumps({"model": path}))
        if self.physical is not None:
            self.physical.save(directory / "physical.json")
        if self.ranks is not None:
            self.ranks.save(directory / "ranks.h5")
        if isinstance(self.mass, Tabulated):
            write_arrays(directory / "mass.h5", {"edges": self.mass.edges, "density": self.mass.density})
        if stored and isinstance(self.model, Model):
            (directory / "model").mkdir()
            self.model.save(directory / "model")

    @classmethod
    def load(cls, directory: Path, device: str) -> Self:
        """Read what `save` wrote.

        Raises:
            CacheError: if the model was composed by an interpolator, or p(m) is that of one-class work, and therefore not stored.
        """
        from adtoolkit.preprocess import Preprocess

        module, _, name = str(json.loads((directory / "likelihood.json").read_text())["model"]).partition(":")
        found = getattr(importlib.import_module(module), name) if module else None
        if not (isinstance(found, type) and issubclass(found, Model)):
            what = "This likelihood was composed by an interpolator, or adds a p(m) that is not tabulated, and was not stored."
            raise CacheError(what, "Make it anew: --force score")
        model = found.load(directory / "model", device)
        if not isinstance(model, CanLogProb):
            raise CacheError(f"The stored model {name} has no density.", "Make it anew: --force score")
        physical, ranks, mass = directory / "physical.json", directory / "ranks.h5", directory / "mass.h5"
        return cls(
            model,
            mass=Tabulated(**read_arrays(mass)) if mass.exists() else None,
            physical=Preprocess.load(physical) if physical.exists() else None,
            ranks=ConditionalRanks.load(ranks) if ranks.exists() else None,
        )


class Likelihood(Scorer[LikelihoodConfig]):
    """Scores with the background's own density; nothing is trained.

    References:
        Krause, Nachman, Pang, Shih, Zhu, "Anomaly detection with flow-based fast calorimeter simulators", arXiv:2312.11618
    """

    trains: ClassVar[bool] = False

    def __init__(self, config: LikelihoodConfig) -> None:
        super().__init__(config)
        self.outside = not config.mass  # p(m) is that of the window

    def check(self, events: Sample, window: Window | None) -> None:
        """Refuse more bins of m than the data can fill, before anything is trained."""
        check_bins(len(events) if window is None else int(window.contains(events.m).sum()), self.config.rank_bins)

    def fit(self, data: ScorerData, background: Background | None, ctx: Context) -> LikelihoodScorer:
        if background is None or not isinstance(background.model, CanLogProb):
            raise RunError("The likelihood scorer needs a background with a density.", "Choose an estimator that gives log-prob.")
        options = self.config
        if options.jacobian and background.prep is None:
            raise RunError("The density of physical features needs to know how they were preprocessed.", "Leave scorer.jacobian off.")
        fitted = LikelihoodScorer(
            background.model,
            mass=background.mass if options.mass else None,
            physical=background.prep if options.jacobian else None,
            known=background.known,
        )
        scores = fitted.score(data.window)
        if impossible := int((scores >= LARGEST).sum()):
            ctx.note(f"likelihood: {impossible:,} of {len(data.window):,} events have no density; they get the highest score.")
        if not options.rank_bins:
            return fitted
        return replace(fitted, ranks=ConditionalRanks.of(scores, data.window.m, options.rank_bins))
