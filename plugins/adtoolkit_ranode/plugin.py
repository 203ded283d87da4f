"""The components of R-ANODE, for the registry."""

from __future__ import annotations

from adtoolkit.plugin import API_VERSION, Cap, Component, hookimpl

adtoolkit_api = API_VERSION


@hookimpl
def adtoolkit_register_components() -> list[Component]:
    """The scorer."""
    return [
        Component(
            kind="scorer",
            name="r-anode",
            target="adtoolkit_ranode.scorer:RAnode",
            config="adtoolkit_ranode.config:RAnodeConfig",
            summary="The signal as what the window's data have beyond a fixed background density",
            cite="arXiv:2312.11629",
            needs=frozenset({Cap.WINDOW, Cap.LOG_PROB}),
            provides=frozenset({Cap.LOG_RATIO, Cap.SIGNAL}),
            default_estimator="cathode",
        )
    ]
