"""What comparing knows of a run, and how it is kept: one record per run, also of those that came to nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Final

from adtoolkit.errors import DataError

#: Counts that must agree where two runs searched the same events in the same window.
COUNTS: Final = (
    "data",
    "data in window",
    "signal in data",
    "signal in window",
    "test signal in window",
    "test background in window",
)


@dataclass(frozen=True)
class RunRecord:
    """One run, finished or not.

    Attributes:
        name: How messages call it: its folder, or the cell of a benchmark.
        status: ``done``, or why there are no numbers: ``failed``, ``refused``, ``interrupted``, ``blocked``, ``missing``, ``unfinished``,
            ``unreadable``.
        reason: One line on that; empty when done.
        config: Flat configuration, ``scorer.name`` -> ``cathode``; the window as ``window`` -> ``3.3-3.7``. Without what the run does not
            use: a run that makes no background model has no interpolator.
        whole: Whether ``config`` is that of the run; of a cell that never ran only the axes are known.
        window: Ends of the signal region, where there is one.
        seed: The run's seed.
        data_seed: The seed that chose the events.
        metrics: Flat names to numbers.
        skipped: Metric -> why there is none.
        notes: What the run told its reader.
        events: Counts of events.
        digests: sha256 of the events and of the test events.
        digest: sha256 of what decides the numbers, where a benchmark recorded it.
        stages: ``fit/<key>`` -> seconds it took when it was made; a stage shared by runs has one key.
        cpu: The same in seconds of CPU, where they were recorded.
        device: Where it ran.
        version: Version and commit of the code.
        started: When.
        run: Its folder, where there is one.
    """

    name: str
    status: str = "done"
    reason: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)
    whole: bool = True
    window: tuple[float, float] | None = None
    seed: int | None = None
    data_seed: int | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    skipped: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    events: Mapping[str, int] = field(default_factory=dict)
    digests: Mapping[str, str] = field(default_factory=dict)
    digest: str = ""
    stages: Mapping[str, float] = field(default_factory=dict)
    cpu: Mapping[str, float] = field(default_factory=dict)
    device: str = ""
    version: str = ""
    started: str = ""
    run: str = ""

    @property
    def ok(self) -> bool:
        return self.status == "done"

    @property
    def replica(self) -> tuple[int | None, int | None]:
        """What tells repetitions of one configuration apart: the seed of the events and that of the run."""
        return self.data_seed, self.seed

    @property
    def parts(self) -> tuple[str, ...]:
        """Estimator, interpolator and scorer, as far as the run has them."""
        names = (self.config.get(f"{kind}.name") for kind in ("estimator", "interpolator", "scorer"))
        return tuple(str(name) for name in names if name not in {None, "none"})

    def same_events(self, other: RunRecord) -> bool:
        """Whether both searched the same events and are judged by the same; by their counts where no digest was recorded."""
        if self.digests and other.digests:
            return self.digests == other.digests
        return all(self.events.get(what) == other.events.get(what) for what in COUNTS)

    def why_not(self, metric: str) -> str:
        """Why the run has no such number."""
        made_by = max((name for name in self.skipped if metric.startswith(name)), key=len, default=None)
        if made_by is not None:
            return f"skipped: {self.skipped[made_by]}"
        told = next((note for note in self.notes if metric in note.partition(":")[0].replace(",", " ").split()), None)
        return f"left out: {told.partition(': ')[2]}" if told and "left out" in told else "not computed"


@dataclass(frozen=True)
class Records:
    """The runs to compare, in the order in which they were given.

    Attributes:
        runs: One record each.
        notes: What a reader should know of how they were found.
    """

    runs: tuple[RunRecord, ...]
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.runs)

    def __iter__(self) -> Iterator[RunRecord]:
        return iter(self.runs)

    @property
    def metrics(self) -> list[str]:
        """Every number that any run has, the ends of intervals left out."""
        names = dict.fromkeys(name for run in self.runs for name in run.metrics)
        return [name for name in names if not (name.endswith(("-lo", "-hi")) and name[:-3] in names)]

    def long(self) -> Iterator[dict[str, Any]]:
        """One row per number: ``{cell, seed, data_seed, metric, value}``."""
        for run in self.runs:
            for metric, value in run.metrics.items():
                yield {"cell": run.name, "seed": run.seed, "data_seed": run.data_seed, "metric": metric, "value": value}

    def as_list(self) -> list[dict[str, Any]]:
        """For JSON; the inverse of `from_list`."""
        return [asdict(run) for run in self.runs]

    @classmethod
    def from_list(cls, rows: object, source: Path) -> Records:
        """Records that were written before.

        Raises:
            DataError: if they were not.
        """
        if not isinstance(rows, list) or not all(isinstance(row, dict) and "name" in row for row in rows):
            raise DataError(f"'records' in {source} is no list of runs.", "Write it anew: adtool compare RUNS --format json")
        known = {f.name for f in fields(RunRecord)}
        try:
            given: list[dict[str, Any]] = [
                {k: tuple(v) if isinstance(v, list) else v for k, v in row.items() if k in known} for row in rows
            ]
            return cls(tuple(RunRecord(**row) for row in given))
        except TypeError as error:
            raise DataError(f"A run in {source} cannot be read: {error}.", "Write it anew: adtool compare RUNS --format json") from error


def read_json(path: Path) -> Any:
    """The content of a JSON file.

    Raises:
        ValueError: with one line that says what is wrong with it.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"{path.name} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ValueError(f"{path.name} is no valid JSON: {error}") from error
