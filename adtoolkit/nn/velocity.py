"""The velocity network of the flow-matching methods: a residual trunk whose first layer and block gates see time and mass.

There is one network. How it sees time and mass is told by a *context provider*: `PlainContext` for one mass per event (to
train, and to evaluate at a true mass); SIGMA has one of its own, for the interpolation between anchors. All give the network
the same two things, and everything behind them is common code: the activation of the first layer, and a gate per block.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn

Norm = Literal["none", "layer", "batch"]
Activation = Literal["relu", "silu"]

_ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "silu": nn.SiLU}


class FrequencyEmbedding(nn.Module):
    """Frequencies of time and mass: ``beta(t) = cos, sin(k pi t)``, k = 1..T; ``alpha(u) = cos, sin(2^k pi u)``, k = 0..L-1.

    The mass range is scaled to u in [-1/2, 1/2]. The published scaling to [-1, 1] makes both ends of the range the same
    point for the network, because every frequency is then a multiple of the period of the range; on half the range the
    lowest frequency tells all masses apart. One more octave gives the published resolution.

    Args:
        centre: Mass of u = 0.
        width: Mass range that is one unit of u.
        mass_frequencies: L.
        time_frequencies: T.
    """

    scale: Tensor
    mass: Tensor
    time: Tensor

    def __init__(self, centre: float, width: float, mass_frequencies: int, time_frequencies: int) -> None:
        super().__init__()
        self.register_buffer("scale", torch.tensor([centre, width]))
        self.register_buffer("mass", 2.0 ** torch.arange(mass_frequencies), persistent=False)
        self.register_buffer("time", torch.arange(1.0, time_frequencies + 1), persistent=False)

    @property
    def width(self) -> int:
        return 2 * (len(self.mass) + len(self.time))

    def forward(self, t: Tensor, m: Tensor) -> Tensor:
        """[] or [B], [B] -> [B, C]."""
        u = (m - self.scale[0]) / self.scale[1]
        phases = torch.cat([t.expand(len(u))[:, None] * self.time, u[:, None] * self.mass], 1) * math.pi
        return torch.cat([phases.cos(), phases.sin()], 1)


class RawEmbedding(nn.Module):
    """The mass itself beside the frequencies of time: ``u = (m - centre) / width`` and ``beta(t)``.

    An affine map of m changes nothing that the first layer could not undo; it puts m at the scale of the features, which
    its first weights and the decay of weights assume.

    Args:
        centre: Mass of u = 0.
        width: Mass range that is one unit of u.
        time_frequencies: T.
    """

    scale: Tensor
    time: Tensor

    def __init__(self, centre: float, width: float, time_frequencies: int) -> None:
        super().__init__()
        self.register_buffer("scale", torch.tensor([centre, width]))
        self.register_buffer("time", torch.arange(1.0, time_frequencies + 1), persistent=False)

    @property
    def width(self) -> int:
        return 2 * len(self.time) + 1

    def forward(self, t: Tensor, m: Tensor) -> Tensor:
        """[] or [B], [B] -> [B, C]."""
        u = ((m - self.scale[0]) / self.scale[1])[:, None]
        phases = t.expand(len(u))[:, None] * self.time * math.pi
        return torch.cat([phases.cos(), phases.sin(), u], 1)


Embedding = FrequencyEmbedding | RawEmbedding


class ContextProvider(Protocol):
    """What the trunk needs to know of time and mass."""

    def nodes(self, network: VelocityNetwork, t: Tensor, wx: Tensor) -> tuple[Tensor, Tensor]:
        """Time [] or [B] and W_in x [B, H] -> first activation [B, H] and all block gates before the sigmoid [B, K H]."""


@dataclass(frozen=True)
class PlainContext:
    """One mass per event: ``m`` [B]."""

    m: Tensor

    def nodes(self, network: VelocityNetwork, t: Tensor, wx: Tensor) -> tuple[Tensor, Tensor]:
        first, gates = network.context(network.embedding(t, self.m))
        return network.activation(wx + first), gates


class VelocityNetwork(nn.Module):
    """v(t, x, m) [B, D]; see the module's docstring.

    ``h = act(W_in [x; c] + b)``, then K blocks ``h = h + r(h) sigmoid(g)`` with ``g = act(W_c c + b)`` of their own, then
    ``v = W_out h + b``. Activations of the context are non-linear (the published "non-linear context") when
    ``gate_activation`` is set.

    With ``normal_base`` the velocity is ``(2t - 1) x / q + (W_out h + b) / sqrt(q)``, ``q = t^2 + (1 - t)^2``. The first term is the
    field of standard normal data, which preprocessed features resemble at large, so that the network learns the difference; and
    what it learns has the same spread at all times: given x_t, the velocity of standard normal data has variance 1 / q. The
    published network has nothing of the kind (Karras et al. precondition diffusion models so).

    Args:
        features: D.
        embedding: Of time and mass.
        hidden: H.
        blocks: K.
        norm: Before the first activation of each block's residual; ``batch`` also stands before the second.
        activation: Of the trunk and of the context.
        dropout: Before the last layer of each residual.
        gate_activation: Whether the gates pass through the activation before the sigmoid.
        normal_base: Whether the field of standard normal data is built in.
        mixed: Let the trunk train in bfloat16; weights, first and last layer stay float32, and so does evaluation.

    References:
        | SIGMA: Single Interpolated Generative Model for Anomalies (Das, Shih), arXiv:2410.20537, and its reference code
        | Elucidating the Design Space of Diffusion-Based Generative Models (Karras et al.), arXiv:2206.00364, section 5
    """

    def __init__(
        self,
        features: int,
        embedding: Embedding,
        *,
        hidden: int = 128,
        blocks: int = 4,
        norm: Norm = "layer",
        activation: Activation = "relu",
        dropout: float = 0.0,
        gate_activation: bool = True,
        normal_base: bool = False,
        mixed: bool = False,
    ) -> None:
        super().__init__()
        self.embedding, self.features, self.hidden, self.mixed = embedding, features, hidden, mixed
        self.activation = _ACTIVATIONS[activation]()
        self.gate_activation, self.normal_base = gate_activation, normal_base
        width = features + embedding.width
        self.enter = nn.Linear(features, hidden, bias=False)
        self.inform = nn.Linear(embedding.width, hidden)
        self.gates = nn.Linear(embedding.width, blocks * hidden)  # every W_c in one product
        bound = width**-0.5  # as one layer of width D + C would start
        with torch.no_grad():
            for p in (*self.enter.parameters(), *self.inform.parameters()):
                p.uniform_(-bound, bound)
        self.blocks = nn.ModuleList(_residual(hidden, norm, activation, dropout) for _ in range(blocks))
        self.leave = nn.Linear(hidden, features)

    def context(self, c: Tensor) -> tuple[Tensor, Tensor]:
        """[B, C] -> W_in's part for c [B, H], before its activation; gates [B, K H], before their sigmoid."""
        gates = self.gates(c)
        return self.inform(c), self.activation(gates) if self.gate_activation else gates

    def velocity(self, t: Tensor, x: Tensor, provider: ContextProvider) -> Tensor:
        """[] or [B], [B, D] -> [B, D]."""
        h, gates = provider.nodes(self, t, self.enter(x))
        mixed = self.mixed and self.training
        if mixed:
            h, gates = h.bfloat16(), gates.bfloat16()
        with torch.autocast(x.device.type, torch.bfloat16, enabled=mixed):
            for block, gate in zip(self.blocks, torch.sigmoid(gates).chunk(len(self.blocks), 1), strict=True):
                h = torch.addcmul(h, block(h), gate)
        velocity: Tensor = self.leave(h.to(x.dtype))
        if not self.normal_base:
            return velocity
        t = t.expand(len(x))[:, None]
        spread = torch.rsqrt(t.square() + (1 - t).square())
        return spread * ((2 * t - 1) * spread * x + velocity)

    def forward(self, t: Tensor, x: Tensor, cond: Tensor) -> Tensor:
        """The velocity at each event's own mass, ``cond[:, 0]``."""
        return self.velocity(t, x, PlainContext(cond[:, 0]))


