"""A classifier between two samples, ready to score: what CATHODE, CWoLa, the idealised and the supervised scorer have in common."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from adtoolkit.errors import DataError
from adtoolkit.interfaces import Context, FittedScorer
from adtoolkit.scorers.config import ClassifierConfig
from adtoolkit.scorers.hgb import HgbEnsemble, fit_hgb
from adtoolkit.types import Array, Sample

if TYPE_CHECKING:
    from adtoolkit.nn.classifier import MlpEnsemble

#: Fewer events than this in a class cannot be split into training and validation with both classes in each.
MIN_EVENTS = 20


def _inputs(events: Sample, mass_input: bool) -> NDArray[Any]:
    return np.column_stack([events.x, events.m]) if mass_input else events.x


@dataclass(frozen=True)
class ContrastScorer(FittedScorer):
    """Scores an event by the classifier's mean probability that it belongs to the positive sample.

    Attributes:
        classifier: The fitted ensemble.
        mass_input: Whether m is its last input.
        numbers: What `summary` reports: events of each class.
    """

    classifier: HgbEnsemble | MlpEnsemble
    mass_input: bool
    numbers: Mapping[str, float]

    def score(self, events: Sample) -> Array:
        if not len(events):
            return np.zeros(0, np.float32)
        p = self.classifier.predict(_inputs(events, self.mass_input))
        # Log-odds keep apart in float32 what probabilities next to 1 would round together.
        p = np.clip(p, 1e-300, 1 - 1e-16)
        return np.asarray(np.log(p) - np.log1p(-p), np.float32)

    def summary(self) -> Mapping[str, float]:
        return self.numbers

    def save(self, directory: Path) -> None:
        self.classifier.save(directory)
        kind = "hgb" if isinstance(self.classifier, HgbEnsemble) else "mlp"
        (directory / "contrast.json").write_text(json.dumps({"kind": kind, "mass_input": self.mass_input, "numbers": dict(self.numbers)}))

    @classmethod
    def load(cls, directory: Path, device: str) -> Self:
        stored = json.loads((directory / "contrast.json").read_text())
        classifier: HgbEnsemble | MlpEnsemble
        if stored["kind"] == "hgb":
            classifier = HgbEnsemble.load(directory)
        else:
            from adtoolkit.nn.classifier import MlpEnsemble

            classifier = MlpEnsemble.load(directory, device)
        return cls(classifier, stored["mass_input"], stored["numbers"])


def equal_total(*samples: Sample) -> Sample:
    """All events of the samples, weighted so that each sample weighs the same in all (and an event 1 on average)."""
    total = sum(len(s) for s in samples)
    share = total / len(samples)
    return Sample.concat(*(replace(s, weight=s.weights * np.float32(share / s.weights.sum(dtype=np.float64))) for s in samples))


def contrast(positive: Sample, negative: Sample, config: ClassifierConfig, ctx: Context) -> ContrastScorer:
    """Train a classifier of ``positive`` against ``negative``: event weights count, and both classes weigh the same in total.

    Raises:
        DataError: if a class has too few events, no weight, or values that are not finite.
    """
    for name, sample in (("positive", positive), ("negative", negative)):
        if len(sample) < MIN_EVENTS:
            message = f"The {name} class of the classifier has {len(sample)} events where at least {MIN_EVENTS} are needed."
            raise DataError(message, "Widen the window, use more data or fewer folds.")
        if not np.isfinite(_inputs(sample, config.mass_input)).all():
            raise DataError(f"The {name} class of the classifier holds values that are not finite.", "Clip or drop such events before.")
        if not (sample.weights >= 0).all() or not sample.weights.any():
            raise DataError(f"The weights of the {name} class are negative, undefined or all zero.", "Give non-negative event weights.")
    both = equal_total(positive, negative)
    x = _inputs(both, config.mass_input)
    y = np.repeat([1.0, 0.0], [len(positive), len(negative)])
    classifier: HgbEnsemble | MlpEnsemble
    if config.classifier == "hgb":
        classifier = fit_hgb(x, y, both.weights, config, ctx.rng("classifier"), lambda step: ctx.log(step, steps=config.members))
    else:
        from adtoolkit.nn.classifier import fit_mlp

        def log(step: int, loss: float) -> None:
            ctx.log(step, steps=config.epochs, loss=loss)

        classifier = fit_mlp(x, y, both.weights, config, ctx.rng("classifier"), ctx.device, log)
    numbers = {"positive": float(len(positive)), "negative": float(len(negative)), "members": float(config.members)}
    return ContrastScorer(classifier, config.mass_input, numbers)
