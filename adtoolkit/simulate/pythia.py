"""Proton-proton collisions from Pythia 8, in batches of arrays."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from adtoolkit.errors import RunError
from adtoolkit.simulate.particles import Floats, Ints

if TYPE_CHECKING:
    from adtoolkit.simulate.settings import DijetSettings

_MAX_SEED = 900_000_000
_X, _Y = 9_000_001, 9_000_002


@dataclass(frozen=True, slots=True)
class Collisions:
    """Visible final-state particles of N collisions, event by event.

    Args:
        pt: Transverse momenta `[M]` in GeV.
        eta: Pseudorapidities `[M]`.
        phi: Azimuths `[M]`.
        charge: Electric charges `[M]`.
        pdg: Absolute particle numbers `[M]` of the Particle Data Group.
        event: Number of the collision of each particle `[M]`, ascending.
        n_events: N.
    """

    pt: Floats
    eta: Floats
    phi: Floats
    charge: Floats
    pdg: Ints
    event: Ints
    n_events: int


def commands(settings: DijetSettings, seed: int) -> list[str]:
    """The complete list of Pythia settings for a process.

    The signal is a W' whose only decay is into a neutral X and a charged Y, both colourless, forced by ``meMode`` 103 with forced
    widths; a Z' with such decays has zero cross-section in Pythia.
    """
    shared = [
        "Print:quiet = on",
        "Next:numberCount = 0",
        f"Beams:eCM = {settings.energy!r}",
        "Random:setSeed = on",
        f"Random:seed = {seed}",
        "PartonLevel:MPI = off",
    ]
    if settings.process == "qcd":
        return [*shared, "HardQCD:all = on", f"PhaseSpace:pTHatMin = {settings.pthat_min!r}"]

    mass, width = settings.mass_wprime, settings.width_wprime
    # 20 widths to either side keep the whole line shape without the cost of the far tails
    low = max(mass - 20.0 * width, settings.mass_x + settings.mass_y + 40.0)
    x_decay, y_decay = ("1 2 3", "2 2 1") if settings.three_prong else ("1 -1", "2 -1")
    return [
        *shared,
        "NewGaugeBoson:ffbar2Wprime = on",
        f"34:m0 = {mass!r}",
        f"34:mWidth = {width!r}",
        f"34:mMin = {low!r}",
        f"34:mMax = {min(mass + 20.0 * width, settings.energy)!r}",
        f"{_X}:all = X void 1 0 0 {settings.mass_x!r} 1.0 {settings.mass_x - 10.0!r} {settings.mass_x + 10.0!r} 0",
        f"{_Y}:all = Y Ybar 1 3 0 {settings.mass_y!r} 1.0 {settings.mass_y - 10.0!r} {settings.mass_y + 10.0!r} 0",
        f"34:oneChannel = 1 1.0 103 {_X} {_Y}",
        "34:doForceWidth = on",
        f"{_X}:addChannel = 1 1.0 103 {x_decay}",
        f"{_Y}:addChannel = 1 1.0 103 {y_decay}",
        *(f"{number}:{key} = on" for number in (_X, _Y) for key in ("doForceWidth", "mayDecay")),
    ]


@dataclass(slots=True)
class Generator:
    """One Pythia instance with its own seed.

    Args:
        settings: The process.
        seed: Seed of Pythia's random numbers, any non-negative integer.
    """

    settings: DijetSettings
    seed: int
    _pythia: Any = field(init=False, repr=False)
    _known: dict[int, tuple[float, bool]] = field(init=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        import pythia8mc

        self._pythia = pythia8mc.Pythia("", False)
        for line in commands(self.settings, 1 + self.seed % _MAX_SEED):
            if not self._pythia.readString(line):
                message = f"Pythia does not accept the setting '{line}'."
                raise RunError(message)
        if not self._pythia.init():
            message = f"Pythia could not start with these settings: {self.settings}."
            raise RunError(message)

    def batch(self, n_events: int) -> Collisions:
        """Generate ``n_events`` collisions; the next call continues the same random sequence."""
        import awkward as ak

        particles = self._pythia.nextBatch(n_events).prt
        counts = ak.to_numpy(ak.num(particles.status)).astype(np.int64)
        flat = ak.flatten(particles)
        final = ak.to_numpy(flat.status) > 0
        pdg, event = ak.to_numpy(flat.id)[final], np.repeat(np.arange(len(counts)), counts)[final]
        px, py, pz = (ak.to_numpy(flat.p[name])[final] for name in ("px", "py", "pz"))

        charge, visible = self._properties(pdg)
        pt = np.hypot(px, py)
        keep = visible & (pt > 0.0)
        pt, px, py, pz = pt[keep], px[keep], py[keep], pz[keep]
        pdg = np.abs(pdg[keep]).astype(np.int64)
        return Collisions(pt, np.arcsinh(pz / pt), np.arctan2(py, px), charge[keep], pdg, event[keep], len(counts))

    def cross_section(self) -> float:
        """Cross-section in pb of the process before any jet cut, as estimated from the collisions so far."""
        return float(self._pythia.infoPython().sigmaGen()) * 1e9

    def _properties(self, pdg: Ints) -> tuple[Floats, Any]:
        """Charge and visibility `[M]` of particles given by number."""
        numbers, inverse = np.unique(pdg, return_inverse=True)
        data = self._pythia.particleData
        for number in numbers.tolist():
            if number not in self._known:
                self._known[number] = (float(data.charge(number)), bool(data.isVisible(number)))
        table = np.array([self._known[number] for number in numbers.tolist()]).reshape(-1, 2)
        return table[inverse, 0], table[inverse, 1] > 0.0
