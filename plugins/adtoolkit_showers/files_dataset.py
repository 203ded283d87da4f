"""A search among the showers of files: which are known to be background, which are judged, which test the judgement."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from adtoolkit.data.checks import check_cells
from adtoolkit.data.config import SourceConfig
from adtoolkit.data.split import Pool, inject
from adtoolkit.errors import ConfigError
from adtoolkit.interfaces import Context
from adtoolkit.types import Dataset, Sample
from adtoolkit_showers.config import ShowerFilesConfig
from adtoolkit_showers.energies import deposited, reconstructed
from adtoolkit_showers.shower_files import Layout, check_units, read_showers


def load_showers(config: ShowerFilesConfig, layout: Layout, ctx: Context) -> Dataset:
    """Read the files and draw the data.

    Raises:
        ConfigError: if files are not named.
        DataError: on anything wrong with them, or more showers asked for than there are.
    """
    if not config.path:
        raise ConfigError("No file of showers is named.", "Name it: --set data.path=FILE")
    if not config.signal and not config.reference:
        raise ConfigError(
            "All showers of data.path are unknown, and none is known to be background.",
            "Name a file of those: --set data.reference=FILE, or one of signal, for a test: --set data.signal=FILE",
        )
    counts: Counter[str] = Counter()

    def read(paths: Sequence[str], label: int | None, *, leaky: bool = False) -> Sample:
        parts = []
        for name in paths:
            sample = read_showers(Path(name), layout, config, counts)
            check_units(Path(name), sample, config, leaky=leaky)
            parts.append(sample if label is None else replace(sample, truth=np.full(len(sample), label, np.int8)))
        return parts[0] if len(parts) == 1 else replace(Sample.concat(*parts), row=None)  # rows of several files tell nothing

    background = read(config.path, 0 if config.signal else None)
    events = background
    if config.signal:
        events = replace(Sample.concat(background, read(config.signal, 1, leaky=True)), row=None)
    known = read(config.reference, 0) if config.reference else None
    check_cells(events.x, what="showers")

    n = len(background)
    chosen = SourceConfig()
    if config.signal:
        n_data = config.n_background if config.n_background is not None else n // (2 if known else 4)
        n_known = 0 if known is not None else n // 2 if config.n_reference is None else config.n_reference
        chosen = SourceConfig(n_signal=config.n_signal, n_background=n_data, n_reference=n_known)
    dataset = inject(Pool(events), chosen, ctx, features=layout.features, mass="E", unit="GeV", counts=counts)
    if known is not None:
        dataset = replace(dataset, reference=_some(known, config.n_reference, ctx))
    dataset = replace(dataset, scale="none", counts=dict(counts))
    if config.energy == "incident":
        return dataset
    response = config.response
    if response is None:
        sure = background if dataset.reference is None else dataset.reference
        response = float(np.median(deposited(sure) / sure.m))
    return replace(dataset, events=reconstructed(dataset.events, response), test=reconstructed(dataset.test, response))


def _some(sample: Sample, n: int | None, ctx: Context) -> Sample | None:
    """n of the showers, at random."""
    if n is None:
        return sample
    if n > len(sample):
        raise ConfigError(
            f"data.n_reference asks for {n} showers, but there are {len(sample)}.",
            f"Lower it: --set data.n_reference={len(sample)}",
        )
    return sample[ctx.rng("reference").permutation(len(sample))[:n]] if n else None
