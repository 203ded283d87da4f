"""What events must be like before anything is trained on them; each fault is one sentence with numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from adtoolkit.errors import DataError
from adtoolkit.types import Array, Dataset, Sample, Window

#: Fewer events than this, in all or in the window, are refused.
MIN_EVENTS: Final = 100

#: Rounding that a tau or a mass is forgiven below zero, in the column's own unit relative to its largest value.
ROUNDING: Final = 1e-6

_NOT_NEGATIVE: Final = re.compile(r"tau_?\d+([_ ]?j?\d*)?|(inv(ariant)?_?)?m(ass)?([_ ]?j{0,2}_?\d*)?", re.IGNORECASE)


def as_float(name: str, column: NDArray[Any]) -> NDArray[np.float64]:
    """[N] float64, if the column holds floating-point numbers.

    Raises:
        DataError: for text, whole numbers and booleans, which no density over the reals describes.
    """
    kind = column.dtype.kind
    if kind == "f":
        return column.astype(np.float64)
    if kind in "iub":
        what = "true or false" if kind == "b" else "whole numbers"
        raise DataError(
            f"Column '{name}' holds {what} ({column.dtype}) where floating-point numbers are needed.",
            "Leave it out, or if it is continuous, write it as float: column.astype('float32'), in a CSV file 3.0 rather than 3.",
        )
    raise DataError(
        f"Column '{name}' holds text ({column.dtype}), such as {_example(column)}, where floating-point numbers are needed.",
        "Leave it out or turn it into numbers.",
    )


def _example(column: NDArray[Any]) -> str:
    """A value that is no number, if there is one: a column of numbers becomes text by a single other value."""
    for value in column:
        try:
            float(value)
        except (TypeError, ValueError):
            return repr(str(value))[:40]
    return repr(str(column[0]))[:40] if len(column) else "nothing"


def as_truth(name: str, column: NDArray[Any]) -> NDArray[np.int8]:
    """[N] labels 0 and 1.

    Raises:
        DataError: if there is anything else in the column.
    """
    if column.dtype.kind in "fiub":
        signal = column == 1
        other = ~signal & (column != 0)
        if not other.any():
            return np.asarray(signal, np.int8)
        raise DataError(
            f"The truth column '{name}' must be 0 or 1, but {int(other.sum())} events have other values, such as {column[other][0]}.",
            "Make it 1 for signal and 0 for background.",
        )
    raise DataError(
        f"The truth column '{name}' must be 0 or 1, but it holds text, such as {_example(column)}.",
        "Make it 1 for signal and 0 for background.",
    )


def as_weight(name: str, column: NDArray[Any]) -> NDArray[np.float64]:
    """[N] float64 event weights; NaN pass, as `finite_rows` looks for them.

    Raises:
        DataError: for text, or weights below zero.
    """
    if column.dtype.kind not in "fiub":
        raise DataError(f"The weight '{name}' must be a number, but it holds text, such as {_example(column)}.", "Choose another column.")
    if (negative := column < 0).any():
        raise DataError(
            f"The weight '{name}' is negative in {int(negative.sum())} of {len(column)} events, down to {column[negative].min():g}.",
            "No method here can use such events: cut them away (data.cuts), or leave the weights out.",
        )
    return column.astype(np.float64)


def finite_rows(columns: Mapping[str, NDArray[Any]], drop: bool, counts: MutableMapping[str, int]) -> NDArray[np.bool_]:
    """[N] which events have only finite values in single precision; counts those that do not.

    Raises:
        DataError: if some do not and ``drop`` is false.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        bad = {name: ~np.isfinite(column.astype(np.float32)) for name, column in columns.items()}
    faults = {name: int(mask.sum()) for name, mask in bad.items() if mask.any()}
    rows = np.logical_or.reduce(list(bad.values()))
    if faults:
        if not drop:
            text = ", ".join(f"{n} in '{name}'" for name, n in faults.items())
            raise DataError(
                f"{int(rows.sum())} of {len(rows)} events have NaN or infinite values: {text}.",
                "Drop and count them: --drop-invalid (or --set data.drop_invalid=true)",
            )
        counts["dropped: NaN or infinite"] = counts.get("dropped: NaN or infinite", 0) + int(rows.sum())
    return np.asarray(~rows)


