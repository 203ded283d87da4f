"""The components of CATHODE, for the registry."""

from __future__ import annotations

from adtoolkit.plugin import API_VERSION, Cap, Component, Region, hookimpl

adtoolkit_api = API_VERSION


@hookimpl
def adtoolkit_register_components() -> list[Component]:
    """The estimator and the scorer."""
    return [
        Component(
            kind="estimator",
            name="cathode",
            target="adtoolkit_cathode.estimator:CathodeFlow",
            config="adtoolkit_cathode.config:CathodeFlowConfig",
            summary="A normalizing flow of the sidebands, conditional on the mass (CATHODE)",
            cite="arXiv:2109.00546",
            provides=frozenset({Cap.SAMPLE, Cap.NOISE, Cap.LOG_PROB}),
            trains_on=(Region.SIDEBAND, Region.REFERENCE),
            default_interpolator="direct",
            default_scorer="cathode",
        ),
        Component(
            kind="scorer",
            name="cathode",
            target="adtoolkit_cathode.scorer:Cathode",
            config="adtoolkit_cathode.config:CathodeConfig",
            summary="A classifier of the window's events against a background template",
            cite="arXiv:2109.00546",
            needs=frozenset({Cap.SAMPLE}),
        ),
    ]
