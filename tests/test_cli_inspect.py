"""The command line: what it lists and shows, how fast, and how it ends."""

import ast
import json
import os
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path
from typing import Any

import click
import pytest
from support.command import adtool

from adtoolkit.cli import COMMANDS, DATA_COMMANDS, cli
from adtoolkit.errors import RunError
from adtoolkit.plugin import KINDS
from adtoolkit.registry import Origin, PluginFailure, Registry, default_registry

LIGHT = [
    [],
    ["--help"],
    ["--version"],
    ["list"],
    ["list", "scorer"],
    ["plugins"],
    ["show", "interpolator", "linear"],
    ["show", "data", "toy-bump"],
]


def process(*args: str, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "adtoolkit", *args]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **env})


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> Registry:
    """The usual registry with a plugin that could not be imported."""
    registry = default_registry()
    failure = PluginFailure(Origin("bad", "dist-bad", "2.5"), "The plugin 'bad' cannot be imported: no.", trace="Traceback: there")
    monkeypatch.setattr(registry, "_failures", [*registry.failures, failure])
    return registry


def cpu_seconds(code: str, *args: str) -> tuple[float, list[str]]:
    """What a new interpreter spends on a piece of code, and which of the heavy modules it has then."""
    told = (
        "import resource, sys\n"
        f"{code}\n"
        "used = resource.getrusage(resource.RUSAGE_SELF)\n"
        "heavy = {'torch', 'sklearn', 'scipy', 'matplotlib', 'numpy', 'rich', 'pydantic'} & set(sys.modules)\n"
        "print((used.ru_utime + used.ru_stime, sorted(heavy)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", told, *args], capture_output=True, text=True, check=True)
    seconds, heavy = ast.literal_eval(done.stderr.splitlines()[-1])
    return seconds, heavy


@pytest.fixture(scope="module")
def limit() -> float:
    """0.3 s of CPU; on a slow or busy machine four times what the imports of click and pydantic cost there."""
    return max(0.3, 4 * min(cpu_seconds("import click, pydantic; pydantic.BaseModel")[0] for _ in range(3)))


@pytest.mark.parametrize("args", LIGHT, ids=" ".join)
def test_looking_around_is_fast_and_imports_nothing_heavy(args: list[str], limit: float) -> None:
    """The best of three, as other work on the machine counts too; and no torch."""
    code = "from adtoolkit.cli import cli\ntry: cli(sys.argv[1:], 'adtool')\nexcept SystemExit: pass"
    times = []
    for _ in range(3):
        seconds, heavy = cpu_seconds(code, *args)
        times.append(seconds)

        assert heavy == (["pydantic"] if args[:1] == ["show"] else [])
        if seconds < limit:
            break
    assert min(times) < limit


def test_help_lists_every_command_without_importing_it() -> None:
    result = adtool("--help")

    assert result.exit_code == 0
    assert [name for name in COMMANDS if f"  {name} " in result.output] == list(COMMANDS)


@pytest.mark.parametrize(("name", "lazy"), [*COMMANDS.items(), *DATA_COMMANDS.items()])
def test_every_command_is_where_it_is_said_to_be(name: str, lazy: tuple[str, str]) -> None:
    module, _, attribute = lazy[0].partition(":")

    command = getattr(import_module(module), attribute)

    assert isinstance(command, click.Command)
    assert name == command.name


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "data"])
def test_every_command_takes_debug_and_help(name: str) -> None:
    result = adtool(name, "--help")

    assert result.exit_code == 0
    assert "--debug" in result.output


def test_list_groups_components_by_kind() -> None:
    everything, scorers = adtool("list"), adtool("list", "scorer")

    assert [f"{kind}:" for kind in KINDS] == [line for line in everything.output.splitlines() if not line.startswith(" ")]
    assert "  supervised " in scorers.output
    assert "interpolator" not in scorers.output


def test_list_as_json_is_a_list_of_kind_and_name() -> None:
    found = json.loads(adtool("list", "--json").output)

    assert {"kind", "name", "summary", "distribution", "version", "needs", "provides"} <= set(found[0])
    assert ("interpolator", "direct") in {(each["kind"], each["name"]) for each in found}
    assert {"metric"} == {each["kind"] for each in json.loads(adtool("list", "metric", "--json").output)}


def test_every_component_can_be_shown() -> None:
    """With its options, their types, defaults and help; no option is left without help."""
    for found in default_registry().components():
        result = adtool("show", found.component.kind, found.component.name)
        about = json.loads(adtool("show", found.component.kind, found.component.name, "--json").output)

        assert result.exit_code == 0, result.output
        assert found.component.summary in result.output
        assert [f"{about['kind']} {about['name']}: {option['name']}" for option in about["options"] if not option["help"]] == []


