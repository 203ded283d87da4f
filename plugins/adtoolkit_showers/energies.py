"""What energy an unknown particle had: that which it deposited, divided by the mean response."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from adtoolkit.types import Sample


def deposited(sample: Sample) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """[N] sums of the voxels, GeV."""
    return np.asarray(sample.x.sum(axis=1, dtype=np.float64) / 1000)


def reconstructed(sample: Sample, response: float) -> Sample:
    """The same showers, with the energy that their voxels (MeV) speak for as m (GeV)."""
    return replace(sample, m=(deposited(sample) / response).astype(np.float32))
