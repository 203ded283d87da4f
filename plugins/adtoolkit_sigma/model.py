"""A trained SIGMA network as a model: draws, densities and its velocity field."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from adtoolkit.interfaces import Model
from adtoolkit.nn import chunk_size, isolated_rng, load_tensors, ode, save_tensors, to_numpy, to_tensor, torch_device
from adtoolkit.nn.cfm import Velocity
from adtoolkit.types import Array
from adtoolkit_sigma.network import BlendContext, Embedding, VelocityNetwork


@dataclass(frozen=True)
class Integration:
    """How fields are integrated: solver, its steps for draws (densities take twice as many)."""

    solver: ode.Solver = "midpoint"
    steps: int = 10

    def draw(self, field: Velocity, features: int, cond: Array, rng: np.random.Generator, device: torch.device) -> Array:
        """[N, 1+C] -> [N, D]. The noise comes from the generator alone: the same on every device and for any chunk."""
        noise = rng.standard_normal((len(cond), features), dtype=np.float32)
        out = ode.push(
            field, to_tensor(noise, device), to_tensor(cond, device), steps=self.steps, solver=self.solver, chunk=chunk_size(device)
        )
        return to_numpy(out)

    def density(self, field: Velocity, x: Array, cond: Array, device: torch.device) -> Array:
        """[N, D], [N, 1+C] -> [N]."""
        out = ode.log_prob(
            field, to_tensor(x, device), to_tensor(cond, device), steps=2 * self.steps, solver=self.solver, chunk=chunk_size(device) // 4
        )
        return to_numpy(out)


class SigmaModel(Model):
    """p(x | m) of all training events.

    Masses outside `mass_range` are allowed, and answered by whatever the frequencies of the embedding continue to:
    interpolators therefore keep their anchors inside.

    Args:
        network: Trained; put into evaluation mode.
        options: What `build` makes the same network of, for storing.
        mass_range: Lowest and highest training mass.
        integration: Solver.
    """

    def __init__(
        self, network: VelocityNetwork, options: dict[str, Any], mass_range: tuple[float, float], integration: Integration
    ) -> None:
        self.network = network.eval().requires_grad_(False)
        self.options, self.mass_range, self.integration = options, mass_range, integration

    @property
    def device(self) -> torch.device:
        return self.network.leave.weight.device

    def field(self, t: Tensor, x: Tensor, cond: Tensor) -> Tensor:
        """[], [N, D], [N, 1+C] -> [N, D]: the velocity at each event's own mass."""
        velocity: Tensor = self.network(t, x, cond)
        return velocity

    def sample(self, cond: Array, rng: np.random.Generator) -> Array:
        """[N, 1+C] -> [N, D]."""
        return self.integration.draw(self.field, self.network.features, cond, rng, self.device)

    def log_prob(self, x: Array, cond: Array) -> Array:
        """[N, D], [N, 1+C] -> [N]."""
        return self.integration.density(self.field, x, cond, self.device)

    def blend(self, anchors: Sequence[float], weights: Callable[[Tensor], Tensor]) -> Blend:
        """The background between anchors; ``weights`` turns masses [N] into the anchors' shares [N, J]."""
        return Blend(self, torch.tensor(list(anchors), dtype=torch.float32, device=self.device), weights)

    def save(self, directory: Path) -> None:
        save_tensors(directory / "network.safetensors", self.network.state_dict())
        meta = {"network": self.options, "mass_range": self.mass_range, "solver": self.integration.solver, "steps": self.integration.steps}
        (directory / "model.json").write_text(json.dumps(meta, indent=1), encoding="utf-8")

    @classmethod
    def load(cls, directory: Path, device: str) -> Self:
        meta = json.loads((directory / "model.json").read_text(encoding="utf-8"))
        lo, hi = meta["mass_range"]
        with isolated_rng(0):  # the initial weights are overwritten
            network = build((lo, hi), meta["network"])
        network.load_state_dict(load_tensors(directory / "network.safetensors"))
        return cls(network.to(torch_device(device)), meta["network"], (lo, hi), Integration(meta["solver"], meta["steps"]))


class Blend:
    """A `SigmaModel` whose mass-dependent activations are interpolated between anchors: a background for the window.

    It never evaluates the network at a mass between the anchors.
    """

    def __init__(self, model: SigmaModel, anchors: Tensor, weights: Callable[[Tensor], Tensor]) -> None:
        self.model, self.anchors, self.weights = model, anchors, weights

    def velocity(self, t: Tensor, x: Tensor, cond: Tensor) -> Tensor:
        """[], [N, D], [N, 1+C] -> [N, D]: one pass through the trunk."""
        provider = BlendContext(self.anchors.to(x.dtype), self.weights(cond[:, 0]))
        return self.model.network.velocity(t, x, provider)

    def sample(self, cond: Array, rng: np.random.Generator) -> Array:
        """[N, 1+C] -> [N, D]."""
        return self.model.integration.draw(self.velocity, self.model.network.features, cond, rng, self.model.device)

    def log_prob(self, x: Array, cond: Array) -> Array:
        """[N, D], [N, 1+C] -> [N]."""
        return self.model.integration.density(self.velocity, x, cond, self.model.device)


def build(mass_range: tuple[float, float], options: dict[str, Any]) -> VelocityNetwork:
    """An untrained network; ``options`` are numbers and names, so that JSON holds them."""
    rest = {k: v for k, v in options.items() if k not in ("features", "mass_frequencies", "time_frequencies")}
    embedding = Embedding(*mass_range, options["mass_frequencies"], options["time_frequencies"])
    return VelocityNetwork(options["features"], embedding, **rest)
