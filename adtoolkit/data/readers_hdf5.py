"""Columns of HDF5 files in the layouts that people use. Pickled attributes (PyTables, pandas 'table') are never opened."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import h5py
import hdf5plugin  # noqa: F401  registers Blosc and the other filters that pandas and PyTables compress with
import numpy as np

from adtoolkit.data.readers import Choose, Column, unique_names
from adtoolkit.errors import DataError, UnknownNameError

#: Attributes of a 2-D dataset that may name its columns, and names of datasets beside it that may.
_NAMES: Final = ("columns", "column_names", "names", "features", "fields")


def read_hdf5(path: Path, key: str, choose: Choose) -> dict[str, Column]:
    """Columns of a group or dataset; see `adtoolkit.data.readers.read_columns`."""
    try:
        with h5py.File(path, "r") as file:
            if key:
                if key not in file:
                    raise UnknownNameError("group or dataset", key, _all_names(file))
                return _read_node(path, file[key], choose)
            tables = _tables(file)
            if len(tables) != 1:
                found = ", ".join(tables or _all_names(file)) or "nothing"
                what = "several tables" if tables else "no table with named columns"
                fix = (
                    "Choose one: --set data.key=NAME"
                    if tables
                    else "Write one dataset per column, or name the columns of an array in its attribute 'columns'."
                )
                raise DataError(f"{path} holds {what}: {found}.", fix)
            return _read_node(path, file[tables[0]], choose)
    except (OSError, RuntimeError) as error:
        text = str(error).splitlines()[0]
        raise DataError(f"{path} is damaged or cut short: {text}.", "Download or write it again.") from error


def _all_names(file: h5py.File) -> list[str]:
    names: list[str] = []
    file.visit(names.append)
    return names


def _tables(group: Any) -> list[str]:
    """Names of everything below (and with) this group that holds named columns."""
    if _is_table(group):
        return [group.name]
    below: list[str] = []
    for child in group.values():
        if isinstance(child, h5py.Group) and child.name.rpartition("/")[2] != "_i_table":  # an index of PyTables
            below += _tables(child)
        elif isinstance(child, h5py.Dataset) and (child.dtype.names or _column_names(child)):
            below.append(child.name)
    return below


def _is_table(group: Any) -> bool:
    if "block0_items" in group and "axis0" in group:
        return True
    if "_i_table" in group or "table" in group:  # PyTables' own: the dataset inside is found as a compound one
        return False
    return any(
        isinstance(child, h5py.Dataset) and child.ndim == 1 and not child.dtype.names and name not in _NAMES
        for name, child in group.items()
    )


def _column_names(dataset: Any) -> list[str]:
    """Names of the columns of a 2-D dataset, from an attribute or from a dataset beside it; empty where there are none."""
    if dataset.ndim != 2:
        return []
    candidates = [dataset.attrs.get(name) for name in _NAMES] + [
        dataset.parent[name][()] for name in _NAMES if isinstance(dataset.parent.get(name), h5py.Dataset)
    ]
    for value in candidates:
        if value is None:
            continue
        names = _text(value).split(",") if isinstance(value, str | bytes) else [_text(v) for v in np.ravel(value)]
        if len(names) == dataset.shape[1]:
            return [name.strip() for name in names]
    return []


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _read_node(path: Path, node: Any, choose: Choose) -> dict[str, Column]:
    if isinstance(node, h5py.Dataset):
        return _read_dataset(path, node, choose)
    if "block0_items" in node and "axis0" in node:
        return _read_pandas(path, node, choose)
    if isinstance(node.get("table"), h5py.Dataset):
        return _read_dataset(path, node["table"], choose)
    columns = {name: child for name, child in node.items() if isinstance(child, h5py.Dataset) and child.ndim == 1}
    if not columns:
        arrays = [child for child in node.values() if isinstance(child, h5py.Dataset)]
        if len(arrays) == 1:
            return _read_dataset(path, arrays[0], choose)
        raise DataError(
            f"The group {node.name} of {path} holds no columns, only: {', '.join(node) or 'nothing'}.",
            "Name a group or dataset with data.key.",
        )
    return {name: columns[name][()] for name in choose(list(columns))}


def _read_dataset(path: Path, dataset: Any, choose: Choose) -> dict[str, Column]:
    if dataset.dtype.names:
        if any(name.startswith("values_block_") for name in dataset.dtype.names):
            raise DataError(
                f"{path} was written by pandas in its 'table' format, which keeps the column names as pickles.",
                "Write it again with format='fixed'.",
            )
        return {name: dataset.fields(name)[()] for name in choose(list(dataset.dtype.names))}
    names = _column_names(dataset)
    if not names:
        raise DataError(
            f"The dataset {dataset.name} of {path}, shape {dataset.shape}, does not name its columns.",
            "Name them in its attribute 'columns'.",
        )
    wanted = list(choose(unique_names(path, names)))
    # One read of the whole: chunked and compressed rows are decoded once, not once per column.
    array = dataset[()]
    return {name: np.ascontiguousarray(array[:, names.index(name)]) for name in wanted}


def _read_pandas(path: Path, group: Any, choose: Choose) -> dict[str, Column]:
    """pandas 'fixed' format: columns of one type share a block, stored as [rows, columns] where ``transposed`` is set."""
    known = unique_names(path, [_text(name) for name in group["axis0"][()]])
    wanted = list(choose(known))
    columns: dict[str, Column] = {}
    for block in sorted(name.removesuffix("_items") for name in group if name.startswith("block") and name.endswith("_items")):
        items = [_text(name) for name in group[f"{block}_items"][()]]
        here = [name for name in wanted if name in items]
        if not here:
            continue
        values = group[f"{block}_values"]
        if values.ndim != 2 or values.dtype.kind not in "fiub":
            raise DataError(
                f"Columns {', '.join(here)} of {path} hold Python objects, which are not read because they could run code.",
                "Save them as numbers.",
            )
        array = values[()] if values.attrs.get("transposed", 0) else values[()].T
        if array.shape[1] != len(items):
            raise DataError(f"{block} of {path} names {len(items)} columns but holds {array.shape[1]}.", "Write the file again.")
        columns |= {name: np.ascontiguousarray(array[:, items.index(name)]) for name in here}
    missing = [name for name in wanted if name not in columns]
    if missing:
        raise DataError(f"{path} lists the columns {', '.join(missing)} but does not hold them.", "Write the file again.")
    return {name: columns[name] for name in wanted}
