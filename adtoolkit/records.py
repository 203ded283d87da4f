"""What a well-formed `Component` record looks like, and the sentence for each way it can be wrong."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import fields
from difflib import get_close_matches
from typing import Any, Final

from adtoolkit.capabilities import DATA_CAPS, SCORER_CAPS, Cap
from adtoolkit.plugin import KINDS, Component, Region

NAME: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
TARGET: Final = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")
OWN_CAP: Final = re.compile(r"[a-z0-9-]+:[a-z0-9-]+")

#: Fields that only some kinds of component have; on the others they must keep their default.
ONLY: Final[dict[str, tuple[str, ...]]] = {
    "provides": ("data", "estimator", "scorer"),
    "trains_on": ("estimator",),
    "accepts": ("interpolator",),
    "rules": ("interpolator",),
    "default_interpolator": ("estimator",),
    "default_scorer": ("estimator",),
    "default_estimator": ("scorer",),
}
DEFAULTS: Final = {f.name: f.default for f in fields(Component)}


def title(record: object) -> str:
    """How messages call a record: ``estimator 'sigma'``."""
    return f"{record.kind} '{record.name}'" if isinstance(record, Component) else f"a {type(record).__name__}"


def faults(record: object) -> list[str]:
    """Everything that is wrong with a record, one sentence each; empty when it can be registered."""
    if not isinstance(record, Component):
        return [f"adtoolkit_register_components() must return Component records, but there is {record!r} among them"]
    return list(_faults(record))


def _near(word: object, known: list[str]) -> str:
    match = get_close_matches(str(word), known, n=1, cutoff=0.5)
    return f" (did you mean '{match[0]}'?)" if match else ""


def _faults(record: Any) -> Iterator[str]:
    if record.kind not in KINDS:
        yield f"its kind is {record.kind!r}{_near(record.kind, list(KINDS))}; kinds are {', '.join(KINDS)}"
    if not (isinstance(record.name, str) and NAME.fullmatch(record.name)):
        yield f"its name is {record.name!r}; names are lower-case letters, digits and single hyphens"
    if record.target == "" and makes_nothing(record):
        pass  # an estimator that makes no model has nothing to import
    elif not (isinstance(record.target, str) and TARGET.fullmatch(record.target)):
        yield f"its target is {record.target!r}; it must read 'package.module:Class'"
    if not (isinstance(record.config, str) and TARGET.fullmatch(record.config)):
        yield f"its config is {record.config!r}; it must read 'package.module:Class'"
    if not (isinstance(record.summary, str) and record.summary.strip() and "\n" not in record.summary):
        yield "its summary must be one line of text"
    if not isinstance(record.cite, str):
        yield f"its cite is {record.cite!r}; it must be text, 'arXiv:...' or a DOI"
    if not isinstance(record.cache_version, int) or isinstance(record.cache_version, bool) or record.cache_version < 1:
        yield f"its cache_version is {record.cache_version!r}; it must be a whole number from 1"
    for name, kinds in ONLY.items():
        if record.kind in KINDS and record.kind not in kinds and getattr(record, name) != DEFAULTS[name]:
            yield f"{name} is for {' and '.join(kinds)} only, not for {record.kind}"
    yield from _cap_faults(record)
    yield from _region_faults(record)
    failures: Any = record.expected_failures
    if not isinstance(failures, Mapping) or not all(isinstance(k, str) and isinstance(v, str) and v.strip() for k, v in failures.items()):
        yield "its expected_failures must map the name of a check to the reason"


def makes_nothing(record: Component) -> bool:
    """Whether this is an estimator that makes no model: the partner of scorers that need none."""
    return record.kind == "estimator" and not record.trains_on and not record.provides


def _cap_faults(record: Component) -> Iterator[str]:
    yield from _set_faults("needs", record.needs)
    yield from _set_faults("provides", record.provides)
    rules: Any = record.rules
    if not isinstance(rules, tuple) or not all(isinstance(rule, tuple) and len(rule) == 2 for rule in rules):
        yield f"its rules are {rules!r}; they must be a tuple of (needs, gives) pairs"
    else:
        for needs, gives in rules:
            yield from _set_faults("rules", needs)
            yield from _set_faults("rules", gives)
            if not gives:
                yield "a rule of it gives nothing"
    if isinstance(record.provides, frozenset):
        if record.kind == "data" and (strange := _bare(record.provides) - DATA_CAPS):
            yield f"data cannot provide {', '.join(sorted(strange))}; data have {', '.join(sorted(DATA_CAPS))}"
        if record.kind == "estimator" and (strange := record.provides & (DATA_CAPS | SCORER_CAPS)):
            yield f"a model cannot provide {', '.join(sorted(strange))}, which only data and scorers have"
        if record.kind == "scorer" and (strange := _bare(record.provides) - SCORER_CAPS):
            yield f"a scorer cannot provide {', '.join(sorted(strange))}; scorers have {', '.join(sorted(SCORER_CAPS))}"


def _bare(caps: frozenset[Any]) -> frozenset[str]:
    return frozenset(cap for cap in caps if isinstance(cap, str) and ":" not in cap)


def _set_faults(field: str, caps: Any) -> Iterator[str]:
    if not isinstance(caps, frozenset):
        yield f"{field} holds {caps!r}; it must be a frozenset of capabilities, for example frozenset({{Cap.SAMPLE}})"
        return
    known = [str(cap) for cap in Cap]
    for cap in sorted(caps, key=str):
        if not isinstance(cap, str) or not (cap in known or OWN_CAP.fullmatch(cap)):
            there = f"there is {', '.join(known)}, and a plugin's own as 'owner:word'"
            yield f"{field} names the unknown capability {str(cap)!r}{_near(cap, known)}; {there}"


def _region_faults(record: Component) -> Iterator[str]:
    for field, kind in (("trains_on", tuple), ("accepts", frozenset)):
        regions: Any = getattr(record, field)
        if not isinstance(regions, kind) or not all(isinstance(region, Region) for region in regions):
            yield f"{field} is {regions!r}; it must be a {kind.__name__} of Region members"
    if record.kind == "estimator" and (bool(record.trains_on) != bool(record.provides) or (record.target and makes_nothing(record))):
        yield "an estimator needs both trains_on and provides; one that makes no model has neither, and no target"
    if record.kind == "interpolator" and not record.accepts:
        yield "an interpolator must say models of which regions it accepts (accepts)"
