"""Checks of data sources: the same seed gives the same events, and what is promised is there."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np

from adtoolkit.capabilities import Cap
from adtoolkit.context import RunContext
from adtoolkit.plugin import Region
from adtoolkit.testing.checks import conformance, require
from adtoolkit.testing.guards import OtherGlobalSeeds
from adtoolkit.testing.subject import Call, lasting, watch
from adtoolkit.types import Dataset, Sample

if TYPE_CHECKING:
    from adtoolkit.testing.subject import Subject

_SECONDS = 20.0


def _load(subject: Subject) -> Call:
    return cast("Call", subject.once("load", lambda: _watched_load(subject)))


def _watched_load(subject: Subject) -> Call:
    instance, context = subject.make(), subject.context()
    return watch(lambda: instance.load(context))


def _parts(dataset: Dataset) -> dict[str, Sample]:
    parts = {"events": dataset.events, "test": dataset.test}
    return parts if dataset.reference is None else {**parts, "reference": dataset.reference}


@conformance("data")
def check_load_returns_dataset(subject: Subject) -> None:
    """``load`` returns a Dataset with events in it, all of whose values are finite."""
    dataset = _load(subject).result
    require(isinstance(dataset, Dataset), f"It returned {type(dataset).__name__}.")
    require(len(dataset.events) > 0, "There are no events.")
    for name, part in _parts(dataset).items():
        for field in ("x", "m", "context", "weight"):
            value = getattr(part, field)
            bad = 0 if value is None else int((~np.isfinite(value)).sum())
            require(bad == 0, f"{bad} values of {name}.{field} are not finite.")
        require(part.weight is None or bool((part.weight >= 0).all()), f"Some weights of {name} are negative.")


@conformance("data")
def check_load_is_deterministic(subject: Subject) -> None:
    """The same data seed gives the same events in the same order, wherever the global generators stand."""
    first = _load(subject).result
    with OtherGlobalSeeds():
        again = subject.make().load(subject.context())
    for name, part in _parts(first).items():
        require(name in _parts(again), f"The second time there is no {name}.")
        require(_parts(again)[name].digest == part.digest, f"The {name} differ between two loads.")
    require(first.digest == again.digest, "The two datasets have different digests.")


@conformance("data")
def check_data_seed_alone_decides(subject: Subject) -> None:
    """Nothing but the data seed decides which events there are: not the folder, the device, or who listens."""
    first = _load(subject).result
    usual = subject.context()
    other = subject.make().load(
        RunContext(usual.seed, usual.scope, "cpu", subject.folder("elsewhere"), "another stage", lambda event: None)  # noqa: ARG005
    )
    require(first.digest == other.digest, "With another folder and listener the events are others.")


@conformance("data")
def check_features_named(subject: Subject) -> None:
    """The features and the mass have names, each once, and the mass is no feature."""
    dataset = _load(subject).result
    names = dataset.features
    require(isinstance(names, tuple) and names, f"The names of the features are {names!r}.")
    require(all(isinstance(name, str) and name.strip() for name in names), f"Some of {names!r} are empty or no text.")
    require(len(set(names)) == len(names), f"Some of {', '.join(names)} are there twice.")
    require(dataset.mass.strip(), "The mass has no name.")
    require(dataset.mass not in names, f"The mass '{dataset.mass}' is among the features.")


@conformance("data")
def check_blind_keeps_events(subject: Subject) -> None:
    """Blinding takes the truth labels away and nothing else, in every region."""
    dataset = _load(subject).result
    events = dataset.events
    blind = events.blind()
    require(blind.truth is None, "Blinded events still have labels.")
    require(np.array_equal(blind.x, events.x) and np.array_equal(blind.m, events.m), "Blinding changed the events.")
    for region in Region:
        if region is Region.ALL or (region is Region.REFERENCE and dataset.reference is not None):
            require(dataset.region(region, None).truth is None, f"Region '{region}' still has labels.")


@conformance("data")
def check_offers_are_there(subject: Subject) -> None:
    """What a source provides with its options is in its dataset, and nothing more: truth labels, a reference, cells."""
    dataset = _load(subject).result
    offers = subject.config.offers(subject.component.provides)
    require(offers <= subject.component.provides, "Its options offer more than its record declares.")
    there = {
        Cap.TRUTH: dataset.events.truth is not None,
        Cap.REFERENCE: dataset.reference is not None and len(dataset.reference) > 0,
        Cap.CELLS: dataset.scale == "none",
    }
    for cap, found in there.items():
        require(found or cap not in offers, f"It offers {cap}, but the dataset has none.")
        require(not found or cap in offers, f"The dataset has {cap}, but it is not offered.")
    if dataset.events.truth is not None:
        labels = set(np.unique(dataset.events.truth).tolist())
        require(labels <= {0, 1}, f"Truth labels are {sorted(labels)}, not 0 and 1.")
    require(len(dataset.test) == 0 or dataset.test.truth is not None, "The test events have no truth labels.")
    if dataset.reference is not None and dataset.reference.truth is not None:
        require(not dataset.reference.truth.any(), "Some reference events are signal.")


@conformance("data")
def check_parts_are_disjoint(subject: Subject) -> None:
    """No event is in two of data, test and reference."""
    seen: dict[bytes, str] = {}
    for name, part in _parts(_load(subject).result).items():
        rows = np.ascontiguousarray(np.column_stack([part.m, part.x]))
        keys = {row.tobytes() for row in rows}
        both = sorted({seen[key] for key in keys & seen.keys()})
        require(not both, f"Some events of {name} are in {', '.join(both)} too.")
        seen.update(dict.fromkeys(keys, name))


@conformance("data")
def check_load_leaves_globals_alone(subject: Subject) -> None:
    """Loading leaves the global random generators, dtype, threads and modes as they were."""
    touched = lasting(_load(subject), lambda: _watched_load(subject))
    require(not touched, f"Changed: {', '.join(touched)}.")


@conformance("data")
def check_load_under_20_seconds(subject: Subject) -> None:
    """With the ``smoke`` preset loading takes less than 20 seconds."""
    seconds = _load(subject).seconds
    require(seconds < _SECONDS, f"It took {seconds:.1f} s.")
