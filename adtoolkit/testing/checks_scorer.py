"""Checks of scorers: what a score is, and that the right events get the high ones."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from adtoolkit.capabilities import Cap
from adtoolkit.interfaces import CanSampleSignal, ScorerData
from adtoolkit.testing.bundles import auc, background_of, first_fit, fit_scorer, judged, make_world, must_learn, scorer_data, world_of
from adtoolkit.testing.checks import conformance, require
from adtoolkit.testing.checks_model import SIZES
from adtoolkit.types import Sample

if TYPE_CHECKING:
    from adtoolkit.testing.subject import Subject

_EASY = 0.7


@conformance("scorer")
def check_score_shape_dtype_finite(subject: Subject) -> None:
    """``score`` returns a finite float32 number per event, for any number of events, none included."""
    fitted = first_fit(subject).result
    events = judged(subject).background
    for n in (*SIZES, len(events)):
        value = fitted.score(events[:n])
        require(isinstance(value, np.ndarray), f"It returned {type(value).__name__}, not a numpy array.")
        require(value.shape == (min(n, len(events)),), f"For {n} events it returned shape {list(value.shape)}.")
        require(value.dtype == np.float32, f"It returned {value.dtype}, not float32.")
        require(np.isfinite(value).all(), f"{int((~np.isfinite(value)).sum())} of {n} scores are not finite.")


@conformance("scorer")
def check_score_is_per_event(subject: Subject) -> None:
    """The score of an event is its own: the same when asked again, alone, or in another order."""
    fitted = first_fit(subject).result
    events = judged(subject).background[:200]
    whole = fitted.score(events)
    for what, other in {"again": fitted.score(events), "in another order": fitted.score(events[::-1])[::-1]}.items():
        off = float(np.abs(whole - other).max())
        require(off < 1e-4, f"Asked {what}, scores change by up to {off:.2g}.")
    off = float(np.abs(whole[:3] - fitted.score(events[:3])).max())
    require(off < 1e-4, f"Asked alone, scores change by up to {off:.2g}.")


@conformance("scorer")
def check_score_higher_is_more_anomalous(subject: Subject) -> None:
    """On an easy toy with 250 signal events, signal scores above background (AUC above 0.7)."""
    fitted = first_fit(subject).result
    events = judged(subject)
    value = auc(fitted.score(events.background), fitted.score(events.signal))
    require(value > _EASY, f"The AUC is {value:.3f}{'; the sign of the score may be wrong' if value < 1 - _EASY else ''}.")


@conformance("scorer")
def check_summary_is_numbers(subject: Subject) -> None:
    """``summary`` maps names to finite numbers."""
    for name, value in first_fit(subject).result.summary().items():
        require(isinstance(name, str) and isinstance(value, (int, float)), f"{name!r} is {value!r}.")
        require(np.isfinite(value), f"{name} is {value}.")


@conformance("scorer")
def check_curves_are_points(subject: Subject) -> None:
    """``curves`` maps names to [K, 2] arrays of finite points."""
    for name, points in first_fit(subject).result.curves().items():
        require(isinstance(points, np.ndarray) and points.ndim == 2 and points.shape[1] == 2, f"{name!r} is no array of shape [K, 2].")
        require(np.isfinite(points).all(), f"{name!r} has points that are not finite.")


@conformance("scorer")
def check_learnt_signal_is_declared_and_in_the_window(subject: Subject) -> None:
    """``sample_signal`` is there if and only if ``signal`` is declared; its draws are finite, in the window, and reproducible."""
    fitted = first_fit(subject).result
    declared, has = Cap.SIGNAL in subject.component.provides, isinstance(fitted, CanSampleSignal)
    words = ("does not declare", "declares")[declared], ("not there", "there")[has]
    require(declared == has, f"It {words[0]} {Cap.SIGNAL}, but sample_signal is {words[1]}.")
    if not isinstance(fitted, CanSampleSignal):
        return
    drawn, again = (fitted.sample_signal(500, np.random.default_rng(1)) for _ in range(2))
    data = scorer_data(subject)
    require(drawn.x.shape == (500, data.window.x.shape[1]), f"For 500 draws it returned x of shape {list(drawn.x.shape)}.")
    require(np.isfinite(drawn.x).all() and np.isfinite(drawn.m).all(), "Some draws are not finite.")
    if data.range is not None:
        outside = int((~data.range.contains(drawn.m)).sum())
        require(not outside, f"{outside} of 500 draws have a mass outside the window.")
    require(np.array_equal(drawn.x, again.x) and np.array_equal(drawn.m, again.m), "The same generator gave other draws.")


@conformance("scorer")
def check_weights_honoured(subject: Subject) -> None:
    """Events of weight zero count for nothing: of two signals, the one that has the weight is found."""
    must_learn(subject)
    world = make_world(subject)(seed=3, n=0, n_test=500)
    here = world.dataset.test[world.dataset.test.truth == 1]
    there = world.another_signal(here)
    data = scorer_data(subject)
    background = background_of(subject, data)
    values = []
    for near, far in ((1.0, 0.0), (0.0, 1.0)):
        some = _with_signals(subject, data, here[:250], near, there[:250], far)
        fitted = fit_scorer(subject, some, background=background).result
        values.append(auc(fitted.score(there[250:].blind()), fitted.score(here[250:].blind())))
    text = f"With the weight on one signal or the other, it is preferred with AUC {values[0]:.2f} and {1 - values[1]:.2f}."
    require(values[0] > 0.6 and values[1] < 0.4, text)


def _with_signals(subject: Subject, data: ScorerData, here: Sample, near: float, there: Sample, far: float) -> ScorerData:
    """The toy's background with two signals of these weights, in the window and among the labelled events."""
    world = world_of(subject)
    window = world.inside(world.dataset.events)
    window = window[window.truth == 0]
    labelled = data.labelled

    def mix(background: Sample) -> Sample:
        parts = [(background, 1.0), (here, near), (there, far)]
        both = Sample.concat(*(replace(part, weight=np.full(len(part), w, np.float32)) for part, w in parts))
        return both[np.random.default_rng(3).permutation(len(both))]

    return replace(
        data,
        window=mix(window).blind(),
        labelled=None if labelled is None or labelled.truth is None else mix(labelled[labelled.truth == 0]),
    )
