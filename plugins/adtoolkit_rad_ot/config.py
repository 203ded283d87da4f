"""Options of the estimator ``rad-ot``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field, PositiveInt

from adtoolkit.config import ComponentConfig


class RadOtConfig(ComponentConfig):
    """Which events are paired, and in what portions.

    Sidebands are narrow, since within them the features move with m. The preset ``paper`` stands for the defaults.

    Attributes:
        width: How far the sidebands reach on each side of the window, in the unit of m; 0 stands for the window's own width.
        block: Events of the larger side that are matched at once; the cost of exact transport grows faster than its square.
        repeats: How often all events are matched anew, in other random blocks: each gives about as many pairs as there are events.
        groups: Events are split into so many groups first, and matched within them. A search needs as many as it has folds, since
            template events of one group stay together; more make smaller blocks, with pairs further apart.
    """

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"smoke": {"block": 500, "repeats": 2}}

    width: float = Field(default=0.0, ge=0.0, allow_inf_nan=False)
    block: int = Field(default=2000, ge=50, le=20_000)
    repeats: PositiveInt = 4
    groups: int = Field(default=5, ge=1, le=100)
