"""Which way a metric is better, and which number of many to look at first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

#: Columns when none are asked for, as far as the runs have them.
USUAL: Final = ("sic@1e-1", "sic@1e-2", "sic@1e-3", "max-sic", "auc", "closure-auc")
#: Instead, where nobody knows the truth.
WITHOUT_TRUTH: Final = (
    *("excess-z-corrected@1e-1", "excess-z-corrected@1e-2", "excess-z-corrected@1e-3"),
    *("excess-z@1e-2", "sculpting-chi2"),
)
#: What the words are about when no metric is asked for: the first that the runs have.
MAIN: Final = ("sic@1e-2", "sic@1e-1", "max-sic", "auc")


@dataclass(frozen=True)
class Direction:
    """How two values of a metric are weighed against each other.

    Attributes:
        towards: ``more``, ``less``, the value ``to`` come near to, or ``neither``: it is no merit.
        to: The value that a perfect method has, where it lies in the middle.
    """

    towards: Literal["more", "less", "near", "neither"]
    to: float = 0.0

    def place(self, value: float) -> float:
        """What differences are taken of: the value, or its distance from the one that is best."""
        return abs(value - self.to) if self.towards == "near" else value

    @property
    def higher(self) -> bool:
        """Whether a larger place is better."""
        return self.towards not in {"less", "near"}


_RULES: Final[tuple[tuple[str, Direction], ...]] = (
    ("sic@", Direction("more")),
    ("max-sic-", Direction("neither")),
    ("max-sic", Direction("more")),
    ("auc", Direction("more")),
    ("rejection@", Direction("more")),
    ("closure-auc", Direction("near", 0.5)),
    ("closure-pull", Direction("less")),
    ("closure-shift", Direction("near", 0.0)),
    ("closure-width", Direction("near", 1.0)),
    ("control-bias", Direction("near", 0.0)),
    ("sculpting-chi2", Direction("less")),
)


def direction(metric: str) -> Direction:
    """Which way a metric is better; ``neither`` for one that is not known.

    Example:
        >>> direction("closure-auc")
        Direction(towards='near', to=0.5)
    """
    return next((found for start, found in _RULES if metric.startswith(start)), Direction("neither"))


def usual(metrics: Sequence[str]) -> list[str]:
    """The columns to show of these metrics."""
    for choice in (USUAL, WITHOUT_TRUTH):
        if found := [name for name in choice if name in metrics]:
            return found
    return list(metrics[:6])
