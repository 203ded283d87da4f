"""Features of a pair of jets, from the official columns of the LHC Olympics.

Masses in TeV. Jet 1 is the lighter and jet 2 the heavier, as in CATHODE and SIGMA (arXiv:2109.00546, arXiv:2410.20537);
a ratio of taus is tau2 / (tau1 + 1e-5), their convention.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, MutableMapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from adtoolkit.data.checks import not_negative
from adtoolkit.errors import UnknownNameError

Vector = NDArray[np.float64]

#: The official columns (GeV) but for ``label``.
JET_COLUMNS: Final = tuple(f"{quantity}j{jet}" for jet in (1, 2) for quantity in ("px", "py", "pz", "m", "tau1", "tau2", "tau3"))
#: Name of every feature -> what it is.
FEATURES: Final[Mapping[str, str]] = {
    "mj1": "mass of the lighter jet [TeV]",
    "mj2": "mass of the heavier jet [TeV]",
    "delta_mj": "mj2 - mj1 [TeV]",
    "tau21j1": "tau2/tau1 of the lighter jet",
    "tau21j2": "tau2/tau1 of the heavier jet",
    "tau32j1": "tau3/tau2 of the lighter jet",
    "tau32j2": "tau3/tau2 of the heavier jet",
    **{f"tau{n}j{j}": f"tau{n} of the {word} jet" for j, word in ((1, "lighter"), (2, "heavier")) for n in (1, 2, 3)},
    "delta_r": "sqrt(delta eta^2 + delta phi^2) of the two jets",
}
_RATIO_OFFSET: Final = 1e-5
#: A mass of float32 four-vectors may lie below zero by about this times the momentum.
_MASS_ROUNDING: Final = 1e-4


def known_feature(name: str) -> str:
    """The name, if it is one of `FEATURES`.

    Raises:
        UnknownNameError: if it is not.
    """
    if name not in FEATURES:
        raise UnknownNameError("feature", name, list(FEATURES))
    return name


def dijet_mass(jets: Mapping[str, NDArray[Any]]) -> Vector:
    """[N] invariant mass of the two jets in TeV, from (sum E)^2 - (sum p)^2 with E^2 = p^2 + m^2."""
    energy = sum(np.sqrt(_momentum2(jets, j) + jets[f"mj{j}"].astype(np.float64) ** 2) for j in (1, 2))
    p2 = sum((jets[f"{axis}j1"].astype(np.float64) + jets[f"{axis}j2"]) ** 2 for axis in ("px", "py", "pz"))
    return np.asarray(np.sqrt(np.maximum(energy**2 - p2, 0)) / 1000)


def _momentum2(jets: Mapping[str, NDArray[Any]], jet: int) -> Vector:
    return np.asarray(sum(jets[f"{axis}j{jet}"].astype(np.float64) ** 2 for axis in ("px", "py", "pz")))


def _delta_r(jets: Mapping[str, NDArray[Any]]) -> Vector:
    eta, phi = [], []
    for j in (1, 2):
        px, py, pz = (jets[f"{axis}j{j}"].astype(np.float64) for axis in ("px", "py", "pz"))
        eta.append(np.arcsinh(pz / np.hypot(px, py)))
        phi.append(np.arctan2(py, px))
    around = np.abs(phi[0] - phi[1])
    return np.asarray(np.hypot(eta[0] - eta[1], np.minimum(around, 2 * np.pi - around)))


def defined_rows(jets: Mapping[str, NDArray[Any]], features: Collection[str], counts: MutableMapping[str, int]) -> NDArray[np.bool_]:
    """[N] which events have defined ratios of taus; counts the others.

    Events with tau1 = 0 are left out whatever the features, so that searches with different features see the same events.
    """
    good = (jets["tau1j1"] > 0) & (jets["tau1j2"] > 0)
    _count(counts, "dropped: tau1 = 0", ~good)
    if any(name.startswith("tau32") for name in features):
        also = (jets["tau2j1"] > 0) & (jets["tau2j2"] > 0)
        _count(counts, "dropped: tau2 = 0", good & ~also)
        good &= also
    standing = np.logical_and.reduce([(jets[f"pxj{j}"] != 0) | (jets[f"pyj{j}"] != 0) for j in (1, 2)])
    _count(counts, "dropped: jet without transverse momentum", good & ~standing)
    return np.asarray(good & standing)


def _count(counts: MutableMapping[str, int], what: str, rows: NDArray[np.bool_]) -> None:
    if n := int(rows.sum()):
        counts[what] = counts.get(what, 0) + n


def check_jets(jets: Mapping[str, NDArray[Any]], counts: MutableMapping[str, int]) -> dict[str, NDArray[Any]]:
    """The columns with masses and taus below zero by rounding set to zero.

    Raises:
        DataError: if a mass or a tau is below zero by more than that.
    """
    checked = dict(jets)
    for j in (1, 2):
        checked[f"mj{j}"] = not_negative(f"mj{j}", jets[f"mj{j}"], _MASS_ROUNDING * np.sqrt(_momentum2(jets, j)), counts)
        for n in (1, 2, 3):
            checked[f"tau{n}j{j}"] = not_negative(f"tau{n}j{j}", jets[f"tau{n}j{j}"], 1e-6, counts)
    return checked


def dijet_features(jets: Mapping[str, NDArray[Any]], names: Collection[str]) -> dict[str, Vector]:
    """Features [N] of these names, in this order; see `FEATURES`.

    Raises:
        UnknownNameError: if there is no feature of a name.
    """
    first_is_lighter = jets["mj1"] <= jets["mj2"]

    def ordered(quantity: str, jet: int) -> Vector:
        """The quantity of the lighter (1) or heavier (2) jet."""
        take_first = first_is_lighter if jet == 1 else ~first_is_lighter
        return np.where(take_first, jets[f"{quantity}j1"], jets[f"{quantity}j2"]).astype(np.float64)

    def feature(name: str) -> Vector:
        if name == "delta_r":
            return _delta_r(jets)
        if name == "delta_mj":
            return (ordered("m", 2) - ordered("m", 1)) / 1000
        jet = int(name[-1])
        if name in ("mj1", "mj2"):
            return ordered("m", jet) / 1000
        if name.startswith(("tau21", "tau32")):
            return ordered(f"tau{name[3]}", jet) / (ordered(f"tau{name[4]}", jet) + _RATIO_OFFSET)
        return ordered(name[:-2], jet)

    return {name: feature(known_feature(name)) for name in names}
