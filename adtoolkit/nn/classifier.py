"""A small network that tells two samples apart: stacked members, mean over the epochs of lowest validation loss."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save
from torch import Tensor

from adtoolkit.scorers.config import ClassifierConfig

FILE = "network.safetensors"
_CHUNK = 16_384  # events per forward pass when scoring: bounds memory at members x epochs x hidden x chunk


def _forward(x: Tensor, layers: list[tuple[Tensor, Tensor]]) -> Tensor:
    """[P, N, D] inputs and P stacked networks -> [P, N] log-odds."""
    for weight, bias in layers[:-1]:
        x = torch.baddbmm(bias, x, weight).relu_()
    weight, bias = layers[-1]
    return torch.baddbmm(bias, x, weight)[..., 0]


def _pairs(parameters: list[Tensor]) -> list[tuple[Tensor, Tensor]]:
    return list(zip(parameters[::2], parameters[1::2], strict=True))


@dataclass(frozen=True)
class MlpEnsemble:
    """Fitted networks, one per member and chosen epoch; the score is the mean of their outputs.

    Attributes:
        parameters: Weights [P, in, out] and biases [P, 1, out] in turn, for P = members x chosen epochs.
        mean: [D] subtracted from the inputs.
        scale: [D] divides the inputs.
    """

    parameters: list[Tensor]
    mean: Tensor
    scale: Tensor

    @torch.no_grad()
    def predict(self, x: NDArray[Any]) -> NDArray[np.float64]:
        """[N, D] -> [N] mean probability of the positive class."""
        out = np.empty(len(x))
        inputs = torch.as_tensor(np.array(x, np.float32))
        wide = torch.float32 if self.mean.device.type == "mps" else torch.float64  # mps has no doubles
        for lo in range(0, len(x), _CHUNK):
            chunk = (inputs[lo : lo + _CHUNK].to(self.mean.device) - self.mean) / self.scale
            total = torch.zeros(len(chunk), dtype=wide, device=chunk.device)
            # One network at a time: a batched product may round differently for another number of events.
            for p in range(len(self.parameters[0])):
                total += _forward(chunk[None], _pairs([t[p : p + 1] for t in self.parameters]))[0].to(wide).sigmoid()
            out[lo : lo + _CHUNK] = (total / len(self.parameters[0])).cpu().numpy()
        return out

    def save(self, directory: Path) -> None:
        """Write one safetensors file."""
        tensors = {f"parameter.{i:02d}": t.contiguous().cpu() for i, t in enumerate(self.parameters)}
        (directory / FILE).write_bytes(save({**tensors, "mean": self.mean.cpu(), "scale": self.scale.cpu()}))

    @classmethod
    def load(cls, directory: Path, device: str) -> Self:
        """Read what `save` wrote."""
        stored = load_file(directory / FILE, device=device)
        return cls([stored[k] for k in sorted(stored) if k.startswith("parameter.")], stored["mean"], stored["scale"])


def _start(sizes: list[int], members: int, generator: torch.Generator) -> list[Tensor]:
    """Weights and biases uniform within 1/sqrt(inputs), torch's own rule for linear layers."""
    shapes = [(n_in, shape) for n_in, n_out in pairwise(sizes) for shape in ((members, n_in, n_out), (members, 1, n_out))]
    return [(torch.rand(shape, generator=generator) * 2 - 1) / n_in**0.5 for n_in, shape in shapes]


def fit_mlp(
    x: NDArray[Any],
    y: NDArray[Any],
    weight: NDArray[Any],
    config: ClassifierConfig,
    rng: np.random.Generator,
    device: str = "cpu",
    log: Callable[[int, float], None] | None = None,
) -> MlpEnsemble:
    """Train ``config.members`` networks side by side, each on a random train/validation split of its own.

    Args:
        x: [N, D] inputs; standardised here.
        y: [N] 1 = positive, 0 = negative.
        weight: [N] event weights, already balanced between the classes; they enter training and validation loss.
        config: Options of the network.
        rng: Source of splits, start and order of events.
        device: Where to train.
        log: Called with the number of epochs done and the members' mean validation loss.

    References:
        Hallin, Isaacson, Kasieczka, Krause, Nachman, Quadfasel, Schlaffer, Shih, Sommerhalder, "Classifying anomalies through outer
        density estimation (CATHODE)", arXiv:2109.00546.
    """
    generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
    inputs = torch.as_tensor(np.array(x, np.float32))
    mean, scale = inputs.mean(0), inputs.std(0, correction=0).clamp_min(1e-12)
    inputs = ((inputs - mean) / scale).to(device)
    labels = torch.as_tensor(np.array(y, np.float32)).to(device)
    weights = torch.as_tensor(np.array(weight, np.float32)).to(device)
    n, n_val = len(inputs), min(len(inputs) - 1, max(1, round(config.validation * len(inputs))))
    split = torch.stack([torch.randperm(n, generator=generator) for _ in range(config.members)])
    val, train = split[:, :n_val].to(device), split[:, n_val:].to(device)
    sizes = [inputs.shape[1], *[config.hidden] * config.layers, 1]
    parameters = [p.to(device).requires_grad_() for p in _start(sizes, config.members, generator)]
    optimiser = torch.optim.Adam(parameters, lr=config.rate, fused=torch.device(device).type != "mps")
    rows = torch.arange(config.members, device=device)[:, None]

    def loss(index: Tensor) -> Tensor:
        """[M, B] events of each member -> [M] weighted mean cross-entropy."""
        each = torch.nn.functional.binary_cross_entropy_with_logits(
            _forward(inputs[index], _pairs(parameters)), labels[index], reduction="none"
        )
        return (each * weights[index]).sum(1) / weights[index].sum(1).clamp_min(1e-12)

    history, kept = [], []
    batch = min(config.batch, train.shape[1])
    for epoch in range(config.epochs):
        order = torch.stack([torch.randperm(train.shape[1], generator=generator) for _ in range(config.members)]).to(device)
        shuffled = train[rows, order]
        for lo in range(0, train.shape[1] - batch + 1, batch):  # the rest of less than a batch comes up in other epochs
            optimiser.zero_grad(set_to_none=True)
            loss(shuffled[:, lo : lo + batch]).sum().backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        with torch.no_grad():
            parts = [(loss(part) * weights[part].sum(1), weights[part].sum(1)) for part in torch.split(val, _CHUNK, dim=1)]
            history.append(torch.stack([p[0] for p in parts]).sum(0) / torch.stack([p[1] for p in parts]).sum(0))
            kept.append([p.detach().clone() for p in parameters])
        if log is not None:
            log(epoch + 1, float(history[-1].mean()))
    best = torch.stack(history).argsort(dim=0, stable=True)[: config.best_epochs].T  # [M, best]
    chosen = [torch.stack([kept[e][i][m] for m in range(config.members) for e in best[m].tolist()]) for i in range(len(parameters))]
    return MlpEnsemble(chosen, mean.to(device), scale.to(device))
