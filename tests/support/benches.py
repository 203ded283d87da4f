"""Small benches on the closed-form toy, and how tests run and read them."""

from __future__ import annotations

import json
from pathlib import Path

from support.command import adtool as command

from adtoolkit.bench.cells import expand
from adtoolkit.bench.matrix import read_matrix
from adtoolkit.control_plan import trained_beside
from adtoolkit.mix import Plan
from adtoolkit.registry import default_registry

#: Data and options that make a cell a matter of a second.
TOY = """
seeds = [0]
preset = "smoke"
[data]
name = "toy-bump"
n_background = 4000
n_reference = 1000
n_test = 1000
[run]
device = "cpu"
[scorer]
folds = 2
"""
#: The same with parts that are trained in a moment.
QUICK = f"""{TOY}
[scorer.cathode]
members = 1
[estimator.sigma]
steps = 20
hidden = 8
solver_steps = 2
"""
#: Two seeds on the toy.
HEAD = 'seeds = [3, 4]\npreset = "smoke"\n[data]\nname = "toy-bump"\n'


def cells_of(folder, text, head=HEAD, **more):
    """The cells of a matrix that is written to a folder."""
    file = folder / "m.toml"
    file.write_text(head + text)
    return expand(read_matrix(file), default_registry(), Path("bench/m/runs"), **more)


def beside(cell):
    """Control regions of a cell whose model is trained anew."""
    return trained_beside(default_registry(), cell.config, cell.outcome) if isinstance(cell.outcome, Plan) else ()


def adtool(*arguments):
    """``adtool bench`` in this process."""
    return command("bench", *arguments)


def metrics(folder):
    """The numbers of each run, by its place."""
    return {path.relative_to(folder).as_posix(): json.loads(path.read_text()) for path in sorted(folder.glob("runs/**/metrics.json"))}
