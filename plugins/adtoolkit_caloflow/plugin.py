"""The components of CaloFlow, for the registry."""

from __future__ import annotations

from adtoolkit.plugin import API_VERSION, Cap, Component, Region, hookimpl

adtoolkit_api = API_VERSION

#: A model that can say which part of a shower is unusual: `adtoolkit_caloflow.model.CaloFlow.parts`.
PARTS = "caloflow:parts"


@hookimpl
def adtoolkit_register_components() -> list[Component]:
    """The estimator and the scorer of parts."""
    return [
        Component(
            kind="estimator",
            name="caloflow",
            target="adtoolkit_caloflow.estimator:CaloFlowEstimator",
            config="adtoolkit_caloflow.config:CaloFlowConfig",
            summary="Two spline flows of calorimeter showers: layer energies, then the voxels of each layer (CaloFlow)",
            cite="arXiv:2312.11618, arXiv:2106.05285",
            cache_version=2,
            needs=frozenset({Cap.REFERENCE, Cap.CELLS}),
            provides=frozenset({Cap.SAMPLE, Cap.LOG_PROB, PARTS}),
            trains_on=(Region.REFERENCE,),
            default_interpolator="direct",
            default_scorer="likelihood",
        ),
        Component(
            kind="scorer",
            name="shower-parts",
            target="adtoolkit_caloflow.scorer:ShowerParts",
            config="adtoolkit_caloflow.config:PartsConfig",
            summary="How unusual a part of a shower is to CaloFlow, among showers of like energy: a flow, the occupancy, a region",
            cite="arXiv:2312.11618",
            needs=frozenset({PARTS}),
            default_estimator="caloflow",
        ),
    ]
