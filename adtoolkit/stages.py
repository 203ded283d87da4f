"""The stages of a run before scoring: fit, template, density. Each is a pure function of what its key names, and cached.

What enters a key decides what is shared. A model trained on all data does not know the window, so one serves a whole scan;
the template knows the window and the interpolator; a fold's scores know the scorer too. Truth labels enter only where a
scorer declares that it trains on them.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from adtoolkit.arrays import read_arrays, sample_arrays, to_sample, write_arrays
from adtoolkit.background import Background
from adtoolkit.context import RunContext
from adtoolkit.densities import LOWEST, Densities, possible
from adtoolkit.errors import AdtoolError, RunError
from adtoolkit.events import Event
from adtoolkit.folds import train_val
from adtoolkit.interfaces import FitTask, Model, TrainsTogether
from adtoolkit.plugin import Component
from adtoolkit.store import Entry, Overwrite, Stopwatch, Store, disk_errors, key_of, write_atomic
from adtoolkit.types import Sample, Window

#: Raise when the runner itself gives other numbers from the same configuration.
PIPELINE_VERSION = 2
#: Share of the draws of a template that must be finite.
FINITE: Final = 0.9


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
        """sha256 of the files beside the component's, and of the core's networks and scorers where they use them.

        A change without a new ``cache_version`` is pointed out.
        """
        module = importlib.import_module(self.record.target.partition(":")[0])
        code = [file.read_bytes() for file in sorted(Path(str(module.__file__)).parent.glob("*.py"))]
        used = [name for name in ("nn", "scorers") if any(f"adtoolkit.{name}".encode() in text for text in code)]
        code += [file.read_bytes() for name in used for file in sorted((Path(__file__).parent / name).glob("*.py"))]
        return hashlib.sha256(b"".join(code)).hexdigest()[:16]


@dataclass(frozen=True)
class Workshop:
    """Where and how stages are made. What is noted meanwhile is cached with the stage, and told again where it is reused."""

    store: Store
    context: RunContext
    overwrite: Mapping[str, Overwrite]
    made: list[str] = field(default_factory=list)  # stages begun, so that a refusal before the first is told apart
    heard: list[str] = field(default_factory=list, init=False)  # notes so far

    def __post_init__(self) -> None:
        tell = self.context.tell

        def listen(event: Event) -> None:
            if event.kind == "note":
                self.heard.append(event.text)
            tell(event)

        object.__setattr__(self, "context", replace(self.context, tell=listen))

    def stage(self, stage: str, key: Mapping[str, Any], make: Any, label: str, parts: tuple[Part, ...]) -> Entry:
        """Look a stage up or make it, and tell."""
        tell = self.context.tell
        source = {part.record.name: part.source for part in parts}

        def announced(folder: Path, work: Path) -> Mapping[str, Any]:
            self.made.append(stage)
            before = len(self.heard)
            tell(Event("started", stage, label))
            _clear_if_stale(work, source)
            try:
                made = make(folder, work) or {}
            except (AdtoolError, OSError, MemoryError):
                raise
            except Exception as error:
                if type(error).__name__ == "OutOfMemoryError":  # torch's, which is no MemoryError
                    what = f"The stage '{stage}' of '{parts[0].record.name}' needs more memory than the device has left."
                    raise RunError(what, "Use fewer --jobs, a smaller batch or network, or --device cpu.") from error
                what = f"The stage '{stage}' of '{parts[0].record.name}' failed: {type(error).__name__}: {error}."
                raise RunError(what, f"Try: adtool check {parts[0].record.name}") from error
            return {"notes": self.heard[before:], **made, "source": source}

        strategy = self.overwrite.get(stage, "only-missing")
        entry = self.store.get(stage, key_of(key), announced, describe=key, overwrite=strategy, waiting=self.context.note)
        for note in (*entry.notes, *(entry.meta.get("notes", ()) if entry.reused else ())):
            tell(Event("note", stage, label, text=note))
        if entry.reused and entry.meta.get("source") != source:
            changed = ", ".join(name for name, digest in source.items() if entry.meta.get("source", {}).get(name) != digest)
            text = f"The code of {changed} changed since this was cached; raise its cache_version or pass --force {stage}."
            tell(Event("note", stage, label, text=text))
        tell(Event("reused" if entry.reused else "finished", stage, label, {"seconds": entry.seconds}))
        return entry


def _clear_if_stale(work: Path, source: Mapping[str, str]) -> None:
    """Drop the checkpoints of an interrupted try if the code has changed since: old weights must not meet a new loss."""
    stamp, text = work / "source.json", json.dumps(source, sort_keys=True).encode()
    if stamp.exists() and stamp.read_bytes() == text:
        return
    for path in work.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    write_atomic(stamp, text)


@dataclass(frozen=True)
class FitJob:
    """A training.

    Attributes:
        shop: Where.
        train_on: Events of the region, blinded and preprocessed; part of the key by their content.
        window: For the key; None if the region does not depend on it.
        what: Told beside the estimator's name.
    """

    shop: Workshop
    train_on: Sample
    window: Window | None
    what: str = ""


def fit_model(estimator: Part, job: FitJob) -> tuple[Entry, Model, Mapping[str, Any]]:
    """Train an estimator, or reuse the model: its stage, the model, and what the keys of later stages name."""
    context = _fit_context(job.shop, estimator)
    key = _fit_key(context, estimator, job.train_on, job.window)

    def make(folder: Path, work: Path) -> Mapping[str, Any]:
        task = _fit_task(job.train_on, replace(context, workdir=work))
        return _keep_model(estimator.instance.fit(task.train, task.val, task.ctx), folder, len(job.train_on))

    entry = job.shop.stage("fit", key, make, f"{estimator.record.name} {job.what}".rstrip(), (estimator,))
    return entry, load_model(entry, context.device), {"key": key, "made": entry.digest}


def fit_models(estimator: Part, jobs: Sequence[FitJob]) -> list[Entry]:
    """Train an estimator that `TrainsTogether` for several windows or seeds at once; each model is kept under its own key.

    What is in the cache already is not trained again. Checkpoints belong to the group: another group starts anew.

    Raises:
        RunError: if the estimator does not train together.
    """
    if not isinstance(estimator.instance, TrainsTogether):
        raise RunError(f"The estimator '{estimator.record.name}' trains one model at a time.", "Leave --stack away.")
    contexts = [_fit_context(job.shop, estimator) for job in jobs]
    keys = [_fit_key(context, estimator, job.train_on, job.window) for context, job in zip(contexts, jobs, strict=True)]
    ready = [
        job.shop.store.ready("fit", key_of(k), job.shop.overwrite.get("fit", "only-missing")) for job, k in zip(jobs, keys, strict=True)
    ]
    missing = [i for i, entry in enumerate(ready) if entry is None]
    made: dict[int, Model] = {}
    share: dict[str, float] = {}
    before = [len(job.shop.heard) for job in jobs]
    if missing:
        watch = Stopwatch()
        store = jobs[0].shop.store
        group = store.path("fit", key_of({"group": [keys[i] for i in missing]})).with_suffix(".group")
        with disk_errors(store.root):
            group.mkdir(parents=True, exist_ok=True)
            _clear_if_stale(group, {estimator.record.name: estimator.source})
        tasks = []
        for i in missing:
            (group / str(i)).mkdir(exist_ok=True)
            tasks.append(_fit_task(jobs[i].train_on, replace(contexts[i], workdir=group / str(i))))
        made = dict(zip(missing, estimator.instance.fit_many(tasks), strict=True))
        share = {name: round(value / len(made), 3) for name, value in watch.read().items()}
    entries = []
    for i, (job, key) in enumerate(zip(jobs, keys, strict=True)):

        def make(folder: Path, work: Path, i: int = i, job: FitJob = job) -> Mapping[str, Any]:
            del work
            notes = job.shop.heard[before[i] :]
            return _keep_model(made[i], folder, len(job.train_on)) | {"together": len(made), "notes": notes, **share}

        entries.append(job.shop.stage("fit", key, make, f"{estimator.record.name} {job.what}".rstrip(), (estimator,)))
    if missing:
        shutil.rmtree(group, ignore_errors=True)
    return entries


def _fit_context(shop: Workshop, estimator: Part) -> RunContext:
    return replace(shop.context, scope=("estimator", estimator.record.name), stage="fit")


def _fit_key(context: RunContext, estimator: Part, train_on: Sample, window: Window | None) -> dict[str, Any]:
    arithmetic = estimator.instance.arithmetic(context.device)
    return {
        **({"arithmetic": arithmetic} if arithmetic else {}),
        "pipeline": PIPELINE_VERSION,
        "events": train_on.digest,
        "window": None if window is None else [window.lo, window.hi],
        "estimator": estimator.identity,
        "seed": context.seed,
        "device": context.device,
    }


def _fit_task(train_on: Sample, context: RunContext) -> FitTask:
    train, val = train_val(train_on, context.rng("validation"))
    return FitTask(train, val, context)


def _keep_model(model: Model, folder: Path, events: int) -> dict[str, Any]:
    (folder / "model").mkdir()
    model.save(folder / "model")
    return {"class": class_path(model), "events": events}


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
        if good.mean() < FINITE:
            what = f"{n - good.sum():,} of {n:,} drawn events are not finite."
            raise RunError(what, "The model did not train well: train longer or choose another.")
        write_arrays(folder / "template.h5", sample_arrays(drawn[good]))
        return {"not_finite": int(n - good.sum())}

    entry = shop.stage("template", key, make, interpolator.record.name, (interpolator,))
    return entry, to_sample(read_arrays(entry.path / "template.h5"))


def tabulate_densities(
    shop: Workshop, interpolator: Part, background: Background, events: Sample, given: Mapping[str, Any], where: str = ""
) -> Entry:
    """Evaluate the background's density of these events once for all folds, or reuse it; `read_densities` reads it.

    ``where`` is what is told of the place.

    Raises:
        RunError: if more than a tenth of the events have no density; fewer are counted and left to the scorers.
    """
    key = {
        "pipeline": PIPELINE_VERSION,
        "given": given,
        "events": events.blind().digest,
        "device": shop.context.device,
        "lowest": LOWEST,
    }

    def make(folder: Path, work: Path) -> Mapping[str, Any]:
        del work
        values = np.asarray(background.log_prob(events))
        if values.shape != (len(events),):
            raise RunError(f"The background gave densities of shape {values.shape} for {len(events):,} events.", "See: adtool check")
        bad = int((~possible(values)).sum())
        if bad > 0.1 * len(values):
            what = f"The background gives no density to {bad:,} of {len(values):,} events."
            raise RunError(what, "The model did not train well: train longer or choose another.")
        write_arrays(folder / "densities.h5", {"log_prob": values})
        return {"without_density": bad}

    return shop.stage("density", key, make, interpolator.record.name + (where and f" {where}"), (interpolator,))


def read_densities(entry: Entry, events: Sample) -> Densities:
    """What `tabulate_densities` made for the same events."""
    return Densities(events, read_arrays(entry.path / "densities.h5")["log_prob"])


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
