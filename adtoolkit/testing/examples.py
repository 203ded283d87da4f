"""Small files for components that read one, so that they too can be checked without a download."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Protocol, cast, runtime_checkable

import numpy as np

from adtoolkit.plugin import Component
from adtoolkit.testing.worlds import toy_world

LHCO_COLUMNS: Final = (
    *(f"{quantity}j{jet}" for jet in (1, 2) for quantity in ("px", "py", "pz", "m", "tau1", "tau2", "tau3")),
    "label",
)


@runtime_checkable
class HasExample(Protocol):
    """A component's class that can write itself a small example file; `adtool check` and the conformance tests then read it."""

    def example(self, directory: Path) -> Mapping[str, Any]:
        """A class method: write a small file to an empty folder and return the options that read it."""


def example_options(component: Component, target: type[Any], directory: Path) -> Mapping[str, Any]:
    """Options under which a component can be used here and now; none for those that need no file."""
    if issubclass(target, HasExample):
        own: Mapping[str, Any] = cast("Any", target).example(directory)
        return own
    writer = _WRITERS.get(component.target)
    return writer(directory) if writer else {}


def write_table_example(directory: Path, n: int = 600, n_signal: int = 60, seed: int = 0) -> Mapping[str, Any]:
    """A CSV file of toy events with the columns ``mass, x0, x1, is_signal``, and the options of ``table`` that read it."""
    events = toy_world(seed, n, n_signal=n_signal, n_test=0).dataset.events
    path = directory / "events.csv"
    rows = np.column_stack([events.m, events.x, np.asarray(events.truth)])
    np.savetxt(path, rows, delimiter=",", header="mass,x0,x1,is_signal", comments="", fmt=["%.6f", "%.6f", "%.6f", "%d"])
    options = {"path": str(path), "mass": "mass", "features": ["x0", "x1"], "truth": "is_signal"}
    return {**options, "n_background": n // 2, "n_signal": n_signal // 2}


def write_lhco_example(directory: Path, n: int = 600, n_signal: int = 60, seed: int = 0) -> Mapping[str, Any]:
    """An HDF5 file in the official LHC Olympics layout (pandas 'fixed', key ``df``, GeV), and the options of ``lhco`` that read it.

    The jets are made up: back to back, with masses from 2.5 to 5 TeV, substructure drawn at random, the signal at 3.5 TeV.
    """
    import h5py

    rng = np.random.default_rng(seed)
    label = np.repeat([0.0, 1.0], [n, n_signal])
    total = n + n_signal
    mjj = 1000 * np.where(label == 1, rng.normal(3.5, 0.05, total), 2.5 + np.minimum(rng.exponential(0.8, total), 2.5))
    phi = rng.uniform(-np.pi, np.pi, total)
    jets = []
    for jet in (0, 1):
        # Two back-to-back jets at eta = 0 have m_jj = 2 sqrt(pt^2 + m^2).
        mass = np.where(label == 1, rng.normal((500, 100)[jet], 20, total), rng.gamma(2.0, 60.0, total))
        pt = np.sqrt(np.maximum(mjj**2 / 4 - mass**2, 1.0))
        tau1 = rng.uniform(0.05, 0.4, total)
        tau2 = tau1 * rng.uniform(0.1, 0.9, total)
        angle = phi + jet * np.pi
        jets.append(
            [pt * np.cos(angle), pt * np.sin(angle), rng.normal(0, 200, total), mass, tau1, tau2, tau2 * rng.uniform(0.1, 0.9, total)]
        )
    table = np.column_stack([*jets[0], *jets[1], label])[rng.permutation(total)]
    path = directory / "events.h5"
    with h5py.File(path, "w") as file:
        group = file.create_group("df")
        names = np.array([name.encode() for name in LHCO_COLUMNS])
        group["axis0"] = group["block0_items"] = names
        group["axis1"] = np.arange(total)
        group["block0_values"] = table
        group["block0_values"].attrs["transposed"] = np.uint8(1)
        group.attrs["pandas_type"] = np.bytes_(b"frame")
        group.attrs["nblocks"] = np.int64(1)
    return {"path": str(path), "n_background": n // 2, "n_signal": n_signal // 2}


#: Bundled sources that read a file, by target.
_WRITERS: Final[Mapping[str, Callable[[Path], Mapping[str, Any]]]] = {
    "adtoolkit.data.lhco:Lhco": write_lhco_example,
    "adtoolkit.data.table:Table": write_table_example,
}
