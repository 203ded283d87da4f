"""Tables of the octaves of SIGMA's mass: by the number of events, against eight; for tables.py."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from expectations import CONTEXT, LINEAR, V_DATA, difference, strength

DISPLACEMENT = "sigma+displacement+cathode"


def octaves(data: dict[str, Any], eight: dict[str, Any]) -> Iterator[str]:
    """SIGMA with octaves by the number of events, against eight of them."""
    runs = data["runs"]
    renamed = [{**run, "method": f"8 octaves, {run['method']}"} for run in eight["runs"]]
    sizes = sorted({run["n_signal"] for run in renamed})
    yield "## Octaves of the mass\n"
    yield "`sigma` on the LHC Olympics events above, where the number of events allows 6 octaves, against 8: mean over seeds of the"
    yield "difference at equal seed, 6 minus 8 octaves, with its 95 % interval, and in how many seeds 6 were better. Of a closure: how much"
    yield "further from 0.5. In bold what is decided at 95 %, one comparison at a time. The two ran on different machines, whose arithmetic"
    yield "by default (`precision`) differs if one has bfloat16 in hardware and the other not; which it was is not recorded."
    yield "Without signal the rows with 6 octaves were measured again later, with today's p(m); those with 8 have the former.\n"
    yield f"| | difference of | {' | '.join(f'S/√B = {strength(runs, n):.1f}' for n in sizes)} |"
    yield f"|---|---|{'---|' * len(sizes)}"
    for method in (CONTEXT, LINEAR, DISPLACEMENT, V_DATA):
        for metric, higher in (("closure-auc", False), ("sic@1e-1", True), ("sic@1e-2", True)):
            both = [*runs, *renamed]
            cells = [difference(both, method, f"8 octaves, {method}", n, metric, higher=higher) if n or not higher else "-" for n in sizes]
            yield f"| {method} | {metric.replace('1e-1', '0.1').replace('1e-2', '0.01')} | {' | '.join(cells)} |"
    yield f"\n```console\n$ {eight['command']}\n```\n"


def octaves_of_few(toy: dict[str, Any], eight: dict[str, Any]) -> Iterator[str]:
    """Eight octaves with few events, where nothing is to be found, beside what the number of events allows."""
    seeds = {run["seed"] for run in eight["runs"]} & {run["seed"] for run in toy["runs"] if run["method"] == "sigma"}
    yield "Where 8 octaves are twice what the number of events allows it is another matter: the toy of"
    yield f"{toy['asked']['background']:,} events without signal ([No signal](no-signal.md#the-toy-in-closed-form)), where the default is"
    yield f"4. Means over seeds {min(seeds)} to {max(seeds)} and, in brackets, the smallest and the largest.\n"
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
