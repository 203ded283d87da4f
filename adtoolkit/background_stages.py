"""What a run makes before it scores: the model, its template and densities in the window, and the same beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from adtoolkit import stages
from adtoolkit.background import Background
from adtoolkit.capabilities import Cap
from adtoolkit.control import ControlRegions, Search, check_region, draw_control, in_region
from adtoolkit.control_plan import control_width, made_anew
from adtoolkit.interfaces import DrawsFromEvents, InPhysicalUnits, Model
from adtoolkit.plugin import Region
from adtoolkit.preparation import Prepared, template_size
from adtoolkit.stages import FitJob, Workshop
from adtoolkit.store import Entry, disk_errors
from adtoolkit.types import Sample, Window

if TYPE_CHECKING:
    from adtoolkit.mass import MassModel
    from adtoolkit.mix import Plan
    from adtoolkit.runconfig import RunConfig
    from adtoolkit.scoring import Pool


@dataclass(frozen=True)
class Made:
    """The background of a run.

    Attributes:
        background: In the window.
        given: What its template was made from, for the keys of what is made from it.
        control: The same in control regions, where there are any.
        entries: All stages.
        counts: Events drawn, and dropped.
    """

    background: Background
    given: Mapping[str, Any]
    control: ControlRegions | None
    entries: tuple[Entry, ...]
    counts: Mapping[str, int]


@dataclass(frozen=True)
class BackgroundStages:
    """Makes the background of one run.

    Attributes:
        shop: Where.
        config: Of the run.
        plan: Its mix.
        prepared: Its data and parts.
        folder: The run's.
        timed: Does work and takes its time, under a stage's name.
    """

    shop: Workshop
    config: RunConfig
    plan: Plan
    prepared: Prepared
    folder: Path
    timed: Callable[[str, Callable[[], Any]], Any]

    def fit_job(self, control: Window | None = None) -> FitJob:
        """The training of the model, which other runs may share; or one for a control region.

        Raises:
            AdtoolError: if there can be none for this control region.
        """
        prepared, region, window = self.prepared, self.plan.region or Region.ALL, control or self.config.window
        if control is not None:
            check_region(prepared.dataset.events, control)
            prepared.parts["estimator"].instance.check(prepared.dataset.events.blind(), control)
        train_on = prepared.prep.apply(prepared.dataset.region(region, window))
        known = window if region is Region.SIDEBAND else None
        if control is None:
            return FitJob(self.shop, train_on, known)
        return FitJob(in_region(self.shop, control), train_on, known, f"without {control.lo:g} to {control.hi:g}")

    def make(self) -> Made:
        """Fit, bind to the window, and draw, as far as the model can."""
        config, window, dataset = self.config, self.config.window, self.prepared.dataset
        interpolator = self.prepared.parts["interpolator"]
        entry, model, fitted = self.timed("fit", self.fitted)
        scope = ("interpolator", interpolator.record.name)
        with disk_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        bound = interpolator.instance.bind(model, window, replace(self.shop.context, scope=scope, workdir=self.folder))
        inside = dataset.events if window is None else dataset.events[window.contains(dataset.events.m)]
        conditions = None if inside.context is None else inside.cond
        mass = cast("MassModel", self.prepared.mass)  # there is one wherever a background is made
        background = Background(bound, mass, conditions=conditions, weights=inside.weight, prep=self.prepared.prep)
        given: Mapping[str, Any] = {
            "fit": fitted,
            "interpolator": interpolator.identity,
            "prep": self.prepared.prep.digest,
            "mass": config.mass.model_dump(),
            "masses": dataset.events.blind().digest,
            "window": window and [window.lo, window.hi],
        }
        if Cap.SAMPLE not in self.plan.background:
            return Made(background, given, None, (entry,), {})
        n, features = template_size(config, dataset), len(dataset.features)
        drawn, template = self.timed("template", lambda: stages.draw_template(self.shop, interpolator, background, n, features, given))
        counts = {"template": len(template), "dropped: template draws not finite": int(drawn.meta["not_finite"])}
        background, given = replace(background, drawn=template), {**given, "template": drawn.digest}
        if (control := self._control(model, given)) is None:
            return Made(background, given, None, (entry, drawn), counts)
        counts["dropped: control draws not finite"] = control.not_finite
        return Made(background, given, control, (entry, drawn, *control.entries), counts)

    def with_densities(self, made: Made, pool: Pool) -> Made:
        """The background that knows the densities of all events that the folds will ask for, those in the window."""
        inside = pool.events if pool.window is None else pool.events[pool.window.contains(pool.events.m)]
        parts = [Sample(s.x, s.m, s.context) for s in (inside, pool.test, pool.template) if s is not None and len(s)]
        asked = Sample.concat(*parts)
        part = self.prepared.parts["interpolator"]
        entry = self.timed("density", lambda: stages.tabulate_densities(self.shop, part, made.background, asked, made.given))
        background = replace(made.background, known=stages.read_densities(entry, asked))
        counts = {**made.counts, "without background density": int(entry.meta["without_density"])}
        return replace(made, background=background, entries=(*made.entries, entry), counts=counts)

    def fitted(self, control: Window | None = None) -> tuple[Entry, Model, Mapping[str, Any]]:
        """The model for the window or for a control region, its stage, and what the keys of later stages name."""
        estimator, job = self.prepared.parts["estimator"], self.fit_job(control)
        entry, model, made = stages.fit_model(estimator, job)
        if isinstance(model, InPhysicalUnits):
            scope = ("estimator", estimator.record.name)
            model = model.preprocessed(self.prepared.prep, replace(job.shop.context, scope=scope))
        return entry, model, made

    def _control(self, model: Model, given: Mapping[str, Any]) -> ControlRegions | None:
        """The background in control regions, if there are to be any."""
        config, prepared, scorer = self.config, self.prepared, self.prepared.parts["scorer"]
        if config.window is None:
            return None
        note = replace(self.shop.context, stage="template").note
        width = control_width(config.template, prepared.metrics.values(), scorer.record, scorer.instance, note)
        if not width:
            return None
        estimator, interpolator = prepared.parts["estimator"], prepared.parts["interpolator"]
        of_events = isinstance(model, DrawsFromEvents)
        anew = made_anew(config.template, estimator.instance, self.plan.region, scorer.instance, of_events=of_events)
        if anew is None:
            note(f"No control regions: '{estimator.record.name}' draws from events that were made for the window.")
            return None
        blind = prepared.dataset.events.blind()

        def model_of(region: Window) -> tuple[Model, Entry | None]:
            """The window's own, or one trained without the region."""
            if not anew:
                return model, None
            entry, there, _ = self.fitted(region)
            return there, entry

        densities = Cap.LOG_PROB in scorer.record.needs
        search = Search(config.window, prepared.prep.apply(blind), width, config.template.oversample, config.mass, prepared.prep, densities)
        made: ControlRegions = self.timed("control", lambda: draw_control(self.shop, interpolator, model_of, search, given, self.folder))
        return made
