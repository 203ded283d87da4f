"""The command line in this process, and a search that takes seconds."""

from __future__ import annotations

from click.testing import CliRunner, Result

from adtoolkit.cli import cli

#: A search on the closed-form toy.
TOY = ["run", "--data", "toy-bump", "--preset", "smoke", "--device", "cpu", "--no-pictures"]


def adtool(*arguments: object) -> Result:
    """``adtool`` with these arguments; the result has ``exit_code``, ``output``, ``stdout`` and ``stderr``."""
    return CliRunner().invoke(cli, [str(a) for a in arguments], prog_name="adtool")
