"""Arrays in HDF5 files, the one format for them in caches and run folders."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from adtoolkit.types import Sample

#: Fields of a sample that are kept.
FIELDS: Final = ("x", "m", "context", "truth", "weight", "group")


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any] | None], **attributes: Any) -> None:
    """Write named arrays (``group/name`` makes groups; None is left out), whole or not at all."""
    import h5py

    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        buffer = io.BytesIO()  # HDF5 itself does not survive a full disk
        with h5py.File(buffer, "w") as file:
            for name, value in arrays.items():
                if value is not None:
                    file.create_dataset(name, data=value)
            file.attrs.update(attributes)
        temporary.write_bytes(buffer.getbuffer())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """All arrays of a file, groups flattened to ``group/name``."""
    import h5py

    found: dict[str, NDArray[Any]] = {}

    def visit(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            found[name] = np.asarray(item[()])

    with h5py.File(path, "r") as file:
        file.visititems(visit)
    return found


def sample_arrays(sample: Sample, prefix: str = "") -> dict[str, NDArray[Any] | None]:
    """The fields of a sample as arrays for `write_arrays`."""
    return {f"{prefix}{name}": getattr(sample, name) for name in FIELDS}


def to_sample(arrays: Mapping[str, NDArray[Any]], prefix: str = "") -> Sample:
    """The inverse of `sample_arrays`."""
    return Sample(**{name: arrays.get(f"{prefix}{name}") for name in FIELDS})  # type: ignore[arg-type]
