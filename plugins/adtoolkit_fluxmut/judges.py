"""The two ways to judge an object against a population generated at its conditions: anew each time, or by a table of populations."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final, Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from adtoolkit.errors import RunError
from adtoolkit.types import Array, Mask
from adtoolkit_fluxmut.cells import Cells
from adtoolkit_fluxmut.clustering import Clusters, Standing, cluster, standing_in
from adtoolkit_fluxmut.config import MutabilityConfig
from adtoolkit_fluxmut.residuals import HasResiduals

__all__ = ["CachedJudge", "ExactJudge", "Judge", "Verdict", "p_values"]

#: Cells with fewer events than this are not halved.
LEAST: Final = 8


@dataclass(frozen=True)
class Verdict:
    """What is said of objects.

    Attributes:
        outlier: [N] GLOSH outlier score in the clustering with the reference population.
        p_value: [N] share of the reference that is at least as much of an outlier; uniform for the reference itself.
        label: [N] cluster of the reference that the object belongs to, or -1 for none.
        probability: [N] strength of that membership.
        outside: [N] whether its conditions lie outside those that the model was trained on, so that the reference is extrapolated.
    """

    outlier: NDArray[np.float64]
    p_value: NDArray[np.float64]
    label: NDArray[np.int64]
    probability: NDArray[np.float64]
    outside: Mask

    def accepted(self, q: float) -> Mask:
        """[N]: which objects pass as reference at the working point q.

        ``p > 1 - q`` is the cut at the quantile q of the population's outlier scores, finite population included. Labels do not enter:
        every cluster holds reference alone (but for the object), and a reference of a single cluster is mostly labelled as noise.
        """
        return np.asarray(self.p_value > 1 - q)


def p_values(objects: NDArray[Any], ordered: NDArray[Any]) -> NDArray[np.float64]:
    """[N] keys, [M] ascending keys of the reference -> [N] conformal p-values ``(1 + #{j: key_j >= key}) / (M + 1)``.

    References:
        Vovk, Gammerman, Shafer, "Algorithmic learning in a random world", doi:10.1007/b106715
    """
    return np.asarray((1 + len(ordered) - np.searchsorted(ordered, objects, side="left")) / (len(ordered) + 1), np.float64)


class Judge(Protocol):
    """Judges objects by their residuals."""

    def judge(self, model: HasResiduals, residuals: Array, cond: Array) -> tuple[Standing, NDArray[np.float64]]:
        """[N, K], [N, 1+C] -> where they stand, and [N] p-values."""


@dataclass(frozen=True)
class ExactJudge:
    """Clusters every object together with N draws at its own conditions.

    The object is one of N + 1 points that are exchangeable if it is reference, so that its p-value is exact for an exact model. The draws
    depend on seed and object alone, never on the company that it is judged in.

    Attributes:
        config: Sizes.
        seed: Of the draws.
    """

    config: MutabilityConfig
    seed: int

    def judge(self, model: HasResiduals, residuals: Array, cond: Array) -> tuple[Standing, NDArray[np.float64]]:
        config, n = self.config, len(residuals)
        found, p = Standing.blank(n), np.ones(n)
        for i, row in enumerate(np.column_stack([residuals, cond]) + np.float32(0.0)):  # -0 and 0 are one value
            own = int.from_bytes(hashlib.blake2b(row.tobytes(), digest_size=8).digest(), "little")
            drawn = _draw(model, np.repeat(cond[i : i + 1], config.population, 0), np.random.default_rng([self.seed, own]))
            mean, std = _scale(drawn)
            points = (np.concatenate([residuals[i : i + 1], drawn]) - mean) / std
            one = standing_in(cluster(points, config.neighbours, config.cluster_share), points, config.neighbours)
            found.put(i, one[0])
            p[i] = p_values(one.key[:1], np.sort(one.key[1:])).item()
        return found, p

    def tensors(self) -> dict[str, Tensor]:
        """Nothing to store."""
        return {}


@dataclass(frozen=True)
class Population:
    """The reference of one cell: clustered, with the ordered keys of further draws."""

    mean: NDArray[np.float64]
    std: NDArray[np.float64]
    clusters: Clusters
    ordered: NDArray[np.complex128]

    def judge(self, residuals: Array, neighbours: int) -> tuple[Standing, NDArray[np.float64]]:
        found = self.clusters.add((residuals - self.mean) / self.std, neighbours)
        return found, p_values(found.key, self.ordered)


@dataclass(frozen=True)
class CachedJudge:
    """A population per cell of the conditions, clustered once; objects are added to it, each for itself.

    The p-value compares an object with draws that were added in the same way (a split conformal p-value), so that it is exact for an exact
    model as long as conditions inside a cell are distributed as those of the events that the cells were made for.

    Attributes:
        cells: Of the conditions.
        populations: Cell -> its reference; those that no condition can fall into are missing.
        neighbours: See `adtoolkit_fluxmut.clustering.cluster`.
    """

    cells: Cells
    populations: Mapping[int, Population]
    neighbours: int

    @classmethod
    def of(cls, model: HasResiduals, cond: Array, config: MutabilityConfig, rng: np.random.Generator) -> Self:
        """Make the populations for objects with [N, 1+C] conditions."""
        depth = min(config.depth, max(0, int(np.log2(max(1, len(cond) // LEAST)))))
        cells = Cells.of(cond, depth)
        members = cells.members(cond)
        size = config.population + config.calibration
        at = np.concatenate([rng.permutation(np.resize(rows, size)) for rows in members.values()])
        drawn = np.split(_draw(model, cond[at], rng).astype(np.float64), len(members))
        return cls(cells, {c: _population(part, config) for c, part in zip(members, drawn, strict=True)}, config.neighbours)

    def judge(self, model: HasResiduals, residuals: Array, cond: Array) -> tuple[Standing, NDArray[np.float64]]:  # noqa: ARG002
        n = len(residuals)
        found, p = Standing.blank(n), np.ones(n)
        for c, rows in self.cells.members(cond).items():
            for some in np.array_split(rows, 1 + len(rows) // 4096):
                one, p[some] = self.populations[c].judge(residuals[some], self.neighbours)
                found.put(some, one)
        return found, p

    def tensors(self) -> dict[str, Tensor]:
        """All that it is made of."""
        found: dict[str, NDArray[np.generic]] = {"cuts": self.cells.cuts}
        for c, population in self.populations.items():
            found |= {f"{c}.{name}": getattr(population, name) for name in ("mean", "std")}
            found[f"{c}.ordered"] = population.ordered.view(np.float64)
            found |= {f"{c}.clusters.{f.name}": getattr(population.clusters, f.name) for f in fields(Clusters)}
        return {name: torch.as_tensor(np.ascontiguousarray(value)) for name, value in found.items()}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor], conditions: int, neighbours: int) -> Self:
        """What `tensors` gave."""
        arrays = {name: value.numpy() for name, value in tensors.items()}
        populations = {}
        for c in sorted({int(name.partition(".")[0]) for name in arrays if "." in name}):
            clusters = Clusters(**{f.name: arrays[f"{c}.clusters.{f.name}"] for f in fields(Clusters)})
            populations[c] = Population(arrays[f"{c}.mean"], arrays[f"{c}.std"], clusters, arrays[f"{c}.ordered"].view(np.complex128))
        return cls(Cells(arrays["cuts"], conditions), populations, neighbours)


def _draw(model: HasResiduals, cond: Array, rng: np.random.Generator) -> Array:
    """[N, 1+C] -> [N, K] residuals of the reference.

    Raises:
        RunError: if some are not finite: a population without its tail would make every object an outlier.
    """
    drawn = model.sample_residuals(cond, rng)
    if bad := int((~np.isfinite(drawn).all(1)).sum()):
        raise RunError(
            f"{bad:,} of {len(drawn):,} draws of the reference are not finite.",
            "The model did not train well: train longer or choose another.",
        )
    return drawn


def _scale(drawn: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and spread of the draws, the object left out."""
    mean, std = drawn.mean(0, dtype=np.float64), drawn.std(0, dtype=np.float64)
    return mean, np.where(std > 0, std, 1.0)


def _population(drawn: NDArray[np.float64], config: MutabilityConfig) -> Population:
    mean, std = _scale(drawn[: config.population])
    points = (drawn - mean) / std
    clusters = Clusters.of(points[: config.population], config.neighbours, config.cluster_share)
    return Population(mean, std, clusters, np.sort(clusters.add(points[config.population :], config.neighbours).key))
