"""One run folder -> one record. A folder that is not whole gives a record that says so, never an exception."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from adtoolkit.compare.records import RunRecord, read_json

#: Tables that a run without a background model does not use.
OF_BACKGROUND: Final = ("interpolator", "mass", "template")


def is_run(folder: Path) -> bool:
    """Whether a folder is one of a run, whole or not."""
    there = (folder / "config.toml").exists()
    return (folder / "manifest.json").exists() or (there and any((folder / n).exists() for n in ("events.jsonl", "metrics.json")))


def flat(tables: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """``{"scorer": {"name": "cathode"}}`` -> ``{"scorer.name": "cathode"}``; a window becomes its label, and none is left out."""
    out: dict[str, Any] = {}
    for key, value in tables.items():
        if not prefix and key == "window" and not isinstance(value, str):
            if (ends := _ends(value)) is not None:
                out["window"] = "{:.12g}-{:.12g}".format(*ends)  # as `Window.label`, of whatever a file holds
        elif isinstance(value, Mapping):
            out |= flat(value, f"{prefix}{key}.")
        else:
            out[f"{prefix}{key}"] = value
    return out


def _ends(window: Any) -> tuple[float, float] | None:
    """Of a window as a configuration or an axis has it; None for ``none = true``."""
    if isinstance(window, Mapping) and window.get("none"):
        return None
    lo, hi = (window["lo"], window["hi"]) if isinstance(window, Mapping) else window
    return float(lo), float(hi)


def used(config: Mapping[str, Any], estimates: bool) -> dict[str, Any]:
    """The options that decide something in this run."""
    if estimates:
        return dict(config)
    kept = {key: value for key, value in config.items() if key.partition(".")[0] not in (*OF_BACKGROUND, "estimator")}
    return kept | {"estimator.name": "none"}


def read_run(folder: Path) -> RunRecord:
    """What is known of a run."""
    record = RunRecord(str(folder), run=str(folder))
    try:
        manifest, fault = _mapping(folder / "manifest.json"), ""
    except ValueError as error:
        manifest, fault = {}, str(error)
    try:
        tables = tomllib.loads((folder / "config.toml").read_text(encoding="utf-8"))
        config = flat(tables)
    except FileNotFoundError:
        return replace(record, status="unreadable", reason="config.toml is missing", whole=False)
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        return replace(record, status="unreadable", reason=f"config.toml cannot be read: {error}", whole=False)
    try:
        return _understood(record, tables, config, manifest, fault, folder)
    except (ValueError, TypeError, KeyError, AttributeError, IndexError) as error:
        return replace(record, status="unreadable", reason=f"its records cannot be understood: {type(error).__name__}: {error}")


def _understood(
    record: RunRecord, tables: Mapping[str, Any], config: dict[str, Any], manifest: Mapping[str, Any], fault: str, folder: Path
) -> RunRecord:
    """What well-formed files tell.

    Raises:
        ValueError, TypeError, KeyError, AttributeError, IndexError: if they hold something else than a run writes.
    """
    mix = manifest.get("mix") or {}
    estimates = mix["interpolator"] is not None if "interpolator" in mix else config.get("estimator.name") != "none"
    seed = config.pop("seed", None)
    data_seed = config.pop("data.seed", seed)
    window = _ends(tables["window"]) if "window" in tables else None
    record = replace(record, config=used(config, estimates), window=window, seed=seed, data_seed=data_seed)
    if fault:
        return replace(record, status="unreadable", reason=fault)
    return _told(record, manifest, folder)


def _told(record: RunRecord, manifest: Mapping[str, Any], folder: Path) -> RunRecord:
    status = str(manifest.get("status", "unknown"))
    versions = manifest.get("versions") or {}
    stages: Mapping[str, Any] = manifest.get("stages") or {}
    record = replace(
        record,
        status=status,
        skipped=dict(manifest.get("skipped") or {}),
        notes=tuple(map(str, manifest.get("notes") or ())),
        events=dict(manifest.get("events") or {}),
        digests=dict(manifest.get("digests") or {}),
        digest=str(manifest.get("digest") or ""),
        stages={key: float(stage["seconds"]) for key, stage in stages.items()},
        cpu={key: float(stage["cpu"]) for key, stage in stages.items() if "cpu" in stage},
        device=str(manifest.get("device") or ""),
        version=" ".join(str(part) for part in (versions.get("adtoolkit"), str(manifest.get("commit") or "")[:9]) if part),
        started=str(manifest.get("started") or ""),
    )
    if status == "running":
        return replace(record, status="unfinished", reason="it is still running, or was killed")
    if status != "done":
        return replace(record, reason=" ".join(str(manifest.get("error") or f"status '{status}'").split()))
    try:
        numbers = _mapping(folder / "metrics.json")
        metrics = {str(name): float(value) for name, value in numbers.items()}
    except (ValueError, TypeError) as error:
        return replace(record, status="unreadable", reason=str(error))
    return replace(record, metrics={name: value for name, value in metrics.items() if math.isfinite(value)})


def _mapping(path: Path) -> dict[str, Any]:
    content = read_json(path)
    if not isinstance(content, dict):
        raise ValueError(f"{path.name} holds no table")  # noqa: TRY004  # of the file, not of the caller
    return content
