"""The scorer ``mutability``: second stage of Flux+Mutability."""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

import numpy as np

from adtoolkit.errors import CacheError, DataError, RunError
from adtoolkit.interfaces import Context, FittedScorer, Model, Scorer, ScorerData
from adtoolkit.nn import load_tensors, save_tensors, seed_from
from adtoolkit.types import Array, Sample
from adtoolkit_fluxmut.config import MutabilityConfig
from adtoolkit_fluxmut.judges import CachedJudge, ExactJudge, Verdict
from adtoolkit_fluxmut.residuals import residual_model

if TYPE_CHECKING:
    from adtoolkit.background import Background

#: Draws of the model that are judged, to see whether the table of populations accepts the share that it should.
CHECKED: Final = 4000


@dataclass(frozen=True)
class MutabilityScorer(FittedScorer):
    """How much of an outlier an object is in a population of the reference generated at its conditions.

    Attributes:
        model: The background, see `adtoolkit_fluxmut.residuals.residual_model`.
        config: Options.
        judging: How.
        numbers: What `summary` says.
    """

    model: Any
    config: MutabilityConfig
    judging: CachedJudge | ExactJudge
    numbers: Mapping[str, float] = field(default_factory=dict)

    def judge(self, events: Sample) -> Verdict:
        """All that is known of [N] objects: outlier score, p-value, cluster, membership, and whether the reference is extrapolated."""
        model = residual_model(self.model)
        cond = events.cond
        if not len(events):
            nothing = np.zeros(0)
            return Verdict(nothing, nothing, np.zeros(0, np.int64), nothing, np.zeros(0, np.bool_))
        found, p = self.judging.judge(model, model.residuals(events.x, cond), cond)
        return Verdict(found.outlier, p, found.label, found.probability, model.outside(cond))

    def score(self, events: Sample) -> Array:
        """[N] outlier scores, or 1 - p, by the option ``score``."""
        verdict = self.judge(events)
        return np.asarray(verdict.outlier if self.config.score == "outlier" else 1 - verdict.p_value, np.float32)

    def summary(self) -> Mapping[str, float]:
        """Numbers of the judged data.

        ``acceptance``: the working point q. ``outside``: data whose conditions lie outside those of the training. With the mode ``cached``:
        ``accepted``, the share of the data accepted at q, anomalies included, and ``coverage``, the same of fresh draws of the model at
        the conditions of the data; it differs from q where cells are too wide for how the reference depends on its conditions.
        """
        return self.numbers

    def save(self, directory: Path) -> None:
        """Store the populations, and the background where it is a model that can be stored."""
        stored = isinstance(self.model, Model)
        meta = {
            "model": f"{type(self.model).__module__}:{type(self.model).__qualname__}" if stored else "",
            "config": self.config.model_dump(mode="json"),
            "conditions": self.judging.cells.conditions if isinstance(self.judging, CachedJudge) else 0,
            "seed": self.judging.seed if isinstance(self.judging, ExactJudge) else 0,
            "numbers": dict(self.numbers),
        }
        (directory / "mutability.json").write_text(json.dumps(meta, indent=1), encoding="utf-8")
        save_tensors(directory / "populations.safetensors", self.judging.tensors())
        if stored:
            (directory / "model").mkdir()
            self.model.save(directory / "model")

    @classmethod
    def load(cls, directory: Path, device: str) -> Self:
        """Read what `save` wrote.

        Raises:
            CacheError: if the model was composed by an interpolator and therefore not stored.
        """
        meta = json.loads((directory / "mutability.json").read_text(encoding="utf-8"))
        module, _, name = str(meta["model"]).partition(":")
        found = getattr(importlib.import_module(module), name) if module else None
        if not (isinstance(found, type) and issubclass(found, Model)):
            raise CacheError("The background of this scorer was composed by an interpolator and was not stored.", "Try: --force score")
        config = MutabilityConfig(**meta["config"])
        judging: CachedJudge | ExactJudge = ExactJudge(config, meta["seed"])
        if config.mode == "cached":
            tensors = load_tensors(directory / "populations.safetensors")
            judging = CachedJudge.from_tensors(tensors, meta["conditions"], config.neighbours)
        return cls(found.load(directory / "model", device), config, judging, meta["numbers"])


class Mutability(Scorer[MutabilityConfig]):
    """Clusters each object with a population of the reference that is generated at the object's conditions.

    Nothing is learnt from the data: of them, the mode ``cached`` uses where the conditions lie. With a model that has residuals of its own
    (``flux:residuals``) objects are compared there, with any other that samples and reconstructs by ``x - reconstruct(x)``.

    Differs from the publication: p-values decide instead of the quantile itself (the same cut, see `Verdict.accepted`), and the mode
    ``cached`` adds objects to populations that are clustered once per cell of the conditions.

    References:
        Fanelli, Giroux, Papandreou, "Flux+Mutability: a conditional generative approach to one-class classification and anomaly
        detection", arXiv:2204.08609
    """

    trains: ClassVar[bool] = False

    def fit(self, data: ScorerData, background: Background | None, ctx: Context) -> MutabilityScorer:
        """Make the populations of the reference.

        Raises:
            DataError: if there is nothing to judge, or no object at conditions that the model knows.
            RunError: if the background cannot sample and reconstruct.
        """
        if background is None:
            raise RunError("The mutability scorer needs a background.", "Choose an estimator: --estimator flux-mutability")
        config, model, events = self.config, residual_model(background.model), data.window
        if not len(events):
            raise DataError("There are no objects to judge.", "Check the cuts of the data.")
        outside = model.outside(events.cond)
        if outside.all():
            raise DataError(
                f"All {len(events):,} objects have conditions outside those that the model was trained on.",
                "Train it on a reference that covers them.",
            )
        numbers = {"acceptance": config.acceptance, "outside": float(outside.sum())}
        if config.mode == "exact":
            return MutabilityScorer(background.model, config, ExactJudge(config, seed_from(ctx.rng("populations"))), numbers)
        cond = events.cond[~outside]
        judging = CachedJudge.of(model, cond, config, ctx.rng("populations"))
        fitted = MutabilityScorer(background.model, config, judging)
        rng = ctx.rng("coverage")
        at = cond[rng.permutation(np.resize(np.arange(len(cond)), CHECKED))]
        _, p = judging.judge(model, model.sample_residuals(at, rng), at)
        numbers |= {
            "accepted": float(fitted.judge(events).accepted(config.acceptance).mean()),
            "coverage": float((p > 1 - config.acceptance).mean()),
            "cells": float(len(judging.populations)),
        }
        return MutabilityScorer(background.model, config, judging, numbers)
