"""The stages of a run that cost something: fit, template, score. Each is a pure function of what its key names, and cached.

What enters a key decides what is shared. A model trained on all data does not know the window, so one serves a whole scan;
the template knows the window and the interpolator; a fold's scores know the scorer too. Truth labels enter only where a
scorer declares that it trains on them.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from adtoolkit.arrays import read_arrays, sample_arrays, to_sample, write_arrays
from adtoolkit.background import Background
from adtoolkit.capabilities import Cap
from adtoolkit.context import RunContext
from adtoolkit.errors import AdtoolError, RunError
from adtoolkit.folds import train_val
from adtoolkit.interfaces import Model, ScorerData
from adtoolkit.plugin import Component
from adtoolkit.store import Entry, Overwrite, Store, key_of, write_atomic
from adtoolkit.types import Array, Labels, Sample, Window

#: Raise when the runner itself gives other numbers from the same configuration.
PIPELINE_VERSION = 1


@dataclass(frozen=True)
class Part:
    """A component as a run uses it: its record, and an instance with its options."""

    record: Component
    instance: Any

    @property
    def identity(self) -> dict[str, Any]:
        """What of it decides the numbers."""
        record = self.record
        config = self.instance.config.model_dump(mode="json")
        return {"name": record.name, "target": record.target, "version": record.cache_version, "config": config}

    @property
    def source(self) -> str:
        """sha256 of the files beside the component's; a change without a new ``cache_version`` is pointed out."""
        module = importlib.import_module(self.record.target.partition(":")[0])
        files = sorted(Path(str(module.__file__)).parent.glob("*.py"))
        return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]


@dataclass(frozen=True)
class Workshop:
    """Where and how stages are made."""

    store: Store
    context: RunContext
    overwrite: Mapping[str, Overwrite]
    made: list[str] = field(default_factory=list)  # stages begun, so that a refusal before the first is told apart

    def stage(self, stage: str, key: Mapping[str, Any], make: Any, label: str, parts: tuple[Part, ...]) -> Entry:
        """Look a stage up or make it, and tell."""
        from adtoolkit.events import Event

        tell = self.context.tell
        source = {part.record.name: part.source for part in parts}

        def announced(folder: Path, work: Path) -> Mapping[str, Any]:
            self.made.append(stage)
            tell(Event("started", stage, label))
            _clear_if_stale(work, source)
            try:
                made = make(folder, work) or {}
            except (AdtoolError, OSError, MemoryError):
                raise
            except Exception as error:
                what = f"The stage '{stage}' of '{parts[0].record.name}' failed: {type(error).__name__}: {error}."
                raise RunError(what, f"Try: adtool check {parts[0].record.name}") from error
            return {**made, "source": source}

        strategy = self.overwrite.get(stage, "only-missing")
        entry = self.store.get(stage, key_of(key), announced, describe=key, overwrite=strategy, waiting=self.context.note)
        for note in entry.notes:
            tell(Event("note", stage, label, text=note))
        if entry.reused and entry.meta.get("source") != source:
            changed = ", ".join(name for name, digest in source.items() if entry.meta.get("source", {}).get(name) != digest)
            text = f"The code of {changed} changed since this was cached; raise its cache_version or pass --force {stage}."
            tell(Event("note", stage, label, text=text))
        tell(Event("reused" if entry.reused else "finished", stage, label, {"seconds": entry.seconds}))
        return entry


def _clear_if_stale(work: Path, source: Mapping[str, str]) -> None:
    """Drop the checkpoints of an interrupted try if the code has changed since: old weights must not meet a new loss."""
    stamp, text = work / "source.json", json.dumps(source, sort_keys=True)
    if stamp.exists() and stamp.read_text() == text:
        return
    for path in work.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    write_atomic(stamp, text)


def fit_model(shop: Workshop, estimator: Part, train_on: Sample, window: Window | None) -> tuple[Entry, Model, Mapping[str, Any]]:
    """Train an estimator on its (blinded, preprocessed) region, or reuse the model.

    Args:
        shop: Where.
        estimator: What.
        train_on: Events of the region; part of the key by their content.
        window: For the key; None if the region does not depend on it.
    """
    context = replace(shop.context, scope=("estimator", estimator.record.name), stage="fit")
    key = {
        "pipeline": PIPELINE_VERSION,
        "events": train_on.digest,
        "window": None if window is None else [window.lo, window.hi],
        "estimator": estimator.identity,
        "seed": context.seed,
        "device": context.device,
    }

    def make(folder: Path, work: Path) -> Mapping[str, Any]:
        train, val = train_val(train_on, context.rng("validation"))
        model = estimator.instance.fit(train, val, replace(context, workdir=work))
        (folder / "model").mkdir()
        model.save(folder / "model")
        return {"class": class_path(model), "events": len(train_on)}

    entry = shop.stage("fit", key, make, estimator.record.name, (estimator,))
    return entry, load_model(entry, context.device), {"key": key, "made": entry.digest}


