"""The stage that scores: the folds of a run, what each may learn from, and the scores of what it has not seen."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from adtoolkit.arrays import read_arrays, sample_arrays, to_sample, write_arrays
from adtoolkit.background import Background
from adtoolkit.capabilities import Cap
from adtoolkit.errors import RunError
from adtoolkit.interfaces import CanSampleSignal, ScorerData
from adtoolkit.plugin import Component
from adtoolkit.stages import PIPELINE_VERSION, Part, Workshop, class_path
from adtoolkit.store import Entry
from adtoolkit.types import Array, Labels, Sample, Window

#: Events drawn of a signal that a scorer has learnt, all folds together.
SIGNAL_DRAWS: Final = 10_000


@dataclass(frozen=True)
class Pool:
    """All events of a run with the fold that each is held out from. Preprocessed, truth still on."""

    events: Sample
    fold: Labels
    test: Sample
    test_fold: Labels
    reference: Sample | None
    template: Sample | None
    template_fold: Labels
    window: Window | None

    def training(self, k: int, record: Component, single: bool) -> ScorerData:
        """What fold k may learn from."""
        keep = np.ones(len(self.events), bool) if single else self.fold != k
        inside = np.ones(len(self.events), bool) if self.window is None else self.window.contains(self.events.m)
        truth = Cap.TRUTH in record.needs
        window, sideband = self.events[keep & inside], self.events[keep & ~inside]
        return ScorerData(
            window=window if truth else window.blind(),
            sideband=sideband if truth else sideband.blind(),
            reference=self.reference.blind() if self.reference is not None and Cap.REFERENCE in record.needs else None,
            labelled=self.test[self.test_fold != k] if truth else None,
            range=self.window,
        )


@dataclass(frozen=True)
class FoldScores:
    """What one fold gives: scores of its held-out data and template, and of all test events; what its scorer says of itself."""

    events: Array
    test: Array
    template: Array
    summary: Mapping[str, float]
    curves: Mapping[str, Array]
    signal: Sample | None
    entry: Entry


def score_fold(
    shop: Workshop,
    scorer: Part,
    pool: Pool,
    background: Background | None,
    k: int,
    folds: int,
    given: Mapping[str, Any],
    where: str = "",
) -> FoldScores:
    """Fit a scorer on all folds but k and score what it has not seen, or reuse the scores. ``where`` is what is told of the place."""
    context = replace(shop.context, scope=("scorer", scorer.record.name, f"fold{k}"), stage="score")
    single = folds == 1
    truth = Cap.TRUTH in scorer.record.needs
    held_test = pool.test_fold.tobytes() if truth else b""  # spread by truth, so it has no place in a blind scorer's key
    key = {
        "pipeline": PIPELINE_VERSION,
        "given": given,
        "scorer": scorer.identity,
        "events": pool.events.digest if truth else pool.events.blind().digest,
        "test": pool.test.digest if truth else pool.test.blind().digest,
        "reference": pool.reference.digest if pool.reference is not None and Cap.REFERENCE in scorer.record.needs else None,
        "window": None if pool.window is None else [pool.window.lo, pool.window.hi],
        "fold": [k, folds],
        "assignment": hashlib.sha256(pool.fold.tobytes() + held_test + pool.template_fold.tobytes()).hexdigest(),
        "seed": context.seed,
        "device": context.device,
    }

    if not scorer.instance.outside:
        key["outside"] = False

    def make(folder: Path, work: Path) -> Mapping[str, Any]:
        bg = background
        if bg is not None and bg.drawn is not None and not single:
            bg = replace(bg, drawn=bg.drawn[pool.template_fold != k])
        fitted = scorer.instance.fit(pool.training(k, scorer.record, single), bg, replace(context, workdir=work))
        own = pool.events[pool.fold == k]
        meant = np.ones(len(own), bool) if scorer.instance.outside or pool.window is None else pool.window.contains(own.m)
        held = {"events": own[meant], "test": pool.test, "template": pool.events[:0]}
        if pool.template is not None:
            held["template"] = pool.template[pool.template_fold == k]
        scores = {name: _checked(fitted.score(sample.blind()), len(sample), scorer.record.name) for name, sample in held.items()}
        everywhere = np.full(len(own), np.nan, np.float32)
        everywhere[meant] = scores["events"]
        scores["events"] = everywhere
        if truth and not single:
            scores["test"] = np.where(pool.test_fold == k, scores["test"], np.nan).astype(np.float32)
        write_arrays(folder / "scores.h5", scores)
        (folder / "summary.json").write_text(json.dumps({name: float(value) for name, value in fitted.summary().items()}))
        write_arrays(folder / "curves.h5", dict(fitted.curves()))
        if isinstance(fitted, CanSampleSignal):
            drawn = fitted.sample_signal(max(1, SIGNAL_DRAWS // folds), context.rng("signal"))
            write_arrays(folder / "signal.h5", sample_arrays(drawn))
        (folder / "scorer").mkdir()
        fitted.save(folder / "scorer")
        return {"class": class_path(fitted)}

    label = scorer.record.name if single else f"{scorer.record.name} fold {k + 1} of {folds}"
    label += where and f" {where}"
    entry = shop.stage("score", key, make, label, (scorer,))
    arrays = read_arrays(entry.path / "scores.h5")
    summary = json.loads((entry.path / "summary.json").read_text())
    curves, signal = entry.path / "curves.h5", entry.path / "signal.h5"
    return FoldScores(
        arrays["events"],
        arrays["test"],
        arrays["template"],
        summary,
        read_arrays(curves) if curves.exists() else {},
        to_sample(read_arrays(signal)) if signal.exists() else None,
        entry,
    )


def _checked(scores: Array, n: int, name: str) -> Array:
    """Scores as they must be, before anything malformed is kept."""
    if np.shape(scores) != (n,):
        raise RunError(f"The scorer '{name}' gave scores of shape {np.shape(scores)} for {n:,} events.", f"Try: adtool check {name}")
    if bad := int((~np.isfinite(scores)).sum()):
        raise RunError(f"The scorer '{name}' gave {bad:,} scores that are not finite.", f"Try: adtool check {name}")
    return np.asarray(scores, np.float32)
