"""Columns of a file, whatever its format: told by its first bytes, read without pickles, only the columns asked for."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
from numpy.typing import NDArray

from adtoolkit.errors import DataError, MissingExtraError, UnknownNameError

Column = NDArray[Any]
#: Told the columns that are there, in order, answers with those to read.
Choose = Callable[[list[str]], Sequence[str]]

_MAGIC: Final = {
    b"\x89HDF\r\n\x1a\n": "hdf5",
    b"PK\x03\x04": "npz",
    b"PK\x05\x06": "npz",
    b"\x93NUMPY": "npy",
    b"PAR1": "parquet",
    b"root": "root",
}
_SUFFIX: Final = {".h5": "hdf5", ".hdf5": "hdf5", ".hdf": "hdf5", ".npz": "npz", ".npy": "npy", ".parquet": "parquet", ".root": "root"}
_TITLE: Final = {"hdf5": "an HDF5", "npz": "an npz", "npy": "a numpy", "parquet": "a Parquet", "root": "a ROOT", "csv": "a CSV"}


def file_format(path: Path) -> str:
    """``hdf5``, ``npz``, ``npy``, ``parquet``, ``root`` or ``csv``, by the first bytes of the file.

    Raises:
        DataError: if there is no such file, it is empty, or its name promises another format than its content.
    """
    if not path.exists():
        where = "" if path.is_absolute() else f"; it starts from {Path.cwd()}"
        raise DataError(f"There is no file {path}.", f"Check the path{where}.")
    if path.is_dir():
        raise DataError(f"{path} is a folder where a file is needed.", "Name a file in it.")
    try:
        with path.open("rb") as stream:
            head = stream.read(512)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from error
    if not head:
        raise DataError(f"{path} is empty.", "Make or download it again.")
    found = next((kind for magic, kind in _MAGIC.items() if head.startswith(magic)), None)
    promised = _SUFFIX.get(path.suffix.lower())
    if found is None and promised is not None:
        raise DataError(
            f"{path} is not {_TITLE[promised]} file, whatever its name says: it begins with {head[:8]!r}.", "Download or write it again."
        )
    if found is None and b"\0" in head:
        raise DataError(
            f"The format of {path} is not known: it begins with {head[:8]!r}.", "Known are HDF5, npz, npy, CSV, Parquet and ROOT."
        )
    return found or "csv"


def everything(known: list[str]) -> list[str]:
    """Choose all columns."""
    return known


def exactly(*names: str) -> Choose:
    """Choose these columns; an unknown one is an `UnknownNameError`, with the nearest name."""

    def choose(known: list[str]) -> list[str]:
        for name in names:
            if name not in known:
                fix = f"If it is a formula, give it a name: NAME = {name}" if any(sign in name for sign in "+-*/(") else ""
                raise UnknownNameError("column", name, known, fix)
        return list(dict.fromkeys(names))

    return choose


def read_columns(path: Path, key: str = "", choose: Choose = everything) -> dict[str, Column]:
    """Named columns of a file, each [N], in the types of the file.

    Args:
        path: HDF5 (datasets of columns, 2-D arrays with names, compound datasets, pandas 'fixed'), npz, CSV, Parquet or ROOT.
        key: Group, dataset or tree inside the file; needed only where there are several.
        choose: Which columns to read.

    Raises:
        DataError: if the file is missing, damaged, of another format, or does not hold columns of one length.
        UnknownNameError: if ``key`` or a column is not there.
        MissingExtraError: for Parquet and ROOT without their packages.
    """
    kind = file_format(path)
    if kind == "hdf5":
        from adtoolkit.data.readers_hdf5 import read_hdf5

        columns = read_hdf5(path, key, choose)
    elif kind == "csv":
        from adtoolkit.data.readers_csv import read_csv

        columns = read_csv(path, choose)
    else:
        columns = {"npz": _read_npz, "npy": _read_npy, "parquet": _read_parquet, "root": _read_root}[kind](path, key, choose)
    return check_lengths(path, columns)


def check_lengths(path: Path, columns: dict[str, Column]) -> dict[str, Column]:
    """The columns, if they are flat and of one length; a `DataError` else."""
    for name, column in columns.items():
        if column.ndim != 1 or (column.dtype == object and len(column) and isinstance(column[0], list | tuple | np.ndarray)):
            raise DataError(f"Column '{name}' of {path} has several values per event.", "Choose columns with one value per event.")
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        text = ", ".join(f"'{name}' {n}" for name, n in lengths.items())
        raise DataError(f"The columns of {path} differ in length: {text}.", "Each row must be one event.")
    return columns


def unique_names(path: Path, names: Sequence[str]) -> list[str]:
    """The names, if no two are the same; a `DataError` else."""
    twice = sorted({name for name in names if list(names).count(name) > 1})
    if twice:
        raise DataError(f"{path} has duplicated columns: {', '.join(repr(name) for name in twice)}.", "Give each column a name of its own.")
    return list(names)


def split_array(path: Path, array: Column, names: Sequence[str], choose: Choose) -> dict[str, Column]:
    """Columns of a 2-D array [N, C]."""
    if array.ndim != 2 or array.shape[1] != len(names):
        raise DataError(f"{path} names {len(names)} columns but its events have the shape {array.shape}.", "One name per column is needed.")
    names = unique_names(path, names)
    return {name: np.ascontiguousarray(array[:, names.index(name)]) for name in choose(names)}


def load_numpy(path: Path) -> Column:
    """The array of a ``.npy`` file; damage becomes a `DataError`."""
    with path.open("rb") as stream:
        return np.asarray(_load(path, stream))


def _load(path: Path, stream: IO[bytes]) -> Any:
    # numpy leaves files open that it opened itself and could not read, hence the stream.
    try:
        return np.load(stream, allow_pickle=False)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> DataError:
    if "allow_pickle" in str(error) or "Object arrays" in str(error):
        return DataError(f"{path} holds Python objects, which are not read because they could run code.", "Save plain arrays of numbers.")
    return DataError(
        f"{path} is damaged or cut short: {str(error).splitlines()[0] if str(error) else type(error).__name__}.",
        "Download or write it again.",
    )


def _read_npz(path: Path, key: str, choose: Choose) -> dict[str, Column]:
    with path.open("rb") as stream, _load(path, stream) as archive:
        try:
            if "columns" in archive.files and (key or "events") in archive.files:
                return split_array(path, archive[key or "events"], [str(name) for name in archive["columns"]], choose)
            names = sorted(archive.files) if not key else [key]
            if key and key not in archive.files:
                raise UnknownNameError("array", key, archive.files)
            arrays = {name: archive[name] for name in names} if key or len(names) == 1 else {}
            for array in arrays.values():
                if array.dtype.names:
                    return {name: array[name] for name in choose(unique_names(path, array.dtype.names))}
                if array.ndim == 2:
                    raise DataError(f"{path} does not name the columns of its array.", "Add an array 'columns' with the names.")
            return {name: archive[name] for name in choose(list(archive.files))}
        except (OSError, ValueError, EOFError, zipfile.BadZipFile, zipfile.LargeZipFile) as error:
            raise _damaged(path, error) from error
        except Exception as error:
            # zlib.error is no OSError; anything else is not ours to hide.
            if type(error).__module__ == "zlib":
                raise _damaged(path, error) from error
            raise


def _read_npy(path: Path, key: str, choose: Choose) -> dict[str, Column]:
    del key
    array = load_numpy(path)
    if not array.dtype.names:
        raise DataError(
            f"{path} is one array without names for its columns.",
            "Save it as npz with 'events' and 'columns'; arrays of the CATHODE repository are read by --data lhco.",
        )
    return {name: array[name] for name in choose(list(array.dtype.names))}


def _read_parquet(path: Path, key: str, choose: Choose) -> dict[str, Column]:
    del key
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise MissingExtraError("Reading Parquet files", "parquet") from error
    try:
        with parquet.ParquetFile(path) as file:
            names = unique_names(path, file.schema_arrow.names)
            wanted = list(choose(names))
            table = file.read(columns=wanted)
        return {name: table.column(name).to_numpy() for name in wanted}
    except (pa.ArrowException, OSError) as error:
        raise _damaged(path, error) from error


def _read_root(path: Path, key: str, choose: Choose) -> dict[str, Column]:
    try:
        import uproot
    except ImportError as error:
        raise MissingExtraError("Reading ROOT files", "root") from error
    try:
        with uproot.open(path) as file:
            if path.stat().st_size < file.file.fEND:
                raise OSError(f"{path.stat().st_size} bytes of {file.file.fEND}")
            trees = file.keys(cycle=False, filter_classname=["TTree", "*RNTuple*"])
            if key and key not in trees:
                raise UnknownNameError("tree", key, trees)
            if not key and len(set(trees)) != 1:
                raise DataError(
                    f"{path} holds {len(set(trees))} trees: {', '.join(sorted(set(trees))) or 'none'}.", "Choose one: --set data.key=NAME"
                )
            tree = file[key or trees[0]]
            names = unique_names(path, tree.keys())
            wanted = list(choose(names))
            return {name: np.asarray(tree[name].array(library="np")) for name in wanted}
    except (OSError, ValueError, uproot.DeserializationError) as error:
        raise _damaged(path, error) from error
