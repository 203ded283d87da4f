"""What this plugin adds: the estimator ``masked-cfm``."""

from __future__ import annotations

from adtoolkit.plugin import Cap, Component, Region, hookimpl


@hookimpl
def adtoolkit_register_components() -> list[Component]:
    return [
        Component(
            kind="estimator",
            name="masked-cfm",
            target="adtoolkit_masked_cfm.estimator:MaskedCfm",
            config="adtoolkit_masked_cfm.config:MaskedCfmConfig",
            summary="Conditional flow matching of the sidebands, trained per window (SIGMA's baseline)",
            cite="arXiv:2410.20537",
            provides=frozenset({Cap.SAMPLE, Cap.NOISE, Cap.LOG_PROB, Cap.FIELD}),
            trains_on=(Region.SIDEBAND, Region.REFERENCE),
        ),
    ]
