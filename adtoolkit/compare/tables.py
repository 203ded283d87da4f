"""A comparison as tables of text: the same cells for the terminal, Markdown and CSV; and as one JSON object."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from adtoolkit.compare.costs import Costs
from adtoolkit.compare.directions import direction
from adtoolkit.compare.summary import Cell, Condition, Group, Summary
from adtoolkit.compare.words import number, paired_text, spread_text, statements, won_text

LEGEND: Final = "median of the seeds, and their 16th to 84th percentile: how single runs scatter, not the error of the median"
LEGEND_PAIRED: Final = (
    "mean difference to the baseline seed by seed, with the 95 % interval of that mean (bootstrap over seeds); seeds won of those paired"
)

COSTS: Final = (
    "s/run: median over the runs of a row of the seconds that a stage took when it was made; totals, fits and scorer fits: "
    "of all runs of the row together, what they share counted once"
)
COSTS_OF_ALL: Final = f"all conditions together; {COSTS}"


@dataclass(frozen=True)
class TextTable:
    """A table of which each cell may have several lines.

    Attributes:
        title: What it shows.
        columns: Their names; the first is that of the rows.
        rows: A list of lines per cell.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[list[str], ...], ...]


def tables(summary: Summary, condition: Condition) -> Iterator[TextTable]:
    """Values, differences, costs."""
    yield TextTable(LEGEND, ("", "seeds", *summary.metrics), tuple(_values(group, summary.metrics) for group in condition.groups))
    if condition.baseline is not None and len(condition.groups) > 1:
        others = [group for group in condition.groups if group.label != condition.baseline]
        rows = tuple(([_name(group)], *(_difference(group.cells[m]) for m in summary.metrics)) for group in others)
        columns = (f"minus {condition.baseline}", *(_column(m) for m in summary.metrics))
        yield TextTable(LEGEND_PAIRED, columns, rows)
    costs = {group.label: group.costs for group in condition.groups}
    if any(cost.runs for cost in costs.values()):
        yield cost_table(COSTS, costs)


def cost_table(title: str, costs: dict[str, Costs]) -> TextTable:
    """Seconds and trainings, a method each row."""
    stages = list(dict.fromkeys(stage for cost in costs.values() for stage in cost.per_run))
    cpu = any(cost.cpu is not None for cost in costs.values())
    columns = ("", *(f"{stage} s/run" for stage in stages), "total s", *(["total CPU s"] if cpu else []), "fits", "scorer fits", "runs")
    rows = []
    for label, cost in costs.items():
        times = [[number(cost.per_run[stage]) if stage in cost.per_run else "-"] for stage in stages]
        more = [["-" if cost.cpu is None else number(cost.cpu)]] if cpu else []
        rows.append(([label], *times, [number(cost.seconds)], *more, [str(cost.fits)], [str(cost.scorers)], [str(cost.runs)]))
    return TextTable(title, columns, tuple(rows))


def _name(group: Group) -> str:
    return f"{group.label} ({group.role})" if group.role and group.role != "reference" else group.label


def _column(metric: str) -> str:
    towards = direction(metric)
    return f"|{metric} - {towards.to:g}|" if towards.towards == "near" else metric


def _values(group: Group, metrics: Sequence[str]) -> tuple[list[str], ...]:
    return ([_name(group)], [f"{group.n_ok}/{group.n_seeds}"], *(_value(group, group.cells[metric]) for metric in metrics))


def _value(group: Group, cell: Cell) -> list[str]:
    if cell.spread.median is None:
        return ["-"] if not group.n_ok else ["none"]
    value, interval = spread_text(cell.spread)
    if cell.missing:
        value += f" ({cell.spread.n} of {group.n_ok})"
    return [value, interval] if interval else [value]


def _difference(cell: Cell) -> list[str]:
    if cell.versus is None:
        return ["-"]
    value, interval = paired_text(cell.versus)
    return [value, *([interval] if interval else []), f"won {won_text(cell.versus)}"]


def footnotes(condition: Condition) -> list[str]:
    """What the numbers of a condition leave out."""
    out = [f"{group.label}, not ok: {fault}" for group in condition.groups for fault in group.faults]
    gone: dict[tuple[str, str], list[str]] = {}
    for group in condition.groups:
        for why in dict.fromkeys(why for cell in group.cells.values() for why in cell.missing):
            lacks = {metric: cell.missing[why] for metric, cell in group.cells.items() if why in cell.missing}
            names = ", ".join(metric if n == group.n_ok else f"{metric} ({n} of {group.n_ok} runs)" for metric, n in lacks.items())
            gone.setdefault((names, why), []).append(group.label)
    out += [f"{', '.join(labels)}: no {names}: {why}" for (names, why), labels in gone.items()]
    few = [group.label for group in condition.groups if 0 < group.n_ok < 3]
    if few:
        out.append(f"No interval for {', '.join(few)}: fewer than 3 seeds.")
    return [*out, *condition.notes]


