"""Small datasets of which everything is known: where the signal sits, and p(x | m) of the background in closed form.

There are two: `toy_world` with a window, and `reference_world` without one, for one-class work: a sample of events known to be
background, and objects to judge. The features come at the scale that models expect (spread about 1; with a window mean about 0,
without one above 0), so that an estimator, an interpolator or a scorer can be given them as they are.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from adtoolkit.context import RunContext
from adtoolkit.data import toy_bump
from adtoolkit.data.config import ToyBumpConfig
from adtoolkit.errors import DataError
from adtoolkit.interfaces import Model, ScorerData
from adtoolkit.plugin import Region
from adtoolkit.types import Array, Dataset, Sample, Window

#: Number of features: the densities are integrated in two dimensions.
FEATURES: Final = 2


class ToyModel(Model):
    """The background of `adtoolkit.data.toy_bump` as a fitted model: draws and densities are exact."""

    def sample(self, cond: Array, rng: np.random.Generator) -> Array:
        return toy_bump.sample_background(cond[:, 0], rng, n_features=FEATURES).astype(np.float32)

    def log_prob(self, x: Array, cond: Array) -> Array:
        return self.exact(x, cond[:, 0]).astype(np.float32)

    def exact(self, x: NDArray[Any], m: NDArray[Any]) -> NDArray[np.float64]:
        """[N, D], [N] -> [N] natural log of p(x | m) in float64."""
        return toy_bump.log_prob_background(x, m)

    def save(self, directory: Path) -> None:
        (directory / "toy.json").write_text("{}", encoding="utf-8")

    @classmethod
    def load(cls, directory: Path, device: str) -> Self:  # noqa: ARG003  (nothing is fitted, and numpy has no device)
        return cls()


@dataclass(frozen=True)
class LineModel(Model):
    """A background whose mean moves on a straight line with m, with its velocity field; all exact.

    ``x_i | m ~ N(slope_i (m - 3.5), width^2)``. For ``x_t = (1 - t) x_0 + t x_1`` with ``x_0 ~ N(0, 1)``, ``x_1 ~ N(a, s^2)``, ``x_t`` is
    ``N(t a, v)`` with ``v = (1 - t)^2 + t^2 s^2``, and the field is ``E[x_1 - x_0 | x_t] = a + (t s^2 - (1 - t)) / v (x_t - t a)``
    (Lipman et al., arXiv:2210.02747, theorem 1, for a Gaussian).

    Attributes:
        slope: [D] how fast the means move; zeros for a background that does not depend on m.
        width: Spread of every feature.
    """

    slope: tuple[float, ...] = (0.5, -0.4)
    width: float = 0.8

    def mean(self, m: NDArray[Any]) -> NDArray[np.float64]:
        """[N] -> [N, D]."""
        return np.asarray(self.slope) * (np.asarray(m, np.float64)[:, None] - toy_bump.CENTRE)

    def sample(self, cond: Array, rng: np.random.Generator) -> Array:
        mean = self.mean(cond[:, 0])
        return (mean + self.width * rng.standard_normal(mean.shape)).astype(np.float32)

    def log_prob(self, x: Array, cond: Array) -> Array:
        z = (x - self.mean(cond[:, 0])) / self.width
        return np.asarray((-0.5 * z**2 - np.log(self.width) - 0.5 * np.log(2 * np.pi)).sum(1), np.float32)

    def field(self, t: Any, x: Any, cond: Any) -> Any:
        """[] time, [N, D] tensor, [N, 1+C] tensor -> [N, D] velocity."""
        mean = x.new_tensor(self.slope) * (cond[:, :1].to(x) - toy_bump.CENTRE)
        square = self.width**2
        return mean + (t * square - (1 - t)) / ((1 - t) ** 2 + t**2 * square) * (x - t * mean)

    def save(self, directory: Path) -> None:
        (directory / "line.json").write_text(json.dumps({"slope": self.slope, "width": self.width}), encoding="utf-8")

    @classmethod
    def load(cls, directory: Path, device: str) -> Self:  # noqa: ARG003  (numpy has no device)
        values = json.loads((directory / "line.json").read_text(encoding="utf-8"))
        return cls(tuple(values["slope"]), values["width"])


@dataclass(frozen=True)
class GammaModel(Model):
    """Independent features above zero that grow with m: ``x_i | m ~ Gamma(4, scale_i sqrt(m))``, exact in any number of features.

    Like energies in the cells of a detector at the incident energy m.

    Attributes:
        scale: [D] of the features; means are four times, spreads twice as large, times sqrt(m).
    """

    scale: tuple[float, ...]

    @classmethod
    def of(cls, features: int) -> Self:
        """The background of `reference_world`: scales 0.2 and 0.3 in turn."""
        return cls(tuple(0.2 + 0.1 * (i % 2) for i in range(features)))

    def sample(self, cond: Array, rng: np.random.Generator) -> Array:
        return rng.gamma(4.0, np.sqrt(cond[:, :1].astype(np.float64)) * self.scale).astype(np.float32)

    def log_prob(self, x: Array, cond: Array) -> Array:
        return np.asarray(self.exact(x, cond[:, 0]), np.float32)

    def exact(self, x: NDArray[Any], m: NDArray[Any]) -> NDArray[np.float64]:
        """[N, D], [N] -> [N] natural log of p(x | m) in float64; -inf where a feature is negative."""
        scale = np.sqrt(np.asarray(m, np.float64))[:, None] * self.scale
        with np.errstate(divide="ignore", invalid="ignore"):
            terms = 3 * np.log(x) - x / scale - 4 * np.log(scale) - np.log(6.0)
        return np.asarray(np.where(np.asarray(x) > 0, terms, -np.inf).sum(1))

    def save(self, directory: Path) -> None:
        (directory / "gamma.json").write_text(json.dumps(self.scale), encoding="utf-8")

    @classmethod
    def load(cls, directory: Path, device: str) -> Self:  # noqa: ARG003  (numpy has no device)
        return cls(tuple(json.loads((directory / "gamma.json").read_text(encoding="utf-8"))))


@dataclass(frozen=True)
class World:
    """A dataset with the truth behind it.

    Attributes:
        dataset: Events, perhaps with signal among them; truth-labelled test events and a background reference.
        window: The signal region; None in one-class worlds.
        exact: The background as a fitted model.
    """

    dataset: Dataset
    window: Window | None
    exact: ToyModel | GammaModel

    @property
    def the_window(self) -> Window:
        """The window, for what makes sense only where there is one.

        Raises:
            DataError: if there is none.
        """
        if self.window is None:
            raise DataError("This toy world has no window.", "Use adtoolkit.testing.toy_world")
        return self.window

    def log_prob(self, x: NDArray[Any], m: NDArray[Any]) -> NDArray[np.float64]:
        """[N, D], [N] -> [N] exact natural log of the background's p(x | m)."""
        return self.exact.exact(x, m)

    def model(self) -> ToyModel | GammaModel:
        """The background as a fitted model."""
        return self.exact

    def background(self, m: NDArray[Any], rng: np.random.Generator) -> Sample:
        """[N] masses -> fresh background events there, without labels."""
        m = np.asarray(m, np.float32)
        return Sample(x=self.exact.sample(m[:, None], rng), m=m)

    def inside(self, sample: Sample) -> Sample:
        """The events in the window; all of them where there is none."""
        return sample if self.window is None else sample[self.window.contains(sample.m)]

    def another_signal(self, signal: Sample) -> Sample:
        """Signal events carried to where another, as easy, signal would be: first feature mirrored; without a window, features rotated."""
        x = np.roll(signal.x, 1, axis=1) if self.window is None else signal.x * np.array([-1, 1], np.float32)
        return replace(signal, x=x)

    def training(self, region: Region) -> tuple[Sample, Sample]:
        """Blinded events of a region, four fifths to train on and one fifth to validate with."""
        events = self.dataset.region(region, self.window)
        val = np.arange(len(events)) % 5 == 4
        return events[~val], events[val]

    def scorer_data(self, *, reference: bool = False, truth: bool = False) -> ScorerData:
        """What a scorer that declares (or does not declare) ``reference`` and ``truth`` is given."""
        events, known = self.dataset.events.blind(), self.dataset.reference
        return ScorerData(
            window=self.inside(events),
            sideband=events[:0] if self.window is None else events[~self.window.contains(events.m)],
            reference=self.inside(known.blind()) if reference and known is not None else None,
            labelled=self.inside(self.dataset.test) if truth else None,
            range=self.window,
        )


