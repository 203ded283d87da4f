"""Where control regions lie and what is trained for them, as far as that can be told without the data."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

from adtoolkit.capabilities import Cap
from adtoolkit.plugin import Component, Region
from adtoolkit.types import Window

if TYPE_CHECKING:
    from adtoolkit.interfaces import Metric, Scorer
    from adtoolkit.mix import Plan
    from adtoolkit.registry import Registry
    from adtoolkit.runconfig import RunConfig, TemplateTable

#: Between window and control region, in widths of the window: room for an anchor, and for signal that leaks out of the window.
GAP: Final = 0.25


def control_width(
    table: TemplateTable,
    metrics: Iterable[Metric[Any] | type[Metric[Any]]],
    record: Component,
    scorer: Scorer[Any] | type[Scorer[Any]],
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
    return Window(window.lo - gap - wide, window.lo - gap), Window(window.hi + gap, window.hi + gap + wide)


def trained_beside(registry: Registry, config: RunConfig, plan: Plan) -> tuple[Window, ...]:
    """The control regions without which the background model is trained anew, unless the data have too few events there.

    None for a model that is not one of the sidebands alone: it is never evaluated inside a region.
    """
    if config.window is None or not config.template.refit or plan.region is not Region.SIDEBAND or Cap.SAMPLE not in plan.background:
        return ()
    metrics = [registry.load(registry.get("metric", name).component) for name in config.metrics.names]
    width = control_width(config.template, metrics, plan.scorer, registry.load(plan.scorer))
    return regions(config.window, width) if width else ()
