"""The tables of the large benches, for tables.py."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from expectations import strength

#: Vector instructions of the machines whose seconds are shown; cells that do not say ran on such.
USUAL = "AVX512"
#: Marks rows whose searches were repeated in control regions. They ran after classifiers began to share their bins, all others before.
REPEATED = "†"


def matrix(data: dict[str, Any], title: str, remark: str) -> Iterator[str]:
    """Every method on the same events, a table per size of the signal."""
    runs = data["runs"]
    yield f"## {title}\n"
    yield f"{remark} Median over seeds, and in brackets the 16 to 84 % band; `sic@e` is the significance improvement at background"
    yield "efficiency e, `closure` the AUC between template and true background of the window. CPU seconds of one core, medians:"
    yield "training of the background model, template, densities and scorer (all folds). A model trained on all events, `sigma`,"
    yield "serves its four rows, and one of the sidebands the rows of `cathode` that were measured at one time. The scorer is trained"
    yield "once a fold, five times. Seeds: how many of them a row has."
    repeated = any(map(_repeated, runs))
    if repeated:
        yield f"Template and scorer of rows with {REPEATED} are three searches, two of them in the control regions; so is the training of"
        yield "a model of the sidebands there, but with `refit=False`."
    if any(run["method"].endswith("+cathode") for run in runs if not _repeated(run)):
        which = f"of rows without {REPEATED}" if repeated else "of these rows"
        yield f"Classifiers {which} found their bins one by one; they now share them, which is faster"
        yield "([How many classifiers](training.md#how-many-classifiers))."
    if others := sorted({run.get("cpu", USUAL) for run in runs} - {USUAL}):
        yield f"Seconds are those of machines with {USUAL}; a star marks rows that ran only on one with {', '.join(others)}, which takes"
        yield "about twice as long."
    yield ""
    for n_signal in sorted({run["n_signal"] for run in runs}):
        chosen = [run for run in runs if run["n_signal"] == n_signal]
        yield f"### {n_signal} signal events, S/√B = {strength(runs, n_signal):.1f} in the window\n"
        yield "| | seeds | sic@0.1 | sic@0.01 | sic@0.001 | closure | training | template | scorer |"
        yield "|---|---|---|---|---|---|---|---|---|"
        for method in dict.fromkeys(run["method"] for run in chosen):
            own = [run for run in chosen if run["method"] == method]
            cells = [_spread([run["metrics"].get(key) for run in own]) for key in ("sic@1e-1", "sic@1e-2", "sic@1e-3", "closure-auc")]
            timed = [run for run in own if run.get("cpu", USUAL) == USUAL]
            star = "" if timed else "\\*"
            dagger = star + (REPEATED if any(_repeated(run) for run in timed or own) else "")
            spent = [run["cpu_s"] for run in timed or own]
            cells += [_middle([s.get("fit") for s in spent], star), _middle([s.get("template") for s in spent], dagger)]
            cells += [_middle([s.get("score", 0.0) + s.get("density", 0.0) for s in spent], dagger)]
            yield f"| {method} | {len(own)} | {' | '.join(cells)} |"
        yield ""
    yield f"```console\n$ {data['command']}\n```\n"


def _repeated(run: dict[str, Any]) -> bool:
    """Whether the search was repeated in control regions."""
    return any(name.startswith("control-bias") for name in run["metrics"])


def _spread(values: list[Any]) -> str:
    """Median and 68 % band of what is there."""
    known = [value for value in values if value is not None]
    if not known:
        return "-"
    median, low, high = np.quantile(known, [0.5, 0.16, 0.84])
    digits = 3 if high < 1 else 2
    return f"{median:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def _middle(values: list[Any], star: str) -> str:
    """Median of seconds."""
    known = [value for value in values if value]
    return f"{np.median(known):.0f}{star}" if known else "-"
