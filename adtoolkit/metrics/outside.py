"""The metrics of a run for scores that were made elsewhere: a table of masses, scores and, where it is known, truth."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from adtoolkit.context import RunContext
from adtoolkit.data.checks import check_labels
from adtoolkit.errors import ConfigError, DataError
from adtoolkit.events import Event
from adtoolkit.registry import default_registry
from adtoolkit.scored import Scored
from adtoolkit.types import Sample, Window

#: What is computed from the features themselves.
OF_FEATURES: Final = ("closure",)

#: What can be computed without features.
USUAL: Final = ("auc", "sic", "max-sic", "rejection", "sculpting", "excess")


def evaluate(
    m: ArrayLike,
    score: ArrayLike,
    truth: ArrayLike | None = None,
    *,
    window: tuple[float, float] | None = None,
    weight: ArrayLike | None = None,
    template: tuple[ArrayLike, ArrayLike] | None = None,
    metrics: Sequence[str] = USUAL,
    options: Mapping[str, Mapping[str, Any]] | None = None,
    seed: int = 0,
    note: Callable[[str], None] | None = None,
) -> dict[str, float]:
    """The numbers that a run would print for these scores, intervals included. What lacks truth or a template is left out.

    Args:
        m: [N] masses.
        score: [N] scores of events that the method was not trained on; higher = more anomalous. One cut is made through all of them.
        truth: [N] 1 = signal, 0 = background; None where nobody knows.
        window: The signal region; None: all events count.
        weight: [N] event weights; None: ones.
        template: Masses and scores, [B] each, of background events that the method drew, for ``excess``.
        metrics: Their names.
        options: Name of a metric -> options that differ from its defaults.
        seed: Of the bootstrap.
        note: Called with what a run would note, for example efficiencies that are left out.

    Raises:
        ConfigError: if there are options of a metric that is not asked for.
        DataError: if lengths differ, values are not finite, weights negative or all zero, there are no events, or a metric needs their
            features.
        UnknownNameError: if there is no such metric.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> truth = np.repeat([0, 1], [2000, 200])
        >>> numbers = evaluate(rng.uniform(3, 4, 2200), rng.normal(truth, 1.0), truth, metrics=["auc"])
        >>> sorted(numbers), round(numbers["auc"], 1)
        (['auc', 'auc-hi', 'auc-lo'], 0.8)
    """
    registry = default_registry()
    for name in [*metrics, *(options or {})]:
        registry.get("metric", name)
    if unused := sorted((options or {}).keys() - set(metrics)):
        raise ConfigError(f"There are options of '{unused[0]}', which is not among the metrics: {', '.join(metrics)}.", "Leave them out.")
    scored = _scored(m, score, truth, weight, template, None if window is None else Window(*window))
    if note is not None and (tied := len(np.unique(np.asarray(score))) - len(np.unique(scored.score))):
        note(f"{tied:,} scores cannot be told from others in single precision; give log-odds instead of probabilities, or ranks.")
    has = {name for name, given in (("truth", truth), ("template", template)) if given is not None}
    found: dict[str, float] = {}

    said = set[str]()  # several metrics may note the same

    def tell(event: Event) -> None:
        if note is not None and event.kind == "note" and event.text not in said:
            said.add(event.text)
            note(event.text)

    for name in metrics:
        if name in OF_FEATURES:
            raise DataError(f"'{name}' compares features, of which there are none here.", f"Ask for others: {', '.join(USUAL)}")
        metric = registry.make(registry.get("metric", name).component, values=(options or {}).get(name))
        context = RunContext(seed=seed, scope=("metric", name), tell=tell)
        if missing := sorted(metric.needs - has):
            context.note(f"{name}: left out, since it needs {', '.join(missing)}.")
            continue
        found |= {key: float(value) for key, value in metric.compute(scored, context).items() if np.isfinite(value)}
    return found


def _column(name: str, values: ArrayLike, n: int | None = None) -> NDArray[np.float32]:
    """[N] finite numbers, as many as there are events."""
    column = np.asarray(values)
    if column.dtype.kind not in "fiub":
        raise DataError(f"'{name}' holds no numbers ({column.dtype}).")
    if column.ndim != 1 or (n is not None and len(column) != n):
        raise DataError(f"'{name}' has the shape {list(column.shape)} where {[n] if n is not None else 'one column'} is needed.")
    if not len(column) or not np.isfinite(column).all():
        raise DataError(f"'{name}' is empty or holds values that are not finite.", "Take such events out.")
    return np.asarray(column, np.float32)


def _scored(
    m: ArrayLike,
    score: ArrayLike,
    truth: ArrayLike | None,
    weight: ArrayLike | None,
    template: tuple[ArrayLike, ArrayLike] | None,
    window: Window | None,
) -> Scored:
    """A table as `Scored`: all events are data, none has features."""
    mass = _column("m", m)
    n = len(mass)
    labels = None if truth is None else _column("truth", truth, n)
    if labels is not None and not np.isin(labels, (0, 1)).all():  # before they are made integers
        raise DataError("'truth' holds other values than 0 and 1.", "Make it 1 for signal and 0 for background.")
    drawn = None
    if template is not None:
        drawn = (masses := _column("template masses", template[0])), _column("template scores", template[1], len(masses))
    events = Sample(
        np.zeros((n, 0), np.float32),
        mass,
        truth=None if labels is None else labels.astype(np.int8),
        weight=None if weight is None else _column("weight", weight, n),
    )
    check_labels(events)
    return Scored(
        events=events,
        score=_column("score", score, n),
        fold=np.zeros(n, np.int8),
        test=events[:0],
        test_score=np.zeros((0, 1), np.float32),
        features=(),
        window=window,
        template=None if drawn is None else Sample(np.zeros((len(drawn[0]), 0), np.float32), drawn[0]),
        template_score=None if drawn is None else drawn[1],
        template_fold=None if drawn is None else np.zeros(len(drawn[0]), np.int8),
    )
