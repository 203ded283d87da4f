"""A trained velocity network as a model: draws, densities and its field."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self, final

import numpy as np
import torch
from torch import Tensor

from adtoolkit.interfaces import Model
from adtoolkit.nn import isolated_rng, load_tensors, save_tensors, torch_device
from adtoolkit.nn.integration import Integration
from adtoolkit.nn.velocity import VelocityNetwork, build
from adtoolkit.types import Array


@final
class CfmModel(Model):
    """p(x | m) of the training events, by conditional flow matching.

    Masses outside `mass_range` are allowed. A network that is given m itself extrapolates smoothly; one that is given
    frequencies answers whatever these continue to, so that interpolators keep their anchors inside.

    Args:
        network: Trained; put into evaluation mode.
        options: What `adtoolkit.nn.velocity.build` makes the same network of, for storing.
        mass_range: Lowest and highest mass of the events given to the fit, those for validation included.
        integration: Solver.
    """

    def __init__(
        self, network: VelocityNetwork, options: Mapping[str, Any], mass_range: tuple[float, float], integration: Integration
    ) -> None:
        self.network = network.eval().requires_grad_(False)
        self.options, self.mass_range, self.integration = dict(options), mass_range, integration

    @property
    def device(self) -> torch.device:
        return self.network.leave.weight.device

    @property
    def features(self) -> int:
        """D."""
        return self.network.features

    def field(self, t: Tensor, x: Tensor, cond: Tensor) -> Tensor:
        """[], [N, D], [N, 1+C] -> [N, D]: the velocity at each event's own mass."""
        velocity: Tensor = self.network(t, x, cond)
        return velocity

    def sample(self, cond: Array, rng: np.random.Generator) -> Array:
        """[N, 1+C] -> [N, D]."""
        return self.integration.draw(self.field, self.features, cond, rng, self.device)

    def log_prob(self, x: Array, cond: Array) -> Array:
        """[N, D], [N, 1+C] -> [N]."""
        return self.integration.density(self.field, x, cond, self.device)

    def save(self, directory: Path) -> None:
        save_tensors(directory / "network.safetensors", self.network.state_dict())
        meta = {"network": self.options, "mass_range": self.mass_range, "integration": asdict(self.integration)}
        (directory / "model.json").write_text(json.dumps(meta, indent=1), encoding="utf-8")

    @classmethod
    def load(cls, directory: Path, device: str) -> Self:
        meta = json.loads((directory / "model.json").read_text(encoding="utf-8"))
        with isolated_rng(0):  # the initial weights are overwritten
            network = build(meta["network"])
        network.load_state_dict(load_tensors(directory / "network.safetensors"))
        lo, hi = meta["mass_range"]
        return cls(network.to(torch_device(device)), meta["network"], (lo, hi), Integration(**meta["integration"]))
