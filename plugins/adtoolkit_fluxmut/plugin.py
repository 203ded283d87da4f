"""What this plugin adds: the estimator ``flux-mutability`` and the scorer ``mutability``."""

from __future__ import annotations

from adtoolkit.plugin import API_VERSION, Cap, Component, Region, hookimpl

adtoolkit_api = API_VERSION


@hookimpl
def adtoolkit_register_components() -> list[Component]:
    return [
        Component(
            kind="estimator",
            name="flux-mutability",
            target="adtoolkit_fluxmut.estimator:Flux",
            config="adtoolkit_fluxmut.config:FluxConfig",
            summary="A conditional autoencoder of the reference, and a flow of its residuals (Flux+Mutability)",
            cite="arXiv:2204.08609",
            needs=frozenset({Cap.REFERENCE}),
            provides=frozenset({Cap.SAMPLE, Cap.RECONSTRUCT, "flux:residuals"}),
            trains_on=(Region.REFERENCE,),
            default_scorer="mutability",
        ),
        Component(
            kind="scorer",
            name="mutability",
            target="adtoolkit_fluxmut.scorer:Mutability",
            config="adtoolkit_fluxmut.config:MutabilityConfig",
            summary="Each object clustered with a reference population generated at its conditions: outlier score and p-value",
            cite="arXiv:2204.08609",
            needs=frozenset({Cap.SAMPLE, Cap.RECONSTRUCT}),
            default_estimator="flux-mutability",
        ),
    ]
