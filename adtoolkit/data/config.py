"""Options of the data sources. Importing this costs pydantic, neither numpy nor torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final

from pydantic import BeforeValidator, Field, model_validator

from adtoolkit.capabilities import Cap, Caps
from adtoolkit.config import ComponentConfig

#: The five features of the dijet searches (names as in `adtoolkit.data.kinematics`).
DIJET_FEATURES: Final = ("mj1", "delta_mj", "tau21j1", "tau21j2", "delta_r")


def split_list(value: Any) -> Any:
    """``"a,b"`` as the command line gives it -> ``("a", "b")``; everything else unchanged."""
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], BeforeValidator(split_list)]
Count = Annotated[int, Field(ge=0)]


class SourceConfig(ComponentConfig):
    """What all sources with truth labels have in common.

    Attributes:
        n_signal: How many signal events stay in the data, at all masses; the rest is kept for testing. None: all stay.
        n_background: How many background events stay in the data. None: all stay, and there is no reference.
        n_reference: How many of the background events left out become `reference`; the rest is test background. None: half.
        features: Names of the features, in order.
        drop_invalid: Drop (and count) events with NaN or infinite values instead of refusing them.
    """

    default_window: ClassVar[tuple[float, float] | None] = None

    n_signal: Count | None = None
    n_background: Count | None = None
    n_reference: Count | None = None
    features: Names = ()
    drop_invalid: bool = False

    def has_truth(self) -> bool:
        """Whether the events carry truth labels."""
        return True

    def has_spare_background(self) -> bool:
        """Whether background events are left for `reference`."""
        return self.n_background is not None and self.n_reference != 0

    def offers(self, declared: Caps) -> Caps:
        missing = set() if self.has_truth() else {Cap.TRUTH, Cap.REFERENCE}
        if not self.has_spare_background():
            missing.add(Cap.REFERENCE)
        return declared - missing


class DijetsConfig(SourceConfig):
    """Simulated dijets: the sample shipped with the package, or larger files made by ``adtool data simulate dijets``.

    Attributes:
        path: Files in the official LHCO columns; those without a ``label`` column are background. Empty: the shipped sample.
        signal: Files of signal events, for layouts without a ``label`` column.
    """

    default_window: ClassVar[tuple[float, float] | None] = (3.3, 3.7)
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "smoke": {"n_background": 20_000, "n_signal": 250},
        # The four features of CATHODE, arXiv:2109.00546, section II.
        "paper": {"features": DIJET_FEATURES[:4]},
    }

    path: Names = ()
    signal: Names = ()
    n_signal: Count | None = 500
    features: Names = DIJET_FEATURES


class LhcoConfig(SourceConfig):
    """LHC Olympics 2020 R&D data: official feature files or the arrays of the CATHODE repository.

    Attributes:
        path: An official feature file (HDF5), a CATHODE array (``.npy``) or a folder of them. Empty: what ``adtool data fetch lhco`` left.
        extra: The file of extra background in the window; goes to `reference` and the test background only.
        features: Names of the features, in order. Empty: the usual five, or all that a CATHODE array has.

    References:
        G. Kasieczka, B. Nachman, D. Shih et al., The LHC Olympics 2020, arXiv:2101.08320.
    """

    default_window: ClassVar[tuple[float, float] | None] = (3.3, 3.7)
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "smoke": {"n_background": 30_000, "n_signal": 300},
        # CATHODE, arXiv:2109.00546, section II: 1000 signal events in one million background events, four features.
        "paper": {"n_signal": 1000, "features": DIJET_FEATURES[:4]},
    }

    path: str = ""
    extra: str = ""
    n_signal: Count | None = 500

    def has_spare_background(self) -> bool:
        folder = Path(self.path).expanduser()  # of CATHODE's arrays, which bring background of their own
        brought = bool(self.extra) or (bool(self.path) and any(folder.glob("innerdata_extrabkg*.npy")))
        return (self.n_background is not None or brought) and self.n_reference != 0


class TableConfig(SourceConfig):
    """Any HDF5, npz, CSV, Parquet or ROOT file with named columns.

    Attributes:
        path: The file.
        key: Group, dataset or tree inside the file; needed only where there are several.
        mass: Column of the resonant mass, or ``name = expression`` of columns.
        features: Columns, or ``name = expression`` of columns.
        truth: Column that is 1 for signal and 0 for background; empty where nobody knows.
        weight: Column of the event weights, or ``name = expression``, none of them negative: an event of weight w stands for w events.
            Empty: every event counts once.
        cuts: Conditions that all events must meet, for example ``pt > 1200``: of columns, and of what the formulas of mass and features
            define, before ``scale``.
        reference: Condition that marks events known to be background, for example ``region == 2``; they are taken out of the data.
        reference_path: File of events known to be background, with the same columns; the cuts are applied to it too.
        scale: Factor on the mass, for example 0.001 from GeV to TeV.
        mass_unit: Unit of the mass after scaling, for axes.
    """

    path: str = ""
    key: str = ""
    mass: str = ""
    truth: str = ""
    weight: str = ""
    cuts: Names = ()
    reference: str = ""
    reference_path: str = ""
    scale: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    mass_unit: str = ""

    @model_validator(mode="after")
    def _choices_agree(self) -> TableConfig:
        if not self.truth:
            for name in ("n_signal", "n_background", "n_reference"):
                if getattr(self, name) is not None:
                    raise ValueError(f"{name} chooses events by their truth label: name its column with data.truth")
        if self.reference and self.reference_path:
            raise ValueError("reference and reference_path both name events known to be background: choose one")
        if self.reference_path and Path(self.reference_path).expanduser() == Path(self.path).expanduser():
            raise ValueError("reference_path is the file of the data itself: name another, or mark its events by data.reference")
        if self.names_reference and self.n_reference is not None:
            raise ValueError("n_reference counts background left out of the data, but the reference is named: leave one of them out")
        return self

    @property
    def names_reference(self) -> bool:
        """Whether events known to be background are named, by a condition or a file."""
        return bool(self.reference or self.reference_path)

    def has_truth(self) -> bool:
        return bool(self.truth)

    def offers(self, declared: Caps) -> Caps:
        return super().offers(declared) | (declared & {Cap.REFERENCE} if self.names_reference else frozenset())


class ToyBumpConfig(ComponentConfig):
    """A falling spectrum with a bump, everything in closed form.

    Attributes:
        n_signal: Signal events in the data, at all masses.
        n_background: Background events in the data.
        n_reference: Further background events, known as such.
        n_test: Test events of each class; 0 for none.
        n_features: Number of features D.
        edge: Whether the last feature is bounded, with an end point that moves with m.
    """

    default_window: ClassVar[tuple[float, float] | None] = (3.3, 3.7)
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "smoke": {"n_background": 8_000, "n_signal": 120, "n_reference": 4_000, "n_test": 4_000}
    }

    n_signal: Count = 300
    n_background: Count = 40_000
    n_reference: Count = 20_000
    n_test: Count = 20_000
    n_features: Annotated[int, Field(ge=2, le=5)] = 3
    edge: bool = False

    def offers(self, declared: Caps) -> Caps:
        return declared - ({Cap.REFERENCE} if self.n_reference == 0 else set())
