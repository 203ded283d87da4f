"""Scored events: the one table that everything after the score works on, whoever made the scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from adtoolkit.types import Array, Sample, Window


@dataclass(frozen=True)
class Control:
    """The search repeated in regions beside the window, where no signal is expected: a scorer is trained anew in each.

    Attributes:
        windows: The control regions.
        m: [E] masses of the data.
        score: [E] their scores, each by the one fold that did not train on the event.
        fold: [E] which fold that was; those of the second region are counted on from those of the first.
        template_m: [C] masses of the template.
        template_score: [C] held-out scores of the template.
        template_fold: [C] which fold scored it.
        folds: All folds of all regions.
        template_group: [C] of a template made from events, as `adtoolkit.types.Sample.group`, counted on from region to region; else None.
        weight: [E] of the data, or None for ones.
    """

    windows: tuple[Window, ...]
    m: Array
    score: Array
    fold: NDArray[np.integer]
    template_m: Array
    template_score: Array
    template_fold: NDArray[np.integer]
    folds: int
    template_group: NDArray[np.int64] | None = None
    weight: Array | None = None


@dataclass(frozen=True)
class Scored:
    """The events of a run with their scores. All x are in physical units.

    An event of the data is scored by the one fold that did not train on it. Test events were seen by no fold (or, for
    scorers trained on truth, by all but one): ``test_score`` has a column per fold, NaN where that fold trained on the event.

    Attributes:
        events: [N] data, window and sidebands, with truth where it is known.
        score: [N] held-out scores; NaN outside the window where a scorer has none there.
        fold: [N] which fold scored the event.
        test: [T] truth-labelled test events; may be empty.
        test_score: [T, K] score of each fold's model.
        template: [B] events drawn from the background model in the window, or None.
        template_score: [B] held-out scores of the template.
        template_fold: [B] which fold scored it.
        control: The same beside the window; None where it was not done.
        window: The signal region, or None in one-class work.
        features: [D] names of the columns of x.
        mass: Name of m.
        unit: Unit of m.
        log_ratio: Whether the scores are log p(signal) / p(background).
        fits: [K] what each fold's scorer reports of itself (`FittedScorer.summary`).
        curves: Name to the [K] folds' curves, each [P, 2] (`FittedScorer.curves`).
        signal: Draws of the learnt signal, the folds in equal parts, or None.
        outside: [N] data at conditions beyond those of the model's training, where it extrapolates; None where it cannot tell.
    """

    events: Sample
    score: Array
    fold: NDArray[np.int8]
    test: Sample
    test_score: Array
    features: tuple[str, ...]
    window: Window | None = None
    template: Sample | None = None
    template_score: Array | None = None
    template_fold: NDArray[np.int8] | None = None
    control: Control | None = None
    mass: str = "m"
    unit: str = ""
    log_ratio: bool = False
    fits: tuple[Mapping[str, float], ...] = ()
    curves: Mapping[str, tuple[Array, ...]] = field(default_factory=dict)
    signal: Sample | None = None
    outside: NDArray[np.bool_] | None = None

    @property
    def folds(self) -> int:
        return int(self.test_score.shape[1])

    def inside(self, sample: Sample) -> NDArray[np.bool_]:
        """[N] which events lie in the window (all, where there is none)."""
        return np.ones(len(sample), bool) if self.window is None else self.window.contains(sample.m)
