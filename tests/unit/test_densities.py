"""Densities that are evaluated once and looked up."""

from __future__ import annotations

import numpy as np
import pytest

from adtoolkit.background import Background
from adtoolkit.densities import Densities
from adtoolkit.types import Array, Sample


def events(n: int, seed: int = 0) -> Sample:
    rng = np.random.default_rng(seed)
    return Sample(rng.normal(size=(n, 3)), rng.uniform(3, 4, n))


def by_sum(sample: Sample) -> Array:
    return sample.x.sum(1) + sample.m


def never(sample: Sample) -> Array:
    raise AssertionError(f"{len(sample)} events were evaluated")


@pytest.mark.parametrize("chosen", [slice(None), slice(0, 0), slice(None, None, -1), np.array([5, 5, 2])], ids=str)
def test_known_events_are_found_in_any_selection_and_order_without_evaluating(chosen: object) -> None:
    known = events(50)
    table = Densities(known, by_sum(known))
    assert np.array_equal(table.look_up(known[chosen], never), by_sum(known)[chosen])


def test_only_unknown_events_are_evaluated() -> None:
    known, other = events(50), events(20, seed=1)
    asked = Sample.concat(other[:10], known[:10], other[10:])
    seen: list[int] = []

    def evaluate(sample: Sample) -> Array:
        seen.append(len(sample))
        return by_sum(sample)

    assert np.array_equal(Densities(known, by_sum(known)).look_up(asked, evaluate), by_sum(asked))
    assert seen == [20]


def test_an_event_is_told_by_all_its_conditions() -> None:
    one = events(2)
    with_context = [Sample(one.x, one.m, np.full((2, 1), c)) for c in (0.0, 1.0)]
    table = Densities(with_context[0], np.array([1, 2], np.float32))
    assert np.array_equal(table.look_up(with_context[1], lambda s: np.full(len(s), 9, np.float32)), [9, 9])


def test_a_background_asks_its_model_only_for_what_it_does_not_know() -> None:
    class Once:
        def log_prob(self, x: Array, cond: Array) -> Array:
            raise AssertionError

    known = events(10)
    background = Background(Once(), mass=None, known=Densities(known, by_sum(known)))  # type: ignore[arg-type]
    assert np.array_equal(background.log_prob(known[3:]), by_sum(known[3:]))