def test_show_tells_types_defaults_presets_and_partners() -> None:
    text, about = adtool("show", "data", "toy-bump").output, json.loads(adtool("show", "interpolator", "linear", "--json").output)

    assert "n_features = 3" in text
    assert "[integer >= 2 and <= 5]" in text
    assert "smoke  n_background=8000" in text
    assert sorted({"field", *about["provides"], "log-prob"}) == ["field", "log-prob"]
    assert {"estimators", "scorers"} == set(about["works_with"])


def test_plugins_tells_distribution_version_and_components() -> None:
    about = json.loads(adtool("plugins", "--json").output)
    builtin = about["plugins"][0]

    assert (builtin["plugin"], builtin["distribution"]) == ("builtin", "adtoolkit")
    assert "scorer random" in builtin["components"]
    assert "builtin  " in adtool("plugins").output


def test_failed_plugin_is_shown_and_its_trace_with_debug(broken: Registry) -> None:
    plain, debug, listing = adtool("plugins"), adtool("plugins", "--debug"), adtool("list")

    assert plain.exit_code == 0
    assert "FAILED: The plugin 'bad' cannot be imported: no." in plain.output
    assert "Traceback" not in plain.output
    assert "Traceback: there" in debug.output
    assert listing.exit_code == 0
    assert "see: adtool plugins" in listing.stderr
    assert json.loads(adtool("plugins", "--json").output)["failures"][-1]["distribution"] == "dist-bad"


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["lst"], "There is no command 'lst'"),
        (["data", "fetsh"], "Did you mean 'fetch'?"),
        (["list", "scorers"], "is not one of"),
        (["show", "scorer", "cwolla"], "Did you mean 'cwola'? See: adtool list scorer"),
        (["plan", "--estimator", "nonne"], "There is no estimator 'nonne'"),
        (["plan", "--set", "scorer.foldz=3"], "option 'foldz'"),
        (["plan", "--set", "folds"], "Write --set table.key=value"),
        (["plan", "--seed", "x"], "is not a valid integer"),
        (["plan", "--window", "1"], "requires 2 arguments"),
        (["plan", "--window", "2", "1"], "is not an interval"),
        (["plan", "--config", "/nowhere/at/all.toml"], "cannot be read"),
    ],
)
def test_bad_input_ends_with_two_and_one_clear_line(args: list[str], message: str) -> None:
    result = adtool(*args)

    assert result.exit_code == 2
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


PLAN = ["plan", "--data", "toy-bump", "--estimator", "none"]


def test_plan_says_what_would_run() -> None:
    result = adtool(*PLAN, "--scorer", "cwola", "--window", "3.2", "3.6", "--seed", "4")

    assert result.exit_code == 0
    assert "seed 4; offers reference, truth, window" in result.output
    assert "window        3.2 to 3.6" in result.output
    assert "no background model is made" in result.output


def test_plan_as_json() -> None:
    about = json.loads(adtool(*PLAN, "--json").output)

    assert (about["status"], about["region"], about["trainings"], about["window"]) == ("planned", None, 0, [3.3, 3.7])
    assert about["config"]["data"]["name"] == "toy-bump"


def test_plan_counts_the_trainings_for_control_regions() -> None:
    mix = ["plan", "--data", "toy-bump", "--estimator", "cathode", "--window", "3.2", "3.6"]
    text = adtool(*mix).output
    trainings = [
        json.loads(adtool(*mix, "--set", f"template.{option}", "--json").output)["trainings"] for option in ("control=1", "control=0")
    ]

    assert "one for every window of a scan, and one more without each control region, 2.7 to 3.1 and 3.7 to 4.1" in text
    assert trainings == [3, 1]


def test_illegal_mix_is_blocked_with_what_would_fit() -> None:
    result, as_json = adtool(*PLAN, "--scorer", "likelihood"), adtool(*PLAN, "--scorer", "likelihood", "--json")

    assert (result.exit_code, as_json.exit_code) == (2, 2)
    assert "scorer 'likelihood' needs log-prob" in result.stderr
    assert "Scorers that work with none here: random, cwola, idealised, supervised" in " ".join(result.stderr.split())
    assert json.loads(as_json.stdout)["status"] == "blocked"


