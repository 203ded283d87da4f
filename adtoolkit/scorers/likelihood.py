"""Minus the log density of the background: what is rare is anomalous. Knows nothing of a signal."""

from __future__ import annotations

import importlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np

from adtoolkit.errors import CacheError, RunError
from adtoolkit.interfaces import CanLogProb, Context, FittedScorer, Model, Scorer, ScorerData
from adtoolkit.scorers.config import LikelihoodConfig
from adtoolkit.types import Array, Sample

if TYPE_CHECKING:
    from adtoolkit.background import Background
    from adtoolkit.mass import MassModel

#: Scores are cut off here, so that a density of zero is the most anomalous score and not an infinity.
LARGEST = 1e6


@dataclass(frozen=True)
class LikelihoodScorer(FittedScorer):
    """-log p(x | m) in the space of preprocessed x, the same for every method of a run; cut off at +-1e6.

    Attributes:
        model: The bound model.
        mass: p(m) where -log p(m) is to be added, else None.
    """

    model: CanLogProb
    mass: MassModel | None = None

    def score(self, events: Sample) -> Array:
        if not len(events):
            return np.zeros(0, np.float32)
        value = -np.asarray(self.model.log_prob(events.x, events.cond), np.float64)
        if self.mass is not None:
            value -= self.mass.log_prob(events.m)
        return np.clip(np.nan_to_num(value, nan=LARGEST, posinf=LARGEST, neginf=-LARGEST), -LARGEST, LARGEST).astype(np.float32)

    def save(self, directory: Path) -> None:
        """Store the model where it is one that can be stored; what an interpolator composed is made anew from its parts."""
        stored = isinstance(self.model, Model) and self.mass is None
        path = f"{type(self.model).__module__}:{type(self.model).__qualname__}" if stored else ""
        (directory / "likelihood.json").write_text(json.dumps({"model": path}))
        if stored and isinstance(self.model, Model):
            (directory / "model").mkdir()
            self.model.save(directory / "model")

    @classmethod
    def load(cls, directory: Path, device: str) -> Self:
        """Read what `save` wrote.

        Raises:
            CacheError: if the model was composed by an interpolator and therefore not stored.
        """
        module, _, name = str(json.loads((directory / "likelihood.json").read_text())["model"]).partition(":")
        found = getattr(importlib.import_module(module), name) if module else None
        if not (isinstance(found, type) and issubclass(found, Model)):
            raise CacheError("This likelihood was composed by an interpolator and was not stored.", "Make it anew: --force score")
        model = found.load(directory / "model", device)
        if not isinstance(model, CanLogProb):
            raise CacheError(f"The stored model {name} has no density.", "Make it anew: --force score")
        return cls(model)


class Likelihood(Scorer[LikelihoodConfig]):
    """Scores with the background's own density; nothing is trained."""

    trains: ClassVar[bool] = False

    def fit(self, data: ScorerData, background: Background | None, ctx: Context) -> LikelihoodScorer:
        if background is None or not isinstance(background.model, CanLogProb):
            raise RunError("The likelihood scorer needs a background with a density.", "Choose an estimator that gives log-prob.")
        fitted = LikelihoodScorer(background.model, background.mass if self.config.mass else None)
        impossible = int((fitted.score(data.window) >= LARGEST).sum())
        if impossible:
            ctx.note(f"likelihood: {impossible:,} of {len(data.window):,} events have no density; they get the highest score.")
        return fitted
