"""The scorer ``shower-parts``: one part of a shower, ranked among showers of like energy."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
import torch

from adtoolkit.errors import DataError, RunError
from adtoolkit.interfaces import Context, FittedScorer, Scorer, ScorerData
from adtoolkit.nn import load_tensors, save_tensors
from adtoolkit.types import Array, Sample
from adtoolkit_caloflow.config import PartsConfig
from adtoolkit_caloflow.model import CaloFlow, mean_square_latent, region_sizes

if TYPE_CHECKING:
    from adtoolkit.background import Background


#: The score of a shower whose part cannot be computed.
LARGEST = 1e6


@dataclass(frozen=True)
class Calibration:
    """Ranks values among those of calibrating events with like m.

    Attributes:
        edges: [B - 1] inner edges of the bins in m.
        centres: [B] subtracted from values of which both ends are unusual, before the absolute value; NaN: values are as they are.
        values: B sorted arrays.
    """

    edges: Array
    centres: Array
    values: tuple[Array, ...]

    @classmethod
    def fit(cls, value: Array, m: Array, bins: int, *, both: bool) -> Calibration:
        """[N] values at [N] m, in bins of equal population; ``both`` ends unusual, or only the upper one."""
        edges = np.unique(np.quantile(m, np.arange(1, bins) / bins)).astype(np.float32)
        index = np.searchsorted(edges, m, side="right")
        own = [value[index == b] for b in range(len(edges) + 1)]
        own = [part if len(part) else value for part in own]  # ties in m can leave a bin empty
        centres = np.array([np.median(part) if both else np.nan for part in own], np.float32)
        return cls(edges, centres, tuple(np.sort(_folded(part, c)) for part, c in zip(own, centres, strict=True)))

    def score(self, value: Array, m: Array) -> Array:
        """[N], [N] -> [N] ``-log10 p`` with the conformal ``p = (1 + #{calibrating >= value}) / (n + 1)``.

        Beyond the largest of the calibrating values, where p says no more, log10 of one plus the excess in spreads is added. A value that
        is not finite is the most unusual of all.
        """
        index = np.searchsorted(self.edges, m, side="right")
        out = np.zeros(len(value), np.float64)
        for b, (known, centre) in enumerate(zip(self.values, self.centres, strict=True)):
            here = index == b
            at = _folded(value[here], centre).astype(np.float64)
            above = len(known) - np.searchsorted(known, at, side="left")
            low, high = np.quantile(known, [0.16, 0.84])
            excess = np.maximum(at - known[-1], 0) / max(float(high - low) / 2, 1e-12)
            out[here] = -np.log10((1 + above) / (len(known) + 1)) + np.log10(1 + excess)
        return np.where(np.isfinite(value), np.minimum(out, LARGEST), LARGEST).astype(np.float32)


def _folded(value: Array, centre: np.floating) -> Array:
    return value if np.isnan(centre) else np.abs(value - centre)


@dataclass(frozen=True)
class PartsScorer(FittedScorer):
    """A part of `CaloFlow.parts`, calibrated in bins of m.

    Attributes:
        model: The background.
        part: Which.
        calibration: From the data.
        numbers: See `summary`.
    """

    model: CaloFlow
    part: str
    calibration: Calibration
    numbers: Mapping[str, float] = field(default_factory=dict)

    def score(self, events: Sample) -> Array:
        return self.calibration.score(self.model.parts(events.x, events.cond)[self.part], events.m)

    def summary(self) -> Mapping[str, float]:
        """Mean squared latent noise per coordinate of each region, 1 if the data are like the training; share of energies outside."""
        return self.numbers

    def save(self, directory: Path) -> None:
        (directory / "model").mkdir()
        self.model.save(directory / "model")
        c = self.calibration
        tensors = {"edges": c.edges, "centres": c.centres, **{f"values.{b}": v for b, v in enumerate(c.values)}}
        save_tensors(directory / "calibration.safetensors", {k: torch.from_numpy(np.array(v)) for k, v in tensors.items()})
        (directory / "parts.json").write_text(json.dumps({"part": self.part, "numbers": dict(self.numbers)}), encoding="utf-8")

    @classmethod
    def load(cls, directory: Path, device: str) -> Self:
        """Read what `save` wrote."""
        about = json.loads((directory / "parts.json").read_text(encoding="utf-8"))
        found = {name: value.numpy() for name, value in load_tensors(directory / "calibration.safetensors").items()}
        values = tuple(found[f"values.{b}"] for b in range(len(found["centres"])))
        calibration = Calibration(found["edges"], found["centres"], values)
        return cls(CaloFlow.load(directory / "model", device), about["part"], calibration, about["numbers"])


class ShowerParts(Scorer[PartsConfig]):
    """What of a shower is unusual to CaloFlow: nothing is trained, and the data calibrate, as they are mostly background in a search.

    Split likelihoods and regional norms see anomalies that the sum over all voxels dilutes, and do not depend on the energy.

    References:
        Krause, Nachman, Pang, Shih, Zhu, arXiv:2312.11618; Vovk, Gammerman, Shafer, "Algorithmic learning in a random world" (conformal p).
    """

    trains: ClassVar[bool] = False

    def fit(self, data: ScorerData, background: Background | None, ctx: Context) -> PartsScorer:  # noqa: ARG002 - nothing random
        """Calibrate on the data.

        Raises:
            DataError: if there are no events, or the detector has no such region.
            RunError: if the background is not CaloFlow.
        """
        if background is None or not isinstance(background.model, CaloFlow):
            raise RunError("The scorer shower-parts looks into the flows of CaloFlow.", "Choose --estimator caloflow --interpolator direct")
        model, events, part = background.model, data.window, self.config.part
        if not len(events):
            raise DataError("There are no showers to calibrate on.", "Check the cuts.")
        parts = model.parts(events.x, events.cond)
        if part not in parts:
            raise DataError(f"These showers have no part '{part}'; they have {', '.join(parts)}.", "Choose one: --set scorer.part=NAME")
        calibration = Calibration.fit(parts[part], events.m, self.config.bins, both=part == "occupancy")
        numbers = {f"latent {name}": value for name, value in mean_square_latent(parts, region_sizes(model)).items()}
        return PartsScorer(model, part, calibration, numbers)
