"""The one vocabulary of capabilities: what data offer, what models can do, what components need."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Cap(StrEnum):
    """A capability. Data sources and models provide some; components need some.

    A plugin may add its own, written ``owner:word`` (for example ``sigma:blend``), to tie its parts together.
    """

    WINDOW = "window"
    REFERENCE = "reference"
    TRUTH = "truth"
    CELLS = "cells"
    SAMPLE = "sample"
    NOISE = "noise"
    LOG_PROB = "log-prob"
    FIELD = "field"
    RECONSTRUCT = "reconstruct"
    LOG_RATIO = "log-ratio"
    SIGNAL = "signal"

    @property
    def meaning(self) -> str:
        """One line, used in messages and in the docs."""
        return MEANINGS[self]


MEANINGS: Final[dict[Cap, str]] = {
    Cap.WINDOW: "events around a signal window in m, so that sidebands exist",
    Cap.REFERENCE: "a sample of events known to be background",
    Cap.TRUTH: "truth labels, signal or background, for training",
    Cap.CELLS: "energies of calorimeter cells, left as they are",
    Cap.SAMPLE: "draws of x at given conditions",
    Cap.NOISE: "draws that are a smooth function of noise, of the same noise at every condition",
    Cap.LOG_PROB: "a density p(x | m) it can evaluate",
    Cap.FIELD: "a velocity field v(t, x | m) that carries noise to data",
    Cap.RECONSTRUCT: "a reconstruction of x from itself",
    Cap.LOG_RATIO: "scores that are the log of p(signal) / p(background), of events it was not trained on",
    Cap.SIGNAL: "draws of the signal it has learnt",
}

#: Capabilities that data have; the others belong to models and scorers.
DATA_CAPS: Final = frozenset({Cap.WINDOW, Cap.REFERENCE, Cap.TRUTH, Cap.CELLS})

#: Capabilities that scorers have.
SCORER_CAPS: Final = frozenset({Cap.LOG_RATIO, Cap.SIGNAL})

Caps = frozenset[str]
