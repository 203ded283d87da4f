"""The state of a training on disk, so that a killed one goes on where it was."""

from __future__ import annotations

import os
import pickle
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch


class Checkpoint:
    """One file, replaced atomically every so many seconds.

    Args:
        path: The file.
        seconds: Least time between two writes; 0 writes none.
        identity: What the training depends on; a file with another identity is not read.
        device: Where its tensors go when read.
    """

    def __init__(self, path: Path, seconds: float, identity: str, device: torch.device) -> None:
        self.path, self.seconds, self.identity, self.device = path, seconds, identity, device
        self._last = time.monotonic()

    def read(self, note: Callable[[str], None]) -> dict[str, Any] | None:
        """The state, or None where there is none that fits; a damaged file is told of and ignored."""
        if not self.seconds or not self.path.exists():
            return None
        try:
            state = torch.load(self.path, map_location=self.device, weights_only=True)
        except torch.OutOfMemoryError:  # a RuntimeError too, but no damage
            raise
        except (OSError, RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError):
            note(f"The checkpoint {self.path.name} is damaged: the training starts anew.")
            return None
        if not isinstance(state, dict) or state.get("identity") != self.identity:
            note(f"The checkpoint {self.path.name} belongs to another training: this one starts anew.")
            return None
        return state

    def due(self) -> bool:
        """Whether it is time for the next write."""
        return self.seconds > 0 and time.monotonic() - self._last >= self.seconds

    def write(self, state: dict[str, Any]) -> None:
        """Replace the file; a full disk is the runner's to report when it stores the result, not a reason to stop a training."""
        if not self.seconds:
            return
        part = self.path.with_name(self.path.name + ".part")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            torch.save({**state, "identity": self.identity}, part)
            os.replace(part, self.path)  # noqa: PTH105 - the atomic one
        except (OSError, RuntimeError):
            part.unlink(missing_ok=True)
        self._last = time.monotonic()
