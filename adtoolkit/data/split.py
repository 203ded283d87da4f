"""From labelled events to a search: which signal and background stay in the data, what is kept for testing and reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from adtoolkit.data.config import SourceConfig
from adtoolkit.errors import DataError
from adtoolkit.interfaces import Context
from adtoolkit.types import Dataset, Sample


@dataclass(frozen=True)
class Pool:
    """Everything a source has read.

    Attributes:
        events: Events the data are drawn from; with truth, or without where nobody knows.
        extra: Background that never enters the data; shared by reference and test.
        held: Labelled events that go to the test sample as they are.
    """

    events: Sample
    extra: Sample | None = None
    held: Sample | None = None


def inject(
    pool: Pool, config: SourceConfig, ctx: Context, *, features: Sequence[str], mass: str, unit: str, counts: Mapping[str, int]
) -> Dataset:
    """Draw the data of a search.

    Signal and background are drawn from streams of their own, each as the first n of one permutation. Hence the background
    does not depend on ``n_signal``, and a smaller signal is part of a larger one: searches with different signals pair.

    Raises:
        DataError: if more signal, background or reference is asked for than there is.
    """
    events = pool.events
    empty = events[:0]
    if events.truth is None:
        order = ctx.rng("order").permutation(len(events))
        return Dataset(events[order], replace(empty, truth=np.zeros(0, np.int8)), None, tuple(features), mass, unit, counts)

    signal = ctx.rng("signal").permutation(np.flatnonzero(events.truth == 1))
    background = ctx.rng("background").permutation(np.flatnonzero(events.truth == 0))
    n_signal = _limited("n_signal", config.n_signal, len(signal), "signal")
    n_background = _limited("n_background", config.n_background, len(background), "background")

    # One key per event of the file, so that the order of two background events is the same whatever the signal.
    key = ctx.rng("order").random(len(events))
    chosen = np.concatenate([signal[:n_signal], background[:n_background]])
    chosen = chosen[np.argsort(key[chosen], kind="stable")]

    spare = events[background[n_background:]]
    if pool.extra is not None:
        spare = Sample.concat(spare, pool.extra) if len(spare) else pool.extra
        spare = spare[ctx.rng("extra").permutation(len(spare))]
    n_reference = _limited("n_reference", config.n_reference, len(spare), "background outside the data", default=len(spare) // 2)
    reference = spare[:n_reference] if n_reference else None
    test = [events[signal[n_signal:]], spare[n_reference:], *([pool.held] if pool.held is not None else [])]
    return Dataset(events[chosen], Sample.concat(*test), reference, tuple(features), mass, unit, counts)


def _limited(option: str, asked: int | None, there: int, what: str, default: int | None = None) -> int:
    if asked is None:
        return there if default is None else default
    if asked > there:
        fix = (
            f"Lower it: --set data.{option}={there}"
            if there or option != "n_reference"
            else "Leave some out of the data: --set data.n_background=N"
        )
        raise DataError(f"data.{option} asks for {asked} {what} events, but there are {there}.", fix)
    return asked
