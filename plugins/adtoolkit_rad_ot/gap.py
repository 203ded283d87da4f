"""Where the window is, seen from the events outside it: an estimator of the sidebands is not told."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from adtoolkit.errors import DataError

#: Neighbours on each side that measure how dense the masses are: a hundredth of the events, within these bounds.
_FEWEST, _MOST = 25, 200

#: Masses that must be missing in a gap. By chance a gap as long as s mean spacings occurs once in exp(s) spacings: never at 25.
MISSING: Final = 25.0

_FIX: Final = "Choose a window with events on both sides: --window LO HI"


def find_gap(m: NDArray[Any]) -> tuple[float, float]:
    """The two ends of the interval in which the most masses are missing, as told by how dense they are beside it.

    A tail has wide gaps too, but few masses would be missing there; an end of the spectrum has neighbours on one side only. The
    smaller of the two densities counts, so that a steep edge of the spectrum is not taken for a gap. Equal masses count once, so
    that rounded ones may be used.

    Args:
        m: [N] masses, in any order.

    Raises:
        DataError: if no gap stands out, or there are too few events to tell.
    """
    masses = np.unique(m.astype(np.float64))
    k = int(np.clip(len(masses) // 100, _FEWEST, _MOST))
    if len(masses) < 2 * k:
        message = f"RAD-OT finds the window as a gap between masses; {len(m)} sideband events with {len(masses)} masses are too few for it."
        raise DataError(message, _FIX)
    last = np.arange(k - 1, len(masses) - k)  # index of the last mass below each gap that has k masses on both sides
    spacing_below = (masses[last] - masses[last - k + 1]) / (k - 1)
    spacing_above = (masses[last + k] - masses[last + 1]) / (k - 1)
    missing = (masses[last + 1] - masses[last]) / np.maximum(spacing_below, spacing_above)
    best = int(np.argmax(missing))
    if missing[best] < MISSING:
        message = (
            f"RAD-OT pairs events below and above a gap in the masses, but those of the {len(m)} sideband events, "
            f"{masses[0]:g} to {masses[-1]:g}, have no gap with {k} different masses on each side: one side may be empty."
        )
        raise DataError(message, _FIX)
    return float(masses[last[best]]), float(masses[last[best] + 1])
