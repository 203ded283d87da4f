"""Small benches on the closed-form toy, and how tests run and read them."""

from __future__ import annotations

import json

from support.command import adtool as command

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


def adtool(*arguments):
    """``adtool bench`` in this process."""
    return command("bench", *arguments)


def metrics(folder):
    """The numbers of each run, by its place."""
    return {path.relative_to(folder).as_posix(): json.loads(path.read_text()) for path in sorted(folder.glob("runs/**/metrics.json"))}
