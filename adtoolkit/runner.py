"""One run: prepare -> fit -> bind -> template -> score by folds -> metrics, pictures, folder."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from adtoolkit import scoring
from adtoolkit.background import Background
from adtoolkit.background_stages import BackgroundStages
from adtoolkit.capabilities import Cap
from adtoolkit.context import RunContext, silent
from adtoolkit.control import score_control
from adtoolkit.devices import describe_device
from adtoolkit.errors import AdtoolError, RunError
from adtoolkit.events import Event
from adtoolkit.folds import assign, template_folds
from adtoolkit.preparation import Prepared, prepare
from adtoolkit.results import Results, RunResult, write_scores
from adtoolkit.runfolder import RunFolder, folder_name
from adtoolkit.scored import Scored
from adtoolkit.scoring import Pool
from adtoolkit.stages import FitJob, Workshop
from adtoolkit.store import Entry, Overwrite, Store
from adtoolkit.types import Sample, Window

if TYPE_CHECKING:
    from adtoolkit.mix import Plan
    from adtoolkit.registry import Registry
    from adtoolkit.runconfig import RunConfig


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
        about: What else the manifest shall say.
        pictures: Whether pictures are drawn.
        inspect: Called with all that was loaded, before anything is trained; may refuse it.
    """

    config: RunConfig
    plan: Plan
    registry: Registry
    device: str
    store: Store = field(default_factory=Store)
    tell: Callable[[Event], None] = silent
    overwrite: Mapping[str, Overwrite] = field(default_factory=dict)
    about: Mapping[str, Any] = field(default_factory=dict)
    pictures: bool = True
    inspect: Callable[[Prepared], None] | None = None

    def __post_init__(self) -> None:
        c = self.config
        self.parts = (c.estimator.name, c.interpolator.name, c.scorer.name) if self.plan.estimates else (c.scorer.name,)
        window = c.window.label if c.window else ""
        self.folder = RunFolder(Path(c.run.out).expanduser() / folder_name(c.data.name, window, self.parts, c.seed, c.digest))
        self.notes: list[str] = []
        self.times: dict[str, float] = {}
        self.heard: list[Event] = []
        self.shop = Workshop(self.store, RunContext(seed=c.seed, device=self.device, tell=self._hear), self.overwrite)

    @property
    def title(self) -> str:
        """Data and method, for pictures."""
        window = f", window {self.config.window.lo:g} to {self.config.window.hi:g}" if self.config.window else ""
        return f"{self.config.data.name}{window}: {' + '.join(self.parts)}, seed {self.config.seed}"

    def execute(self) -> RunResult:
        """Do it all.

        Raises:
            AdtoolError: exit code 2 if refused before any training, 1 if it failed later; the run folder says why.
        """
        started = time.perf_counter()
        prepared = self.prepared()
        # two runs that searched and were judged by the same events can be compared pairwise
        digests = {"events": prepared.dataset.events.digest, "test": prepared.dataset.test.digest}
        about = {
            "device": self.device,
            "hardware": describe_device(self.device),
            "mix": self.plan.describe(),
            "digests": digests,
            **self.about,
        }
        with self.folder.opened(self.config.to_toml(), about, self._hear):
            for event in self.heard:
                self.folder.heard(event)
            try:
                return self._execute(prepared, started)
            except KeyboardInterrupt as error:
                self.folder.failed(error, "interrupted")
                raise
            except AdtoolError as error:
                if not self.shop.made and error.exit_code == 2:
                    self.folder.refused(error)
                    raise
                self.folder.failed(error)
                raise RunError(error.message, error.fix) from error
            except Exception as error:
                self.folder.failed(error)
                what = f"The run failed: {type(error).__name__}: {error}"
                raise RunError(what, f"See {self.folder.path / 'error.txt'}, or run with --debug.") from error

    def prepared(self) -> Prepared:
        """Load and check all that can be checked before training.

        Raises:
            AdtoolError: if it is refused.
        """
        self._hear(Event("started", "data", self.config.data.name))
        prepared: Prepared = self._timed("data", lambda: prepare(self.config, self.plan, self.registry, self.device, self._hear))
        if self.inspect is not None:
            self.inspect(prepared)
        self._hear(Event("finished", "data", self.config.data.name, {"seconds": self.times["data"]}))
        return prepared

    def fit_job(self, prepared: Prepared, control: Window | None = None) -> FitJob:
        """The training of the background model, which other runs may share; or one for a control region.

        Raises:
            AdtoolError: if there can be none for this control region.
        """
        return self._stages(prepared).fit_job(control)

    def background(self) -> None:
        """Make all that comes before the scorer, which other runs may share: model, template, densities."""
        prepared = self.prepared()
        made = self._stages(prepared).make()
        if Cap.LOG_PROB in self.plan.scorer.needs:
            self._stages(prepared).with_densities(made, self._pool(prepared, made.background, 2))

    def _stages(self, prepared: Prepared) -> BackgroundStages:
        return BackgroundStages(self.shop, self.config, self.plan, prepared, self.folder.path, self._timed)

    def _hear(self, event: Event) -> None:
        """Events before the folder is open are kept for it."""
        if self.folder.manifest:
            self.folder.heard(event)
        else:
            self.heard.append(event)
        if event.kind == "note" and event.text not in self.notes:
            self.notes.append(event.text)
        self.tell(event)

    def _timed(self, stage: str, work: Callable[[], Any]) -> Any:
        started = time.perf_counter()
        value = work()
        self.times[stage] = round(self.times.get(stage, 0.0) + time.perf_counter() - started, 3)
        return value

    def _execute(self, prepared: Prepared, started: float) -> RunResult:
        made = self._stages(prepared).make() if self.plan.estimates else None
        background = None if made is None else made.background
        folds = self.config.scorer.folds if prepared.parts["scorer"].instance.trains else 1
        pool = self._pool(prepared, background, folds)
        if made is not None and Cap.LOG_PROB in self.plan.scorer.needs:
            made = self._stages(prepared).with_densities(made, pool)
        counts, entries = dict(prepared.counts), list[Entry]()
        given: Mapping[str, Any] = {"estimator": None}
        if made is not None:
            background, given, entries = made.background, made.given, list(made.entries)
            counts.update(made.counts)
        scored, summary, score_entries = self._timed("score", lambda: self._score(prepared, pool, background, folds, given))
        entries += score_entries
        if made is not None and (there := made.control) is not None:
            part = prepared.parts["scorer"]
            control, more = self._timed("control", lambda: score_control(self.shop, part, there, folds, given))
            entries += more
            scored = replace(scored, control=control)
        if scored.outside is not None and (beyond := int(scored.outside.sum())):
            counts["data outside the trained conditions"] = beyond
            text = (
                f"{beyond:,} of {len(scored.outside):,} events have conditions beyond those of the training: their scores are extrapolated."
            )
            self._hear(Event("note", "score", text=text))

        write_scores(self.folder.path, scored)
        results = Results(self.folder.path)
        self._hear(Event("started", "metrics"))
        context = replace(self.shop.context, scope=("metric",), stage="metrics", workdir=self.folder.path)
        self._timed("metrics", lambda: results.measure(prepared.metrics, scored, context))
        if self.pictures:
            self._timed("pictures", lambda: results.draw(scored, self.title, context))
        self._hear(Event("finished", "metrics", values={"seconds": self.times["metrics"]}))
        self.times["total"] = round(time.perf_counter() - started, 3)
        self.folder.update(
            trainings=sum(e.meta["stage"] == "fit" and not e.reused for e in entries),
            scorer_trainings=sum(e.meta["stage"] == "score" and not e.reused for e in entries),
            reused=sum(e.reused for e in entries),
            stages={str(e.path.relative_to(self.store.root)): {"seconds": e.seconds, "cpu": e.cpu, "reused": e.reused} for e in entries},
            events=counts,
            times=self.times,
            scorer=summary,
            skipped=results.skipped,
            notes=self.notes,
        )
        if results.failures:
            name, trace = next(iter(results.failures.items()))
            self.folder.failed_in_part(trace, results.skipped[name])
            raise RunError(f"'{name}' {results.skipped[name]}", f"Scores and the other metrics are in {self.folder.path}.")
        self.folder.done()
        return RunResult(
            "done",
            self.folder.path,
            results.metrics,
            counts,
            self.times,
            results.skipped,
            tuple(self.notes),
            tuple(results.pictures),
            self.folder.manifest,
        )

    def _pool(self, prepared: Prepared, background: Background | None, folds: int) -> Pool:
        window, dataset, prep = self.config.window, prepared.dataset, prepared.prep
        rng = RunContext(seed=self.config.data_seed, scope=("folds",)).rng

        def inside(sample: Sample) -> Sample:
            return sample if window is None else sample[window.contains(sample.m)]

        test = inside(dataset.test)
        template = None if background is None else background.drawn
        strata = np.zeros(len(dataset.events), bool) if window is None else window.contains(dataset.events.m)
        return Pool(
            events=prep.apply(dataset.events),
            fold=assign(strata, folds, rng("events")),
            test=prep.apply(test),
            test_fold=assign(test.truth if test.truth is not None else np.zeros(len(test), np.int8), folds, rng("test")),
            reference=prep.apply(inside(dataset.reference)) if dataset.reference is not None else None,
            template=template,
            template_fold=template_folds(template, folds, rng("template")),
            window=window,
        )

    def _score(
        self, prepared: Prepared, pool: Pool, background: Background | None, folds: int, given: Mapping[str, Any]
    ) -> tuple[Scored, dict[str, float], list[Entry]]:
        dataset = prepared.dataset
        score = np.full(len(pool.events), np.nan, np.float32)
        test_score = np.full((len(pool.test), folds), np.nan, np.float32)
        template_score = np.full(len(pool.template_fold), np.nan, np.float32)
        parts: list[scoring.FoldScores] = []
        for k in range(folds):
            done = scoring.score_fold(self.shop, prepared.parts["scorer"], pool, background, k, folds, given)
            score[pool.fold == k] = done.events
            test_score[:, k] = done.test
            template_score[pool.template_fold == k] = done.template
            parts.append(done)
        names = list(dict.fromkeys(name for part in parts for name in part.summary))
        summary = {name: float(np.mean([part.summary[name] for part in parts if name in part.summary])) for name in names}
        drawn = [part.signal for part in parts if part.signal is not None]
        scored = Scored(
            events=replace(pool.events, x=dataset.events.x),
            score=score,
            fold=pool.fold,
            test=dataset.test if pool.window is None else dataset.test[pool.window.contains(dataset.test.m)],
            test_score=test_score,
            features=dataset.features,
            window=pool.window,
            template=None if pool.template is None else prepared.prep.undo(pool.template),
            template_score=None if pool.template is None else template_score,
            template_fold=None if pool.template is None else pool.template_fold,
            mass=dataset.mass,
            unit=dataset.unit,
            log_ratio=Cap.LOG_RATIO in self.plan.scorer.provides,
            fits=tuple(part.summary for part in parts),
            curves={name: tuple(part.curves[name] for part in parts if name in part.curves) for name in parts[0].curves},
            signal=prepared.prep.undo(Sample.concat(*drawn)) if drawn else None,
            outside=None if background is None else background.outside(pool.events),
        )
        return scored, summary, [part.entry for part in parts]
