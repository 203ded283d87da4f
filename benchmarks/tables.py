"""Writes docs/measured from benchmarks/results, so that no number in it is typed by hand.

python benchmarks/tables.py
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from caloflow_tables import caloflow
from expectations import draw, expectations
from flux_tables import flux
from matrix_tables import matrix
from no_signal_tables import no_signal, no_signal_matrices
from octave_tables import octaves, octaves_of_few
from ranode_tables import ranode_lhco, ranode_size, ranode_speed
from training_tables import cathode_flow, cfm_training, classifiers, simulation, speed, window_scan

HERE = Path(__file__).parent
FOLDER = HERE.parent / "docs" / "measured"

MATRICES = (
    (
        "matrix_lhco",
        "Every method on LHC Olympics events",
        (
            "60,000 background events of which 8,500 lie in the window, five features; the test background is that of the data, "
            "cross-fitted, so the SIC at 0.001 rests on 8.5 events and has a statistical error of 17 %. They are of the first release, "
            "whose taus are wrong in jets with |phi| > 2.4, for signal and background alike; the file that `adtool data fetch lhco` brings "
            "has others, and will give other numbers. Rows of `r-anode`, of templates without signal, and of `cathode` with 411 signal "
            "events have today's p(m), which is smooth up to the ends of the window; the others were measured with one that was not."
        ),
    ),
    (
        "matrix_lhco_4features",
        "LHC Olympics events without ΔR",
        "As above, with the four features that move little with m, and the former p(m).",
    ),
    (
        "matrix_dijets",
        "Every method on simulated dijets",
        (
            "150,000 background events of which 21,000 lie in the window, five features; 25,800 test background events in the window, "
            "so that the SIC at 0.001 rests on 26 events. They are not those of the package, but of an earlier generator: another "
            "detector, and a narrower W' of which 89.5 % lie in the window. Rows of `r-anode`, and those of templates without signal, have "
            "today's p(m), which is smooth up to the ends of the window; the others were measured with one that was not."
        ),
    ),
)


def result(name: str) -> dict[str, Any]:
    """What a benchmark found."""
    return json.loads((HERE / "results" / f"{name}.json").read_text())


def matrices() -> dict[str, dict[str, Any]]:
    """Data -> every method on them."""
    return {"LHC Olympics events": result("matrix_lhco"), "Simulated dijets": result("matrix_dijets")}


def index() -> Iterable[str]:
    """What the pages have in common."""
    yield "Every number here is in `benchmarks/results`, with the command that made it. These pages are written by"
    yield "`python benchmarks/tables.py`, and a test compares them with it."
    yield "Times are CPU seconds of machines with two cores that are shared with other work. There were several kinds; what takes a second"
    yield "on one may take two and a half on another, so times are to be compared within a section, not between sections.\n"
    yield "- [Comparison of methods](methods.md): every method on the same events, at four sizes of the signal, and what the papers expect."
    yield "- [No signal, no discovery](no-signal.md): what each method finds where there is nothing."
    yield "- [Training and speed](training.md): networks, flows, classifiers, templates, and a scan of many windows."
    yield "- [R-ANODE](r-anode.md): its options, the size of its likelihood ratio, its speed."
    yield "- [Showers](showers.md): CaloFlow and Flux+Mutability.\n"
    yield "```{toctree}\n:hidden:\n"
    yield from (name for name in PAGES if name != "index")
    yield "```"


def methods() -> Iterable[str]:
    """Every method on the same events."""
    yield from expectations(matrices(), result("matrix_lhco_4features"))
    for name, title, remark in MATRICES:
        yield from matrix(result(name), title, remark)
    yield from octaves(result("matrix_lhco"), result("matrix_lhco_8octaves"))
    yield from octaves_of_few(result("no_signal_toy"), result("no_signal_8octaves"))


def nothing() -> Iterable[str]:
    """What is found where there is nothing."""
    yield from no_signal(result("no_signal_toy"), "The toy in closed form")
    yield from no_signal_matrices(matrices())


def training() -> Iterable[str]:
    """Choices of training, what they cost, and the simulation."""
    for table in (cfm_training, cathode_flow, classifiers):
        yield from table(result(table.__name__))
    yield from speed(result("sigma_speed"))
    yield from window_scan(result("window_scan"))
    yield from simulation(result("dijets_vs_lhco"))


def ranode() -> Iterable[str]:
    """R-ANODE."""
    for table in (ranode_lhco, ranode_size, ranode_speed):
        yield from table(result(table.__name__))


def showers() -> Iterable[str]:
    """Searches without a mass window."""
    yield from caloflow(result("caloflow_grid"))
    yield from flux(result("flux_bcal"), "photons and neutrons")
    yield from flux(result("flux_dijets"), "simulated dijets")


#: File -> title and what makes its lines.
PAGES: dict[str, tuple[str, Callable[[], Iterable[str]]]] = {
    "index": ("Measured", index),
    "methods": ("Comparison of methods", methods),
    "no-signal": ("No signal, no discovery", nothing),
    "training": ("Training and speed", training),
    "r-anode": ("R-ANODE", ranode),
    "showers": ("Showers", showers),
}


def pages() -> dict[str, str]:
    """File -> its text."""
    return {f"{name}.md": "\n".join([f"# {title}\n", *lines()]).rstrip() + "\n" for name, (title, lines) in PAGES.items()}


if __name__ == "__main__":
    for name, text in pages().items():
        (FOLDER / name).write_text(text)
    draw(matrices(), FOLDER / "methods.png")
