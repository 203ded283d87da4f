"""Options of the data sources of showers. Importing this costs pydantic, neither numpy nor torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, PositiveFloat, model_validator

from adtoolkit.capabilities import Cap, Caps
from adtoolkit.config import ComponentConfig
from adtoolkit.data.config import Count, Names, split_list

#: Which energy is the condition m of data and test events; that of the reference is always the true one.
Energy = Literal["reconstructed", "incident"]
Unit = Literal["keV", "MeV", "GeV", "TeV"]
Numbers = BeforeValidator(split_list)


class SimulatedConfig(ComponentConfig):
    """How many objects are simulated; there is no window.

    Attributes:
        n_reference: Background objects known as such.
        n_background: Background objects in the data.
        n_signal: Signal objects in the data.
        n_test: Background objects of the test sample.
        n_test_signal: Signal objects of the test sample.
    """

    default_window: ClassVar[tuple[float, float] | None] = None

    n_reference: Count
    n_background: Count
    n_signal: Count
    n_test: Count
    n_test_signal: Count

    def offers(self, declared: Caps) -> Caps:
        return declared - ({Cap.REFERENCE} if self.n_reference == 0 else set())


class CaloShowersConfig(SimulatedConfig):
    """Photons in a calorimeter of lead and liquid argon, and chi -> photon photon.

    Attributes:
        photon_energy: Range of the photons' energies, GeV; they are evenly distributed in it.
        chi_energy: Energy of the chi, GeV.
        masses: Masses of the chi, GeV; with several, and with several places, each combination is equally frequent.
        displacements: Where the chi decays, in m; the calorimeter lies between 1.00 and 1.48 m.
        lifetimes: Lifetimes of the chi in ns; they fly from 0 m on and decay at random. Where given, ``displacements`` is not used.
        pool: Sum the 504 voxels into 108.
        energy: Whether m of data and test is reconstructed, from the energy deposited, or the true incident energy.
        threshold: Voxels below this energy in MeV are set to zero.
        pairs: Let each photon start as an electron and a positron, which share its energy at random.
        albedo: Let showers that start behind the first layer send a little energy back into it.
    """

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "smoke": {"n_reference": 800, "n_background": 300, "n_signal": 20, "n_test": 300, "n_test_signal": 100},
        # arXiv:2312.11618, section II: 100,000 photons to learn from and as many to test, 504 voxels.
        "paper": {"n_reference": 100_000, "n_background": 20_000, "n_test": 100_000, "n_test_signal": 100_000, "pool": False},
    }

    n_reference: Count = 12_000
    n_background: Count = 4_000
    n_signal: Count = 100
    n_test: Count = 4_000
    n_test_signal: Count = 1_000
    photon_energy: Annotated[tuple[PositiveFloat, PositiveFloat], Numbers] = (1.0, 100.0)
    chi_energy: Annotated[float, Field(ge=1, allow_inf_nan=False)] = 50.0
    masses: Annotated[tuple[Annotated[float, Field(gt=0, allow_inf_nan=False)], ...], Numbers, Field(min_length=1)] = (5.0,)
    displacements: Annotated[tuple[Annotated[float, Field(ge=0, le=1.46)], ...], Numbers] = (1.16,)
    lifetimes: Annotated[tuple[Annotated[float, Field(gt=0, allow_inf_nan=False)], ...], Numbers] = ()
    pool: bool = True
    energy: Energy = "reconstructed"
    threshold: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    pairs: bool = False
    albedo: bool = True

    @model_validator(mode="after")
    def _possible(self) -> CaloShowersConfig:
        low, high = self.photon_energy
        if not 0.1 <= low < high <= 1000:
            raise ValueError(f"photon_energy must be a range within 0.1 to 1000 GeV, not {low:g} to {high:g}")
        if max(self.masses) >= self.chi_energy:
            raise ValueError(f"a chi of {self.chi_energy:g} GeV cannot have a mass of {max(self.masses):g} GeV")
        if not self.lifetimes and not self.displacements:
            raise ValueError("name displacements or lifetimes")
        return self


class ShowerFilesConfig(ComponentConfig):
    """Showers in files, chosen by what is known of them; there is no window.

    Attributes:
        path: Files of the showers to judge. With ``signal`` they are background; without, nobody knows what they are.
        signal: Files of signal showers, for tests.
        reference: Files of showers known to be background. Empty: some of those of ``path`` are.
        n_background: How many showers of ``path`` are in the data; the rest is test background. None: half; a quarter without
            ``reference`` files.
        n_signal: How many signal showers are in the data; the rest is test signal.
        n_reference: How many are known to be background. None: all of the ``reference`` files, or half of those of ``path``.
        energy: Whether m of data and test is reconstructed, from the energy deposited, or the true incident energy.
        response: Deposited over incident energy, to reconstruct it. None: the median of the reference.
        energy_unit: Unit of the incident energies in the files; m is in GeV.
        voxel_unit: Unit of the voxels in the files; features are in MeV.
        empty: What to do with showers that deposit nothing: drop and count them, or count and keep them.
        drop_invalid: Drop (and count) showers with NaN or infinite values instead of refusing them.
    """

    default_window: ClassVar[tuple[float, float] | None] = None

    path: Names = ()
    signal: Names = ()
    reference: Names = ()
    n_background: Count | None = None
    n_signal: Count = 100
    n_reference: Count | None = None
    energy: Energy = "reconstructed"
    response: PositiveFloat | None = None
    energy_unit: Unit = "GeV"
    voxel_unit: Unit = "MeV"
    empty: Literal["drop", "keep"] = "drop"
    drop_invalid: bool = False

    def offers(self, declared: Caps) -> Caps:
        missing = set() if self.signal else {Cap.TRUTH}
        if self.n_reference == 0 or not (self.reference or self.signal):
            missing.add(Cap.REFERENCE)
        return declared - missing


class CaloGanConfig(ShowerFilesConfig):
    """Showers in the layout of CaloGAN: three ``layer_*`` of 504 voxels in MeV, and ``energy`` [N, 1] in GeV.

    Attributes:
        pool: Sum the 504 voxels into 108.
    """

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"paper": {"pool": False}}

    response: PositiveFloat | None = 0.937
    pool: bool = True


class CaloChallengeConfig(ShowerFilesConfig):
    """Showers in the layout of the CaloChallenge: ``showers`` [N, V] and ``incident_energies`` [N, 1], both in MeV.

    Attributes:
        binning: The XML file that describes the voxels.
        particle: Which particle of that file; needed only where there are several.
        pool: Sum the voxels of a ring, which leaves a profile in radius per layer.
    """

    binning: str = ""
    particle: str = ""
    pool: bool = False
    energy_unit: Unit = "MeV"


class BcalShowersConfig(SimulatedConfig):
    """Photons (reference) and neutrons (signal) in a barrel calorimeter of lead and scintillating fibres.

    Attributes:
        features: Which of the 14 quantities of a shower, in order. Empty: all.
    """

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "smoke": {"n_reference": 1500, "n_background": 400, "n_signal": 30, "n_test": 500, "n_test_signal": 200}
    }

    n_reference: Count = 12_000
    n_background: Count = 3_000
    n_signal: Count = 150
    n_test: Count = 3_000
    n_test_signal: Count = 3_000
    features: Names = ()
