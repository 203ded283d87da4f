"""The component of ANODE, for the registry."""

from __future__ import annotations

from adtoolkit.plugin import API_VERSION, Cap, Component, hookimpl

adtoolkit_api = API_VERSION


@hookimpl
def adtoolkit_register_components() -> list[Component]:
    """The scorer. Its score is log p_data / p_background, so it does not provide ``log-ratio``, which is that of the signal."""
    return [
        Component(
            kind="scorer",
            name="anode",
            target="adtoolkit_anode.scorer:Anode",
            config="adtoolkit_anode.config:AnodeConfig",
            summary="A flow of the window's events, divided by the background's density (ANODE)",
            cite="arXiv:2001.04990",
            needs=frozenset({Cap.WINDOW, Cap.LOG_PROB}),
            default_estimator="cathode",
        )
    ]
