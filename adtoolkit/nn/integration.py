"""How a velocity field is turned into draws and densities: the numbers that decide it, in one place."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from adtoolkit.nn import ode
from adtoolkit.nn.cfm import Velocity
from adtoolkit.nn.tools import chunk_size, to_numpy, to_tensor
from adtoolkit.types import Array


@dataclass(frozen=True)
class Integration:
    """How fields are integrated.

    Attributes:
        solver: See `adtoolkit.nn.ode.solve`.
        steps: Steps of a draw.
        density_steps: Steps of a density; 0 takes twice those of a draw.
        trace: Divergence of the field: ``exact`` (D derivatives) or ``hutchinson`` (one, along a direction of the event's own).
    """

    solver: ode.Solver = "midpoint"
    steps: int = 10
    density_steps: int = 0
    trace: ode.Trace = "exact"

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
            field,
            to_tensor(x, device),
            to_tensor(cond, device),
            steps=self.density_steps or 2 * self.steps,
            solver=self.solver,
            trace=self.trace,
            chunk=chunk_size(device) // 4,
        )
        return to_numpy(out)
