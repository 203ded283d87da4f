"""Where control regions lie and what is trained for them, as far as that can be told without the data."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

from adtoolkit.capabilities import Cap
from adtoolkit.plugin import Component, Region
from adtoolkit.types import Window

if TYPE_CHECKING:
    from adtoolkit.interfaces import BackgroundEstimator, Metric, Scorer
    from adtoolkit.mix import Plan
    from adtoolkit.registry import Registry
    from adtoolkit.runconfig import RunConfig, TemplateTable

#: Between window and control region, in widths of the window: room for an anchor, and for signal that leaks out of the window.
GAP: Final = 0.25


def control_width(
    table: TemplateTable,
    metrics: Iterable[Metric[Any] | type[Metric[Any]]],
    record: Component,
    scorer: Scorer[Any],
    note: Callable[[str], None] = lambda _: None,
) -> float:
    """How wide the control regions are, in widths of the window; 0 for none: no metric wants them, or the scorer learns from truth.

    Scorers of the window alone train densities, which takes long: by default they are not trained there, and a note says so.
    """
    if Cap.TRUTH in record.needs or not any("control" in metric.wants for metric in metrics):
        return 0.0
    if table.control != "auto":
        return table.control
    if scorer.outside or not scorer.trains:
        return 1.0
    note(f"No control regions: '{record.name}' would be trained three times as often. To have them: --set template.control=1")
    return 0.0


def regions(window: Window, width: float) -> tuple[Window, Window]:
    """One on each side of the window, ``width`` times as wide."""
    gap, wide = GAP * window.width, width * window.width
    ends = [(window.lo - gap - wide, window.lo - gap), (window.hi + gap, window.hi + gap + wide)]
    # without rounding errors: in a scan they may be windows of other searches, which need the same model
    low, high = (Window(float(f"{lo:.12g}"), float(f"{hi:.12g}")) for lo, hi in ends)
    return low, high


def made_anew(
    table: TemplateTable, estimator: BackgroundEstimator[Any], region: Region | None, scorer: Scorer[Any], *, of_events: bool
) -> bool | None:
    """Whether the background of a control region is a model trained anew without that region; None if there can be none.

    Anew for models of the sidebands, which describe best the events that they were trained on: those of a control region would be
    such, and those of the window are not. ``template.refit`` switches that off, but not where a scorer of the window alone divides by
    the density, nor for models that move events into the window (``of_events``) and can move none elsewhere. Models of all events are
    asked as in the window.
    """
    if estimator.made_elsewhere:
        return None
    return region is Region.SIDEBAND and (table.refit or of_events or (scorer.trains and not scorer.outside))


def trained_beside(registry: Registry, config: RunConfig, plan: Plan) -> tuple[Window, ...]:
    """The control regions without which the background model is trained anew, unless the data have too few events there."""
    if config.window is None or plan.region is not Region.SIDEBAND or Cap.SAMPLE not in plan.background or not config.template.control:
        return ()
    metrics = (registry.load(registry.get("metric", name).component) for name in reversed(config.metrics.names))
    scorer = registry.load(plan.scorer)(config.scorer.options)
    if not (width := control_width(config.template, metrics, plan.scorer, scorer)):
        return ()
    estimator = registry.load(plan.estimator)(config.estimator.options)
    anew = made_anew(config.template, estimator, plan.region, scorer, of_events=estimator.independent_groups() is not None)
    return regions(config.window, width) if anew else ()
