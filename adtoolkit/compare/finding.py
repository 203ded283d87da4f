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
        status = str(cell.get("status", "missing"))
        reason = " ".join(str(cell.get("reason") or cell.get("error") or "").split())
        folder = path.parent / str(cell["run"]) if cell.get("run") else None
        if folder is not None and is_run(folder):
            record = read_run(folder)
            yield record if record.ok or status == "done" else replace(record, status=status, reason=reason or record.reason)
        else:
            gone = status == "done"
            yield _planned(path, cell, "missing" if gone else status, "its run folder is gone" if gone else reason or _why(status))


def _why(status: str) -> str:
    return "it was not run yet" if status in {"missing", "planned", "run", "cached"} else "no reason was recorded"


def _planned(path: Path, cell: Mapping[str, Any], status: str, reason: str) -> RunRecord:
    axes = {f"{k}.name" if k in {"data", "estimator", "interpolator", "scorer"} else k: v for k, v in (cell.get("axes") or {}).items()}
    config = flat(axes)
    own = config.pop("seed", None)
    seed = cell.get("seed", own)
    data_seed = config.pop("data.seed", seed)
    label = ", ".join(f"{key} {value}" for key, value in config.items())
    name = str(cell.get("name") or cell.get("id") or f"{label}, seed {seed}")
    config = used(config, config.get("estimator.name") != "none")
    return RunRecord(f"{path.parent.name}: {name}", status, reason, config, whole=False, seed=seed, data_seed=data_seed)