def not_negative(name: str, column: NDArray[Any], tolerance: float | NDArray[Any], counts: MutableMapping[str, int]) -> NDArray[Any]:
    """[N] the column with values below zero by rounding set to zero, and counted.

    Raises:
        DataError: if some are below zero by more than the tolerance.
    """
    bad = column < -np.asarray(tolerance)
    if bad.any():
        raise DataError(
            f"'{name}' is negative in {int(bad.sum())} of {len(column)} events, down to {column.min():g}.",
            "A mass or tau cannot be: check how the file was made.",
        )
    if (below := int((column < 0).sum())) > 0:
        what = f"clipped: {name} below zero by rounding"
        counts[what] = counts.get(what, 0) + below
        return np.asarray(np.maximum(column, 0))
    return column


def check_signs(columns: Mapping[str, NDArray[Any]], counts: MutableMapping[str, int]) -> dict[str, NDArray[Any]]:
    """Columns whose names say that they are masses or taus must not be negative beyond rounding; see `not_negative`."""
    return {
        name: not_negative(name, column, ROUNDING * float(np.max(np.abs(column), initial=0)), counts)
        if _NOT_NEGATIVE.fullmatch(name)
        else column
        for name, column in columns.items()
    }


def check_features(
    x: NDArray[Any],
    m: NDArray[Any],
    features: Sequence[str],
    mass: str,
    *,
    what: str = "events",
    fix: str = "Loosen the cuts or use a larger file.",
) -> None:
    """No feature twice, none constant, none the mass itself, and enough events.

    Args:
        x: [N, D] features.
        m: [N] masses.
        features: [D] names.
        mass: Name of m.
        what: How a message calls the events.
        fix: What it proposes where there are too few.

    Raises:
        DataError: if one of these does not hold.
    """
    if not features:
        raise DataError("No features were chosen.", "Name them: --set data.features=a,b")
    if len(set(features)) != len(features):
        twice = sorted({name for name in features if list(features).count(name) > 1})
        raise DataError(f"Duplicated features: {', '.join(repr(name) for name in twice)}.", "Name each feature once.")
    if len(x) < MIN_EVENTS:
        raise DataError(f"There are {len(x)} {what}; at least {MIN_EVENTS} are needed.", fix)
    for i, name in enumerate(features):
        if np.ptp(x[:, i]) == 0:
            raise DataError(f"Feature '{name}' is constant: {x[0, i]:g} in all {len(x)} {what}.", "Leave it out.")
        if name == mass or _is_image(x[:, i], m):
            raise DataError(f"Feature '{name}' is the mass '{mass}' itself.", "Leave it out: the mass is a condition, not a feature.")
        for j in range(i):
            if _is_image(x[:, i], x[:, j]):
                raise DataError(
                    f"Features '{features[j]}' and '{name}' are duplicated columns: equal in all {len(x)} {what}, up to scale and offset.",
                    "Leave one out.",
                )


def _is_image(a: NDArray[Any], b: NDArray[Any]) -> bool:
    """Whether one column is the other times a number plus a number."""
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return False
    return abs(float(np.corrcoef(a.astype(np.float64), b.astype(np.float64))[0, 1])) > 1 - 1e-10


def check_cells(x: NDArray[Any], *, what: str = "events", fix: str = "Use a larger file.") -> None:
    """What must hold of features that are left as they are: enough events, finite, and not all features constant.

    Raises:
        DataError: if one of these does not hold.
    """
    if len(x) < MIN_EVENTS:
        raise DataError(f"There are {len(x)} {what}; at least {MIN_EVENTS} are needed.", fix)
    if bad := int((~np.isfinite(x)).any(1).sum()):
        raise DataError(f"{bad} of {len(x)} {what} have NaN or infinite values.", "Drop and count them: --drop-invalid")
    if not np.ptp(x, axis=0).any():
        raise DataError(f"All {x.shape[1]} features are constant in all {len(x)} {what}.", "Check how the file was made.")


