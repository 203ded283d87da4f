"""The folder of a bench: runs, records of shared trainings, fingerprints of the data, and ``bench.json`` that lists every cell.

::

    runs/        run folders, as `adtool run` makes them
    fits/        a record per shared training
    data/        a fingerprint per data set and of its files, and of the files that the other parts read (files.json),
                 so that no cell meets others than those before it
    bench.json   the matrix and the state of every cell; always whole, kept current while the bench runs
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import adtoolkit
from adtoolkit.bench import sources
from adtoolkit.errors import DataError
from adtoolkit.store import disk_errors, write_atomic

if TYPE_CHECKING:
    from adtoolkit.bench.cells import Cell
    from adtoolkit.bench.matrix import Matrix

Status = Literal["done", "failed", "waiting", "blocked"]
#: What to do, besides restoring a file, once it has changed.
ELSE: Final = "use another folder (--out DIR), or compute everything again (--overwrite always)."

#: Form of bench.json; raised when a reader must change.
VERSION: Final = 1


@dataclass(frozen=True)
class State:
    """What is there of a cell.

    Attributes:
        status: ``done``, ``failed``, ``waiting`` (to be computed) or ``blocked`` (its parts cannot work together).
        error: ``name`` and ``message`` of what failed, and the ``stage``; the reason where it is blocked.
        note: What is odd about its folder.
        seconds: How long it took.
    """

    status: Status
    error: Mapping[str, str] | None = None
    note: str = ""
    seconds: float | None = None


@dataclass(frozen=True)
class BenchFolder:
    """The folder of one bench."""

    path: Path

    @property
    def runs(self) -> Path:
        return self.path / "runs"

    @property
    def there(self) -> bool:
        """Whether anything was computed here."""
        return (self.path / "bench.json").exists() or self.runs.is_dir()

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Slices of one bench run at the same time, and share its records."""
        from filelock import FileLock

        with disk_errors(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.path / ".lock")
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def finished(self, run: Path, digest: str) -> State:
        """Whether a run folder holds the results of this cell."""
        folder = self.runs / run
        manifest, trouble = read_json(folder / "manifest.json")
        if manifest is None:
            return State("waiting", note=trouble)
        if manifest.get("digest") != digest or manifest.get("status") != "done":
            return State("waiting")
        metrics, trouble = read_json(folder / "metrics.json")
        if metrics is None:
            return State("waiting", note=trouble or f"{folder / 'metrics.json'} is not there")
        for name, size in (manifest.get("sizes") or {}).items():
            if not (folder / name).exists() or (folder / name).stat().st_size != size:
                return State("waiting", note=f"{folder / name} is not whole")
        times = manifest.get("times")
        return State("done", seconds=times.get("total") if isinstance(times, dict) else None)

    def record(self) -> dict[str, Any]:
        """bench.json as it is; empty if there is none, or none that can be read."""
        return read_json(self.path / "bench.json")[0] or {}

    def states(self, cells: list[Cell]) -> dict[str, State]:
        """Digest -> what is there of each cell. Results are read from the run folders, failures from bench.json."""
        from adtoolkit.mix import Blocked

        failed = {c.get("digest"): c for c in self.record().get("cells", []) if isinstance(c, dict) and c.get("status") == "failed"}
        states = {}
        for cell in cells:
            if isinstance(cell.outcome, Blocked):
                states[cell.digest] = State("blocked", {"name": "Blocked", "message": cell.outcome.reason})
                continue
            state = self.finished(cell.run, cell.digest)
            if state.status != "done" and (last := failed.get(cell.digest)):
                state = State("failed", last.get("error"), state.note)
            states[cell.digest] = state
        return states

    def write(self, matrix: Matrix, cells: list[Cell], states: Mapping[str, State], own: set[str] | None = None) -> None:
        """Write bench.json.

        Args:
            matrix: The file.
            cells: All cells.
            states: What is there of each.
            own: Digests whose state is known here; of the others what bench.json says is kept (slices). None: all.
        """
        with self.lock(), disk_errors(self.path):
            others = {} if own is None else {c.get("digest"): c for c in self.record().get("cells", []) if isinstance(c, dict)}
            entries = []
            for cell in cells:
                if own is not None and cell.digest not in own and cell.digest in others:
                    entries.append(others[cell.digest])
                else:
                    entries.append(_entry(cell, states[cell.digest]))
            about = {"version": VERSION, "adtoolkit": adtoolkit.__version__, "file": str(matrix.file), "folder": str(self.path)}
            about |= {"updated": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "matrix": matrix.tables(), "cells": entries}
            write_atomic(self.path / "bench.json", json.dumps(about, indent=1, default=str))

    def data_record(self, key: str) -> dict[str, Any]:
        """The fingerprint of a data set: its events, and the files that they were read from; empty if there is none."""
        return read_json(self.path / "data" / f"{key}.json")[0] or {}

    def check_data(self, key: str, digest: str, what: str, files: Sequence[str] = ()) -> None:
        """Keep the fingerprint of a data set, or compare it with the one kept.

        Args:
            key: Of the data set.
            digest: Of its events.
            what: Its name, for people.
            files: What it was read from.

        Raises:
            DataError: if the same options give other events than before.
        """
        path = self.path / "data" / f"{key}.json"
        with self.lock(), disk_errors(self.path):
            kept = self.data_record(key)
            before = kept.get("files", {})
            if kept.get("events", digest) == digest:
                now = {"events": digest, "data": what, "files": sources.seen(files, before)}
                if now != kept:  # also a file whose change left the events as they were
                    path.parent.mkdir(exist_ok=True)
                    write_atomic(path, json.dumps(now))
                return
        told = "".join(f" {file} has changed: {how}." for file, how in sources.changed(before).items())
        raise DataError(
            f"The events of {what} changed since this bench began: they were {str(kept['events'])[:12]} and are {digest[:12]} now.{told}",
            f"Restore the files, {ELSE}",
        )

    def files_record(self) -> dict[str, Any]:
        """The fingerprints of the files that options of other parts than the data name; empty if there are none."""
        return self.data_record("files")

    def check_files(self, files: Sequence[str]) -> None:
        """Keep the fingerprints of files that parts other than the data read, or compare them with those kept.

        Raises:
            DataError: if one is not what it was.
        """
        with self.lock(), disk_errors(self.path):
            before = self.files_record()
            changed = sources.changed({file: before[file] for file in files if file in before})
            now = before | sources.seen(files, before)
            if not changed and now != before:
                path = self.path / "data" / "files.json"
                path.parent.mkdir(exist_ok=True)
                write_atomic(path, json.dumps(now))
        if changed:
            told = " ".join(f"{file} has changed since this bench began: {how}." for file, how in changed.items())
            raise DataError(told, f"Restore it, {ELSE}")

    def forget_data(self) -> None:
        """Everything is computed again: other events and files than before are welcome."""
        with self.lock():
            for path in (self.path / "data").glob("*.json"):
                path.unlink(missing_ok=True)

    def fit_record(self, key: str) -> dict[str, Any] | None:
        """What is known of a shared training."""
        return read_json(self.path / "fits" / f"{key}.json")[0]

    def keep_fit(self, key: str, record: Mapping[str, Any]) -> None:
        """Remember a shared training: its place in the cache, and what it took."""
        path = self.path / "fits" / f"{key}.json"
        with disk_errors(self.path):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(path, json.dumps(record, indent=1))


def read_json(path: Path) -> tuple[dict[str, Any] | None, str]:
    """A JSON object and "", or None and what is wrong with the file; nothing is wrong with one that is not there."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None, ""
    except (OSError, ValueError) as error:
        return None, f"{path} cannot be read ({type(error).__name__})"
    return (value, "") if isinstance(value, dict) else (None, f"{path} holds no table")


def _entry(cell: Cell, state: State) -> dict[str, Any]:
    """A cell as bench.json lists it."""
    return {
        "cell": cell.name,
        "axes": dict(cell.axes),
        "seed": cell.seed,
        "status": state.status,
        "run": None if state.status == "blocked" else (Path("runs") / cell.run).as_posix(),
        "error": dict(state.error) if state.error else None,
        "digest": cell.digest,
    }
