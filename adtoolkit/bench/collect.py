"""What a bench has found so far: long records, and a table that says of how many seeds it speaks."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

from adtoolkit.bench.folder import BenchFolder, State, read_json
from adtoolkit.store import disk_errors, write_atomic

if TYPE_CHECKING:
    from adtoolkit.bench.cells import Cell


@dataclass(frozen=True)
class Record:
    """One number.

    Attributes:
        cell: Name of the cell, the same for all seeds.
        axes: Its parts, window and options.
        seed: Its seed.
        metric: Name of the metric.
        value: The number.
    """

    cell: str
    axes: dict[str, Any]
    seed: int
    metric: str
    value: float


@dataclass(frozen=True)
class Row:
    """A cell over its seeds.

    Attributes:
        cell: Its name.
        axes: Its parts, window and options.
        seeds: How many there are.
        ok: How many have results.
        failed: How many failed.
        values: Metric -> one number per seed that has it.
    """

    cell: str
    axes: dict[str, Any]
    seeds: int
    ok: int
    failed: int
    values: dict[str, list[float]]

    def as_json(self) -> dict[str, Any]:
        """With the median of each metric, and of how many seeds it is."""
        metrics = {
            name: {"median": median(values), "min": min(values), "max": max(values), "n": len(values)}
            for name, values in self.values.items()
        }
        about = {"cell": self.cell, "axes": self.axes, "n_ok": self.ok, "n_failed": self.failed, "n_seeds": self.seeds}
        return about | {"complete": self.ok == self.seeds, "metrics": metrics}


def collect(folder: BenchFolder, cells: Sequence[Cell], states: dict[str, State]) -> list[Record]:
    """The records of all cells that are done."""
    records = []
    for cell in cells:
        if states[cell.digest].status != "done":
            continue
        metrics, _ = read_json(folder.runs / cell.run / "metrics.json")
        records += [
            Record(cell.name, dict(cell.axes), cell.seed, name, float(value))
            for name, value in (metrics or {}).items()
            if isinstance(value, int | float)
        ]
    return records


def notes_of(folder: BenchFolder, cells: Sequence[Cell], states: Mapping[str, State]) -> list[list[str]]:
    """What each cell that is done told its reader."""
    manifests = (read_json(folder.runs / cell.run / "manifest.json")[0] for cell in cells if states[cell.digest].status == "done")
    return [list(map(str, (manifest or {}).get("notes") or ())) for manifest in manifests]


def tabulate(cells: Sequence[Cell], states: dict[str, State], records: Sequence[Record]) -> list[Row]:
    """A row per cell that can run, over its seeds."""
    rows: dict[str, Row] = {}
    for cell in cells:
        status = states[cell.digest].status
        if status == "blocked":
            continue
        row = rows.get(cell.name) or Row(cell.name, dict(cell.axes), 0, 0, 0, {})
        rows[cell.name] = Row(row.cell, row.axes, row.seeds + 1, row.ok + (status == "done"), row.failed + (status == "failed"), row.values)
    for record in records:
        rows[record.cell].values.setdefault(record.metric, []).append(record.value)
    return list(rows.values())


def write_records(folder: BenchFolder, records: Sequence[Record]) -> None:
    """records.json and records.csv, a line per number."""
    axes = list(dict.fromkeys(axis for record in records for axis in record.axes))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["cell", *axes, "seed", "metric", "value"])
    for record in records:
        writer.writerow([record.cell, *(_flat(record.axes.get(axis)) for axis in axes), record.seed, record.metric, repr(record.value)])
    with disk_errors(folder.path):
        write_atomic(folder.path / "records.csv", text.getvalue())
        write_atomic(folder.path / "records.json", json.dumps([vars(record) for record in records], indent=0, default=str))


def _flat(value: Any) -> str:
    return "" if value is None else " ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
