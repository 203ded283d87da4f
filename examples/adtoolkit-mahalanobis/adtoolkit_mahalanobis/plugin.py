"""The components, for the registry. Imported whenever adtoolkit lists what there is, so it imports nothing heavy."""

from adtoolkit.plugin import Cap, Component, Region, hookimpl

adtoolkit_api = "1.1"  # the plugin interface that this package was written for; not API_VERSION, which always fits itself


@hookimpl
def adtoolkit_register_components() -> list[Component]:
    """The estimator and the scorer."""
    return [
        Component(
            kind="estimator",
            name="gaussian",
            target="adtoolkit_mahalanobis.estimator:Gaussian",
            config="adtoolkit_mahalanobis.config:GaussianConfig",
            summary="A Gaussian whose mean and covariance follow the mass",
            provides=frozenset({Cap.SAMPLE, Cap.LOG_PROB}),  # what its model can do
            trains_on=(Region.SIDEBAND, Region.REFERENCE),  # in order of preference
        ),
        Component(
            kind="scorer",
            name="mahalanobis",
            target="adtoolkit_mahalanobis.scorer:Mahalanobis",
            config="adtoolkit_mahalanobis.config:GaussianConfig",
            summary="The distance from the background's mean in units of its covariance",
            needs=frozenset({Cap.SAMPLE}),  # any background that can be drawn from will do
            default_estimator="gaussian",
        ),
    ]