def heading(summary: Summary, condition: Condition) -> str:
    """What was searched."""
    common = ", ".join(f"{key} {value}" for key, value in summary.common.items())
    return "; ".join(text for text in (condition.label, common) if text) or "all runs"


def words_of(summary: Summary, condition: Condition) -> list[str]:
    """The sentences of a condition."""
    return list(statements(condition, summary.words))


def overall(summary: Summary) -> list[str]:
    """What concerns all conditions."""
    out = [f"Not in any table: {text}" for text in summary.unplaced] + list(summary.notes)
    pairs = [g.cells[m].versus for c in summary.conditions for m in summary.words for g in c.groups]
    n = sum(pair is not None and pair.lo is not None for pair in pairs)
    if n > 5:
        out.append(f"{n} comparisons at 95 % each: about {0.05 * n:.1g} would be decided by chance if nothing differed.")
    return out


def markdown(summary: Summary) -> str:
    """Everything as Markdown."""
    lines: list[str] = []
    for condition in summary.conditions:
        lines += [f"## {heading(summary, condition)}", ""]
        for table in tables(summary, condition):
            lines += _markdown(table)
        lines += [f"- {text}" for text in words_of(summary, condition)]
        lines += [f"- Note: {text}" for text in footnotes(condition)] + [""]
    if summary.costs:
        lines += ["## All conditions", "", *_markdown(cost_table(COSTS_OF_ALL, summary.costs))]
    lines += [f"- Note: {text}" for text in overall(summary)]
    return "\n".join(lines).strip() + "\n"


def _markdown(table: TextTable) -> list[str]:
    def row(cells: Sequence[str]) -> str:
        return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"

    body = [row([_inline(cell) for cell in cells]) for cells in table.rows]
    ruler = f"|{'|'.join([':--', *['--:'] * (len(table.columns) - 1)])}|"
    return [f"{table.title[0].upper()}{table.title[1:]}.", "", row(table.columns), ruler, *body, ""]


def _inline(lines: Sequence[str]) -> str:
    first, *rest = lines
    return f"{first} ({', '.join(rest)})" if rest else first


CSV_COLUMNS: Final = (
    "condition",
    "method",
    "role",
    "metric",
    "n_ok",
    "n_seeds",
    "n_values",
    "median",
    "p16",
    "p84",
    "baseline",
    "n_paired",
    "difference",
    "difference_lo95",
    "difference_hi95",
    "won",
    "missing",
)


def to_csv(summary: Summary) -> str:
    """One row per condition, method and metric; costs as metrics of their own."""
    text = io.StringIO()
    writer = csv.DictWriter(text, CSV_COLUMNS, lineterminator="\n", restval="")
    writer.writeheader()
    for condition in summary.conditions:
        for group in condition.groups:
            about = {"condition": condition.label, "method": group.label, "role": group.role, "n_ok": group.n_ok, "n_seeds": group.n_seeds}
            for metric, cell in group.cells.items():
                writer.writerow({**about, "metric": metric, **_plain(cell, condition.baseline)})
            costs = {f"{stage} seconds": seconds for stage, seconds in group.costs.per_run.items()} | {"trainings": group.costs.fits}
            for name, value in costs.items():
                writer.writerow({**about, "metric": name, "n_values": group.costs.runs, "median": value})
    return text.getvalue()


def _plain(cell: Cell, baseline: str | None) -> dict[str, Any]:
    row: dict[str, Any] = {"n_values": cell.spread.n, "median": cell.spread.median, "p16": cell.spread.lo, "p84": cell.spread.hi}
    row["missing"] = "; ".join(f"{why} ({n})" for why, n in cell.missing.items())
    if (v := cell.versus) is not None:
        row |= {"baseline": baseline, "n_paired": v.n, "difference": v.mean, "difference_lo95": v.lo, "difference_hi95": v.hi, "won": v.won}
    return row


def as_json(summary: Summary) -> dict[str, Any]:
    """Everything, the records included, so that it can be compared again: ``adtool compare FILE``."""
    conditions = []
    for condition in summary.conditions:
        groups = [
            {
                "label": group.label,
                "role": group.role,
                "keys": group.keys,
                "n_ok": group.n_ok,
                "n_seeds": group.n_seeds,
                "faults": list(group.faults),
                "metrics": {metric: asdict(cell) for metric, cell in group.cells.items()},
                "costs": asdict(group.costs),
            }
            for group in condition.groups
        ]
        about = {"label": condition.label, "keys": condition.keys, "baseline": condition.baseline, "groups": groups}
        conditions.append({**about, "statements": words_of(summary, condition), "notes": footnotes(condition)})
    return {
        "status": "done",
        "by": list(summary.by),
        "metrics": list(summary.metrics),
        "common": summary.common,
        "intervals": {"spread": LEGEND, "difference": LEGEND_PAIRED},
        "conditions": conditions,
        "costs": {label: asdict(costs) for label, costs in summary.costs.items()},
        "notes": overall(summary),
        "records": summary.records.as_list(),
    }