def toy_world(seed: int = 0, n: int = 4000, *, n_signal: int = 0, n_test: int = 4000, window: Window | None = None) -> World:
    """A small world with an exact background and a signal that is easy to see: `adtoolkit.data.toy_bump` with two features.

    Args:
        seed: Of everything drawn.
        n: Background events, over the whole mass range; as many reference events.
        n_signal: Signal events hidden among them.
        n_test: Truth-labelled test events of each class.
        window: Signal region, 3.3 to 3.7 TeV by default; an eighth of the background is in it.
    """
    config = ToyBumpConfig(n_background=n, n_signal=n_signal, n_reference=n, n_test=n_test, n_features=FEATURES)
    dataset = toy_bump.ToyBump(config).load(RunContext(seed=seed, scope=("world",)))
    return World(dataset, window or Window(3.3, 3.7), ToyModel())


def reference_world(seed: int = 0, n: int = 4000, *, n_signal: int = 0, n_test: int = 4000, features: int = FEATURES) -> World:
    """A small one-class world: no window, a background in closed form (`GammaModel`), and a signal that is easy to see.

    m is uniform from 2 to 8. Signal features are three times as large as the background's and a third of them in turn.

    Args:
        seed: Of everything drawn.
        n: Background events among the objects to judge; as many reference events.
        n_signal: Signal events hidden among them.
        n_test: Truth-labelled test events of each class.
        features: Number D of features.
    """
    rng = RunContext(seed=seed, scope=("world",)).rng("reference")
    exact = GammaModel.of(features)

    def draw(background: int, signal: int) -> Sample:
        truth = np.repeat(np.array([0, 1], np.int8), [background, signal])[rng.permutation(background + signal)]
        m = rng.uniform(2.0, 8.0, len(truth)).astype(np.float32)
        stretch = np.where(np.arange(features) % 2, 1 / 3, 3.0)
        return Sample(exact.sample(m[:, None], rng) * np.where(truth[:, None] == 1, stretch, 1.0), m, truth=truth)

    reference, events, test = draw(n, 0), draw(n, n_signal), draw(n_test, n_test)
    names = tuple(f"x{i}" for i in range(features))
    return World(Dataset(events, test, reference, names), None, exact)