def draw_template(
    shop: Workshop, interpolator: Part, background: Background, n: int, features: int, given: Mapping[str, Any]
) -> tuple[Entry, Sample]:
    """Draw n events of the bound background, or reuse them. Draws that are not finite are dropped and counted.

    The streams of masses and noise depend on the seed alone: interpolators of one model are compared at equal noise.
    """
    context = replace(shop.context, scope=("template",), stage="template")
    key = {"pipeline": PIPELINE_VERSION, "given": given, "n": n, "seed": context.seed}

    def make(folder: Path, work: Path) -> Mapping[str, Any]:
        del work
        drawn = background.sample(n, context.rng("draw"))
        if drawn.x.shape != (n, features):
            raise RunError(f"The background gave draws of shape {drawn.x.shape} where {(n, features)} was asked for.", "See: adtool check")
        good = np.isfinite(drawn.x).all(1)
        if good.mean() < 0.9:
            what = f"{n - good.sum():,} of {n:,} drawn events are not finite."
            raise RunError(what, "The model did not train well: train longer or choose another.")
        write_arrays(folder / "template.h5", sample_arrays(drawn[good]))
        return {"not_finite": int(n - good.sum())}

    entry = shop.stage("template", key, make, interpolator.record.name, (interpolator,))
    return entry, to_sample(read_arrays(entry.path / "template.h5"))


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
    """What one fold gives: scores of its held-out data and template, and of all test events."""

    events: Array
    test: Array
    template: Array
    summary: Mapping[str, float]
    entry: Entry


def score_fold(
    shop: Workshop, scorer: Part, pool: Pool, background: Background | None, k: int, folds: int, given: Mapping[str, Any]
) -> FoldScores:
    """Fit a scorer on all folds but k and score what it has not seen, or reuse the scores."""
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

    def make(folder: Path, work: Path) -> Mapping[str, Any]:
        bg = background
        if bg is not None and bg.drawn is not None and not single:
            bg = replace(bg, drawn=bg.drawn[pool.template_fold != k])
        fitted = scorer.instance.fit(pool.training(k, scorer.record, single), bg, replace(context, workdir=work))
        held = {"events": pool.events[pool.fold == k], "test": pool.test, "template": pool.events[:0]}
        if pool.template is not None:
            held["template"] = pool.template[pool.template_fold == k]
        scores = {name: _checked(fitted.score(sample.blind()), len(sample), scorer.record.name) for name, sample in held.items()}
        if truth and not single:
            scores["test"] = np.where(pool.test_fold == k, scores["test"], np.nan).astype(np.float32)
        write_arrays(folder / "scores.h5", scores)
        (folder / "summary.json").write_text(json.dumps({name: float(value) for name, value in fitted.summary().items()}))
        (folder / "scorer").mkdir()
        fitted.save(folder / "scorer")
        return {"class": class_path(fitted)}

    label = scorer.record.name if single else f"{scorer.record.name} fold {k + 1} of {folds}"
    entry = shop.stage("score", key, make, label, (scorer,))
    arrays = read_arrays(entry.path / "scores.h5")
    summary = json.loads((entry.path / "summary.json").read_text())
    return FoldScores(arrays["events"], arrays["test"], arrays["template"], summary, entry)


def _checked(scores: Array, n: int, name: str) -> Array:
    """Scores as they must be, before anything malformed is kept."""
    if np.shape(scores) != (n,):
        raise RunError(f"The scorer '{name}' gave scores of shape {np.shape(scores)} for {n:,} events.", f"Try: adtool check {name}")
    if bad := int((~np.isfinite(scores)).sum()):
        raise RunError(f"The scorer '{name}' gave {bad:,} scores that are not finite.", f"Try: adtool check {name}")
    return np.asarray(scores, np.float32)


def class_path(model: Model) -> str:
    """``package.module:Class``, to find the class again."""
    return f"{type(model).__module__}:{type(model).__qualname__}"


def load_model(entry: Entry, device: str) -> Model:
    """The model of a completed fit.

    Raises:
        RunError: if its class is not there any more.
    """
    module, _, name = str(entry.meta["class"]).partition(":")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        what = f"The cached model needs {module}:{name}, which cannot be imported ({error})."
        raise RunError(what, "Train it again: --force fit") from error
    if not (isinstance(found, type) and issubclass(found, Model)):
        raise RunError(f"The cached model names {module}:{name}, which is not a Model.", "Train it again: --force fit")
    return found.load(entry.path / "model", device)
