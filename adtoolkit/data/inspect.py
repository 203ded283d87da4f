"""What a file holds, and how it could be searched: columns, ranges, a guess at mass, features, truth and weights."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from adtoolkit.data.config import DIJET_FEATURES
from adtoolkit.data.expressions import Expression
from adtoolkit.data.kinematics import JET_COLUMNS, dijet_features, dijet_mass
from adtoolkit.data.readers import file_format, load_numpy, read_columns
from adtoolkit.errors import DataError

_MASSES: Final = ("mjj", "mll", "mgg", "mgammagamma", "m4l", "minv", "invmass", "invariantmass", "mass", "m")
_TRUTHS: Final = ("label", "truth", "issignal", "signal", "target", "y")
_WEIGHTS: Final = ("weight", "weights", "eventweight", "evtweight", "mcweight", "mceventweight", "genweight")
_FEATURES: Final = 6  # suggested at most; the user knows better
_PAIR_E: Final = "M = sqrt((E1+E2)**2 - (px1+px2)**2 - (py1+py2)**2 - (pz1+pz2)**2)"
_PAIR_PT: Final = "M = sqrt(2*pt1*pt2*(cosh(eta1-eta2) - cos(phi1-phi2)))"
#: How a pair moves, from which its mass does not follow; how its parts share the momentum would fix it nearly.
_MOTION: Final = {
    _PAIR_E: ("pt = sqrt((px1+px2)**2 + (py1+py2)**2)", "y = log((E1+E2+pz1+pz2) / (E1+E2-pz1-pz2)) / 2"),
    _PAIR_PT: (
        "pt = sqrt((pt1*cos(phi1)+pt2*cos(phi2))**2 + (pt1*sin(phi1)+pt2*sin(phi2))**2)",
        "pz = pt1*sinh(eta1) + pt2*sinh(eta2)",
    ),
}


@dataclass(frozen=True)
class ColumnInfo:
    """One column. ``lo`` and ``hi`` are of the finite values; None where there are none, or the column holds text."""

    name: str
    dtype: str
    lo: float | None
    hi: float | None
    invalid: int

    @property
    def constant(self) -> bool:
        return self.lo is not None and self.lo == self.hi


@dataclass(frozen=True)
class Suggestion:
    """How the file could be searched.

    Attributes:
        data: Name of the data source.
        mass: Column or formula of the mass, or in words how it is calculated; empty where nothing fits.
        features: Names of the features.
        truth: Column of the truth, or empty.
        weight: Column of the event weights, or empty.
        window: A window to begin with; an example, not a finding.
        command: The command that would follow; empty where no mass was found.
    """

    data: str
    mass: str
    features: tuple[str, ...]
    truth: str
    weight: str
    window: tuple[float, float] | None
    command: str


@dataclass(frozen=True)
class Inspection:
    """A file, and the values that a picture of it needs (``m`` [N] and ``x`` of the suggested features)."""

    path: Path
    format: str
    rows: int
    columns: tuple[ColumnInfo, ...]
    suggestion: Suggestion
    m: NDArray[Any] | None
    x: Mapping[str, NDArray[Any]]
    truth: NDArray[Any] | None

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        s = self.suggestion
        return {
            "file": str(self.path),
            "format": self.format,
            "rows": self.rows,
            "columns": [
                {"name": c.name, "dtype": c.dtype, "min": c.lo, "max": c.hi, "invalid": c.invalid, "constant": c.constant}
                for c in self.columns
            ],
            "suggestion": {
                "data": s.data,
                "mass": s.mass or None,
                "features": list(s.features),
                "truth": s.truth or None,
                "weight": s.weight or None,
                "window": list(s.window) if s.window else None,
                "command": s.command or None,
            },
        }


def inspect_file(path: Path, key: str = "") -> Inspection:
    """Read a file and say what is in it.

    Raises:
        DataError: if the file is missing, damaged, or has no named columns.
        UnknownNameError: if ``key`` is not in it.
    """
    kind = file_format(path)
    columns = _numpy_columns(path) if kind == "npy" else read_columns(path, key)
    rows = len(next(iter(columns.values()), ()))
    m: NDArray[Any] | None
    x: dict[str, NDArray[Any]]
    weight = ""
    infos = tuple(_info(name, column) for name, column in columns.items())
    if kind == "npy" and "m" in columns:
        source, mass, m, truth = "lhco", "column 1", columns["m"], "label"
        x = {name: columns[name] for name in columns if name not in ("m", "label")}
    elif all(name in columns and columns[name].dtype.kind == "f" for name in JET_COLUMNS):
        truth = "label" if "label" in columns else ""
        source, mass = ("lhco" if truth else "dijets"), "mjj [TeV], from the momenta and masses of the two jets"
        with np.errstate(all="ignore"):
            m, x = dijet_mass(columns), dijet_features(columns, DIJET_FEATURES)
    else:
        source = "table"
        mass, truth, weight = _guess_mass(columns), _guess_truth(columns), _guess_weight(columns)
        m = _evaluate(mass, columns) if mass else None
        with np.errstate(all="ignore"):
            x = {text: _evaluate(text, columns) for text in _MOTION.get(mass) or _guess_features(infos, mass, truth, columns)}
    window = _window(m) if m is not None else None
    labels = {"truth": truth, "weight": weight}
    command = _command(path, key, source, mass, x, labels, window, _invalid(m, x))
    suggestion = Suggestion(source, mass, tuple(x), truth, weight, window, command)
    drawn = {text.partition("=")[0].strip(): values for text, values in x.items()}
    return Inspection(path, kind, rows, infos, suggestion, m, drawn, columns[truth] if truth else None)


def _numpy_columns(path: Path) -> dict[str, NDArray[Any]]:
    """An array of the CATHODE repository: rows of m, features, label."""
    array = load_numpy(path)
    if array.dtype.names:
        return read_columns(path)
    if array.ndim != 2 or array.dtype.kind != "f" or array.shape[1] not in (6, 7) or not np.isin(array[:, -1], (0, 1)).all():
        raise DataError(
            f"{path} is an array of shape {array.shape} without names for its columns.",
            "Save it as npz with the arrays 'events' and 'columns'.",
        )
    return dict(zip(("m", *DIJET_FEATURES[: array.shape[1] - 2], "label"), array.T, strict=True))


def _info(name: str, column: NDArray[Any]) -> ColumnInfo:
    if column.dtype.kind not in "fiub":
        return ColumnInfo(name, "text" if column.dtype.kind in "USO" else str(column.dtype), None, None, 0)
    good = column[np.isfinite(column)] if column.dtype.kind == "f" else column
    lo, hi = (float(good.min()), float(good.max())) if len(good) else (None, None)
    return ColumnInfo(name, str(column.dtype), lo, hi, len(column) - len(good))


def _bare(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _guess_mass(columns: Mapping[str, NDArray[Any]]) -> str:
    floats = {_bare(name): name for name, column in columns.items() if column.dtype.kind == "f"}
    for name in _MASSES:
        if name in floats:
            return floats[name]
    for formula in (_PAIR_E, _PAIR_PT):
        if all(name in columns and columns[name].dtype.kind == "f" for name in Expression(formula.partition("=")[2]).names):
            return formula
    return ""


def _guess_truth(columns: Mapping[str, NDArray[Any]]) -> str:
    for wanted in _TRUTHS:
        for name, column in columns.items():
            if _bare(name) == wanted and column.dtype.kind in "fiub" and np.isin(column, (0, 1)).all():
                return name
    return ""


def _guess_weight(columns: Mapping[str, NDArray[Any]]) -> str:
    """A column of weights that can be used: it varies, and none is negative."""
    for name, column in columns.items():
        if _bare(name) in _WEIGHTS and column.dtype.kind in "fiu" and len(column) and column.min() >= 0 and np.ptp(column) > 0:
            return name
    return ""


def _guess_features(infos: Sequence[ColumnInfo], mass: str, truth: str, columns: Mapping[str, NDArray[Any]]) -> list[str]:
    """Floating-point columns that vary and are neither the mass itself nor a weight."""
    chosen: list[str] = []
    for c in infos:
        if not c.dtype.startswith("float") or c.lo is None or c.constant or c.name in {mass, truth} or _bare(c.name) in _WEIGHTS:
            continue
        if any(
            np.array_equal(columns[c.name], columns[other], equal_nan=True) for other in (*chosen, *([mass] if mass in columns else []))
        ):
            continue
        chosen.append(c.name)
    return chosen[:_FEATURES]


def _evaluate(text: str, columns: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
    """A column, or a formula of columns."""
    return columns[text] if text in columns else Expression(text.partition("=")[2])(columns)


def _invalid(m: NDArray[Any] | None, x: Mapping[str, NDArray[Any]]) -> bool:
    return any(not np.isfinite(column).all() for column in (*x.values(), *([m] if m is not None else [])))


def _window(m: NDArray[Any]) -> tuple[float, float] | None:
    """Ten per cent of the events in the middle, in round numbers."""
    good = m[np.isfinite(m)]
    if len(good) == 0 or np.ptp(good) == 0:
        return None
    lo, hi = np.quantile(good, (0.45, 0.55))
    digits = int(np.ceil(-np.log10(max(hi - lo, 1e-12)))) + 1
    lo, hi = round(float(lo), digits), round(float(hi), digits)
    return (lo, hi) if lo < hi else None


def _command(
    path: Path,
    key: str,
    source: str,
    mass: str,
    x: Mapping[str, Any],
    labels: Mapping[str, str],
    window: tuple[float, float] | None,
    invalid: bool,
) -> str:
    if not mass or not x:
        return ""
    options = {"path": str(path)}
    if source == "table":
        options |= {"key": key} if key else {}
        options |= {"mass": mass, "features": ",".join(x)} | {name: column for name, column in labels.items() if column}
    options |= {"drop_invalid": "true"} if invalid else {}
    words = ["adtool", "run", "--data", source]
    for name, value in options.items():
        words += ["--set", f"data.{name}={value}"]
    if source == "table" and window:
        words += ["--window", f"{window[0]:g}", f"{window[1]:g}"]
    return shlex.join(words)
