"""Runs -> groups under conditions, with medians, spreads and paired differences to a baseline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from adtoolkit.compare.costs import Costs, costs_of
from adtoolkit.compare.directions import MAIN, direction, usual
from adtoolkit.compare.gist import caveats, gist
from adtoolkit.compare.grouping import (
    SHORT,
    Bunch,
    bunches,
    condition_label,
    full_key,
    is_condition,
    keys_of,
    method_label,
    present,
    short,
    split_by_events,
)
from adtoolkit.compare.intervals import Paired, Spread, by_unit, paired, spread
from adtoolkit.compare.limits import below_floor, ceilings, saturated, why_none
from adtoolkit.compare.records import Records, RunRecord
from adtoolkit.compare.remarks import remarks, remarks_on_all, remarks_on_blocked
from adtoolkit.compare.replicas import replicas
from adtoolkit.errors import ConfigError, UnknownNameError

#: Scorers that say what a number is worth.
ROLES: Final = {"random": "floor", "idealised": "ceiling", "supervised": "ceiling", "cwola": "reference"}


@dataclass(frozen=True)
class Cell:
    """One metric of one group.

    Attributes:
        spread: Over its seeds.
        missing: Why runs that ended well have no such number -> how many of them.
        versus: Paired difference to the baseline; None for the baseline itself, or without common seeds.
    """

    spread: Spread
    missing: dict[str, int]
    versus: Paired | None = None


@dataclass(frozen=True)
class Group:
    """Repetitions of one configuration.

    Attributes:
        label: How tables call it, unique under its condition.
        role: ``floor``, ``ceiling``, ``reference`` or empty.
        keys: What tells it from the others, of the method.
        ok: Runs that ended well.
        n_seeds: How many were meant to run.
        faults: Seed and reason of each that did not end well.
        cells: Metric -> its numbers.
        costs: Trainings and times.
    """

    label: str
    role: str
    keys: dict[str, str]
    ok: tuple[RunRecord, ...]
    n_seeds: int
    faults: tuple[str, ...]
    cells: dict[str, Cell]
    costs: Costs

    @property
    def n_ok(self) -> int:
        return len(self.ok)


@dataclass(frozen=True)
class Condition:
    """Groups that searched the same events in the same way.

    Attributes:
        label: What tells it from other conditions; empty if there are none.
        keys: The same as key -> value.
        groups: The methods.
        baseline: Label of the one that the others are compared with; None where there is none.
        notes: What a reader should know.
    """

    label: str
    keys: dict[str, str]
    groups: tuple[Group, ...]
    baseline: str | None
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Summary:
    """All of a comparison.

    Attributes:
        metrics: The columns.
        words: The metrics that the words are about.
        by: What groups are told apart by.
        common: What all runs have in common, of the keys with a short name.
        conditions: The comparisons.
        costs: Method -> trainings and times under all conditions, where there are several: what they share is counted once.
        unplaced: Runs that cannot be assigned to a group, with the reason.
        notes: What a reader should know.
        records: The runs.
    """

    metrics: tuple[str, ...]
    words: tuple[str, ...]
    by: tuple[str, ...]
    common: dict[str, str]
    conditions: tuple[Condition, ...]
    costs: dict[str, Costs]
    unplaced: tuple[str, ...]
    notes: tuple[str, ...]
    records: Records


def summarise(records: Records, by: Sequence[str] = (), metrics: Sequence[str] = (), baseline: str | None = None) -> Summary:
    """Group the runs and compare the groups; intervals of differences cover 95 %.

    Args:
        records: From `adtoolkit.compare.load`.
        by: What groups are told apart by: ``estimator``, ``scorer``, ``n_signal``, ``window``, any key of the configuration. If none are
            given, whatever differs. Where these keys would mix runs that differ in more than their seed, more are added, and said.
        metrics: The columns; the usual ones that the runs have if none are given.
        baseline: The method that all others are compared with, by its label or its name as in run folders; if not given, the first
            method that is no reference.

    Raises:
        UnknownNameError: if a metric or baseline is not there.
        ConfigError: if none of the runs can be read, a key or a metric is in none of them, or several methods fit the baseline.
    """
    blocked = [run for run in records if run.status == "blocked"]
    notes = [*records.notes, *remarks_on_blocked(blocked)]
    runs = [run for run in records if run.status != "blocked"]
    whole = [run for run in runs if run.whole]
    if blocked and not runs:
        raise ConfigError(f"All {len(blocked)} cells are blocked: {'; '.join(notes)}", "Change the matrix; see: adtool bench FILE --plan")
    if not any(run.config for run in runs):
        why = "; ".join(f"{run.name}: {run.reason}" for run in runs[:5])
        raise ConfigError(f"None of the {len(runs)} runs can be read ({why}).", "Give other run folders.")
    for metric in metrics:
        if metric not in records.metrics:
            if why := why_none(records, [metric]):
                raise ConfigError(f"No run has {metric}: {why}.", f"There is: {', '.join(records.metrics)}")
            raise UnknownNameError("metric", metric, records.metrics, "These runs have no other.")
    columns = tuple(dict.fromkeys(metrics)) or tuple(usual(records.metrics))
    keys, added = keys_of([run for run in runs if run.config], [full_key(name, runs) for name in by])
    groups, at_odds = split_by_events(bunches(runs, keys))
    if by and added:
        notes.append(f"Groups are split by {', '.join(map(short, added))} too: --by {','.join(by)} alone would mix runs that differ in it.")
    if at_odds:
        notes.append(
            "Runs of the same seed and data configuration searched different events (the data or the code that makes them have changed): "
            "they are shown apart, and never paired."
        )
    named = _labels(groups)
    name = _baseline(groups, named, baseline)
    words = tuple(dict.fromkeys(metrics)) or tuple(m for m in MAIN if m in columns)[:1] or columns[:1]
    conditions = []
    for condition in sorted(dict.fromkeys(group.part(condition=True) for group in groups), key=_in_order):
        here = [group for group in groups if group.part(condition=True) == condition]
        conditions.append(_condition(here, [named[id(group)] for group in here], columns, words, name))
    if baseline is None and name is not None and any(len(condition.groups) > 1 for condition in conditions):
        notes.append(f"Differences are those to {name}, the first method found; choose another with --baseline NAME.")
    ok = [run for run in runs if run.ok]
    floor = [] if metrics else below_floor(ok, columns, words)
    noted = gist([note for note in run.notes if not (floor and " left out: " in note)] for run in ok)
    notes += [*floor, *([noted] if noted else [])]
    unplaced = tuple(f"{run.name}: {run.reason}" for run in runs if not run.config)
    return Summary(
        columns,
        words,
        tuple(map(short, keys)),
        _common(whole, keys),
        tuple(conditions),
        _all_costs(groups, named) if len(conditions) > 1 else {},
        unplaced,
        (*notes, *remarks_on_all(ok)),
        records,
    )


def _in_order(condition: tuple[tuple[str, str], ...]) -> list[tuple[float, str]]:
    """Numbers by their size, all else by the alphabet."""

    def place(value: str) -> tuple[float, str]:
        try:
            return float(value), ""
        except ValueError:
            return float("inf"), value

    return [place(value) for _, value in condition]


def _common(runs: Sequence[RunRecord], keys: Sequence[str]) -> dict[str, str]:
    """What all runs share that have it, of the keys with a short name; what was searched, only if all runs have it."""
    shared = {key: present(runs, key) for key in SHORT.values() if key not in keys}
    shared = {key: values for key, values in shared.items() if not is_condition(key) or all(key in run.config for run in runs)}
    return {short(key): values.pop() for key, values in shared.items() if len(values) == 1}


def _labels(groups: Sequence[Bunch]) -> dict[int, str]:
    """A label for each group, made unique under its condition by the parts in full."""
    labels = {id(group): method_label(group) for group in groups}
    for condition in {group.part(condition=True) for group in groups}:
        here = [group for group in groups if group.part(condition=True) == condition]
        texts = [labels[id(group)] for group in here]
        for group in here:
            if texts.count(labels[id(group)]) > 1:
                rest = ", ".join(f"{short(key)}={value}" for key, value in group.part(condition=False))
                labels[id(group)] = rest or labels[id(group)]
    return labels


def _full_name(group: Bunch) -> str:
    return next(("+".join(run.parts) for run in group.runs if run.parts), "")


def _role(group: Bunch) -> str:
    return next((ROLES.get(str(run.config.get("scorer.name")), "") for run in group.runs), "")


def _baseline(groups: Sequence[Bunch], labels: dict[int, str], wanted: str | None) -> str | None:
    """Label of the baseline."""
    names = list(dict.fromkeys(labels[id(group)] for group in groups))
    if wanted is None:
        there = [group for group in groups if any(run.ok for run in group.runs)]
        methods = [group for group in there if not _role(group)] or there
        return labels[id(methods[0])] if methods else None
    if wanted in names:
        return wanted
    found = list(dict.fromkeys(labels[id(group)] for group in groups if _full_name(group) == wanted))
    if not found:
        parts = set(wanted.split("+"))
        found = list(dict.fromkeys(labels[id(g)] for g in groups if parts <= set(_full_name(g).split("+"))))
    if len(found) > 1:
        raise ConfigError(f"'{wanted}' fits {len(found)} methods: {'; '.join(found)}.", "Name one of them with --baseline")
    if not found:
        raise UnknownNameError("group for the baseline", wanted, names)
    return found[0]


def _condition(
    here: Sequence[Bunch], labels: Sequence[str], metrics: Sequence[str], words: Sequence[str], baseline: str | None
) -> Condition:
    notes: list[str] = []
    kept = [replicas(group.runs) for group in here]
    for label, (_, told) in zip(labels, kept, strict=True):
        notes += [f"{label}: {text}" for text in told]
    base = next((runs for label, (runs, _) in zip(labels, kept, strict=True) if label == baseline), None)
    groups = []
    for group, label, (runs, _) in zip(here, labels, kept, strict=True):
        ok = tuple(run for run in runs if run.ok)
        faults = tuple(f"seed {run.seed}: {run.status}: {run.reason}" for run in runs if not run.ok)
        other = None if label == baseline else base
        cells = {metric: _cell(ok, other, metric) for metric in metrics}
        groups.append(Group(label, _role(group), dict(group.part(condition=False)), ok, len(runs), faults, cells, costs_of(ok)))
    if baseline is not None and base is None:
        notes.append(f"There is no {baseline} here to compare with.")
    groups.sort(key=lambda group: _rank(group, metrics))
    keys = {short(key): value for key, value in here[0].part(condition=True)}
    notes += [*remarks([group.ok for group in groups], metrics), *saturated(groups, words), *ceilings(groups, metrics), *caveats(metrics)]
    return Condition(condition_label(here[0]), keys, tuple(groups), baseline if base is not None else None, tuple(notes))


def _rank(group: Group, metrics: Sequence[str]) -> tuple[bool, float]:
    """The best first, by the metric that the words are about; groups without numbers last."""
    metric = next((name for name in MAIN if name in metrics), metrics[0] if metrics else "")
    value = group.cells[metric].spread.median if metric in group.cells else None
    towards = direction(metric)
    return value is None, 0.0 if value is None else (-1 if towards.higher else 1) * towards.place(value)


def _cell(ok: Sequence[RunRecord], base: Sequence[RunRecord] | None, metric: str) -> Cell:
    missing: dict[str, int] = {}
    for run in ok:
        if metric not in run.metrics:
            missing[run.why_not(metric)] = missing.get(run.why_not(metric), 0) + 1
    numbers = spread([run.metrics[metric] for run in ok if metric in run.metrics])
    return Cell(numbers, missing, None if base is None else versus(ok, base, metric))


def versus(runs: Sequence[RunRecord], base: Sequence[RunRecord], metric: str) -> Paired | None:
    """Paired difference ``runs - base``, with its interval of 95 %, over the seeds where both have the metric and searched the same events.

    Runs that share their events (one data seed, several seeds) are no independent pairs: where there are several data seeds, their
    differences are averaged first.
    """
    towards = direction(metric)
    others = {run.replica: run for run in base if run.ok and metric in run.metrics}
    pairs = [(run, others[run.replica]) for run in runs if run.ok and metric in run.metrics and run.replica in others]
    pairs = [(run, other) for run, other in pairs if run.same_events(other)]
    if not pairs:
        return None
    differences = [towards.place(run.metrics[metric]) - towards.place(other.metrics[metric]) for run, other in pairs]
    several = len({run.data_seed for run, _ in pairs}) > 1
    units = [run.data_seed if several else run.seed for run, _ in pairs]
    return paired(by_unit(differences, units), higher=towards.higher)


def _all_costs(groups: Sequence[Bunch], labels: dict[int, str]) -> dict[str, Costs]:
    methods: dict[str, list[RunRecord]] = {}
    for group in groups:
        methods.setdefault(labels[id(group)], []).extend(run for run in replicas(group.runs)[0] if run.ok)
    return {label: costs_of(runs) for label, runs in methods.items()}


__all__ = ["ROLES", "Cell", "Condition", "Group", "Summary", "is_condition", "summarise", "versus"]
