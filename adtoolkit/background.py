"""What scorers and metrics see of a background model: p(x | m) bound to the window, p(m), and a template drawn once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

import numpy as np

from adtoolkit.densities import Densities
from adtoolkit.errors import RunError
from adtoolkit.interfaces import CanLogProb, CanSample, DrawsFromEvents, KnowsItsRange
from adtoolkit.mass import MassModel
from adtoolkit.preprocess import Preprocess
from adtoolkit.types import Array, Mask, Sample, shares


@final
@dataclass(frozen=True)
class Background:
    """A bound model with a mass density. All x are preprocessed, all m in their own unit.

    Attributes:
        model: What the interpolator made of the fitted model.
        mass: p(m) in the window.
        drawn: Template shared by all scorers and metrics of a run; None if the model cannot sample.
        conditions: [K, 1+C] conditions of observed events, where there are more than m: `sample` then draws whole rows of
            them, since the further ones depend on m; None where m is the only one.
        weights: [K] how often each row of `conditions` is drawn, relative to the others; None for equally often.
        known: Densities of the run's events in the window, evaluated once; others are evaluated when asked for.
        prep: How features were preprocessed, for densities in physical units; None where nobody knows.
    """

    model: Any
    mass: MassModel
    drawn: Sample | None = None
    conditions: Array | None = None
    weights: Array | None = None
    known: Densities | None = None
    prep: Preprocess | None = None

    @property
    def template(self) -> Sample:
        """Events drawn in the window, the same for every part of a run.

        Raises:
            RunError: if the model cannot sample (a scorer that asks must declare ``sample``).
        """
        if self.drawn is None:
            raise RunError("This background has no template: its model cannot sample.", "Declare needs={Cap.SAMPLE} on the scorer.")
        return self.drawn

    def sample(self, n: int, rng: np.random.Generator) -> Sample:
        """n fresh events: conditions from p(m) or the observed ones, x from p(x | conditions)."""
        if self.conditions is None:
            return self.sample_at(self.mass.sample(n, rng)[:, None], rng)
        return self.sample_at(rng.choice(self.conditions, n, p=shares(self.weights)), rng)

    def sample_at(self, cond: Array, rng: np.random.Generator) -> Sample:
        """One event at each of [N, 1+C] conditions, x from p(x | conditions)."""
        m, context = cond[:, 0], cond[:, 1:] if cond.shape[1] > 1 else None
        if isinstance(self.model, DrawsFromEvents):
            x, group = self.model.sample_grouped(cond, rng)
            return Sample(x, m, context, group=group)
        return Sample(self._as(CanSample).sample(cond, rng), m, context)

    def sample_like(self, events: Sample, k: int, rng: np.random.Generator) -> Array:
        """[N, k, D] draws at the conditions of [N] events."""
        drawn: Array = self._as(CanSample).sample(np.repeat(events.cond, k, axis=0), rng)
        return drawn.reshape(len(events), k, -1)

    def log_prob(self, events: Sample) -> Array:
        """[N] log p(x | cond) in preprocessed space, the same for every method of a run."""

        def evaluate(unknown: Sample) -> Array:
            return np.asarray(self._as(CanLogProb).log_prob(unknown.x, unknown.cond))

        return evaluate(events) if self.known is None else self.known.look_up(events, evaluate)

    def outside(self, events: Sample) -> Mask | None:
        """[N] which events have conditions beyond those of the training; None for models that cannot tell."""
        return np.asarray(self.model.outside(events.cond), np.bool_) if isinstance(self.model, KnowsItsRange) else None

    def log_prob_mass(self, events: Sample) -> Array:
        """[N] log p(m) per unit of m; -inf outside the window."""
        return self.mass.log_prob(events.m).astype(np.float32)

    def _as(self, protocol: type[Any]) -> Any:
        if not isinstance(self.model, protocol):
            raise RunError(
                f"The background model {type(self.model).__name__} is not {protocol.__name__}.",
                "Declare what the scorer needs in its Component.",
            )
        return self.model
