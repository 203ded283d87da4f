"""The command line ``adtool``. Listing commands imports none of them; see `adtoolkit.cli.lazy`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Final

import click

import adtoolkit
from adtoolkit.cli.lazy import LazyGroup, Root

COMMANDS: Final = {
    "run": ("adtoolkit.cli.run:run", "Search data for a resonant anomaly."),
    "plan": ("adtoolkit.cli.plan:plan", "Print what a run would do, and whether its parts can work together."),
    "compare": ("adtoolkit.cli.compare:compare", "Say with uncertainties which of several runs is better."),
    "bench": ("adtoolkit.cli.bench:bench", "Run every cell of a matrix of searches, sharing what they have in common."),
    "list": ("adtoolkit.cli.inspect:list_", "List the components there are."),
    "show": ("adtoolkit.cli.inspect:show", "Show a component: its options, presets, needs, and what it works with."),
    "plugins": ("adtoolkit.cli.inspect:plugins", "List the plugins, and what went wrong with any of them."),
    "check": ("adtoolkit.cli.check:check", "Check that a component keeps its promises."),
    "data": ("adtoolkit.cli:data_group", "Look into data files, fetch public data, simulate collisions."),
    "completion": ("adtoolkit.cli.inspect:completion", "Print the completion script for a shell."),
}

DATA_COMMANDS: Final = {
    "inspect": ("adtoolkit.cli.data:inspect", "Print and draw the columns of a file."),
    "fetch": ("adtoolkit.cli.data:fetch", "Download public data, with checksum and resume."),
    "simulate": ("adtoolkit.cli.simulate:simulate", "Simulate collisions."),
}


@click.group(cls=Root, lazy=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(adtoolkit.__version__, prog_name="adtool", message="%(prog)s %(version)s")
def cli() -> None:
    """Resonant anomaly searches from exchangeable parts.

    A search is a mix: data, a background estimator, an interpolator that carries it into the signal window, and a scorer.
    Start with: adtool run --estimator sigma --scorer cathode
    """


@click.group("data", cls=LazyGroup, lazy=DATA_COMMANDS)
def data_group() -> None:
    """Look into data files, fetch public data, simulate collisions."""


def main(arguments: Sequence[str] | None = None) -> None:
    """The console script."""
    # OpenMP threads that spin for long slow each other down where cores are shared, those that never spin pay for every
    # wake-up (benchmarks/sigma_threads.py compares). Read when torch and scikit-learn are loaded.
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    cli(arguments, prog_name="adtool")
