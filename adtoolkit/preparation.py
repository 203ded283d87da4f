"""Everything that can be refused before anything is trained: data, window, masses, options of each part."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from adtoolkit.capabilities import Cap
from adtoolkit.context import RunContext
from adtoolkit.errors import AdtoolError, DataError
from adtoolkit.events import Event
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


@dataclass(frozen=True)
class Prepared:
    """What a run starts from.

    Attributes:
        dataset: The events.
        mass: p(m) in the window.
        prep: From physical features to those that models see.
        parts: Kind -> component with its options; what the mix does not use is missing.
        metrics: Name -> metric.
        counts: Events of each kind, dropped and clipped ones included.
    """

    dataset: Dataset
    mass: MassModel
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
    parts = {kind: _part(registry, kind, getattr(config, kind)) for kind in kinds}
    metrics = {name: registry.load(registry.get("metric", name).component)(config.metrics.values[name]) for name in config.metrics.names}
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
    if Cap.TRUTH in plan.scorer.needs and not _signal_inside(dataset, window):
        raise DataError("There is no truth-labelled signal in the window to train on.", "Leave some out of the data: --set data.n_signal=N")
    if dataset.scale == "logit":
        for text in doubtful(blind.x, dataset.features):
            tell(Event("note", "data", text=text))
    if dataset.events.weight is not None:
        text = "Event weights enter the training, p(m), efficiencies, closure and sculpting, but not counts, thresholds and plots."
        tell(Event("note", "data", text=text))
    if plan.region is Region.ALL and not plan.interpolator.rules:
        text = f"'{plan.interpolator.name}' evaluates in the window a model that has seen the window's events: a negative control."
        tell(Event("note", "fit", text=text))
    n = template_size(config, dataset)
    if Cap.SAMPLE in plan.background and n < MIN_TEMPLATE:
        raise DataError(f"The template would have {n} events where {MIN_TEMPLATE} are needed.", "Raise --set template.oversample=VALUE")
    mass = fit_mass(config.mass, dataset.events.m, window, dataset.events.weight)
    for kind in kinds[1:]:
        parts[kind].instance.check(blind, window)
    for metric in metrics.values():
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


def _part(registry: Registry, kind: Any, section: Any) -> Part:
    record = registry.get(kind, section.name).component
    return Part(record, registry.load(record)(section.options))


def _load(source: Part, context: RunContext) -> Dataset:
    try:
        dataset = source.instance.load(context)
    except (AdtoolError, KeyboardInterrupt, MemoryError):
        raise
    except Exception as error:
        what = f"The data source '{source.record.name}' failed: {type(error).__name__}: {error}"
        raise DataError(what, f"Try: adtool check {source.record.name}") from error
    if not isinstance(dataset, Dataset):
        raise DataError(f"The data source '{source.record.name}' gave a {type(dataset).__name__} instead of a Dataset.")
    return dataset


def _signal_inside(dataset: Dataset, window: Window | None) -> bool:
    """Whether there is signal to learn from, in the data (the truth of which such a scorer may use) or kept for tests."""
    for sample in (dataset.events, dataset.test):
        inside = np.ones(len(sample), bool) if window is None else window.contains(sample.m)
        if sample.truth is not None and (sample.truth[inside] == 1).any():
            return True
    return False
