"""What the command line says when something is wrong: with --json an object, with --debug where."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner

from adtoolkit.cli import cli
from adtoolkit.cli.check import _run
from adtoolkit.data.checks import as_float
from adtoolkit.data.readers_csv import read_csv
from adtoolkit.errors import DataError
from adtoolkit.plugin import Component
from adtoolkit.scorers.baselines import Random


class Leaky(Random):
    """A scorer that cannot be fitted."""

    def fit(self, data, background, ctx):
        raise ZeroDivisionError("no such thing")


BROKEN = Component(kind="scorer", name="leaky", target=f"{__name__}:Leaky", summary="cannot be fitted")


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["run", "--estimator", "nothing-like-it", "--json"], 2, "nothing-like-it"),
        (["run", "--json", "--no-such-option"], 2, "--no-such-option"),
        (["plan", "--data", "toy-bump", "--window", "4", "3", "--json"], 2, "is not an interval"),
    ],
)
def test_a_refusal_with_json_is_one_object_on_stdout(arguments, code, text):
    result = CliRunner().invoke(cli, arguments)
    told = json.loads(result.stdout)

    assert result.exit_code == code
    assert (told["status"], told["exit_code"]) == ("refused", code)
    assert text in told["error"]
    assert result.stderr.startswith("error: ")


def test_without_json_a_refusal_is_on_stderr_alone():
    result = CliRunner().invoke(cli, ["run", "--estimator", "nothing-like-it"])

    assert (result.exit_code, result.stdout) == (2, "")


@pytest.mark.parametrize("debug", [True, False])
def test_debug_shows_where_a_check_failed(debug, capsys):
    results = _run(BROKEN, quiet=True, debug=debug)

    assert any(result.outcome == "fail" for result in results)
    told = capsys.readouterr().err
    assert ("Traceback" in told, 'in fit\n    raise ZeroDivisionError("no such thing")' in told) == (debug, debug)


def test_the_value_that_makes_a_column_text_is_named(tmp_path):
    path = tmp_path / "events.csv"
    path.write_text("m,x\n" + "\n".join(f"{i}.5,{'bad' if i == 7 else i}" for i in range(20)))
    column = read_csv(path, lambda names: names)["x"]

    assert column.dtype.kind == "U"
    with pytest.raises(DataError, match=r"holds text .* such as 'bad', where"):
        as_float("x", column)
    assert np.isfinite(read_csv(path, lambda names: ["m"])["m"]).all()


#: Interrupts the command "list" inside the exec() of a string, as Ctrl-C does that falls into the making of a dataclass.
INTERRUPTED = """
import os, signal
from adtoolkit.cli.lazy import LazyGroup
LazyGroup.get_command = lambda *_: exec("os.kill(os.getpid(), signal.SIGINT)\\nfor _ in range(1000): pass", globals())
"""


def test_an_interrupt_ends_python_m_adtoolkit_with_130_wherever_it_falls(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(INTERRUPTED)
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run([sys.executable, "-m", "adtoolkit", "list"], capture_output=True, text=True, check=False, env=env)
    assert (done.returncode, done.stderr.strip()) == (130, "interrupted.")
