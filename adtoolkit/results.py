"""What a run makes of its scores: metrics, tables of events, pictures."""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from adtoolkit.arrays import write_arrays
from adtoolkit.context import RunContext
from adtoolkit.scored import Control, Scored
from adtoolkit.store import write_atomic
from adtoolkit.types import Array


@dataclass(frozen=True)
class RunResult:
    """What a run gives back.

    Attributes:
        status: ``done``.
        run: Its folder.
        metrics: Flat names to numbers, as in metrics.json.
        events: Counts of events, dropped and clipped ones included.
        times: Seconds per stage; a reused stage counts with what it took this time.
        skipped: Metric -> why it could not be computed.
        notes: What a reader should know.
        pictures: Files drawn.
        manifest: All that manifest.json says.
    """

    status: str
    run: Path
    metrics: Mapping[str, float]
    events: Mapping[str, int]
    times: Mapping[str, float]
    skipped: Mapping[str, str]
    notes: tuple[str, ...] = ()
    pictures: tuple[Path, ...] = ()
    manifest: Mapping[str, Any] = field(default_factory=dict)


class Results:
    """Collects numbers and files; a metric or a picture that fails loses only itself.

    Attributes:
        metrics: Flat names to numbers.
        skipped: Metric -> why it has none.
        pictures: Files drawn.
        failures: Tracebacks of what failed, by name.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.metrics: dict[str, float] = {}
        self.skipped: dict[str, str] = {}
        self.pictures: list[Path] = []
        self.failures: dict[str, str] = {}

    def measure(self, metrics: Mapping[str, Any], scored: Scored, context: RunContext) -> None:
        """Compute each metric that can be computed. Eight digits are kept."""
        has = {"truth"} if scored.events.truth is not None else set()
        has |= {"template"} if scored.template is not None else set()
        has |= {"log-ratio"} if scored.log_ratio else set()
        for name, metric in metrics.items():
            if missing := set(metric.needs) - has:
                self.skipped[name] = f"needs {', '.join(sorted(missing))}"
                continue
            values = self._guarded(name, lambda m=metric, n=name: _numbers(m.compute(scored, context.child(n))))  # type: ignore[misc]
            for key, value in (values or {}).items():
                if key in self.metrics:
                    context.note(f"Two metrics give '{key}'; that of '{name}' is kept.")
                if np.isfinite(value):
                    self.metrics[key] = float(f"{value:.8g}")
                else:
                    context.note(f"'{name}' gave {value} for {key}, which is left out.")
        write_atomic(self.folder / "metrics.json", json.dumps(self.metrics, indent=1))

    def draw(self, scored: Scored, title: str, context: RunContext) -> None:
        """Draw the pictures; the title says what was searched, and how. One that fails is noted: the numbers stand without it."""
        from adtoolkit.plots import draw_all

        def lost(name: str, error: Exception) -> None:
            context.note(f"The picture {name} could not be drawn: {' '.join(f'{type(error).__name__}: {error}'.split())}.")

        self.pictures = draw_all(scored, self.metrics, self.folder, title, lost)

    def _guarded(self, name: str, work: Callable[[], Any]) -> Any:
        try:
            return work()
        except Exception as error:  # noqa: BLE001  # hours of training do not end because a metric fails
            self.skipped[name] = f"failed: {type(error).__name__}: {error}"
            self.failures[name] = "".join(traceback.format_exception(error))
            return None


def _numbers(values: Mapping[str, Any]) -> dict[str, float]:
    return {str(name): float(value) for name, value in values.items()}


def write_scores(folder: Path, scored: Scored) -> None:
    """scores.h5, and background.h5 where there is a template."""
    write_arrays(
        folder / "scores.h5",
        {
            "events/row": scored.events.row,
            "events/m": scored.events.m,
            "events/score": scored.score,
            "events/fold": scored.fold,
            "events/truth": scored.events.truth,
            "events/weight": scored.events.weight,
            "events/outside": scored.outside,
            "test/m": scored.test.m,
            "test/score": scored.test_score,
            "test/truth": scored.test.truth,
            "test/weight": scored.test.weight,
            "template/m": None if scored.template is None else scored.template.m,
            "template/score": scored.template_score,
            "template/fold": scored.template_fold,
            **({} if scored.control is None else _control_arrays(scored.control)),
        },
    )
    if scored.template is not None:
        write_arrays(folder / "background.h5", {"x": scored.template.x, "m": scored.template.m}, features=list(scored.features))
    if scored.signal is not None:
        write_arrays(folder / "signal.h5", {"x": scored.signal.x, "m": scored.signal.m}, features=list(scored.features))


def _control_arrays(control: Control) -> dict[str, Array]:
    names = ("m", "score", "fold", "weight", "template_m", "template_score", "template_fold")
    return {f"control/{name}": getattr(control, name) for name in names}
