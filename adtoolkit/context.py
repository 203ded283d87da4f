"""What the runner hands to every call of a component: named seeds, device, a folder, somebody to tell."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from adtoolkit.events import Event


def seed_of(*parts: object) -> int:
    """A 64-bit seed that depends on all the parts and on nothing else.

    Example:
        >>> seed_of(0, "split") == seed_of(0, "split") != seed_of(1, "split")
        True
    """
    return int.from_bytes(hashlib.sha256("\x1f".join(map(str, parts)).encode()).digest()[:8], "little")


def silent(event: Event) -> None:
    """Tell nobody."""


@dataclass(frozen=True)
class RunContext:
    """The core's `adtoolkit.interfaces.Context`.

    Attributes:
        seed: Base seed.
        scope: What this call is for (component, fold): part of every seed drawn from it.
        device: ``cpu``, ``cuda`` or ``mps``.
        workdir: Folder for checkpoints.
        stage: Stage reported with events.
        tell: Called with every `Event`.
    """

    seed: int = 0
    scope: tuple[str, ...] = ()
    device: str = "cpu"
    workdir: Path = field(default_factory=Path)
    stage: str = ""
    tell: Callable[[Event], None] = silent

    def rng(self, *purpose: str) -> np.random.Generator:
        return np.random.default_rng(seed_of(self.seed, *self.scope, *purpose))

    def log(self, step: int, **values: float) -> None:
        self.tell(Event("step", self.stage, "/".join(self.scope), {"step": step, **values}))

    def note(self, text: str) -> None:
        self.tell(Event("note", self.stage, "/".join(self.scope), text=text))

    def child(self, *scope: str) -> RunContext:
        """The same context for a part of the work, with seeds of its own."""
        return replace(self, scope=(*self.scope, *scope))
