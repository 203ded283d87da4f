"""For which control regions a cell trains its background model anew, as far as that can be told without its data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adtoolkit.capabilities import Cap
from adtoolkit.mix import Plan
from adtoolkit.plugin import Region

if TYPE_CHECKING:
    from adtoolkit.bench.cells import Cell
    from adtoolkit.registry import Registry
    from adtoolkit.types import Window


def beside(registry: Registry, cell: Cell) -> tuple[Window, ...]:
    """Control regions beside the window of a cell whose model is one of the sidebands; none where the cell has none."""
    plan, config = cell.outcome, cell.config
    if not isinstance(plan, Plan) or plan.region is not Region.SIDEBAND or Cap.SAMPLE not in plan.background:
        return ()
    if config.window is None or not config.template.refit:
        return ()
    from adtoolkit.control import control_width, regions

    metrics = [registry.load(registry.get("metric", name).component) for name in config.metrics.names]
    width = control_width(config.template, metrics, plan.scorer, registry.load(plan.scorer))
    return regions(config.window, width) if width else ()
