"""Rules that draw, in control regions beside a window, without a model."""

from __future__ import annotations

import numpy as np

from adtoolkit.config import NoOptions
from adtoolkit.context import RunContext, silent
from adtoolkit.control import Search, draw_control
from adtoolkit.densities import LOWEST
from adtoolkit.errors import DataError
from adtoolkit.mass import MassConfig
from adtoolkit.plugin import Component
from adtoolkit.preprocess import Preprocess
from adtoolkit.stages import Part, Workshop
from adtoolkit.store import Store
from adtoolkit.types import Sample, Window

WINDOW = Window(3.3, 3.7)


class Shifted:
    """Draws the masses themselves; refuses windows above 3.8, as an interpolation would beyond its anchors."""

    config = NoOptions()

    def bind(self, model, window, ctx):
        if window.hi > 4.05:
            raise DataError("beyond")
        return self

    def sample(self, cond, rng):
        return cond.astype(np.float32)

    def log_prob(self, x, cond):
        return np.where(cond[:, 0] < 3.5, -cond[:, 0], LOWEST)


class Direct:
    """The model itself, as it was made for a window."""

    config = NoOptions()

    def bind(self, model, window, ctx):
        return model


def beside(tmp_path, events, rule, model=lambda region: (None, None), tell=silent, densities=False, oversample=4.0):
    part = Part(Component(kind="interpolator", name="rule", target=f"{__name__}:{type(rule).__name__}", summary="."), rule)
    search = Search(WINDOW, events, 1.0, oversample, MassConfig(), Preprocess.none(1), densities)
    return draw_control(Workshop(Store(tmp_path), RunContext(tell=tell), {}), part, model, search, {"model": 1}, tmp_path)


def notes_of(told):
    return [event.text for event in told if event.kind == "note"]


def events(n, lo=2.0, hi=5.0):
    m = np.random.default_rng(0).uniform(lo, hi, n).astype(np.float32)
    return Sample(np.zeros((n, 1)), m)


class Numbered(Shifted):
    """Draws numbers that no event has."""

    def bind(self, model, window, ctx):
        return self

    def sample(self, cond, rng):
        return (100_000 + rng.permutation(1_000_000)[: len(cond), None]).astype(np.float32)


class Moved:
    """A model that knows its window and two events."""

    def __init__(self, window):
        self.window = window

    def sample_grouped(self, cond, rng):
        assert self.window.contains(cond[:, 0]).all()
        group = rng.integers(2, size=len(cond))
        return np.full((len(cond), 1), self.window.lo, np.float32) + group[:, None], group


def moved_anew(tmp_path, trial=""):
    def made_anew(region):
        def make(folder, work):
            (folder / "model").write_text(trial)
            return {}

        name = f"{region.lo:g}{trial}".replace(".", "")
        return Moved(region), Store(tmp_path / "fits").get("template", name, make, describe={})

    return beside(tmp_path, events(20_000), Direct(), made_anew)
