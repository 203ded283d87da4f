"""The components of CATHODE, for the registry."""

from __future__ import annotations

from adtoolkit.plugin import API_VERSION, Cap, Component, hookimpl

adtoolkit_api = API_VERSION


@hookimpl
def adtoolkit_register_components() -> list[Component]:
    """The scorer."""
    return [
        Component(
            kind="scorer",
            name="cathode",
            target="adtoolkit_cathode.scorer:Cathode",
            config="adtoolkit_cathode.config:CathodeConfig",
            summary="a classifier of the window's events against a background template",
            cite="arXiv:2109.00546",
            needs=frozenset({Cap.WINDOW, Cap.SAMPLE}),
        )
    ]
