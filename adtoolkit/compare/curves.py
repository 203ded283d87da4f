"""SIC curves of runs, from the scores in their folders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from adtoolkit.arrays import read_arrays
from adtoolkit.compare.intervals import LEAST
from adtoolkit.compare.records import RunRecord
from adtoolkit.metrics.config import MaxSicConfig
from adtoolkit.metrics.curves import Float, sic
from adtoolkit.metrics.ranking import floor_of
from adtoolkit.metrics.selection import judge
from adtoolkit.scored import Scored
from adtoolkit.types import Sample, Window

#: Background efficiencies of the curves; below 1e-5 no search has the events.
EPS_GRID: Final = np.geomspace(1e-5, 1.0, 401)


@dataclass(frozen=True)
class Band:
    """Curves of several seeds on a common grid.

    Attributes:
        eps: [e] background efficiencies.
        median: [e] median SIC; NaN where a run has too few events behind it.
        lo: [e] 16th percentile; NaN too where there are fewer than three runs.
        hi: [e] 84th percentile.
        runs: How many curves went in.
    """

    eps: Float
    median: Float
    lo: Float
    hi: Float
    runs: int


def read_scored(record: RunRecord) -> Scored:
    """The scored events of a run, without their features.

    Raises:
        OSError: if scores.h5 cannot be read.
        KeyError: if something is missing in it.
    """
    arrays = read_arrays(Path(record.run) / "scores.h5")
    test_score = arrays["test/score"]
    return Scored(
        events=_sample(arrays, "events"),
        score=arrays["events/score"],
        fold=arrays["events/fold"],
        test=_sample(arrays, "test"),
        test_score=test_score if test_score.ndim == 2 else test_score[:, None],
        features=(),
        window=None if record.window is None else Window(*record.window),
    )


def _sample(arrays: Mapping[str, NDArray[Any]], name: str) -> Sample:
    m = arrays[f"{name}/m"]
    return Sample(np.zeros((len(m), 0), np.float32), m, truth=arrays.get(f"{name}/truth"), weight=arrays.get(f"{name}/weight"))


def sic_curve(record: RunRecord, eps: Float) -> Float | None:
    """[e] -> [e] SIC, NaN below the statistical floor of the run's own max-sic; None where truth is not known."""
    judged = judge(read_scored(record))
    if judged is None:
        return None
    options = {key.rpartition(".")[2]: value for key, value in record.config.items() if key.startswith("metrics.max-sic.")}
    floor = floor_of(judged.ranking, MaxSicConfig(**options))
    return np.where(eps >= floor * (1 - 1e-9), sic(judged.ranking, eps), np.nan)


def band(curves: Sequence[Float], eps: Float) -> Band:
    """Median and 16th to 84th percentile of [e] curves, at each background efficiency that all of them reach."""
    stacked = np.stack(curves)
    out = np.full((3, len(eps)), np.nan)
    known = ~np.isnan(stacked).any(0)
    out[0, known] = np.median(stacked[:, known], axis=0)
    if len(curves) >= LEAST:
        out[1:, known] = np.percentile(stacked[:, known], [16, 84], axis=0)
    return Band(eps, out[0], out[1], out[2], len(curves))
