"""One run: data -> split -> preprocess -> fit -> bind -> template -> score by folds -> metrics, pictures, folder."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from adtoolkit import stages
from adtoolkit.arrays import write_arrays
from adtoolkit.background import Background
from adtoolkit.capabilities import Cap
from adtoolkit.context import RunContext, silent
from adtoolkit.errors import AdtoolError, DataError, RunError
from adtoolkit.events import Event
from adtoolkit.folds import assign
from adtoolkit.mass import fit_mass
from adtoolkit.plugin import Region
from adtoolkit.preprocess import Preprocess
from adtoolkit.runfolder import RunFolder, folder_name
from adtoolkit.scored import Scored
from adtoolkit.stages import Part, Pool, Workshop
from adtoolkit.store import Entry, Overwrite, Store, write_atomic
from adtoolkit.types import Dataset, Sample, Window

if TYPE_CHECKING:
    from adtoolkit.mix import Plan
    from adtoolkit.registry import Registry
    from adtoolkit.runconfig import RunConfig


@dataclass(frozen=True)
class RunResult:
    """What a run gives back.

    Attributes:
        status: ``done``.
        run: Its folder.
        metrics: Flat names to numbers, as in metrics.json.
        events: Counts of events, dropped and clipped ones included.
        times: Seconds per stage; a reused stage counts with what it took this time.
        skipped: Metric -> why it could not be computed.
        notes: What a reader should know.
        pictures: Files drawn.
    """

    status: str
    run: Path
    metrics: Mapping[str, float]
    events: Mapping[str, int]
    times: Mapping[str, float]
    skipped: Mapping[str, str]
    notes: tuple[str, ...] = ()
    pictures: tuple[Path, ...] = ()
    manifest: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Run:
    """A resolved configuration that can be executed.

    Args:
        config: Fully resolved options.
        plan: The legal mix.
        registry: Where components come from.
        device: ``cpu``, ``cuda`` or ``mps``.
        store: The cache.
        tell: Called with every event.
        overwrite: Stage -> strategy, where it is not ``only-missing``.
    """

    config: RunConfig
    plan: Plan
    registry: Registry
    device: str
    store: Store = field(default_factory=Store)
    tell: Callable[[Event], None] = silent
    overwrite: Mapping[str, Overwrite] = field(default_factory=dict)

    def __post_init__(self) -> None:
        c = self.config
        self.parts = (c.estimator.name, c.interpolator.name, c.scorer.name) if self.plan.estimates else (c.scorer.name,)
        window = c.window.label if c.window else ""
        self.folder = RunFolder(Path(c.run.out) / folder_name(c.data.name, window, self.parts, c.seed, c.digest))
        self.notes: list[str] = []
        self.times: dict[str, float] = {}

    def execute(self) -> RunResult:
        """Do it all.

        Raises:
            AdtoolError: exit code 2 if refused before any training, 1 if it failed later; the run folder says why.
        """
        started = time.perf_counter()
        dataset = self._timed("data", self._load)
        self.folder.open(self.config.to_toml(), {"device": self.device, "mix": self.plan.describe()})
        try:
            result = self._execute(dataset, started)
        except KeyboardInterrupt as error:
            self.folder.failed(error, "interrupted")
            raise
        except AdtoolError as error:
            self.folder.failed(error)
            raise RunError(error.message, error.fix) from error
        except Exception as error:
            self.folder.failed(error)
            what = f"The run failed: {type(error).__name__}: {error}"
            raise RunError(what, f"See {self.folder.path / 'error.txt'}, or run with --debug.") from error
        return result

    def _hear(self, event: Event) -> None:
        self.folder.heard(event)
        if event.kind == "note" and event.text not in self.notes:
            self.notes.append(event.text)
        self.tell(event)

    def _timed(self, stage: str, work: Callable[[], Any]) -> Any:
        started = time.perf_counter()
        value = work()
        self.times[stage] = round(self.times.get(stage, 0.0) + time.perf_counter() - started, 3)
        return value

    def _part(self, kind: Any) -> Part:
        section = getattr(self.config, kind)
        record = self.registry.get(kind, section.name).component
        return Part(record, self.registry.load(record)(section.options))

    def _load(self) -> Dataset:
        """The events, checked against everything that can be checked before training."""
        from adtoolkit.data.checks import check_window

        self.tell(Event("started", "data", self.config.data.name))
        started = time.perf_counter()
        context = RunContext(seed=self.config.data_seed, scope=("data",), device=self.device, stage="data", tell=self.tell)
        dataset: Dataset = self._part("data").instance.load(context)
        if self.config.window is not None:
            check_window(dataset, self.config.window)
        if self.plan.region is Region.REFERENCE or Cap.REFERENCE in self.plan.scorer.needs:
            dataset.region(Region.REFERENCE, None)
        labelled = dataset.test.truth if dataset.test.truth is not None else np.zeros(0)
        if Cap.TRUTH in self.plan.scorer.needs and not (labelled == 1).any():
            raise DataError("There is no truth-labelled signal to train on.", "Leave some out of the data: --set data.n_signal=N")
        blind = dataset.events.blind()
        for kind in ("estimator", "interpolator", "scorer") if self.plan.estimates else ("scorer",):
            self._part(kind).instance.check(blind, self.config.window)
        self.tell(Event("finished", "data", self.config.data.name, {"seconds": time.perf_counter() - started}))
        return dataset

    def _execute(self, dataset: Dataset, started: float) -> RunResult:
        config, plan, window = self.config, self.plan, self.config.window
        context = RunContext(seed=config.seed, device=self.device, tell=self._hear)
        shop = Workshop(self.store, context, self.overwrite)
        region = plan.region or Region.ALL
        fitted_on = dataset.region(Region.REFERENCE if region is Region.REFERENCE else Region.ALL, window)
        prep = Preprocess.fit(fitted_on)
        counts = count_events(dataset, window) | dict(dataset.counts)
        clipped = prep.clipped(dataset.events.x) + prep.clipped(dataset.test.x)
        counts["clipped to the feature range"] = clipped

        background: Background | None = None
        entries: list[Entry] = []
        given: Mapping[str, Any] = {"estimator": None}
        if plan.estimates:
            background, entries, given = self._background(dataset, prep, shop, counts)
        pool = self._pool(dataset, prep, background)
        folds = config.scorer.folds if self._part("scorer").instance.trains else 1
        scored, summary, score_entries = self._timed("score", lambda: self._score(pool, background, shop, folds, given, dataset, prep))
        entries += score_entries

        metrics, skipped = self._timed("metrics", lambda: self._metrics(scored, context))
        self.folder.update(stages=[str(e.path.relative_to(self.store.root)) for e in entries])
        pictures = self._timed("pictures", lambda: self._write(scored, metrics))
        self.times["total"] = round(time.perf_counter() - started, 3)
        trainings = sum(e.meta["stage"] == "fit" and not e.reused for e in entries)
        self.folder.update(
            status="done",
            trainings=trainings,
            scorer_trainings=sum(e.meta["stage"] == "score" and not e.reused for e in entries),
            reused=sum(e.reused for e in entries),
            events=counts,
            times=self.times,
            scorer=summary,
            skipped=skipped,
            notes=self.notes,
        )
        return RunResult(
            "done", self.folder.path, metrics, counts, self.times, skipped, tuple(self.notes), tuple(pictures), self.folder.manifest
        )

    def _background(
        self, dataset: Dataset, prep: Preprocess, shop: Workshop, counts: dict[str, int]
    ) -> tuple[Background, list[Entry], Mapping[str, Any]]:
        config, plan, window = self.config, self.plan, self.config.window
        estimator, interpolator = self._part("estimator"), self._part("interpolator")
        region = plan.region or Region.ALL
        train_on = prep.apply(dataset.region(region, window))
        depends = window if region is Region.SIDEBAND else None
        entry, model, key = self._timed("fit", lambda: stages.fit_model(shop, estimator, train_on, depends))
        bound = interpolator.instance.bind(model, window, replace(shop.context, scope=("interpolator", interpolator.record.name)))
        mass = fit_mass(config.mass, dataset.events.m, window)
        background = Background(bound, mass, conditions=dataset.events.context)
        given = {"fit": key, "interpolator": interpolator.identity, "prep": prep.digest}
        entries = [entry]
        if Cap.SAMPLE in plan.background:
            inside = dataset.events.m if window is None else dataset.events.m[window.contains(dataset.events.m)]
            n = round(config.template.oversample * len(inside))
            mass_key = {
                "config": config.mass.model_dump(),
                "events": dataset.events.blind().digest,
                "window": window and [window.lo, window.hi],
            }
            drawn, template = self._timed("template", lambda: stages.draw_template(shop, interpolator, background, n, given, mass_key))
            counts["template"] = len(template)
            counts["dropped: template draws not finite"] = int(drawn.meta["not_finite"])
            background, given = replace(background, drawn=template), {**given, "template": mass_key, "n": n}
            entries.append(drawn)
        return background, entries, given

    def _pool(self, dataset: Dataset, prep: Preprocess, background: Background | None) -> Pool:
        window = self.config.window
        folds = self.config.scorer.folds if self._part("scorer").instance.trains else 1
        rng = RunContext(seed=self.config.data_seed, scope=("folds",)).rng

        def inside(sample: Sample) -> Sample:
            return sample if window is None else sample[window.contains(sample.m)]

        test = inside(dataset.test)
        template = background.drawn if background is not None else None
        strata = np.zeros(len(dataset.events), bool) if window is None else window.contains(dataset.events.m)
        return Pool(
            events=prep.apply(dataset.events),
            fold=assign(strata, folds, rng("events")),
            test=prep.apply(test),
            test_fold=assign(test.truth if test.truth is not None else np.zeros(len(test), np.int8), folds, rng("test")),
            reference=prep.apply(inside(dataset.reference)) if dataset.reference is not None else None,
            template=template,
            template_fold=assign(np.zeros(0 if template is None else len(template), np.int8), folds, rng("template")),
            window=window,
        )

    def _score(
        self,
        pool: Pool,
        background: Background | None,
        shop: Workshop,
        folds: int,
        given: Mapping[str, Any],
        dataset: Dataset,
        prep: Preprocess,
    ) -> tuple[Scored, dict[str, float], list[Entry]]:
        scorer = self._part("scorer")
        score = np.full(len(pool.events), np.nan, np.float32)
        test_score = np.full((len(pool.test), folds), np.nan, np.float32)
        template_score = np.full(len(pool.template_fold), np.nan, np.float32)
        summaries, entries = [], []
        for k in range(folds):
            done = stages.score_fold(shop, scorer, pool, background, k, folds, given)
            score[pool.fold == k] = done.events
            test_score[:, k] = done.test
            template_score[pool.template_fold == k] = done.template
            summaries.append(done.summary)
            entries.append(done.entry)
        summary = {name: float(np.mean([s[name] for s in summaries])) for name in summaries[0]}
        scored = Scored(
            events=replace(pool.events, x=dataset.events.x),
            score=score,
            fold=pool.fold,
            test=dataset.test if pool.window is None else dataset.test[pool.window.contains(dataset.test.m)],
            test_score=test_score,
            features=dataset.features,
            window=pool.window,
            template=None if pool.template is None else prep.undo(pool.template),
            template_score=None if pool.template is None else template_score,
            template_fold=None if pool.template is None else pool.template_fold,
            mass=dataset.mass,
            unit=dataset.unit,
        )
        return scored, summary, entries

    def _metrics(self, scored: Scored, context: RunContext) -> tuple[dict[str, float], dict[str, str]]:
        has = {"truth"} if scored.events.truth is not None else set()
        has |= {"template"} if scored.template is not None else set()
        metrics: dict[str, float] = {}
        skipped: dict[str, str] = {}
        for name in self.config.metrics.names:
            record = self.registry.get("metric", name).component
            metric = self.registry.load(record)(self.config.metrics.values[name])
            if missing := set(metric.needs) - has:
                skipped[name] = f"needs {', '.join(sorted(missing))}"
                continue
            metrics |= metric.compute(scored, replace(context, scope=("metric", name), stage="metrics"))
        return {name: round(float(value), 6) for name, value in metrics.items() if np.isfinite(value)}, skipped

    def _write(self, scored: Scored, metrics: Mapping[str, float]) -> list[Path]:
        from adtoolkit.plots import draw_all

        folder = self.folder.path
        write_arrays(
            folder / "scores.h5",
            {
                "events/m": scored.events.m,
                "events/score": scored.score,
                "events/fold": scored.fold,
                "events/truth": scored.events.truth,
                "test/m": scored.test.m,
                "test/score": scored.test_score,
                "test/truth": scored.test.truth,
                "template/m": None if scored.template is None else scored.template.m,
                "template/score": scored.template_score,
                "template/fold": scored.template_fold,
            },
        )
        if scored.template is not None:
            write_arrays(folder / "background.h5", {"x": scored.template.x, "m": scored.template.m}, features=list(scored.features))
        write_atomic(folder / "metrics.json", json.dumps(metrics, indent=1))
        return draw_all(scored, metrics, folder)


def count_events(dataset: Dataset, window: Window | None) -> dict[str, int]:
    """How many events there are of each kind."""
    events = dataset.events
    inside = np.ones(len(events), bool) if window is None else window.contains(events.m)
    counts = {"data": len(events), "data in window": int(inside.sum())}
    if events.truth is not None:
        counts |= {"signal in data": int((events.truth == 1).sum()), "signal in window": int((events.truth[inside] == 1).sum())}
    test = dataset.test
    if test.truth is not None and len(test):
        kept = np.ones(len(test), bool) if window is None else window.contains(test.m)
        counts["test signal in window"] = int((test.truth[kept] == 1).sum())
        counts["test background in window"] = int((test.truth[kept] == 0).sum())
    if dataset.reference is not None:
        counts["reference"] = len(dataset.reference)
    return counts
