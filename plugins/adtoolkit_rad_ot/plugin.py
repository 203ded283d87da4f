"""The component of RAD-OT, for the registry."""

from __future__ import annotations

from adtoolkit.plugin import API_VERSION, Cap, Component, Region, hookimpl

adtoolkit_api = API_VERSION


@hookimpl
def adtoolkit_register_components() -> list[Component]:
    """The estimator."""
    return [
        Component(
            kind="estimator",
            name="rad-ot",
            target="adtoolkit_rad_ot.estimator:RadOt",
            config="adtoolkit_rad_ot.config:RadOtConfig",
            summary="Sideband events paired by optimal transport and moved along the line of their pair (RAD-OT); nothing is trained",
            cite="arXiv:2407.19818",
            cache_version=2,
            needs=frozenset({Cap.WINDOW}),
            provides=frozenset({Cap.SAMPLE}),
            trains_on=(Region.SIDEBAND,),
        )
    ]
