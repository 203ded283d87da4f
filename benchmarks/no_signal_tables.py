"""Tables of what methods find without signal; for tables.py."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np


def no_signal(data: dict[str, Any], title: str) -> Iterator[str]:
    """What each method finds where there is nothing."""

    yield f"## {title}\n"
    yield f"{data['asked']['background']:,} background events, none of signal, drawn anew for every seed. Means over the seeds, with the"
    yield "error of the mean. Z is the significance of the events behind a cut at a background efficiency of 1 %: with statistical errors"
    yield "alone (`template`), with the bias that the control regions show (`corrected`), and with cuts set on known background"
    yield "(`known`). Right errors have mean 0 and spread 1 over the seeds; above 2 lie 2.3 %. `true bias`: by which share more of known"
    yield "background, in neither data nor template, passes than should; `control bias`: the same as the control regions see it. `blind`:"
    yield "SIC of a signal that no method has seen, at 1 %; 0.1 is what a random score has.\n"
    yield "| | seeds | closure | true bias | control bias | Z template | above 2 | Z corrected | above 2 | Z known | spread | blind |"
    yield "|---|---|---|---|---|---|---|---|---|---|---|---|"
    for method, row in data["summary"].items():
        known = "known-z@1e-2"
        spread = f"{row[known]['spread']:.2f}" if "spread" in row.get(known, {}) else "-"
        cells = [
            str(row["seeds"]),
            _mean(row, "closure-auc", 3),
            *_biases(row, "1e-2"),
            _mean(row, known),
            spread,
            _mean(row, "sic@1e-2"),
        ]
        yield f"| {method} | {' | '.join(cells)} |"
    z, sets = _corrected(data, "1e-2"), len({run["seed"] for run in data["runs"]})
    yield f"\n{_counted(data, '1e-2')} They are not independent: {sets} data sets, each searched by every"
    yield f"method, some of which share a trained model. Corrected Z have a spread of {np.std(z, ddof=1):.2f}: their errors are cautious."
    if looser := {method: row for method, row in data["summary"].items() if "template-z@1e-1" in row}:
        yield "\nBehind a cut at 10 %, where more events show a smaller bias:\n"
        yield "| | seeds | true bias | control bias | Z template | above 2 | Z corrected | above 2 |"
        yield "|---|---|---|---|---|---|---|---|"
        for method, row in looser.items():
            yield f"| {method} | {row['seeds']} | {' | '.join(_biases(row, '1e-1'))} |"
        yield f"\n{_counted(data, '1e-1')}"
    yield f"\n```console\n$ {data['command']}\n```\n"


def _corrected(data: dict[str, Any], eps: str) -> list[float]:
    return [run[f"corrected-z@{eps}"] for run in data["runs"] if f"corrected-z@{eps}" in run]


def _counted(data: dict[str, Any], eps: str) -> str:
    """How many Z of all searches are above 2."""
    (high, n), (uncorrected, every) = (_above(data["summary"].values(), f"{kind}-z@{eps}") for kind in ("corrected", "template"))
    return (
        f"Of {n} searches with control regions {high} {'has' if high == 1 else 'have'} a corrected Z above 2 "
        f"(largest {max(_corrected(data, eps)):.2f}); with statistical errors alone {uncorrected} of {every} do."
    )


def _mean(row: dict[str, Any], name: str, digits: int = 2) -> str:
    """With its error."""
    if name not in row:
        return "-"
    error = f" ± {row[name]['error']:.{digits}f}" if "error" in row[name] else ""
    return f"{row[name]['mean']:.{digits}f}{error}"


def _biases(row: dict[str, Any], eps: str) -> list[str]:
    """True bias and control bias; Z of the template and corrected, each with how often it is large."""
    cells = [_mean(row, f"delta@{eps}"), _mean(row, f"control-bias@{eps}")]
    for name in (f"template-z@{eps}", f"corrected-z@{eps}"):
        cells += [_mean(row, name), f"{row[name]['above 2']} of {row['seeds']}" if name in row else "-"]
    return cells


def no_signal_matrices(matrices: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Excess in the cells without signal of the large benches."""
    there = {title: [run for run in data["runs"] if not run["n_signal"]] for title, data in matrices.items()}
    yield "## In the comparison of methods\n"
    yield "The cells without signal of the [comparison of methods](methods.md): mean over seeds, and the largest, of Z with statistical"
    yield "errors alone, and of the corrected Z where control regions were searched. The toy is the mild case: features of jets are harder"
    yield "to describe, and more events show it. `refit=False`: a model of the sidebands that is not trained anew without each control"
    yield "region. It has seen the events there, describes them better than those of the window, and the control bias is too small.\n"
    for eps in ("1e-1", "1e-2"):
        yield f"At a background efficiency of {float(eps):g}:\n"
        yield from _excesses(there, eps)


def _excesses(there: dict[str, list[dict[str, Any]]], eps: str) -> Iterator[str]:
    """A row per method, four columns per data set; first what runs by default."""
    yield f"| | {' | '.join(f'{title}: Z template | above 2 | Z corrected | above 2' for title in there)} |"
    yield f"|---|{'---|' * 4 * len(there)}"
    names = (f"excess-z@{eps}", f"excess-z-corrected@{eps}")
    methods = dict.fromkeys(run["method"] for runs in there.values() for run in runs if names[0] in run["metrics"])

    def values(runs: list[dict[str, Any]], name: str, chosen: list[str]) -> list[float]:
        return [run["metrics"][name] for run in runs if run["method"] in chosen and name in run["metrics"]]

    def above(z: list[float]) -> str:
        return f"{sum(value > 2 for value in z)} of {len(z)}" if z else "-"

    usual, other = ([method for method in methods if ("refit=False" in method) == off] for off in (False, True))
    for method in [*usual, "", *other]:
        found = [values(runs, name, [method] if method else usual) for runs in there.values() for name in names]
        cells = [cell for z in found for cell in (f"{np.mean(z):.1f} ({max(z):.1f})" if z and method else "-" if method else "", above(z))]
        yield f"| {method or 'all of these'} | {' | '.join(cells)} |"
    yield ""


def _above(rows: Iterable[dict[str, Any]], name: str) -> tuple[int, int]:
    """How many of all seeds of all methods are above 2, and how many there are."""
    there = [row for row in rows if name in row]
    return sum(row[name]["above 2"] for row in there), sum(row["seeds"] for row in there)
