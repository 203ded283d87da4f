"""What SIGMA adds: the estimator ``sigma`` and the interpolator ``context`` that looks inside its network."""

from __future__ import annotations

from adtoolkit.plugin import Cap, Component, Region, hookimpl

#: A network whose mass-dependent activations can be interpolated: `adtoolkit.nn.cfm_model.CfmModel`.
BLEND = "sigma:blend"


@hookimpl
def adtoolkit_register_components() -> list[Component]:
    return [
        Component(
            kind="estimator",
            name="sigma",
            target="adtoolkit_sigma.estimator:Sigma",
            config="adtoolkit_sigma.config:SigmaConfig",
            summary="One conditional flow-matching model of all events, for every window (SIGMA)",
            cite="arXiv:2410.20537",
            provides=frozenset({Cap.SAMPLE, Cap.NOISE, Cap.LOG_PROB, Cap.FIELD, BLEND}),
            trains_on=(Region.ALL, Region.SIDEBAND, Region.REFERENCE),
            default_interpolator="context",
        ),
        Component(
            kind="interpolator",
            name="context",
            target="adtoolkit_sigma.interpolator:ContextInterpolator",
            config="adtoolkit_sigma.config:ContextConfig",
            summary="Interpolates what the network makes of the mass, between two anchors outside the window (SIGMA)",
            cite="arXiv:2410.20537",
            needs=frozenset({Cap.WINDOW}),
            accepts=frozenset({Region.ALL, Region.SIDEBAND}),
            rules=((frozenset({BLEND}), frozenset({Cap.SAMPLE, Cap.LOG_PROB})),),
        ),
    ]
