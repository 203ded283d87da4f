"""What a fold scores, and what it leaves without a score."""

from __future__ import annotations

import numpy as np
import pytest

from adtoolkit.config import NoOptions
from adtoolkit.context import RunContext
from adtoolkit.interfaces import FittedScorer
from adtoolkit.plugin import Component
from adtoolkit.scoring import Pool, score_fold
from adtoolkit.stages import Part, Workshop
from adtoolkit.store import Store
from adtoolkit.types import Sample, Window


class Fitted(FittedScorer):
    def __init__(self, seen):
        self.seen = seen

    def score(self, events):
        self.seen.append(events)
        return events.x[:, 0]

    def save(self, directory):
        (directory / "nothing").touch()

    @classmethod
    def load(cls, directory, device):
        raise NotImplementedError


class Firsts:
    """Scores with the first feature; notes what it is given."""

    config = NoOptions()

    def __init__(self, outside):
        self.outside, self.seen = outside, []

    def fit(self, data, background, ctx):
        return Fitted(self.seen)


def events(n, seed):
    rng = np.random.default_rng(seed)
    return Sample(rng.normal(size=(n, 2)), rng.uniform(3.0, 4.0, n))


@pytest.fixture
def pool():
    data = events(200, 0)
    rng = np.random.default_rng(1)
    none = np.zeros(0, np.int8)
    return Pool(data, rng.integers(0, 2, 200).astype(np.int8), events(20, 2), np.zeros(20, np.int8), None, None, none, Window(3.3, 3.7))


@pytest.mark.parametrize("outside", [True, False])
def test_a_scorer_of_the_window_alone_is_never_asked_for_the_sidebands(pool, tmp_path, outside):
    scorer = Firsts(outside)
    part = Part(Component(kind="scorer", name="firsts", target="adtoolkit.testing.worlds:ToyModel", summary="."), scorer)
    done = score_fold(Workshop(Store(tmp_path), RunContext(), {}), part, pool, None, 0, 2, {})
    own = pool.events[pool.fold == 0]
    inside = pool.window.contains(own.m)
    assert np.array_equal(done.events[inside], own.x[inside, 0])
    assert np.isnan(done.events[~inside]).all() != outside
    asked = sum(len(sample) for sample in scorer.seen)
    assert asked == (len(own) if outside else inside.sum()) + len(pool.test)
