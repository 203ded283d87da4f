"""The how-to of adapters: its files are components that keep their promises, its commands are legal, its script runs."""

import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from adtoolkit.cli import cli
from adtoolkit.registry import Registry, default_registry
from adtoolkit.testing import registered
from adtoolkit.testing.checks import checks_for, run_check, run_checks
from adtoolkit.testing.subject import Subject

PAGE = (Path(__file__).parents[1] / "docs" / "how-to" / "adapters.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
FILES = {match[1]: block for block in BLOCKS if (match := re.match(r"# (\w+\.py)\n", block))}

#: What an adapter may get wrong; all other checks are slow tests.
QUICK = (
    "code_fits_the_interface",
    "capabilities_match_methods",
    "save_load_same_answer",
    "batch_sizes",
    "score_higher_is_more_anomalous",
)
COMPONENTS = [("scorer", "forest"), ("estimator", "my-field"), ("estimator", "my-flow")]


@contextmanager
def adapted(folder: Path) -> Iterator[Registry]:
    """The files of the page as a plugin of the usual registry."""
    for name, text in FILES.items():
        (folder / (name if name != "plugin.py" else "plugin_of_adapters.py")).write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        with registered(import_module("plugin_of_adapters"), name="adapters") as registry:
            yield registry


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with adapted(tmp_path_factory.mktemp("adapters")) as there:
        yield there


@pytest.mark.parametrize(("kind", "name"), COMPONENTS)
def test_adapter_keeps_the_promises_that_adapters_break(registry: Registry, kind, name) -> None:
    component = registry.get(kind, name).component
    with Subject(component, registry) as subject:
        results = {check.name: run_check(check, subject) for check in checks_for(kind) if check.name in QUICK}

    assert [(result.name, result.reason) for result in results.values() if result.outcome != "pass"] == []
    assert len(results) >= 3


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "name"), COMPONENTS)
def test_adapter_keeps_all_promises(registry: Registry, kind, name) -> None:
    results = run_checks(registry.get(kind, name).component, registry)

    assert [(result.name, result.reason) for result in results if result.outcome == "fail"] == []


def test_commands_of_the_page_are_legal() -> None:
    """``plan`` for ``run``: names, options and mix are checked, nothing is read."""
    commands = re.findall(r"^\$ adtool run (.*)$", PAGE, re.MULTILINE)

    done = [CliRunner().invoke(cli, ["plan", *shlex.split(command)]) for command in commands]

    assert [each.exit_code for each in done] == [0]
    assert "samples" in default_registry().names("estimator")


def test_script_of_the_page_prints_the_metrics_of_a_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(2)
    truth = np.repeat([0, 1], [4000, 400])
    rows = np.column_stack([rng.uniform(3, 4, 4400), rng.normal(2 * truth, 1), truth])
    np.savetxt(tmp_path / "scores.csv", rows, delimiter=",", header="m,score,truth", comments="")
    monkeypatch.chdir(tmp_path)
    (script,) = (block for block in BLOCKS if block not in FILES.values())

    exec(compile(script, "adapters.md", "exec"), {})  # noqa: S102 - the page's own code

    *notes, numbers = capsys.readouterr().out.splitlines()
    value, low, high = map(float, numbers.split())
    assert low < value < high
    assert notes[-1] == "excess: left out, since it needs template."
