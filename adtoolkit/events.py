"""What a run tells while it works; heard through the hook ``adtoolkit_on_event``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened.

    Attributes:
        kind: ``started``, ``reused`` (found in the cache), ``finished``, ``failed``, ``step`` (of a training), ``note``.
        stage: ``data``, ``fit``, ``template``, ``score`` or ``metrics``.
        label: What of the stage: a component's name, a fold.
        values: Numbers that go with it: ``step``, ``steps``, ``loss``, ``seconds``.
        text: A sentence for the reader; only for notes and failures.
    """

    kind: Literal["started", "reused", "finished", "failed", "step", "note"]
    stage: str
    label: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)
    text: str = ""
