"""A fitted Flux: autoencoder, flow of the residuals, and what it takes to draw x."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray

from adtoolkit.interfaces import Model
from adtoolkit.nn import load_tensors, save_tensors, torch_device
from adtoolkit.types import Array, Mask
from adtoolkit_fluxmut.network import Autoencoder, AutoencoderShape, in_chunks, make_autoencoder
from adtoolkit_fluxmut.scaled import ScaledFlow

Space = Literal["residual", "augmented"]


def residuals_of(autoencoder: Autoencoder, space: Space, x: Array, cond: Array) -> Array:
    """[N, D], [N, 1+C] -> [N, K]: r = x - xhat, or [xhat, r]."""
    known = in_chunks(autoencoder, x, cond, autoencoder.shift.device)
    return x - known if space == "residual" else np.column_stack([known, x - known])


class FluxModel(Model):
    """p(x | k) of the reference, split into what the autoencoder tells and what it leaves.

    In the space ``residual`` the flow is of r = x - xhat, and a second one gives p(h | r, k) of the autoencoder's code h: by the chain
    rule p(h, r | k) = p(h | r, k) p(r | k), so that x = dec(h, k) + r is drawn from both. In ``augmented`` the flow is of [xhat, r], and x
    is their sum.

    Args:
        autoencoder: Trained.
        flow: Of the residuals.
        codes: p(h | k, r), whose last conditions are the flow's scaled residuals; None with ``augmented``.
        space: What the flow is of.
        trained: [2, 1+C] least and largest conditions of the training events.
    """

    def __init__(
        self, autoencoder: Autoencoder, flow: ScaledFlow, codes: ScaledFlow | None, space: Space, trained: NDArray[np.float32]
    ) -> None:
        self.autoencoder = autoencoder.eval().requires_grad_(False)
        self.flow, self.codes, self.space, self.trained = flow, codes, space, trained

    def reconstruct(self, x: Array, cond: Array) -> Array:
        """[N, D], [N, 1+C] -> [N, D]."""
        return in_chunks(self.autoencoder, x, cond, self.autoencoder.shift.device)

    def residuals(self, x: Array, cond: Array) -> Array:
        """[N, D], [N, 1+C] -> [N, K]."""
        return residuals_of(self.autoencoder, self.space, x, cond)

    def sample_residuals(self, cond: Array, rng: np.random.Generator) -> Array:
        """[N, 1+C] -> [N, K] draws of the reference's residuals."""
        return self.flow.sample(cond, rng)

    def sample(self, cond: Array, rng: np.random.Generator) -> Array:
        """[N, 1+C] -> [N, D] draws of x."""
        left = self.flow.sample(cond, rng)
        if self.codes is None:
            return left[:, : left.shape[1] // 2] + left[:, left.shape[1] // 2 :]
        code = self.codes.sample(np.column_stack([cond, self.flow.scale(left)]), rng)
        return in_chunks(self.autoencoder.decode, code, cond, self.autoencoder.shift.device) + left

    def log_prob_residuals(self, x: Array, cond: Array) -> Array:
        """[N, D], [N, 1+C] -> [N] natural log q(a | k) of the residuals."""
        return self.flow.log_prob(self.residuals(x, cond), cond)

    def outside(self, cond: Array) -> Mask:
        """[N, 1+C] -> [N]: which conditions lie outside those of the training events."""
        low, high = self.trained
        return np.asarray(~((cond >= low) & (cond <= high)).all(1), np.bool_)

    def save(self, directory: Path) -> None:
        """Write the networks and what they are made from."""
        save_tensors(directory / "autoencoder.safetensors", self.autoencoder.state_dict())
        save_tensors(directory / "trained.safetensors", {"trained": torch.as_tensor(self.trained)})
        for name, flow in (("flow", self.flow), ("codes", self.codes)):
            if flow is not None:
                (directory / name).mkdir()
                flow.save(directory / name)
        meta = {"space": self.space, "autoencoder": asdict(self.autoencoder.shape)}
        (directory / "flux.json").write_text(json.dumps(meta, indent=1), encoding="utf-8")

    @classmethod
    def load(cls, directory: Path, device: str) -> Self:
        """Read what `save` wrote."""
        meta: dict[str, Any] = json.loads((directory / "flux.json").read_text(encoding="utf-8"))
        shape = meta["autoencoder"]
        autoencoder = make_autoencoder(AutoencoderShape(**{**shape, "widths": tuple(shape["widths"])}), seed=0)
        autoencoder.load_state_dict(load_tensors(directory / "autoencoder.safetensors"))
        codes = ScaledFlow.load(directory / "codes", device) if (directory / "codes").exists() else None
        trained = load_tensors(directory / "trained.safetensors")["trained"].numpy()
        return cls(autoencoder.to(torch_device(device)), ScaledFlow.load(directory / "flow", device), codes, meta["space"], trained)
