"""The example distribution of a third party: built, installed beside adtoolkit, mixed, checked by its own tests, removed."""

import ast
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

EXAMPLE = Path(__file__).parents[1] / "examples" / "adtoolkit-mahalanobis"

#: Several commands of one process; prints the exit code and output of each.
COMMANDS = """
import json, sys
from click.testing import CliRunner
from adtoolkit.cli import cli
for line in json.loads(sys.argv[1]):
    done = CliRunner().invoke(cli, line)
    print(json.dumps([done.exit_code, done.stdout, done.stderr]))
"""

#: Several searches of one process, without pictures; prints the parts, status and AUC of each.
SEARCHES = """
import json, sys
from adtoolkit.registry import default_registry
from adtoolkit.resolving import plan_of, resolve_config
from adtoolkit.runner import Run
for parts in json.loads(sys.argv[1]):
    base = {"data": {"name": "toy-bump", "n_background": 4000, "n_test": 1000}, "metrics": {"names": ["auc"]}}
    config = resolve_config(default_registry(), {**base, **parts}, preset="smoke")
    run = Run(config, plan_of(config, default_registry()), default_registry(), "cpu", pictures=False)
    result = run.execute()
    print(json.dumps([run.parts, result.status, result.metrics["auc"]]))
"""


class Installation:
    """A folder with the example's wheel in it, found through PYTHONPATH."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.site = folder, folder / "site"
        source = shutil.copytree(EXAMPLE, folder / "source")  # building writes beside the source
        self._python("-m", "build", "--wheel", "--no-isolation", "--outdir", folder, source)
        (wheel,) = folder.glob("*.whl")
        self._python("-m", "pip", "install", "--no-deps", "--quiet", "--no-index", "--target", self.site, wheel)

    def _python(self, *arguments: object) -> str:
        paths = [str(self.site), *filter(None, [os.environ.get("PYTHONPATH")])]
        env = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "ADTOOLKIT_CACHE": str(self.folder / "cache")}
        command = [sys.executable, *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=env, cwd=self.folder)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def adtool(self, *lines: list[str]) -> list[list[Any]]:
        """Exit code, stdout and stderr of each command line."""
        return [json.loads(line) for line in self._python("-c", COMMANDS, json.dumps(lines)).splitlines()]

    def search(self, *tables: dict[str, dict[str, object]]) -> list[list[Any]]:
        """Parts, status and AUC of searches of the toy with these parts."""
        return [json.loads(line) for line in self._python("-c", SEARCHES, json.dumps(tables)).splitlines()]

    def tests(self) -> str:
        """What pytest prints of the example's own tests."""
        return self._python("-m", "pytest", "-q", "-p", "no:cacheprovider", self.folder / "source" / "tests")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    return Installation(tmp_path_factory.mktemp("third-party"))


def test_example_is_less_than_a_hundred_lines_of_code() -> None:
    """Docstrings, comments and blank lines do not count."""
    assert sum(code_lines(path) for path in EXAMPLE.rglob("*.py")) < 100


def code_lines(path: Path) -> int:
    text = path.read_text()
    nodes = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)]
    docs = [node.body[0] for node in nodes if ast.get_docstring(node) is not None]
    documented = {line for doc in docs for line in range(doc.lineno, (doc.end_lineno or doc.lineno) + 1)}
    lines = enumerate(text.splitlines(), 1)
    return sum(1 for number, line in lines if number not in documented and line.strip() and not line.strip().startswith("#"))


def test_installed_plugin_is_listed_with_its_components(installed: Installation) -> None:
    (_, plugins, _), (_, shown, _) = installed.adtool(["plugins", "--json"], ["show", "mahalanobis"])

    assert {
        "plugin": "mahalanobis",
        "distribution": "adtoolkit-mahalanobis",
        "version": "0.1.0",
        "components": ["estimator gaussian", "scorer mahalanobis"],
    } in json.loads(plugins)["plugins"]
    assert "usually with  estimator gaussian" in shown


def test_its_parts_mix_with_bundled_ones(installed: Installation) -> None:
    """Its estimator with another's scorer, its scorer with another's estimator and, named alone, with its own."""
    found = installed.search(
        {"estimator": {"name": "gaussian"}, "scorer": {"name": "cathode", "folds": 2}},
        {"estimator": {"name": "cathode", "steps": 60}, "scorer": {"name": "mahalanobis"}},
        {"scorer": {"name": "mahalanobis"}},
    )

    assert [(parts, status) for parts, status, _ in found] == [
        (["gaussian", "direct", "cathode"], "done"),
        (["cathode", "direct", "mahalanobis"], "done"),
        (["gaussian", "direct", "mahalanobis"], "done"),
    ]
    assert min(auc for *_, auc in found) > 0.7


def test_its_own_tests_pass(installed: Installation) -> None:
    report = installed.tests()

    assert " passed" in report
    assert "failed" not in report


@pytest.mark.slow
def test_check_command_says_that_it_keeps_its_promises(installed: Installation) -> None:
    """Slow: the same checks as its own tests."""
    for code, stdout, _ in installed.adtool(["check", "gaussian", "--json"], ["check", "mahalanobis", "--json"]):
        assert (code, json.loads(stdout)["failed"]) == (0, 0)


def test_removed_plugin_is_gone(installed: Installation, tmp_path: Path) -> None:
    """What it leaves behind is one line that says what there is."""
    away = tmp_path / "away"
    installed.site.rename(away)
    try:
        ((code, stdout, stderr),) = installed.adtool(["run", "--scorer", "mahalanobis", "--json"])
    finally:
        away.rename(installed.site)

    assert code == 2
    assert stderr.startswith("error: There is no scorer 'mahalanobis'; there is: anode, ")
    assert json.loads(stdout)["status"] == "refused"
