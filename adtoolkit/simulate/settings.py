"""What to simulate: physics, detector and jet selection, in one frozen record."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final

from adtoolkit.errors import ConfigError

COLUMNS: Final[tuple[str, ...]] = (
    *(f"{name}j1" for name in ("px", "py", "pz", "m", "tau1", "tau2", "tau3")),
    *(f"{name}j2" for name in ("px", "py", "pz", "m", "tau1", "tau2", "tau3")),
    "label",
)
"""The columns of the official LHC Olympics feature files, in their order; momenta and masses in GeV."""

PROCESSES: Final[tuple[str, ...]] = ("qcd", "wprime")


@dataclass(frozen=True, slots=True, kw_only=True)
class DijetSettings:
    """Everything the events depend on, except the seed and how many there are.

    Args:
        process: ``qcd`` (label 0) or ``wprime`` (label 1): W' -> X Y, X and Y each to quarks.
        mass_wprime: Mass of the W' in GeV.
        mass_x: Mass of X in GeV.
        mass_y: Mass of Y in GeV.
        width_wprime: Total width of the W' in GeV; X and Y are narrow. With 80 GeV, the detector and the radiation lost out of the
            jets, 76 % of the signal have a dijet mass of 3.3 to 3.7 TeV, as in the LHC Olympics.
        three_prong: Let X and Y decay to three quarks instead of two.
        energy: Centre-of-mass energy of the proton-proton collisions in GeV.
        pthat_min: Smallest transverse momentum of the hard QCD scattering in GeV.
        eta_max: Particles and jets are kept within this absolute pseudorapidity.
        radius: Radius parameter of the anti-kT jets.
        jet_pt_min: Smallest transverse momentum of the leading jet in GeV.
        smearing: Factor on all energy resolutions of the detector; 0 turns the whole detector off.
    """

    process: str = "qcd"
    mass_wprime: float = 3500.0
    mass_x: float = 500.0
    mass_y: float = 100.0
    width_wprime: float = 80.0
    three_prong: bool = False
    energy: float = 13000.0
    pthat_min: float = 1075.0
    eta_max: float = 2.5
    radius: float = 1.0
    jet_pt_min: float = 1200.0
    smearing: float = 1.0

    def __post_init__(self) -> None:
        if self.process not in PROCESSES:
            message = f"There is no process '{self.process}'; there is: {', '.join(PROCESSES)}."
            raise ConfigError(message)
        if self.mass_x + self.mass_y >= self.mass_wprime:
            message = f"A W' of {self.mass_wprime:g} GeV cannot decay to {self.mass_x:g} + {self.mass_y:g} GeV."
            raise ConfigError(message, "Lower --mass-x or --mass-y.")
        if min(self.mass_x, self.mass_y) < 20.0:
            message = f"Masses of X and Y must be at least 20 GeV, not {self.mass_x:g} and {self.mass_y:g}."
            raise ConfigError(message)
        positive = ("width_wprime", "energy", "pthat_min", "eta_max", "radius")
        for name in (*positive, "jet_pt_min", "smearing"):
            value = getattr(self, name)
            if value < 0.0 or (value == 0.0 and name in positive):
                message = f"{name} must be {'positive' if name in positive else 'zero or more'}, not {value:g}."
                raise ConfigError(message)

    @property
    def label(self) -> int:
        """1 for signal, 0 for background."""
        return int(self.process != "qcd")

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for a manifest."""
        return asdict(self)
