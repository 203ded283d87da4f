"""The component of saved template events, for the registry."""

from __future__ import annotations

from adtoolkit.plugin import API_VERSION, Cap, Component, Region, hookimpl

adtoolkit_api = API_VERSION


@hookimpl
def adtoolkit_register_components() -> list[Component]:
    """The estimator."""
    return [
        Component(
            kind="estimator",
            name="samples",
            target="adtoolkit_samples.estimator:Samples",
            config="adtoolkit_samples.config:SamplesConfig",
            summary="Template events of another program, read from a file; nothing is trained",
            cache_version=2,
            provides=frozenset({Cap.SAMPLE}),
            trains_on=(Region.SIDEBAND, Region.REFERENCE),
            expected_failures={
                "weights_honoured": "its events are those of the file, whatever it is trained on",
                "different_seed_differs": "the file has finitely many events: some recur",
            },
        )
    ]
