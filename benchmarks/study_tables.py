"""Tables of studies: training of flow-matching networks, octaves of SIGMA's mass, and what methods find without signal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from expectations import CONTEXT, LINEAR, V_DATA, difference, strength

DISPLACEMENT = "sigma+displacement+cathode"


def cfm_training(data: dict[str, Any] | None) -> Iterator[str]:
    """Likelihood and closure per variant of the training."""
    if data is None:
        return
    yield "## Training of the flow-matching networks\n"
    yield f"LHC Olympics events with {data['signal']} injected signal events, five features, one training per row (seed {data['seed']});"
    yield "`masked-cfm` directly, `sigma` (where measured) through `context`. Negative log-likelihood and closure of the background in the"
    yield "window, which the training of `masked-cfm` has not seen. The defaults were chosen by such numbers, which flatter them.\n"
    yield "| | | weights | CPU time | negative log-likelihood | closure |"
    yield "|---|---|---|---|---|---|"
    for method, rows in data["rows"].items():
        for name, row in rows.items():
            cells = f"{row['parameters']:,} | {row['cpu_s']:.0f} s | {row['nll']:.3f} | {row['closure']:.4f}"
            yield f"| {method} | {name} | {cells} |"
    yield f"\n```console\n$ {data['command']}\n```\n"


def octaves(data: dict[str, Any] | None, eight: dict[str, Any] | None) -> Iterator[str]:
    """SIGMA with octaves by the number of events, against eight of them."""
    if data is None or eight is None:
        return
    runs = data["runs"]
    renamed = [{**run, "method": f"8 octaves, {run['method']}"} for run in eight["runs"]]
    sizes = sorted({run["n_signal"] for run in renamed})
    yield "## Octaves of the mass\n"
    yield "`sigma` on the LHC Olympics events above, where the number of events allows 6 octaves, against 8: mean over seeds of the"
    yield "difference at equal seed, 6 minus 8 octaves, with its 95 % interval, and in how many seeds 6 were better. Of a closure: how much"
    yield "further from 0.5. In bold what is decided at 95 %, one comparison at a time.\n"
    yield f"| | difference of | {' | '.join(f'S/√B = {strength(runs, n):.1f}' for n in sizes)} |"
    yield f"|---|---|{'---|' * len(sizes)}"
    for method in (CONTEXT, LINEAR, DISPLACEMENT, V_DATA):
        for metric, higher in (("closure-auc", False), ("sic@1e-1", True), ("sic@1e-2", True)):
            both = [*runs, *renamed]
            cells = [difference(both, method, f"8 octaves, {method}", n, metric, higher=higher) if n or not higher else "-" for n in sizes]
            yield f"| {method} | {metric.replace('1e-1', '0.1').replace('1e-2', '0.01')} | {' | '.join(cells)} |"
    yield f"\n```console\n$ {eight['command']}\n```\n"


def octaves_of_few(toy: dict[str, Any] | None, eight: dict[str, Any] | None) -> Iterator[str]:
    """Eight octaves with few events, where nothing is to be found, beside what the number of events allows."""
    if toy is None or eight is None:
        return
    seeds = {run["seed"] for run in eight["runs"]} & {run["seed"] for run in toy["runs"] if run["method"] == "sigma"}
    yield f"With few events it is another matter: the toy of {toy['asked']['background']:,} events without signal (next section), means"
    yield f"over seeds {min(seeds)} to {max(seeds)} and, in brackets, the smallest and the largest.\n"
    yield "| sigma | closure | true bias at 1 % | control bias | Z template | Z corrected |"
    yield "|---|---|---|---|---|---|"
    for label, method, runs in (("as default", "sigma", toy["runs"]), ("8 octaves", "sigma-8octaves", eight["runs"])):
        own = [run for run in runs if run["method"] == method and run["seed"] in seeds]
        cells = []
        for name, digits in (("closure-auc", 3), *((f"{kind}@1e-2", 2) for kind in ("delta", "control-bias", "template-z", "corrected-z"))):
            values = [run[name] for run in own]
            cells.append(f"{sum(values) / len(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})")
        yield f"| {label} | {' | '.join(cells)} |"
    yield f"\n```console\n$ {eight['command']}\n```\n"


def no_signal(data: dict[str, Any] | None, title: str) -> Iterator[str]:
    """What each method finds where there is nothing."""
    if data is None:
        return

    def of(row: dict[str, Any], name: str, digits: int = 2) -> str:
        if name not in row:
            return "-"
        error = f" ± {row[name]['error']:.{digits}f}" if "error" in row[name] else ""
        return f"{row[name]['mean']:.{digits}f}{error}"

    def large(row: dict[str, Any], name: str) -> str:
        return f"{row[name]['above 2']} of {row['seeds']}" if name in row else "-"

    yield f"## No signal: {title}\n"
    yield f"{data['asked']['background']:,} background events, none of signal, drawn anew for every seed. Means over the seeds, with the"
    yield "error of the mean. Z is the significance of the events behind a cut at a background efficiency of 1 %: with statistical errors"
    yield "alone (`template`), with the bias that the control regions show (`corrected`), and with cuts set on known background"
    yield "(`known`). Right errors have mean 0 and spread 1 over the seeds; above 2 lie 2.3 %. `blind`: SIC of a signal that no method has"
    yield "seen, at 1 %; 0.1 is what a random score has.\n"
    yield "| | seeds | closure | true bias | control bias | Z template | above 2 | Z corrected | above 2 | Z known | spread | blind |"
    yield "|---|---|---|---|---|---|---|---|---|---|---|---|"
    for method, row in data["summary"].items():
        z = {kind: f"{kind}-z@1e-2" for kind in ("template", "corrected", "known")}
        spread = f"{row[z['known']]['spread']:.2f}" if "spread" in row.get(z["known"], {}) else "-"
        cells = [
            str(row["seeds"]),
            of(row, "closure-auc", 3),
            of(row, "delta@1e-2"),
            of(row, "control-bias@1e-2"),
            of(row, z["template"]),
            large(row, z["template"]),
        ]
        cells += [of(row, z["corrected"]), large(row, z["corrected"]), of(row, z["known"]), spread, of(row, "sic@1e-2")]
        yield f"| {method} | {' | '.join(cells)} |"
    rows = data["summary"].values()
    corrected, template = (_above(rows, f"{kind}-z@1e-2") for kind in ("corrected", "template"))
    yield f"\nOf all searches with control regions {corrected[0]} of {corrected[1]} have a corrected Z above 2; with statistical errors"
    yield f"alone {template[0]} of {template[1]} searches do."
    if without := [method for method, row in data["summary"].items() if "template-z@1e-2" in row and "corrected-z@1e-2" not in row]:
        names = ", ".join(f"`{method}`" for method in without)
        yield f"Without control regions: {names}. Such an excess is as wrong as `true bias` says, and no stated error covers it."
    yield f"\n```console\n$ {data['command']}\n```\n"


def _above(rows: Iterable[dict[str, Any]], name: str) -> tuple[int, int]:
    """How many of all seeds of all methods are above 2, and how many there are."""
    there = [row for row in rows if name in row]
    return sum(row[name]["above 2"] for row in there), sum(row["seeds"] for row in there)
