"""The core's own plugin: the data sources, interpolators, reference scorers and metrics. Same hook as everybody, no privilege."""

from __future__ import annotations

from adtoolkit.plugin import API_VERSION, Cap, Component, Region, hookimpl

adtoolkit_api = API_VERSION

_ALL_DATA = frozenset({Cap.WINDOW, Cap.REFERENCE, Cap.TRUTH})
_ANYWHERE = frozenset({Region.ALL, Region.SIDEBAND})


@hookimpl
def adtoolkit_register_components() -> list[Component]:
    """The components that come with the core."""
    return [*_data(), *_estimators(), *_interpolators(), *_scorers(), *_metrics()]


def _data() -> list[Component]:
    """Each declares all that it can offer; ``offers`` of its config says what it does offer with given options."""
    return [
        Component(
            kind="data",
            name="dijets",
            target="adtoolkit.data.dijets:Dijets",
            config="adtoolkit.data.config:DijetsConfig",
            summary="Bundled sample of simulated dijet collisions: QCD, and W' -> XY at 3.5 TeV",
            cite="arXiv:2203.11601",
            provides=_ALL_DATA,
        ),
        Component(
            kind="data",
            name="lhco",
            target="adtoolkit.data.lhco:Lhco",
            config="adtoolkit.data.config:LhcoConfig",
            summary="LHC Olympics R&D events, from the official feature files or npy arrays",
            cite="arXiv:2101.08320",
            provides=_ALL_DATA,
        ),
        Component(
            kind="data",
            name="table",
            target="adtoolkit.data.table:Table",
            config="adtoolkit.data.config:TableConfig",
            summary="Any HDF5, npz, CSV, Parquet or ROOT file with named columns",
            provides=_ALL_DATA,
        ),
        Component(
            kind="data",
            name="toy-bump",
            target="adtoolkit.data.toy_bump:ToyBump",
            config="adtoolkit.data.config:ToyBumpConfig",
            summary="A bump in closed form: exact densities and the optimal score, for tests",
            provides=_ALL_DATA,
        ),
    ]


def _estimators() -> list[Component]:
    return [
        Component(
            kind="estimator",
            name="none",
            target="",
            summary="No background model: for scorers that need none",
            default_scorer="supervised",
        ),
    ]


def _interpolators() -> list[Component]:
    return [
        Component(
            kind="interpolator",
            name="direct",
            target="adtoolkit.interpolators.direct:Direct",
            summary="Evaluate the model at the masses of the window",
            cite="arXiv:2109.00546",
            accepts=frozenset({Region.SIDEBAND, Region.REFERENCE}),
        ),
        Component(
            kind="interpolator",
            name="v-data",
            target="adtoolkit.interpolators.direct:VData",
            summary="Negative control: evaluate in the window a model that has seen the window's own events",
            cite="arXiv:2410.20537",
            needs=frozenset({Cap.WINDOW}),
            accepts=frozenset({Region.ALL}),
        ),
        Component(
            kind="interpolator",
            name="linear",
            target="adtoolkit.interpolators.linear:Linear",
            config="adtoolkit.interpolators.config:LinearConfig",
            summary="Interpolate the velocity field between anchors outside the window",
            cite="arXiv:2410.20537",
            needs=frozenset({Cap.WINDOW}),
            accepts=_ANYWHERE,
            rules=((frozenset({Cap.FIELD}), frozenset({Cap.SAMPLE, Cap.LOG_PROB})),),
        ),
        Component(
            kind="interpolator",
            name="displacement",
            target="adtoolkit.interpolators.displacement:Displacement",
            config="adtoolkit.interpolators.config:DisplacementConfig",
            summary="Push the same noise through at both anchors and interpolate the end points",
            cite="arXiv:2410.20537",
            needs=frozenset({Cap.WINDOW}),
            accepts=_ANYWHERE,
            rules=((frozenset({Cap.SAMPLE, Cap.NOISE}), frozenset({Cap.SAMPLE})),),
        ),
    ]


def _scorers() -> list[Component]:
    return [
        Component(
            kind="scorer",
            name="random",
            target="adtoolkit.scorers.baselines:Random",
            summary="The floor: a random number per event",
            expected_failures={"score_higher_is_more_anomalous": "random scores order nothing"},
        ),
        Component(
            kind="scorer",
            name="cwola",
            target="adtoolkit.scorers.baselines:Cwola",
            config="adtoolkit.scorers.config:CwolaConfig",
            summary="A classifier of the window's events against the sideband's",
            cite="arXiv:1805.02664",
            needs=frozenset({Cap.WINDOW}),
        ),
        Component(
            kind="scorer",
            name="idealised",
            target="adtoolkit.scorers.baselines:Idealised",
            config="adtoolkit.scorers.config:ClassifierConfig",
            summary="A template without faults: a classifier of the window's events against true background",
            cite="arXiv:2109.00546",
            needs=frozenset({Cap.REFERENCE}),
        ),
        Component(
            kind="scorer",
            name="supervised",
            target="adtoolkit.scorers.baselines:Supervised",
            config="adtoolkit.scorers.config:ClassifierConfig",
            summary="The ceiling: a classifier trained on truth labels",
            cite="arXiv:2109.00546",
            needs=frozenset({Cap.TRUTH}),
        ),
        Component(
            kind="scorer",
            name="likelihood",
            target="adtoolkit.scorers.likelihood:Likelihood",
            config="adtoolkit.scorers.config:LikelihoodConfig",
            summary="Minus the log density of the background: rare events are anomalous",
            cite="arXiv:2312.11618",
            needs=frozenset({Cap.LOG_PROB}),
            default_estimator="cathode",  # its densities cost one pass of a flow, not an integration per event
        ),
    ]


def _metrics() -> list[Component]:
    home = "adtoolkit.metrics"
    rows = [
        ("auc", f"{home}.ranking:Auc", "AucConfig", "Area under the ROC curve", ""),
        ("sic", f"{home}.ranking:Sic", "SicConfig", "Significance improvement at fixed background efficiencies", "arXiv:2109.00546"),
        (
            "max-sic",
            f"{home}.ranking:MaxSic",
            "MaxSicConfig",
            "Largest significance improvement above a floor",
            "arXiv:2109.00546",
        ),
        ("rejection", f"{home}.ranking:Rejection", "RejectionConfig", "Background rejection at fixed signal efficiencies", ""),
        ("closure", f"{home}.closure:Closure", "ClosureConfig", "Whether template and true background can be told apart", ""),
        ("sculpting", f"{home}.sculpting:Sculpting", "SculptingConfig", "Whether a cut shapes the mass of the background", ""),
        ("excess", f"{home}.excess:Excess", "ExcessConfig", "Counts that pass a cut, against the template's", "arXiv:2411.00085"),
        (
            "likelihood-ratio",
            f"{home}.likelihood_ratio:LikelihoodRatio",
            "LikelihoodRatioConfig",
            "Signal fraction and its significance, for an exact background density",
            "arXiv:1007.1727",
        ),
    ]
    return [
        Component(kind="metric", name=name, target=target, config=f"adtoolkit.metrics.config:{config}", summary=summary, cite=cite)
        for name, target, config, summary, cite in rows
    ]