def check_sample(sample: Sample, features: Sequence[str], mass: str) -> None:
    """`check_features` of a sample."""
    check_features(sample.x, sample.m, features, mass)


def check_labels(sample: Sample) -> None:
    """Weights are finite and not negative, not all zero; truth is 0 or 1.

    Raises:
        DataError: if one of these does not hold.
    """
    weight, truth = sample.weight, sample.truth
    if weight is not None and not (np.isfinite(weight).all() and (weight >= 0).all() and weight.any()):
        raise DataError("Event weights are negative, not finite or all zero.", "No method here can use them: leave the weights out.")
    if truth is not None and not np.isin(truth, (0, 1)).all():
        raise DataError("Truth labels hold other values than 0 and 1.", "Make it 1 for signal and 0 for background.")


#: From this share of events with one value, or of the range that most values fill, a feature is pointed out.
_SPIKE, _FILLED = 0.005, 0.01


def doubtful(x: Array, features: Sequence[str]) -> Iterator[str]:
    """What of [N, D] features a smooth model will not learn, as sentences: values that recur, and outliers that set the scale."""
    for name, column in zip(features, x.T, strict=True):
        values, count = np.unique(column, return_counts=True)
        most = int(count.argmax())
        lo, hi = np.quantile(column.astype(np.float64), [0.01, 0.99])
        filled = (hi - lo) / max(float(values[-1]) - float(values[0]), 1e-300)
        if count[most] > max(_SPIKE * len(column), 2):
            share, why = count[most] / len(column), "smooth models smear it, and a classifier that sees this finds an excess of nothing"
            yield f"Feature '{name}' has the value {values[most]:g} in {share:.1%} of the events: {why}."
        if filled < _FILLED:
            yield f"Feature '{name}': 98 % of the events fill {filled:.2g} of its range. Outliers set its scale: cut them away."


def check_reference(sample: Sample, dataset: Dataset, where: str) -> None:
    """`check_features`, or `check_cells`, of events known as background; ``where`` tells which: ``in the window``."""
    fix = "Keep more of them: --set data.n_reference=N, or leave more background out of the data: --set data.n_background=N"
    what = f"reference events{where}"
    if dataset.scale == "none":
        check_cells(sample.x, what=what, fix=fix)
    else:
        check_features(sample.x, sample.m, dataset.features, dataset.mass, what=what, fix=fix)


def check_window(dataset: Dataset, window: Window) -> None:
    """The window must lie inside the data, hold at least 100 events and leave a sideband on each side.

    Raises:
        DataError: if one of these does not hold.
    """
    m = dataset.events.m
    unit = f" {dataset.unit}" if dataset.unit else ""
    text = f"{window.lo:g} to {window.hi:g}{unit}"
    if len(m) == 0:
        raise DataError("There are no events.", "Loosen the cuts or use a larger file.")
    lo, hi = float(m.min()), float(m.max())
    span = f"{lo:g} to {hi:g}{unit}"
    if window.lo >= hi or window.hi <= lo:
        raise DataError(
            f"The window {text} lies outside the data, whose {dataset.mass} runs from {span}.", "Choose one inside: --window LO HI"
        )
    inside = int(window.contains(m).sum())
    if inside < MIN_EVENTS:
        state = "is empty" if inside == 0 else f"holds {inside} events"
        raise DataError(
            f"The window {text} {state}; at least {MIN_EVENTS} events are needed (the data run from {span}).",
            "Widen or move it: --window LO HI",
        )
    below, above = int((m <= window.lo).sum()), int((m >= window.hi).sum())
    for side, n in (("below", below), ("above", above)):
        if n == 0:
            raise DataError(
                f"There is no sideband {side} the window {text}: the data run from {span}.", "Leave events on both sides: --window LO HI"
            )
