"""Which runs are repetitions of one another: groups, and the conditions under which groups may be compared."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any, Final

from adtoolkit.compare.records import RunRecord
from adtoolkit.errors import ConfigError

#: Short names of what runs differ in, in the order in which they are used to tell runs apart.
SHORT: Final = {
    "data": "data.name",
    "window": "window",
    "features": "data.features",
    "n_signal": "data.n_signal",
    "estimator": "estimator.name",
    "interpolator": "interpolator.name",
    "scorer": "scorer.name",
}
_LONG: Final = {full: short for short, full in SHORT.items()}
METHOD: Final = ("estimator.name", "interpolator.name", "scorer.name")
#: Whatever says what was searched and how it is measured; methods are compared where it is the same.
CONDITION: Final = ("data", "window", "metrics")
#: Which events were searched, where that differs between runs that say they searched the same.
EVENTS: Final = "events"
#: Options of metrics that change the error of a number, or which numbers there are, but no number.
_ERRORS: Final = ("names", "at", "replicas", "trials", "preset")
#: Unlike others, ``sculpting-chi2`` does not carry its cut in its name.
_UNNAMED: Final = ("metrics.sculpting.at",)
UNKNOWN: Final = "?"
NONE: Final = "-"


def is_condition(key: str) -> bool:
    return key == EVENTS or key.partition(".")[0] in CONDITION


def relevant(key: str) -> bool:
    """Whether runs that differ in this key are no repetitions of each other."""
    table, _, rest = key.partition(".")
    if key in _UNNAMED:
        return True
    return table != "run" and key not in {"preset", "data.preset"} and not (table == "metrics" and rest.rpartition(".")[2] in _ERRORS)


def value_of(record: RunRecord, key: str) -> str:
    """The value of a key as text; ``-`` where a run has none, ``?`` where it is not known."""
    if key not in record.config:
        return NONE if record.whole else UNKNOWN
    value = record.config[key]
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # a matrix file may say 1 where config.toml says 1.0
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


@dataclass(frozen=True)
class Bunch:
    """Runs that are repetitions of one another.

    Attributes:
        keys: What tells them from the others: key -> value.
        runs: The repetitions.
    """

    keys: Mapping[str, str]
    runs: tuple[RunRecord, ...]

    def part(self, *, condition: bool) -> tuple[tuple[str, str], ...]:
        """The keys that say what was searched, or those that say how."""
        return tuple((key, value) for key, value in self.keys.items() if is_condition(key) == condition)


def full_key(name: str, runs: Iterable[RunRecord]) -> str:
    """``scorer`` -> ``scorer.name``, ``epochs`` -> ``estimator.epochs`` if only one table has it.

    Raises:
        ConfigError: if no run has it, or several tables do.
    """
    known = {key for run in runs for key in run.config}
    full = SHORT.get(name, name)
    if full in known or full == "window":
        return full
    ends = sorted(key for key in known if key.rpartition(".")[2] == name)
    if len(ends) == 1:
        return ends[0]
    if ends:
        raise ConfigError(f"'{name}' is a key of several tables: {', '.join(ends)}.", f"Give its table too: --by {ends[0]}")
    last = {key.rpartition(".")[2]: key for key in sorted(known, reverse=True) if key not in _LONG}
    near = [last.get(found, found) for found in get_close_matches(full, [*SHORT, *known, *last], n=3, cutoff=0.6)]
    told = f"Did you mean {' or '.join(dict.fromkeys(_LONG.get(key, key) for key in near))}?" if near else f"There is: {', '.join(SHORT)}."
    raise ConfigError(f"There is no key '{name}' in the configuration of these runs. {told}", "See config.toml of a run.")


def present(runs: Iterable[RunRecord], key: str) -> set[str]:
    """The values that the runs have, of those that have any."""
    return {value_of(run, key) for run in runs} - {NONE, UNKNOWN}


def _varies(runs: Sequence[RunRecord], key: str) -> bool:
    values = {value_of(run, key) for run in runs} - {UNKNOWN}
    # a run without a metric has no options of it, and is not at odds with those that have
    return len(values - {NONE} if key.startswith("metrics.") else values) > 1


def _differs(runs: Sequence[RunRecord], key: str) -> bool:
    """Whether the key tells some of these runs apart. A preset does only if the options that it stands for differ."""
    if not _varies(runs, key):
        return False
    table, _, name = key.partition(".")
    if name != "preset":
        return True
    options = {k for run in runs for k in run.config if k.startswith(f"{table}.") and k not in {key, f"{table}.name"}}
    return any(_varies(runs, option) for option in options)


def keys_of(runs: Sequence[RunRecord], by: Sequence[str]) -> tuple[list[str], list[str]]:
    """The keys asked for, and those needed besides so that no group mixes runs that differ in more than their seed."""
    everything = {key for run in runs for key in run.config if relevant(key)}
    presets = sorted(key for key in everything if key.endswith(".preset"))
    order = sorted([*SHORT.values(), *presets, *sorted(everything - set(presets) - set(SHORT.values()))], key=is_condition, reverse=True)
    # unless asked otherwise, labels have all parts that differ somewhere, also where fewer would tell the runs apart
    chosen = list(by) or [key for key in SHORT.values() if len(present(runs, key)) > 1]
    added: list[str] = []
    for key in order:
        if key in chosen:
            continue
        # methods are compared under one condition, so that what differs between two of them counts too
        within = [k for k in chosen if is_condition(k)] if is_condition(key) else chosen
        if any(_differs(cell, key) for cell in _split(runs, within).values()):
            chosen.append(key)
            added.append(key)
    return chosen, added


def _split(runs: Iterable[RunRecord], keys: Sequence[str]) -> dict[tuple[str, ...], list[RunRecord]]:
    cells: dict[tuple[str, ...], list[RunRecord]] = {}
    for run in runs:
        cells.setdefault(tuple(value_of(run, key) for key in keys), []).append(run)
    return cells


def bunches(runs: Sequence[RunRecord], keys: Sequence[str]) -> list[Bunch]:
    """Groups of runs with the same values of the keys. A cell that never ran joins the one group that it can belong to."""
    cells = _split([run for run in runs if run.whole], keys)
    for run in runs:
        if run.whole or not run.config:
            continue
        own = tuple(value_of(run, key) for key in keys)
        fits = [cell for cell in cells if all(UNKNOWN in {a, b} or a == b for a, b in zip(own, cell, strict=True))]
        cells.setdefault(fits[0] if len(fits) == 1 else own, []).append(run)
    return [Bunch(dict(zip(keys, values, strict=True)), tuple(found)) for values, found in cells.items()]


def split_by_events(groups: Sequence[Bunch]) -> tuple[list[Bunch], bool]:
    """Keep apart what did not search the same events though seed and configuration say so; whether there was any.

    Each group goes where no group with other events at the same seed is; one that is at odds with itself is taken run by run.
    """
    places: dict[tuple[tuple[str, str], ...], list[dict[int | None, RunRecord]]] = {}
    out: list[tuple[int, Bunch]] = []
    for group in groups:
        here = places.setdefault(group.part(condition=True), [])
        for runs in [group.runs] if _fits(group.runs, {}) else [(run,) for run in group.runs]:
            at = next((i for i, place in enumerate(here) if _fits(runs, place)), len(here))
            if at == len(here):
                here.append({})
            here[at] |= {run.data_seed: run for run in runs if run.ok}
            out.append((at, replace(group, runs=runs)))
    if all(at == 0 for at, _ in out):
        return list(groups), False
    merged: dict[tuple[Any, ...], Bunch] = {}
    for at, group in out:
        keys = {**group.keys, EVENTS: str(at + 1)}
        same = tuple(keys.items())
        merged[same] = Bunch(keys, (*(merged[same].runs if same in merged else ()), *group.runs))
    return list(merged.values()), True


def _fits(runs: Sequence[RunRecord], place: Mapping[int | None, RunRecord]) -> bool:
    seen = dict(place)
    return all(run.same_events(seen.setdefault(run.data_seed, run)) for run in runs if run.ok)


def short(key: str) -> str:
    """How tables call a key."""
    return _LONG.get(key, key)


def method_label(group: Bunch) -> str:
    """``sigma+context+cathode``, as far as the parts differ between runs, and what else does; names alone where they say enough."""
    keys = dict(group.part(condition=False))
    parts = [keys[key] for key in METHOD if keys.get(key, NONE) not in {NONE, "none"}]
    rest = [f"{short(key)}={value}" for key, value in keys.items() if key not in METHOD and value != NONE]
    if not parts:
        parts = ["+".join(next((run.parts for run in group.runs if run.parts), ("all",)))]
    return ", ".join(["+".join(parts), *rest])


def condition_label(group: Bunch) -> str:
    """``n_signal 500, window 3.3-3.7``; empty where nothing differs."""
    return ", ".join(f"{short(key)} {value}" for key, value in group.part(condition=True))
