"""A trained CaloFlow: density, draws, and what of a shower is unusual."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from adtoolkit.densities import LOWEST
from adtoolkit.interfaces import Model
from adtoolkit.nn import load_tensors, save_tensors, to_numpy, to_tensor, torch_device
from adtoolkit.types import Array, Mask
from adtoolkit_caloflow.flow import FlowShape, SplineFlow, make_flow
from adtoolkit_caloflow.geometry import Geometry
from adtoolkit_caloflow.transform import ShowerTransform, content_noise

#: Spline parameters evaluated at once: as many as a core's cache holds, or a GPU is filled by.
_AT_ONCE = {"cpu": 2**21, "cuda": 2**28, "mps": 2**26}


_REDRAWS = 20


@dataclass(frozen=True)
class _Pass:
    """One pass of both flows over some showers.

    Attributes:
        voxels: [N, D] with noise.
        energies: [N] log p of the layer energies.
        shares: [N] log p of the shares.
        latent: [N, K] noise of the second flow, in the order of its coordinates.
    """

    voxels: Tensor
    energies: Tensor
    shares: Tensor
    latent: Tensor


class CaloFlow(Model):
    """p(x | E) of showers x [N, D] in MeV at incident energies E [N, 1] in GeV.

    The noise that every voxel gets (see `ShowerTransform`) is made of the event's own content and the seed of the training: the same
    event has the same density again, and the density is that of the shower with its noise. Where a voxel is negative there is none.

    Args:
        transform: To the coordinates of the flows and back.
        geometry: Where the voxels lie.
        energy: Flow of the layer energies.
        shape: Flow of the shares.
        trained: Smallest and largest E of the training, in GeV.
        seed: Of the noise.
    """

    def __init__(
        self, transform: ShowerTransform, geometry: Geometry, energy: SplineFlow, shape: SplineFlow, trained: tuple[float, float], seed: int
    ) -> None:
        self.transform, self.geometry, self.trained, self.seed = transform, geometry, trained, seed
        self.energy, self.shape = energy.eval().requires_grad_(False), shape.eval().requires_grad_(False)

    @property
    def device(self) -> torch.device:
        return self.shape.shift.device

    def outside(self, cond: Array) -> Mask:
        """[N, 1] -> [N]: energies beyond those of the training, where densities are extrapolated."""
        return np.asarray((cond[:, 0] < self.trained[0]) | (cond[:, 0] > self.trained[1]))

    def log_prob(self, x: Array, cond: Array) -> Array:
        """[N, D], [N, 1] -> [N] natural log of p(x | E) per MeV^D; `LOWEST` where it is less, a voxel is negative, or it is no number."""
        found = [p.energies + p.shares + self.transform.log_det(p.voxels).to(p.shares.dtype) for p in self._passes(x, cond)]
        value = to_numpy(torch.cat(found)) if found else np.zeros(0, np.float32)
        return np.where(np.isfinite(value) & (x >= 0).all(1), np.maximum(value, LOWEST), LOWEST).astype(np.float32)

    def log_det(self, x: Array, cond: Array) -> Array:
        """[N, D], [N, 1] -> [N] log |dy/dx|: ``log_prob - log_det`` is log p(y) of the flows' coordinates, the published score.

        Zero where there is no density.
        """
        found = [self.transform.log_det(voxels) for voxels, _ in self._noisy(x, cond)]
        value = to_numpy(torch.cat(found)) if found else np.zeros(0, np.float32)
        return np.where(np.isfinite(value) & (x >= 0).all(1), value, 0.0).astype(np.float32)

    def parts(self, x: Array, cond: Array) -> dict[str, Array]:
        """[N, D], [N, 1] -> what may be unusual of a shower, [N] each, higher = more so (but ``occupancy``, of which both ends are).

        ``flow-1`` and ``flow-2``: -log p of layer energies and of shares. ``occupancy``: share of the voxels above the threshold.
        A region G of `Geometry.regions`: ``(|z_G|^2 - |G|) / sqrt(2 |G|)`` of the latent noise of its voxels, with mean 0 and
        spread 1 for showers like those of the training. ``norm``: the largest of these.
        """
        regions = {name: inside[self.transform.kept] for name, inside in self.geometry.regions().items()}
        names = [name for name, inside in regions.items() if inside.any()]
        sums = to_tensor(np.stack([regions[name] for name in names], 1), self.device)
        size = sums.sum(0)
        columns: list[Tensor] = []
        norms: list[Tensor] = []
        for p in self._passes(x, cond):
            columns.append(torch.stack([-p.energies, -p.shares], 1))
            norms.append((p.latent.square() @ sums - size) / (2 * size).sqrt())
        flows = to_numpy(torch.cat(columns)) if columns else np.zeros((0, 2), np.float32)
        region = to_numpy(torch.cat(norms)) if norms else np.zeros((0, len(names)), np.float32)
        found = {"flow-1": flows[:, 0], "flow-2": flows[:, 1], "occupancy": (x > self.transform.threshold).mean(1, dtype=np.float32)}
        found |= dict(zip(names, region.T, strict=True))
        return {**found, "norm": region.max(1)}

    def sample(self, cond: Array, rng: np.random.Generator) -> Array:
        """[N, 1] in GeV -> [N, D] showers in MeV; noise comes from the generator alone, the same on every device and for any chunk.

        Layer energies are coordinates of a logarithm, so that a rare draw far outside would hold a
        multiple of the incident energy. Such layer energies are drawn again, at most 20 times.
        """
        n, first = len(cond), len(self.transform.layers)
        noise = rng.standard_normal((n, first + self.shape.shape.features), dtype=np.float32)
        given = to_tensor(cond, self.device)
        energies = self._energies(to_tensor(noise[:, :first], self.device), given)
        for _ in range(_REDRAWS):
            again = ~self.transform.possible(energies, given)
            if not (left := int(again.sum())):
                break
            fresh = to_tensor(rng.standard_normal((left, first), dtype=np.float32), self.device)
            energies[again] = self._energies(fresh, given[again])
        out = np.empty((n, self.geometry.features), np.float32)
        step = 4096 if self.device.type == "cpu" else 65_536  # feature by feature: the number of kernels does not depend on it
        for lo in range(0, n, step):
            rows = slice(lo, lo + step)
            out[rows] = to_numpy(self._showers(to_tensor(noise[rows, first:], self.device), energies[rows], given[rows]))
        return out

    @torch.no_grad()
    def _energies(self, noise: Tensor, cond: Tensor) -> Tensor:
        """[N, L], [N, 1] -> [N, L] layer energies in MeV."""
        return self.transform.from_log_energies(self.energy.to_data(noise, self.transform.incident(cond)))

    @torch.no_grad()
    def _showers(self, noise: Tensor, energies: Tensor, cond: Tensor) -> Tensor:
        """[N, K], [N, L], [N, 1] -> [N, D] voxels in MeV."""
        logits = self.shape.to_data(noise, self.transform.condition(cond, energies))
        return self.transform.showers(energies, logits)

    def _noisy(self, x: Array, cond: Array) -> Iterator[tuple[Tensor, Tensor]]:
        """Chunks of [N, D] voxels with noise and [N, 1] energies, float64 where the device has it."""
        step = max(1, _AT_ONCE[self.device.type] // (self.shape.shape.features * (3 * self.shape.shape.bins - 1)))
        wide = torch.float32 if self.device.type == "mps" else torch.float64
        for lo in range(0, len(x), step):
            part = np.asarray(x[lo : lo + step], np.float32)
            noisy = part + self.transform.noise * content_noise(part, self.seed)
            yield to_tensor(noisy, self.device, wide), to_tensor(cond[lo : lo + step], self.device, wide)

    @torch.no_grad()
    def _passes(self, x: Array, cond: Array) -> Iterator[_Pass]:
        """Both flows over chunks of the showers: the transform in float64, the flows in their own precision."""
        t, own = self.transform, self.shape.shift.dtype
        for voxels, given in self._noisy(x, cond):
            energies = t.energies(voxels)
            first = self.energy(t.log_energies(energies).to(own), t.incident(given).to(own))
            latent, slope = self.shape.to_noise(t.logits(voxels).to(own), t.condition(given, energies).to(own))
            yield _Pass(voxels, first, slope - 0.5 * (latent.square() + math.log(2 * math.pi)).sum(1), latent)

    def save(self, directory: Path) -> None:
        """Write weights, permutations and the numbers that all is made from."""
        flows = {"energy": self.energy, "shape": self.shape}
        made_again = (".mask", ".degrees")
        tensors = {f"{k}.{n}": v for k, flow in flows.items() for n, v in flow.state_dict().items() if not n.endswith(made_again)}
        save_tensors(directory / "caloflow.safetensors", tensors)
        about = {
            "transform": asdict(self.transform),
            "geometry": asdict(self.geometry),
            **{name: asdict(flow.shape) for name, flow in flows.items()},
            "trained": self.trained,
            "seed": self.seed,
        }
        (directory / "caloflow.json").write_text(json.dumps(about), encoding="utf-8")

    @classmethod
    def load(cls, directory: Path, device: str) -> Self:
        """Read what `save` wrote."""
        about: Mapping[str, Any] = json.loads((directory / "caloflow.json").read_text(encoding="utf-8"))
        tensors = load_tensors(directory / "caloflow.safetensors")
        flows: dict[str, SplineFlow] = {}
        for name in ("energy", "shape"):
            values = about[name]
            flow = make_flow(FlowShape(**{**values, "groups": tuple(values["groups"])}), seed=0)
            own = {key.removeprefix(f"{name}."): value for key, value in tensors.items() if key.startswith(f"{name}.")}
            flow.load_state_dict({**flow.state_dict(), **own})
            flows[name] = flow.to(torch_device(device))
        t, g = about["transform"], about["geometry"]
        transform = ShowerTransform(**{**t, "layers": tuple(t["layers"]), "order": tuple(t["order"]), "most": tuple(t["most"])})
        geometry = Geometry(tuple(g["layers"]), tuple((x, y) for x, y in g["shapes"]))
        low, high = about["trained"]
        return cls(transform, geometry, flows["energy"], flows["shape"], (low, high), about["seed"])


def mean_square_latent(parts: Mapping[str, Array], sizes: Mapping[str, int]) -> dict[str, float]:
    """Mean squared latent norm of regions over their numbers of coordinates: 1 for showers like those of the training."""
    return {name: float(parts[name].mean(dtype=np.float64) * np.sqrt(2 * n) / n + 1) for name, n in sizes.items()}


def region_sizes(model: CaloFlow) -> dict[str, int]:
    """Coordinates in each region."""
    kept: NDArray[np.int64] = model.transform.kept
    return {name: n for name, inside in model.geometry.regions().items() if (n := int(inside[kept].sum()))}
