"""Showers from HDF5 files, read in portions and summed while they are read; each fault is one sentence with numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, Final

import h5py
import numpy as np
from numpy.typing import NDArray

from adtoolkit.data.readers import file_format
from adtoolkit.errors import DataError
from adtoolkit.types import Sample
from adtoolkit_showers.config import ShowerFilesConfig
from adtoolkit_showers.energies import deposited

_CHUNK: Final = 4_096  # showers held in the file's own precision

#: In MeV.
_UNITS: Final[Mapping[str, float]] = {"keV": 1e-3, "MeV": 1.0, "GeV": 1e3, "TeV": 1e6}

#: Deposited over incident energy, in the median of showers known to be background. Beyond, a unit is wrong.
_PLAUSIBLE: Final = (0.01, 5.0)


@dataclass(frozen=True)
class Layout:
    """How showers lie in a file.

    Attributes:
        energy: Dataset of the incident energies, [N] or [N, 1].
        voxels: Dataset -> shape of one shower in it; features are all of them, in order.
        pool: [n, V] voxels -> [n, D] features.
        features: [D] names.
    """

    energy: str
    voxels: Mapping[str, tuple[int, ...]]
    pool: Callable[[NDArray[np.float32]], NDArray[np.float32]]
    features: tuple[str, ...]


def read_showers(path: Path, layout: Layout, config: ShowerFilesConfig, counts: Counter[str]) -> Sample:
    """The showers of a file: features in MeV, the incident energy in GeV as m, without labels.

    Raises:
        DataError: if the file is missing, damaged, of another layout, or holds values that are no energies.
    """
    path = path.expanduser()
    if file_format(path) != "hdf5":
        raise DataError(f"{path} is not an HDF5 file.", "Name a file of showers, for example gamma.hdf5.")
    try:
        with h5py.File(path, "r") as file:
            n = _check_layout(path, file, layout)
            x, m = np.empty((n, len(layout.features)), np.float32), np.empty(n, np.float64)
            for begin in range(0, n, _CHUNK):
                part = slice(begin, min(begin + _CHUNK, n))
                m[part] = np.ravel(file[layout.energy][part])
                voxels = np.concatenate([np.asarray(file[name][part], np.float32).reshape(len(m[part]), -1) for name in layout.voxels], 1)
                if (lowest := np.min(voxels, initial=0)) < 0:
                    raise DataError(
                        f"{path} has negative energies in {int((voxels < 0).any(1).sum())} of showers {begin} to {part.stop - 1}, "
                        f"down to {lowest:g}.",
                        "A deposit cannot be: set them to zero, or check how the file was made.",
                    )
                x[part] = layout.pool(voxels)
    except (OSError, RuntimeError) as error:
        raise DataError(f"{path} is damaged or cut short: {str(error).splitlines()[0]}.", "Download or write it again.") from error
    x *= np.float32(_UNITS[config.voxel_unit])
    m *= _UNITS[config.energy_unit] / _UNITS["GeV"]
    return _valid(path, Sample(x, m.astype(np.float32), row=np.arange(n)), config, counts)


def _check_layout(path: Path, file: Any, layout: Layout) -> int:
    """How many showers there are."""
    wanted = [*layout.voxels, layout.energy]
    missing = [name for name in wanted if not isinstance(file.get(name), h5py.Dataset)]
    if missing:
        raise DataError(
            f"{path} lacks the dataset {', '.join(repr(name) for name in missing)}; it holds {', '.join(sorted(file)) or 'nothing'}.",
            f"This layout needs {', '.join(wanted)}.",
        )
    for name, shape in layout.voxels.items():
        found = file[name].shape
        if tuple(found[1:]) != shape:
            text = f"{prod(found[1:])} voxels, shape {tuple(found[1:])}, where {prod(shape)}, shape {shape}, are needed"
            raise DataError(f"The showers of '{name}' in {path} have {text}.", "Name the file or binning that belong together.")
    n = len(file[layout.energy])
    if file[layout.energy].size != n:
        raise DataError(f"'{layout.energy}' in {path} has the shape {file[layout.energy].shape}; one energy per shower is needed.")
    lengths = {name: len(file[name]) for name in wanted}
    if len(set(lengths.values())) > 1:
        text = ", ".join(f"'{name}' {length}" for name, length in lengths.items())
        raise DataError(f"The datasets of {path} differ in length: {text}.", "Download or write it again.")
    return n


def _valid(path: Path, sample: Sample, config: ShowerFilesConfig, counts: Counter[str]) -> Sample:
    """Without NaN and, unless they are to be kept, without showers that deposit nothing."""
    good = np.isfinite(sample.m) & np.isfinite(sample.x.sum(axis=1))
    if (bad := int((~good).sum())) > 0:
        if not config.drop_invalid:
            raise DataError(
                f"{bad} of {len(sample)} showers of {path} have NaN or infinite values.",
                "Drop and count them: --drop-invalid (or --set data.drop_invalid=true)",
            )
        counts["dropped: NaN or infinite"] += bad
    if (wrong := good & (sample.m <= 0)).any():
        raise DataError(
            f"{int(wrong.sum())} of {len(sample)} incident energies of {path} are not above zero, down to {sample.m[wrong].min():g}.",
            "Check how the file was made.",
        )
    empty = good & ~sample.x.any(axis=1)
    if empty.any():
        counts[f"{'dropped' if config.empty == 'drop' else 'kept'}: deposits nothing"] += int(empty.sum())
        if config.empty == "drop":
            good &= ~empty
    return sample if good.all() else sample[good]


def check_units(path: Path, sample: Sample, config: ShowerFilesConfig, *, leaky: bool = False) -> None:
    """Refuse showers whose deposits cannot come from their incident energies.

    Args:
        path: For the message.
        sample: m is the incident energy.
        config: Which units were taken for granted.
        leaky: Whether most of these showers may lie outside of the calorimeter, as those of a long-lived particle do.

    Raises:
        DataError: naming the options that would make sense of them.
    """
    if len(sample) == 0:
        return
    low, high = (0.0 if leaky else _PLAUSIBLE[0]), _PLAUSIBLE[1]
    ratio = float(np.median(deposited(sample) / sample.m))
    if low <= ratio <= high:
        return
    guesses, fixes = [], []
    for option, what, sign in (("energy_unit", "the incident energies", -1), ("voxel_unit", "the voxels", 1)):
        taken = getattr(config, option)
        for unit, size in _UNITS.items():
            if _PLAUSIBLE[0] <= ratio * (size / _UNITS[taken]) ** sign <= high:
                guesses.append(f"{what} are in {unit}, not {taken}")
                fixes.append(f"--set data.{option}={unit}")
    told = f"perhaps {', or '.join(guesses)}" if guesses else "one of them is no energy"
    raise DataError(
        f"The showers of {path} deposit {ratio:.3g} times their incident energy: {told}.",
        f"Name the unit: {' or '.join(fixes)}" if fixes else "Check how the file was made.",
    )
