"""A trained R-ANODE: the learnt signal density over the background's."""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final, Self

import numpy as np
import torch
from torch import Tensor

from adtoolkit.background import Background
from adtoolkit.errors import CacheError
from adtoolkit.interfaces import FittedScorer, Model
from adtoolkit.mass import Tabulated
from adtoolkit.metrics.likelihood_ratio import LARGEST
from adtoolkit.nn import chunk_size, load_tensors, save_tensors, to_numpy, to_tensor
from adtoolkit.types import Array, Sample, Window
from adtoolkit_ranode.flow import StackedFlow
from adtoolkit_ranode.mixture import Box, Floats, log_background

_STACK: Final = 8  # flows evaluated side by side when scoring: bounds memory


@dataclass(frozen=True)
class Signal:
    """The learnt p_sig(x, m): the mean density of several flows.

    Attributes:
        flow: Their shape.
        rows: [S, n] their parameters.
        box: Their coordinates.
    """

    flow: StackedFlow
    rows: Tensor
    box: Box

    @torch.no_grad()
    def log_prob(self, events: Sample) -> Floats:
        """[N] log p_sig(x, m) of events in the window: the log of the mean of the flows' densities."""
        z, slope = self.box.forward(events)
        return np.asarray(to_numpy(log_mean(self.flow, self.rows, to_tensor(z, self.rows.device))).astype(np.float64) + slope)

    @torch.no_grad()
    def sample(self, n: int, rng: np.random.Generator) -> Sample:
        """n draws of the mixture: from each flow as many as its share, in random order."""
        flows = len(self.rows)
        each = -(-n // flows)
        noise = to_tensor(rng.standard_normal((flows, self.flow.dimensions, each), dtype=np.float32), self.rows.device)
        parts = [to_numpy(self.flow.inverse(self.rows[i : i + 1], noise[i : i + 1])[0]) for i in range(flows)]
        drawn = np.concatenate(parts, 1) if parts else np.zeros((self.flow.dimensions, 0), np.float32)
        return self.box.inverse(drawn[:, rng.permutation(drawn.shape[1])[:n]])


@torch.no_grad()
def log_mean(flow: StackedFlow, rows: Tensor, z: Tensor) -> Tensor:
    """[S, n] flows, [D, N] coordinates -> [N] log of the mean of their densities."""
    parts = []
    size = max(1, chunk_size(z.device) // _STACK)
    for lo in range(0, z.shape[1], size):
        chunk, total = z[None, :, lo : lo + size], None
        for part in torch.split(rows, _STACK):
            value = flow.log_prob(part, chunk.expand(len(part), -1, -1)).logsumexp(0)
            total = value if total is None else torch.logaddexp(total, value)
        parts.append(z.new_zeros(chunk.shape[-1]) if total is None else total - np.log(len(rows)))
    return torch.cat(parts) if parts else z.new_zeros(0)


@dataclass(frozen=True)
class RAnodeScorer(FittedScorer):
    """log R = log p_sig(x, m) - log [p_bg(x | m) p_bg(m)], within +-500; -500 outside the window, where there is no signal.

    With a guarded background R is multiplied by one minus the guard's share: its mean over the unguarded background then is at
    most one, which keeps inference on it conservative.

    Attributes:
        signal: The learnt density.
        background: What it is compared with.
        guard: Share of the broad density in it.
        numbers: See `summary`.
        points: See `curves`.
    """

    signal: Signal
    background: Background
    guard: float
    numbers: Mapping[str, float] = field(default_factory=dict)
    points: Mapping[str, Array] = field(default_factory=dict)

    def score(self, events: Sample) -> Array:
        inside = self.signal.box.window.contains(events.m)
        log_r = np.full(len(events), -LARGEST)
        if inside.any():
            some = events[inside]
            with np.errstate(invalid="ignore"):
                value = self.signal.log_prob(some) - log_background(self.background, some, self.guard) + np.log1p(-self.guard)
            # an event to which the background gives no density is the most anomalous there is, not one in the middle
            log_r[inside] = np.nan_to_num(value, nan=LARGEST, posinf=LARGEST, neginf=-LARGEST)
        return np.asarray(np.clip(log_r, -LARGEST, LARGEST), np.float32)

    def summary(self) -> Mapping[str, float]:
        """``w`` of highest likelihood of the events that members held out, and counts of members.

        Best epochs were chosen on the same events, so that this w is optimistic, and no interval is given: the one to quote, of events
        that no part of the scorer has seen, is the metric ``likelihood-ratio``'s.
        """
        return self.numbers

    def curves(self) -> Mapping[str, Array]:
        """``profile``: [K, 2] w and log likelihood ratio of the held-out events; ``scan``: the same at each w that was trained."""
        return self.points

    def sample_signal(self, n: int, rng: np.random.Generator) -> Sample:
        """n draws of the learnt signal, members and epochs mixed."""
        return self.signal.sample(n, rng)

    def save(self, directory: Path) -> None:
        """Store the flows, and the background where it is one that can be stored; what an interpolator composed is made anew."""
        tensors = {"rows": self.signal.rows, **{f"curve.{name}": torch.from_numpy(np.array(p)) for name, p in self.points.items()}}
        model, mass = self.background.model, self.background.mass
        stored = isinstance(model, Model) and isinstance(mass, Tabulated)
        if isinstance(model, Model) and isinstance(mass, Tabulated):
            (directory / "model").mkdir()
            model.save(directory / "model")
            tensors |= {"mass.edges": torch.from_numpy(np.array(mass.edges)), "mass.density": torch.from_numpy(np.array(mass.density))}
        save_tensors(directory / "signal.safetensors", tensors)
        window = self.signal.box.window
        about = {
            "flow": asdict(self.signal.flow),
            "window": [window.lo, window.hi],
            "guard": self.guard,
            "numbers": dict(self.numbers),
            "model": f"{type(model).__module__}:{type(model).__qualname__}" if stored else "",
        }
        (directory / "r-anode.json").write_text(json.dumps(about))

    @classmethod
    def load(cls, directory: Path, device: str) -> Self:
        """Read what `save` wrote.

        Raises:
            CacheError: if the background was composed by an interpolator and therefore not stored.
        """
        about = json.loads((directory / "r-anode.json").read_text())
        module, _, name = str(about["model"]).partition(":")
        found = getattr(importlib.import_module(module), name) if module else None
        if not (isinstance(found, type) and issubclass(found, Model)):
            raise CacheError("The background under this R-ANODE was composed by an interpolator and was not stored.", "Use --force score")
        tensors = load_tensors(directory / "signal.safetensors", device)
        mass = Tabulated(*(tensors[f"mass.{part}"].cpu().numpy() for part in ("edges", "density")))
        signal = Signal(StackedFlow(**about["flow"]), tensors["rows"], Box(Window(*about["window"])))
        curves = {key.removeprefix("curve."): to_numpy(value) for key, value in tensors.items() if key.startswith("curve.")}
        return cls(signal, Background(found.load(directory / "model", device), mass), about["guard"], about["numbers"], curves)
