"""Files in the official column layout of the LHC Olympics, read into events with features."""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence
from pathlib import Path

import numpy as np

from adtoolkit.data.checks import as_float, as_truth, finite_rows
from adtoolkit.data.kinematics import JET_COLUMNS, check_jets, defined_rows, dijet_features, dijet_mass, known_feature
from adtoolkit.data.readers import read_columns
from adtoolkit.errors import DataError
from adtoolkit.types import Sample

LABEL = "label"


def read_jets(
    path: Path, features: Sequence[str], drop_invalid: bool, counts: MutableMapping[str, int], *, unlabelled: int | None = None
) -> Sample:
    """Events of a file with the columns ``pxj1 ... tau3j2`` (GeV) and, mostly, ``label``.

    Args:
        path: HDF5, npz or any other format of `adtoolkit.data.readers`.
        features: Names from `adtoolkit.data.kinematics.FEATURES`.
        drop_invalid: Drop events with NaN or infinite values instead of refusing them.
        counts: Told what was dropped or clipped.
        unlabelled: Truth of all events of a file without labels; None refuses such a file.

    Raises:
        DataError: if the file is missing, damaged, not in this layout, or holds impossible values.
        UnknownNameError: if a feature is not known.
    """
    for name in features:
        known_feature(name)

    def choose(known: list[str]) -> list[str]:
        missing = [name for name in JET_COLUMNS if name not in known]
        if missing:
            raise DataError(
                f"{path} is not in the layout of the LHC Olympics: it lacks the columns {_short(missing)} and has {_short(known)}.",
                "Look at it with 'adtool data inspect', and read other columns with --data table.",
            )
        return [*JET_COLUMNS, *([LABEL] if LABEL in known else [])]

    columns = read_columns(path, choose=choose)
    if LABEL in columns:
        truth = as_truth(LABEL, columns.pop(LABEL))
    elif unlabelled is None:
        raise DataError(f"{path} has no column 'label' that tells signal from background.", "Add it, or read the file with --data table.")
    else:
        truth = np.full(len(columns[JET_COLUMNS[0]]), unlabelled, np.int8)
    jets = {name: as_float(name, column) for name, column in columns.items()}

    row = np.arange(len(truth))
    good = finite_rows(jets, drop_invalid, counts)
    if not good.all():
        jets, truth, row = {name: column[good] for name, column in jets.items()}, truth[good], row[good]
    jets = check_jets(jets, counts)
    good = defined_rows(jets, features, counts)
    if not good.all():
        jets, truth, row = {name: column[good] for name, column in jets.items()}, truth[good], row[good]
    x = dijet_features(jets, features)
    stacked = np.column_stack(list(x.values())) if x else np.empty((len(truth), 0))
    return Sample(stacked.astype(np.float32), dijet_mass(jets).astype(np.float32), truth=truth, row=row)


def _short(names: Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name in names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
