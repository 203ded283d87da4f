"""Where the runs are: run folders, folders of run folders, benchmark folders, files of records."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from adtoolkit.compare.reading import flat, is_run, read_run, used
from adtoolkit.compare.records import Records, RunRecord, read_json
from adtoolkit.errors import ConfigError, DataError

BENCH: Final = "bench.json"
#: How a benchmark calls a cell that was not run yet.
WAITING: Final = "waiting"
KINDS: Final = ("data", "estimator", "interpolator", "scorer")


def load(paths: Iterable[str | os.PathLike[str]]) -> Records:
    """Every run in these places, each once, in the order given (within a folder by name, in a benchmark as planned).

    Args:
        paths: Run folders, folders that hold some at any depth, benchmark folders (with ``bench.json``: cells that failed, are blocked or
            were never run become records too), or JSON files of records that ``adtool compare --format json`` wrote.

    Raises:
        ConfigError: if a path is not there, or there is no run in any.
        DataError: if a JSON file holds no records.
    """
    places = [Path(path) for path in paths]
    found: dict[str, RunRecord] = {}
    for place in places:
        if not place.exists():
            raise ConfigError(f"There is no {place}.", "Give run folders, or a folder that holds some.")
        for record in _file(place) if place.is_file() else _folder(place):
            key = str(Path(record.run).resolve()) if record.run else record.name
            found.setdefault(key, record)
    if not found:
        raise ConfigError(
            f"No runs were found in {', '.join(map(str, places)) or 'nothing'}: no folder with config.toml, manifest.json, metrics.json.",
            "Make some: adtool run, or adtool bench",
        )
    return Records(tuple(found.values()))


def _file(path: Path) -> Iterator[RunRecord]:
    try:
        content = read_json(path)
    except ValueError as error:
        raise DataError(f"{path}: {error}.", "Give run folders, or what adtool compare --format json wrote.") from error
    if isinstance(content, dict) and "cells" in content:
        yield from _bench(path, content)
    elif isinstance(content, dict) and "records" in content:
        yield from Records.from_list(content["records"], path)
    else:
        raise DataError(f"{path} holds neither 'records' nor 'cells' of a benchmark.", "Write it anew: adtool compare RUNS --format json")


def _folder(folder: Path) -> Iterator[RunRecord]:
    if (folder / BENCH).is_file():
        yield from _file(folder / BENCH)
        return
    if is_run(folder):
        yield read_run(folder)
        return
    try:
        inside = sorted(path for path in folder.iterdir() if path.is_dir() and not path.is_symlink() and path.name[:1] != ".")
    except PermissionError as error:
        raise ConfigError(f"{folder} cannot be read: {error.strerror}.") from error
    for path in inside:
        yield from _folder(path)


def _bench(path: Path, content: Mapping[str, Any]) -> Iterator[RunRecord]:
    """The cells of a benchmark. What the run folder says of a run that ended well is believed, else what the benchmark says."""
    cells = content["cells"]
    if not isinstance(cells, list) or not all(isinstance(cell, dict) for cell in cells):
        raise DataError(f"'cells' in {path} is no list of cells.", "Write it anew: adtool bench FILE --collect")
    for cell in cells:
        status = str(cell.get("status", WAITING))
        error = cell.get("error")
        told = ": ".join(str(error[k]) for k in ("name", "message") if error.get(k)) if isinstance(error, Mapping) else str(error or "")
        told = " ".join(told.split())
        folder = path.parent / str(cell["run"]) if cell.get("run") else None
        if folder is not None and is_run(folder):
            record = read_run(folder)
            stale = record.digest and cell.get("digest") and record.digest != cell["digest"]
            if record.ok and stale:
                record = replace(record, status=status if status != "done" else WAITING, reason="its run folder is of an older version")
            elif not record.ok and status not in {"done", WAITING}:
                record = replace(record, status=status, reason=told or record.reason)
            yield record
        elif status == "done":
            yield _planned(path, cell, "missing", "its run folder is gone")
        else:
            yield _planned(path, cell, status, told or ("it was not run yet" if status == WAITING else "no reason was recorded"))


def _planned(path: Path, cell: Mapping[str, Any], status: str, reason: str) -> RunRecord:
    """A cell without a run folder: what is known of it are its axes."""
    config = flat({_full(key): value for key, value in (cell.get("axes") or {}).items() if value is not None})
    config = used(config, config.get("estimator.name") != "none")
    seed = cell.get("seed", config.pop("seed", None))
    data_seed = config.pop("data.seed", seed)
    name = cell.get("cell") or ", ".join(f"{key} {value}" for key, value in config.items())
    name = f"{path.parent.name}: {name} seed {seed}"
    return RunRecord(name, status, reason, config, whole=False, seed=seed, data_seed=data_seed)


def _full(axis: str) -> str:
    """``scorer`` -> ``scorer.name``; ``scorer.cathode.members``, an option of one scorer, -> ``scorer.members``."""
    if axis in KINDS:
        return f"{axis}.name"
    table, _, key = axis.partition(".")
    return f"{table}.{key.rpartition('.')[2]}" if table in KINDS else axis