def _residual(hidden: int, norm: Norm, activation: Activation, dropout: float) -> nn.Sequential:
    """Normalise, activate, layer, (normalise,) activate, (drop,) layer; the last starts near zero, as in the reference."""
    act = _ACTIVATIONS[activation]
    layers: list[nn.Module] = []
    for i in (0, 1):
        if norm == "batch":
            layers.append(nn.BatchNorm1d(hidden, eps=1e-3))
        elif norm == "layer" and i == 0:
            layers.append(nn.LayerNorm(hidden))
        layers.append(act(inplace=bool(i)))  # the second overwrites what only it reads: a fifth less time
        if i and dropout:
            layers.append(nn.Dropout(dropout))
        layers.append(nn.Linear(hidden, hidden))
    last = layers[-1]
    for p in last.parameters():
        nn.init.uniform_(p, -1e-3, 1e-3)
    return nn.Sequential(*layers)


def build(options: Mapping[str, Any], scale: tuple[float, float] = (0.0, 1.0)) -> VelocityNetwork:
    """An untrained network.

    Args:
        options: ``features``, ``mass_embedding`` (``frequencies`` or ``raw``), ``mass_frequencies``, ``time_frequencies`` and
            the keywords of `VelocityNetwork`: numbers and names, so that JSON holds them.
        scale: Centre and width of the mass; part of the state dict.
    """
    rest = dict(options)
    features, kind = rest.pop("features"), rest.pop("mass_embedding")
    octaves, harmonics = rest.pop("mass_frequencies"), rest.pop("time_frequencies")
    embedding = FrequencyEmbedding(*scale, octaves, harmonics) if kind == "frequencies" else RawEmbedding(*scale, harmonics)
    return VelocityNetwork(features, embedding, **rest)
