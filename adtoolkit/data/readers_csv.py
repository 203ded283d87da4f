"""Columns of a text file with a header line."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Final

import numpy as np

from adtoolkit.data.readers import Choose, Column, unique_names
from adtoolkit.errors import DataError

_CHUNK: Final = 50_000  # rows held as Python strings at a time
_MISSING: Final = frozenset({"", "na", "n/a", "nan", "null", "none", "-nan", "nan(ind)"})


def read_csv(path: Path, choose: Choose) -> dict[str, Column]:
    """Columns of a CSV file (comma, semicolon or tab; a ``#`` before the header is allowed).

    Whole numbers become int64, numbers float64, everything else text; an empty field is NaN.

    Raises:
        DataError: if there is no header, or a line has another number of fields than the header.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            first = stream.readline()
            separator = max(",;\t", key=first.count)
            header = [name.strip() for name in next(csv.reader([first.lstrip("# ")], delimiter=separator), [])]
            if not header or all(_is_number(name) for name in header):
                raise DataError(
                    f"The first line of {path} does not name the columns.", "Write the names, separated by commas, in the first line."
                )
            names = unique_names(path, header)
            wanted = list(choose(names))
            places = [names.index(name) for name in wanted]
            parts: list[list[Column]] = [[] for _ in wanted]
            lines = csv.reader(stream, delimiter=separator, skipinitialspace=True)
            while rows := list(islice(lines, _CHUNK)):
                good = [row for row in rows if len(row) == len(names)]
                if len(good) != len(rows):
                    good = _without_blank_lines(path, rows, len(names), lines.line_num - len(rows) + 2)
                if not good:
                    continue
                fields = list(zip(*good, strict=True))
                for part, place in zip(parts, places, strict=True):
                    part.append(_convert(fields[place]))
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} is not a text file with columns: {error}.", "Known are HDF5, npz, npy, CSV, Parquet and ROOT.") from error
    return {name: _join(part) for name, part in zip(wanted, parts, strict=True)}


def _without_blank_lines(path: Path, rows: list[list[str]], n_fields: int, first_line: int) -> list[list[str]]:
    for number, row in enumerate(rows, first_line):
        if len(row) != n_fields and any(field.strip() for field in row):
            raise DataError(
                f"Line {number} of {path} has {len(row)} fields where the header names {n_fields}.",
                "Is the file cut short, or the separator mixed?",
            )
    return [row for row in rows if len(row) == n_fields]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _convert(fields: Sequence[str]) -> Column:
    """Text -> int64, float64 or text. int() and float() of Python are faster than numpy's own conversion from text."""
    if fields[0].strip().lstrip("+-").isdigit():
        try:
            return np.array(list(map(int, fields)), dtype=np.int64)
        except (ValueError, OverflowError):
            pass
    try:
        return np.array(list(map(float, fields)))
    except ValueError:
        pass
    try:
        return np.array([np.nan if field.strip().lower() in _MISSING else float(field) for field in fields])
    except ValueError:
        return np.array(fields, dtype=np.str_)


def _join(parts: list[Column]) -> Column:
    if not parts:
        return np.empty(0)
    if any(part.dtype.kind == "U" for part in parts):
        parts = [part.astype(np.str_) for part in parts]
    return np.concatenate(parts)
