"""Densities of events: where there is one at all; and, evaluated once, looked up by what the event is, for all that share them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final, final

import numpy as np
from numpy.typing import NDArray

from adtoolkit.types import Array, Mask, Sample

#: log p that models give where the density is zero or cannot be evaluated: such an event is impossible, never ordinary (p = 1).
LOWEST: Final = -1e6


def possible(log_prob: NDArray[np.floating]) -> Mask:
    """[N] -> [N]: where there is a density at all, neither NaN nor infinite nor about `LOWEST`."""
    return np.asarray(np.isfinite(log_prob) & (np.nan_to_num(log_prob, neginf=LOWEST) > 0.1 * LOWEST))


@final
@dataclass(frozen=True)
class Densities:
    """log p(x | cond) of known events.

    Attributes:
        events: [N] events; of equal ones the last counts.
        values: [N] their log densities, NaN where the model gave no number.
    """

    events: Sample
    values: Array

    @cached_property
    def _place(self) -> Mapping[bytes, int]:
        return {row: i for i, row in enumerate(_rows(self.events))}

    def look_up(self, events: Sample, evaluate: Callable[[Sample], Array]) -> Array:
        """[N] the values of events, in whatever order and selection; those that are not known are evaluated.

        Args:
            events: [N] events.
            evaluate: Called once with the unknown ones, if there are any.
        """
        place = np.fromiter((self._place.get(row, -1) for row in _rows(events)), np.int64, len(events))
        out = np.empty(len(events), self.values.dtype)
        known = place >= 0
        out[known] = self.values[place[known]]
        if not known.all():
            out[~known] = evaluate(events[~known])
        return out


def _rows(events: Sample) -> list[bytes]:
    """The content of each event: features and conditions, bit for bit."""
    table = np.ascontiguousarray(np.column_stack([events.x, events.cond]))
    rows: list[bytes] = table.view(f"V{table.shape[1] * table.itemsize}").ravel().tolist() if len(table) else []
    return rows