def test_printed_configuration_can_be_run_again(tmp_path: Path) -> None:
    """Flags beat the file, and the file is complete."""
    path = tmp_path / "config.toml"
    path.write_text(adtool(*PLAN, "--scorer", "random", "--set", "data.n_features=4", "--print-config").output)

    again = adtool("plan", "--config", str(path), "--print-config").output
    other = adtool("plan", "--config", str(path), "--seed", "7", "--device", "cpu", "--out", "there", "--print-config", "--json").output

    assert path.read_text() == again
    assert tomllib.loads(again)["data"]["n_features"] == 4
    tables: dict[str, Any] = json.loads(other)
    assert (tables["seed"], tables["run"]["device"], tables["run"]["out"]) == (7, "cpu", "there")


def test_drop_invalid_is_an_option_of_the_data() -> None:
    assert "drop_invalid = true" in adtool("plan", "--data", "dijets", "--scorer", "random", "--drop-invalid", "--print-config").output
    assert "no toy-bump option 'drop_invalid'" in adtool(*PLAN, "--drop-invalid").stderr


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (RunError("The disk is full.", "Make room."), 1, "error: The disk is full. Make room.\n"),
        (KeyboardInterrupt(), 130, "interrupted.\n"),
        (KeyError("x"), 1, "error: KeyError: 'x'. This should not happen; run again with --debug for the traceback.\n"),
    ],
)
def test_every_error_is_one_line_and_an_exit_code(monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, line: str) -> None:
    """The traceback comes with --debug, before or behind the command."""

    @click.command()
    def fail() -> None:
        raise error

    monkeypatch.setitem(cli.commands, "fail", fail)

    result, debug = adtool("fail"), adtool("--debug", "fail")

    assert (code, code) == (result.exit_code, debug.exit_code)
    assert result.stderr.lstrip("\n") == line
    assert ("Traceback" in debug.stderr) == (code == 1)


def test_debug_behind_the_command_shows_the_traceback() -> None:
    assert "Traceback" in adtool("show", "scorer", "nobody", "--debug").stderr


def test_closed_pipe_is_quiet() -> None:
    done = subprocess.run(f"{sys.executable} -m adtoolkit list | head -1", shell=True, capture_output=True, text=True, check=False)

    assert (done.stdout, done.stderr) == ("data:\n", "")


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_completion_script_names_the_program(shell: str) -> None:
    assert "_ADTOOL_COMPLETE" in adtool("completion", shell).output


@pytest.mark.parametrize(
    ("words", "word", "expected"),
    [
        ("adtool sh", "sh", "show"),
        ("adtool plan --scorer super", "super", "supervised"),
        ("adtool show interp", "interp", "interpolator"),
        ("adtool show interpolator disp", "disp", "displacement"),
        ("adtool data fe", "fe", "fetch"),
    ],
)
def test_names_are_completed(words: str, word: str, expected: str) -> None:
    done = process(_ADTOOL_COMPLETE="zsh_complete", COMP_WORDS=words, COMP_CWORD=str(len(words.split()) - 1))

    assert expected in done.stdout.split()


@pytest.mark.parametrize(
    ("args", "line"),
    [
        (["run", "--foo"], "error: No such option '--foo'"),
        (["plan", "--seed", "x"], "error: Invalid value for '--seed': 'x' is not a valid integer. See: adtool plan --help\n"),
        (["show"], "error: Missing argument '[KIND]'. See: adtool show --help\n"),
        (["compare"], "error: Missing argument 'RUNS...'. See: adtool compare --help\n"),
    ],
)
def test_wrong_usage_is_one_line_like_every_error(args: list[str], line: str) -> None:
    result = adtool(*args)

    assert result.exit_code == 2
    assert result.stderr.startswith(line)
    assert result.stderr.count("\n") == 1


def test_show_finds_a_name_that_only_one_kind_has() -> None:
    assert adtool("show", "toy-bump").output == adtool("show", "data", "toy-bump").output


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["show", "cathode"], "adtool show estimator cathode or adtool show scorer cathode"),
        (["show", "scorer"], "Which scorer? There is: "),
        (["show", "toy-bumb"], "Did you mean 'toy-bump'?"),
        (["show", "scorr", "cwola"], "Did you mean 'scorer'?"),
    ],
)
def test_show_says_which_kinds_there_are(args: list[str], message: str) -> None:
    result = adtool(*args)

    assert result.exit_code == 2
    assert message in result.stderr


def test_show_says_what_a_metric_needs() -> None:
    needs = "needs  template (draws of the background model, in runs that make one), truth (events of known truth)"

    assert needs in adtool("show", "metric", "closure").output
    assert json.loads(adtool("show", "metric", "closure", "--json").output)["needs"] == ["template", "truth"]
