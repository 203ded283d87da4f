"""The data sources of calorimeter showers, for the registry."""

from __future__ import annotations

from adtoolkit.plugin import API_VERSION, Cap, Component, hookimpl

adtoolkit_api = API_VERSION

_ONE_CLASS = frozenset({Cap.REFERENCE, Cap.TRUTH})
_CELLS = _ONE_CLASS | {Cap.CELLS}


@hookimpl
def adtoolkit_register_components() -> list[Component]:
    """Data without a window: showers known to be photons, and showers to judge."""
    return [
        Component(
            kind="data",
            name="calo-showers",
            target="adtoolkit_showers.source:CaloShowers",
            config="adtoolkit_showers.config:CaloShowersConfig",
            summary="Simulated photons in a sampling calorimeter, and pairs of photons from a long-lived particle",
            cite="arXiv:2312.11618",
            provides=_CELLS,
        ),
        Component(
            kind="data",
            name="calogan",
            target="adtoolkit_showers.calogan:CaloGan",
            config="adtoolkit_showers.config:CaloGanConfig",
            summary="Showers from HDF5 files in the layout of CaloGAN and CaloFlow",
            cite="arXiv:1712.10321",
            provides=_CELLS,
        ),
        Component(
            kind="data",
            name="calochallenge",
            target="adtoolkit_showers.challenge:CaloChallenge",
            config="adtoolkit_showers.config:CaloChallengeConfig",
            summary="Showers from HDF5 files in the layout of the Fast Calorimeter Simulation Challenge",
            cite="arXiv:2410.21611",
            provides=_CELLS,
        ),
        Component(
            kind="data",
            name="bcal-showers",
            target="adtoolkit_showers.bcal:BcalShowers",
            config="adtoolkit_showers.config:BcalShowersConfig",
            summary="Simulated photons and neutrons in a barrel calorimeter, in 14 quantities of their shower",
            cite="arXiv:2204.08609",
            provides=_ONE_CLASS,
        ),
    ]
