"""The arrays of the CATHODE repository: rows of (m, features, label), one ``.npy`` per split, or a folder of them.

Layout and file names follow arXiv:2109.00546's public data preparation (``separated_data``): ``outerdata_*`` and
``innerdata_{train,val}`` are the data, ``innerdata_extrabkg_*`` is background known as such, and ``innerdata_test`` and
``innerdata_extrasig_*`` are labelled events outside the data.
"""

from __future__ import annotations

from collections.abc import Iterable, MutableMapping
from pathlib import Path

import numpy as np

from adtoolkit.data.checks import as_truth, finite_rows
from adtoolkit.data.config import DIJET_FEATURES
from adtoolkit.data.readers import file_format, load_numpy
from adtoolkit.data.split import Pool
from adtoolkit.errors import DataError, UnknownNameError
from adtoolkit.types import Sample


def read_cathode(
    path: Path, features: tuple[str, ...], drop_invalid: bool, counts: MutableMapping[str, int]
) -> tuple[Pool, tuple[str, ...]]:
    """Events of one array, or of a folder of arrays, and the names of their features.

    Raises:
        DataError: if files are missing, damaged or have another layout.
        UnknownNameError: if a feature is not in the arrays.
    """
    files = sorted(path.glob("*.npy")) if path.is_dir() else [path]
    width = 0
    groups: dict[str, list[Sample]] = {"data": [], "extra": [], "held": []}
    for file in files:
        role = _role(file.stem) if path.is_dir() else "data"
        if not role:
            continue
        sample = _read(file, drop_invalid, counts)
        if width and sample.x.shape[1] != width:
            raise DataError(
                f"{file} has {sample.x.shape[1]} features where the other arrays have {width}.",
                "Keep arrays of one preparation in a folder.",
            )
        width = sample.x.shape[1]
        groups[role].append(sample)
    if not groups["data"]:
        raise DataError(
            f"The folder {path} holds no data arrays such as innerdata_train.npy; it holds {', '.join(f.name for f in files) or 'none'}.",
            "Name the folder that CATHODE's data preparation wrote.",
        )
    names = DIJET_FEATURES[:width]
    for name in features:
        if name not in names:
            raise UnknownNameError("feature", name, list(names))
    wanted = features or names
    data, extra, held = (_join(samples, [names.index(name) for name in wanted]) for samples in groups.values())
    if data is None:  # pragma: no cover - checked above
        raise DataError(f"{path} holds no data.")
    if extra is not None and extra.truth is not None and extra.truth.any():
        raise DataError(f"The extra background of {path} holds {int(extra.truth.sum())} signal events.", "Prepare it again.")
    return Pool(data, extra, held), wanted


def _role(stem: str) -> str:
    if stem.startswith("innerdata_extrabkg"):
        return "extra"
    if stem.startswith("innerdata_extrasig") or stem == "innerdata_test":
        return "held"
    return "data" if stem.startswith(("innerdata_", "outerdata_")) else ""


def _read(path: Path, drop_invalid: bool, counts: MutableMapping[str, int]) -> Sample:
    if file_format(path) != "npy":
        raise DataError(f"{path} is not a numpy array.", "Name a .npy file or the folder that holds them.")
    rows = load_numpy(path)
    if rows.ndim != 2 or rows.dtype.kind != "f" or not 6 <= rows.shape[1] <= len(DIJET_FEATURES) + 2:
        raise DataError(
            f"{path} has the shape {rows.shape} ({rows.dtype}); rows of m, 4 or 5 features and a label are needed.",
            "Name an array of CATHODE's data preparation.",
        )
    names = ("m", *DIJET_FEATURES[: rows.shape[1] - 2])
    rows = rows[finite_rows({name: rows[:, i] for i, name in enumerate(names)}, drop_invalid, counts)]
    return Sample(rows[:, 1:-1], rows[:, 0], truth=as_truth(f"last of {path.name}", rows[:, -1]))


def _join(samples: Iterable[Sample], columns: list[int]) -> Sample | None:
    samples = list(samples)
    if not samples:
        return None
    joined = Sample.concat(*samples)
    return Sample(np.asarray(joined.x[:, columns]), joined.m, truth=joined.truth)
