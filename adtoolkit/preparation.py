"""Everything that can be refused before anything is trained: data, window, masses, options of each part."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from adtoolkit.capabilities import Cap
from adtoolkit.context import RunContext
from adtoolkit.errors import AdtoolError, DataError, PluginError
from adtoolkit.events import Event
from adtoolkit.folds import check_groups
from adtoolkit.mass import MassModel, fit_mass
from adtoolkit.plugin import Region
from adtoolkit.preprocess import Preprocess
from adtoolkit.stages import Part
from adtoolkit.types import Dataset, Sample, Window

if TYPE_CHECKING:
    from adtoolkit.mix import Plan
    from adtoolkit.registry import Registry
    from adtoolkit.runconfig import RunConfig

#: A template smaller than this says nothing about a background.
MIN_TEMPLATE: Final = 100
#: Fewer labelled signal events cannot be learnt from once folds have divided them.
MIN_SIGNAL: Final = 50


@dataclass(frozen=True)
class Prepared:
    """What a run starts from.

    Attributes:
        dataset: The events.
        mass: p(m) in the window; None where the mix estimates no background.
        prep: From physical features to those that models see.
        parts: Kind -> component with its options; what the mix does not use is missing.
        metrics: Name -> metric.
        counts: Events of each kind, dropped and clipped ones included.
    """

    dataset: Dataset
    mass: MassModel | None
    prep: Preprocess
    parts: dict[str, Part]
    metrics: dict[str, Any]
    counts: dict[str, int]


def prepare(config: RunConfig, plan: Plan, registry: Registry, device: str, tell: Callable[[Event], None]) -> Prepared:
    """Load the data and all parts, and check them against each other.

    Raises:
        AdtoolError: on anything that would fail later for a reason that is known now.
    """
    from adtoolkit.data.checks import check_cells, check_labels, check_reference, check_sample, check_window, doubtful

    window = config.window
    kinds = ("data", "estimator", "interpolator", "scorer") if plan.estimates else ("data", "scorer")
    parts = {kind: _part(registry, kind, (section := getattr(config, kind)).name, section.options) for kind in kinds}
    metrics = {name: _part(registry, "metric", name, config.metrics.values[name]).instance for name in config.metrics.names}
    dataset = _load(parts["data"], RunContext(seed=config.data_seed, scope=("data",), device=device, stage="data", tell=tell))
    blind = dataset.events.blind()
    check_labels(dataset.events)
    if window is not None:
        check_window(dataset, window)
    if dataset.scale == "none":
        check_cells(blind.x)
    else:
        check_sample(blind, dataset.features, dataset.mass)
    uses_reference = plan.region is Region.REFERENCE or Cap.REFERENCE in plan.scorer.needs
    if uses_reference:
        reference = dataset.region(Region.REFERENCE, window)
        inside = reference if window is None else reference[window.contains(reference.m)]
        whole = plan.region is Region.REFERENCE or window is None
        check_reference(reference if whole else inside, dataset, "" if whole else " in the window")
    if Cap.TRUTH in plan.scorer.needs and (n := _signal_inside(dataset, window)) < MIN_SIGNAL:
        what = f"There are {n} truth-labelled signal events in the window where {MIN_SIGNAL} are needed to train on."
        raise DataError(what, "Take data with more signal; what is not injected counts too: --set data.n_signal=N")
    if dataset.scale == "logit":
        for text in doubtful(blind.x, dataset.features):
            tell(Event("note", "data", text=text))
    if dataset.events.weight is not None:
        text = "Event weights enter training, p(m), metrics and pictures; how many events there are is counted without them."
        tell(Event("note", "data", text=text))
    if plan.region is Region.ALL and not plan.interpolator.rules:
        text = f"'{plan.interpolator.name}' evaluates in the window a model that has seen the window's events: a negative control."
        tell(Event("note", "fit", text=text))
    if plan.estimates and parts["scorer"].instance.trains and (groups := parts["estimator"].instance.independent_groups()) is not None:
        check_groups(groups, config.scorer.folds)
    n = template_size(config, dataset)
    if Cap.SAMPLE in plan.background and n < MIN_TEMPLATE:
        raise DataError(f"The template would have {n} events where {MIN_TEMPLATE} are needed.", "Raise --set template.oversample=VALUE")
    mass = fit_mass(config.mass, dataset.events.m, window, dataset.events.weight) if plan.estimates else None
    for kind in kinds[1:]:
        with _blamed(kind, parts[kind].record.name):
            parts[kind].instance.check(blind, window)
    for name, metric in metrics.items():
        with _blamed("metric", name):
            metric.check(blind, window)
    # one range for all that a model may be shown as known: a feature must not be constant in one and vary in the other
    known = Sample.concat(blind, dataset.region(Region.REFERENCE, window)) if uses_reference else blind
    prep = Preprocess.fit(known) if dataset.scale == "logit" else Preprocess.none(len(dataset.features))
    counts = count_events(dataset, window) | dict(dataset.counts)
    counts["clipped to the feature range"] = sum(
        prep.clipped(sample.x) for sample in (dataset.events, dataset.test, dataset.reference) if sample is not None
    )
    return Prepared(dataset, mass, prep, parts, metrics, counts)


def template_size(config: RunConfig, dataset: Dataset) -> int:
    """How many events the template has: ``oversample`` times the data in the window."""
    m = dataset.events.m
    return round(config.template.oversample * (len(m) if config.window is None else int(config.window.contains(m).sum())))


def count_events(dataset: Dataset, window: Window | None) -> dict[str, int]:
    """How many events there are of each kind."""
    events, test = dataset.events, dataset.test
    inside = np.ones(len(events), bool) if window is None else window.contains(events.m)
    counts = {"data": len(events), "data in window": int(inside.sum())}
    if events.truth is not None:
        counts |= {"signal in data": int((events.truth == 1).sum()), "signal in window": int((events.truth[inside] == 1).sum())}
    if test.truth is not None and len(test):
        kept = np.ones(len(test), bool) if window is None else window.contains(test.m)
        counts["test signal in window"] = int((test.truth[kept] == 1).sum())
        counts["test background in window"] = int((test.truth[kept] == 0).sum())
    if dataset.reference is not None:
        counts["reference"] = len(dataset.reference)
    return counts


def _part(registry: Registry, kind: Any, name: str, options: Any) -> Part:
    record = registry.get(kind, name).component
    with _blamed(kind, record.name):
        return Part(record, registry.load(record)(options))


@contextmanager
def _blamed(kind: str, name: str) -> Iterator[None]:
    """Say whose code it was that failed.

    Raises:
        PluginError: instead of whatever else a component raises.
    """
    try:
        yield
    except (AdtoolError, MemoryError):
        raise
    except Exception as error:
        what = f"The {'data source' if kind == 'data' else kind} '{name}' failed: {' '.join(f'{type(error).__name__}: {error}'.split())}."
        raise PluginError(what, f"Try: adtool check {name}") from error


def _load(source: Part, context: RunContext) -> Dataset:
    with _blamed("data", source.record.name):
        dataset = source.instance.load(context)
    if not isinstance(dataset, Dataset):
        raise DataError(f"The data source '{source.record.name}' gave a {type(dataset).__name__} instead of a Dataset.")
    return dataset


def _signal_inside(dataset: Dataset, window: Window | None) -> int:
    """How much signal there is to learn from, in the data (the truth of which such a scorer may use) and kept for tests."""
    return sum(
        int((sample.truth[slice(None) if window is None else window.contains(sample.m)] == 1).sum())
        for sample in (dataset.events, dataset.test)
        if sample.truth is not None
    )
