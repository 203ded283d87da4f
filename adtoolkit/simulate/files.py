"""Files of simulated dijets: plain HDF5 with one dataset per column, and a JSON manifest beside."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any, Final

import h5py
import numpy as np
from numpy.typing import NDArray

from adtoolkit.errors import DataError
from adtoolkit.simulate.settings import COLUMNS

MANTISSA_BITS: Final = 13
"""Bits kept of the 23 of a float32, a relative precision of 6e-5, far below any resolution; the rest would not compress."""

Events = NDArray[np.float32]


def round_mantissa(values: Events, bits: int = MANTISSA_BITS) -> Events:
    """Round float32 numbers to ``bits`` bits of mantissa.

    Example:
        >>> round_mantissa(np.array([3.14159265], np.float32), 3)
        array([3.25], dtype=float32)
    """
    drop = 23 - bits
    raw = np.ascontiguousarray(values, np.float32).view(np.uint32).astype(np.uint64)
    half = np.uint64(1 << drop >> 1)
    rounded = (raw + half) >> np.uint64(drop) << np.uint64(drop)
    return rounded.astype(np.uint32).view(np.float32)


def write_events(path: Path, events: Events) -> None:
    """Write ``events`` `[N, 15]`, rounded, whole or not at all."""
    rounded = round_mantissa(events)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with h5py.File(temporary, "w", track_order=True) as file:
            for name, column in zip(COLUMNS, rounded.T, strict=True):
                file.create_dataset(name, data=column, chunks=column.shape, compression="gzip", compression_opts=9, shuffle=True)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def read_events(path: Path) -> Events:
    """Read what `write_events` wrote: `[N, 15]` in the order of `COLUMNS`.

    Raises:
        DataError: if the file is missing, damaged or lacks a column.
    """
    try:
        with h5py.File(path, "r") as file:
            return np.stack([file[name][:] for name in COLUMNS], axis=1).astype(np.float32)
    except (OSError, KeyError, ValueError) as error:
        message = f"{path} is no file of simulated dijets: {error}."
        raise DataError(message, "Make one: adtool data simulate dijets --out FILE") from error


def manifest_path(path: Path) -> Path:
    """Where the manifest of a file of events lies."""
    return path.with_suffix(".json")


def write_manifest(path: Path, manifest: dict[str, Any]) -> None:
    """Write the manifest of the events in ``path``."""
    target = manifest_path(path)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    temporary.write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    temporary.replace(target)


def read_manifest(path: Path) -> dict[str, Any]:
    """The manifest of the events in ``path``.

    Raises:
        DataError: if there is none.
    """
    try:
        manifest: dict[str, Any] = json.loads(manifest_path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        message = f"{path} has no readable manifest {manifest_path(path).name}: {error}."
        raise DataError(message, "Keep the two files together.") from error
    return manifest


def describe(path: Path, events: Events) -> dict[str, Any]:
    """What a manifest says of a file itself: size, checksum, columns, and how many events of which kind it has."""
    signal = events[:, -1] == 1.0
    mass = dijet_mass(events)
    inside = (mass > 3300.0) & (mass < 3700.0)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {
        "file": path.name,
        "sha256": digest,
        "bytes": path.stat().st_size,
        "format": f"HDF5, one float32 dataset per column (gzip, shuffle), mantissa rounded to {MANTISSA_BITS} bits",
        "columns": list(COLUMNS),
        "unit": "GeV",
        "n_qcd": int((~signal).sum()),
        "n_signal": int(signal.sum()),
        "window": [3300.0, 3700.0],
        "fraction_qcd_in_window": round(float(inside[~signal].mean()), 4) if (~signal).any() else None,
        "fraction_signal_in_window": round(float(inside[signal].mean()), 4) if signal.any() else None,
    }


def dijet_mass(events: NDArray[Any]) -> NDArray[np.float64]:
    """Invariant mass `[N]` in GeV of the two jets of ``events`` `[N, 14 or more]`."""
    first, second = events[:, 0:4].astype(np.float64), events[:, 7:11].astype(np.float64)
    energy = np.sqrt((first**2).sum(1)) + np.sqrt((second**2).sum(1))
    momentum = first[:, :3] + second[:, :3]
    mass: NDArray[np.float64] = np.sqrt(np.maximum(energy**2 - (momentum**2).sum(1), 0.0))
    return mass
