"""The pages keep their word: what is generated is whole, links lead somewhere, and what is shown as code works."""

import doctest
import json
import re
import shlex
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import click
import numpy as np
import pytest

from adtoolkit.bench.cells import expand
from adtoolkit.bench.matrix import read_matrix
from adtoolkit.capabilities import Cap
from adtoolkit.cli import cli
from adtoolkit.plugin import KINDS
from adtoolkit.registry import HOOKS, default_registry
from adtoolkit.resolving import plan_of, resolve_config
from adtoolkit.runconfig import TABLES
from adtoolkit.runner import Run
from adtoolkit.testing import all_checks, write_table_example

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(path for path in DOCS.rglob("*.md") if "_build" not in path.parts)
FENCE = re.compile(r"(?:<!-- not run: (?P<why>[^>]+) -->\n)?^```(?P<language>\w+)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s#:]*)(?:#([\w-]+))?\)")
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
SHOWN = [
    ROOT / "README.md",
    *(path for path in PAGES if path.parent.name in {"how-to", "tutorials", "docs", "explanation", "measured", "reference", "api"}),
]


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: Path
    language: str
    code: str
    why: str | None

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}: {self.code.strip().splitlines()[0][:40]}"


def blocks(*languages: str) -> list[Block]:
    found = (Block(page, m["language"], m["code"], m["why"]) for page in SHOWN for m in FENCE.finditer(page.read_text()))
    return [block for block in found if block.language in languages]


@pytest.fixture(scope="module")
def reference() -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(DOCS / "_ext"))
        yield import_module("adtool_reference")


@pytest.fixture(scope="module")
def filled(reference) -> dict[str, str]:
    """Every page as it is read by Sphinx."""
    registry = default_registry()
    return {str(path.relative_to(DOCS)): reference.filled(path.read_text(), registry) for path in PAGES}


# What is generated


@pytest.mark.parametrize("kind", KINDS)
def test_every_component_has_its_entry_with_every_option(filled, kind):
    page = filled[f"reference/components/{kind}.md"]
    registry = default_registry()

    for found in registry.components(kind):
        _, _, entry = page.partition(f"({kind}-{found.component.name})=\n")
        entry = entry.partition("\n(")[0]
        options = registry.config_class(found.component).model_fields

        assert entry
        assert [name for name in options if f"`{name} = " not in entry and f"`{name}` (" not in entry] == []


def test_every_command_and_each_of_its_options_has_its_entry(reference, filled):
    page = filled["reference/commands.md"]
    paths = [path for path, _, _ in reference.walk()]

    assert {"adtool run", "adtool data fetch", "adtool data simulate dijets"} <= set(paths)
    for path, command, ctx in reference.walk():
        entry = page.partition(f"\n## `{path}`\n")[2].partition("\n## ")[0]
        records = [record[0] for param in command.get_params(ctx) if (record := param.get_help_record(ctx))]

        assert entry
        assert [option for option in records if f"`{option}`\n: " not in entry] == []


def test_every_hook_has_its_entry_with_its_arguments(filled):
    page = filled["reference/hooks.md"]

    assert [hook for hook in HOOKS if f"\n## `{hook}`\n\n```python\ndef {hook}(" not in page] == []
    assert "def adtoolkit_on_event(event: Event) -> None" in page


def test_every_capability_has_its_entry_with_who_gives_and_needs_it(filled):
    page = filled["reference/capabilities.md"]

    assert [cap for cap in Cap if f"\n## `{cap}`\n" not in page] == []
    assert ":needed by: [`idealised`](#scorer-idealised) (scorer)" in page
    assert "## `sigma:blend`" in page


def test_every_table_of_the_configuration_has_its_entry_and_every_key_its_help(reference, filled):
    page = filled["reference/configuration.md"]

    assert set(reference.TABLES) == {"", *TABLES}
    assert [table for table in TABLES if f"\n## `[{table}]`\n" not in page] == []
    assert re.findall(r"^: $", page, re.MULTILINE) == []


def test_every_check_has_its_entry(filled):
    assert [check.name for check in all_checks() if f"\n### {check.name}\n" not in filled["reference/checks.md"]] == []


def test_legality_table_is_the_programs_own(filled):
    golden = (ROOT / "tests" / "golden" / "legality.txt").read_text()

    assert golden.partition("\n\n")[0] in filled["reference/mixes.md"]


def test_every_scorer_and_interpolator_is_explained():
    scores, regions = ((DOCS / "explanation" / name).read_text() for name in ("scores.md", "regions.md"))
    bundled = [found.component for found in default_registry().components() if found.origin.distribution == "adtoolkit"]

    assert [c.name for c in bundled if c.kind == "scorer" and f"`{c.name}`" not in scores] == []
    assert [c.name for c in bundled if c.kind == "interpolator" and f"`{c.name}`" not in regions] == []


def test_every_module_that_a_plugin_imports_is_on_the_pages_of_the_interface():
    pages = "".join(path.read_text() for path in (DOCS / "reference" / "api").glob("*.md"))
    used = {
        module
        for folder in ("plugins", "examples")
        for path in (ROOT / folder).rglob("*.py")
        for module in re.findall(r"^ *from (adtoolkit(?:\.\w+)+) import", path.read_text(), re.MULTILINE)
    } - {"adtoolkit.nn", "adtoolkit.testing"}  # their names are those of modules below them

    assert sorted(module for module in used if f".. automodule:: {module}\n" not in pages) == []


# Links


def anchors(text: str) -> set[str]:
    """What a link may point at: headings as Sphinx names them, and targets."""
    titles = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL), re.MULTILINE)
    slugs = {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
    return slugs | set(re.findall(r"^\(([\w-]+)\)=$", text, re.MULTILINE))


def test_links_between_pages_lead_somewhere(filled):
    named = set().union(*(re.findall(r"^\(([\w-]+)\)=$", text, re.MULTILINE) for text in filled.values()))
    broken = []
    for name, text in filled.items():
        for target, anchor in LINK.findall(re.sub(r"`[^`\n]*\]\([^`\n]*`", "", text)):
            path = (DOCS / name).parent / target if target else DOCS / name
            page = str(path.resolve().relative_to(DOCS)) if path.resolve().is_relative_to(DOCS) else None
            known = anchors(filled[page]) | (set() if target else named) if page in filled else set()
            if not path.exists() or (anchor and anchor not in known):
                broken.append(f"{name}: {target}#{anchor}")

    assert broken == []


def test_links_of_the_readme_lead_somewhere():
    assert [target for target, _ in LINK.findall((ROOT / "README.md").read_text()) if target and not (ROOT / target).exists()] == []


def test_every_page_is_in_a_table_of_contents():
    listed = set()
    for path in PAGES:
        for toc in re.findall(r"^```\{toctree\}\n(.*?)^```$", path.read_text(), re.MULTILINE | re.DOTALL):
            listed |= {page.resolve() for line in re.findall(r"^[^:\n].*$", toc, re.MULTILINE) for page in path.parent.glob(f"{line}.md")}

    assert [str(path) for path in PAGES if path.resolve() not in listed and path != DOCS / "index.md"] == []


def test_every_picture_says_what_it_shows():
    texts = [path.read_text() for path in PAGES]

    assert sum(text.count("\nImage(") for text in texts) == sum(len(re.findall(r"^    alt: .{20,}", text, re.MULTILINE)) for text in texts)
    assert [alt for text in texts for alt in re.findall(r"!\[([^\]]*)\]\(", text) if len(alt) < 20] == []


# Commands


def commands(block: Block) -> Iterator[str]:
    """The command lines of a block, one by one, without prompts, comments and what the shell does."""
    lines = block.code.replace("\\\n", " ").splitlines()
    for line in lines if block.language != "console" else [line[2:] for line in lines if line.startswith("$ ")]:
        for part in re.split(r"\s&&\s", re.split(r"\s+# |^#", line)[0]):
            command = part.strip()
            if command and command.partition(" ")[0] not in {"for", "done", "export", "."}:
                yield command


def parsed(arguments: list[str]) -> None:
    """Have click read a command line down to the command itself, without calling it.

    Raises:
        click.ClickException: as the program would.
    """
    command: click.Command = cli
    ctx = click.Context(cli, info_name="adtool")
    while isinstance(command, click.Group):
        name, *arguments = arguments
        found = command.get_command(ctx, name)
        assert found is not None, f"no command {name}"
        command, ctx = found, click.Context(found, info_name=name, parent=ctx)
    command.make_context(command.name, list(arguments), parent=ctx.parent)


def adtool(arguments: list[str]) -> None:
    """Plan what would be run, unless something in it is to be filled in; parse the rest, beside files of the names it has."""
    numbers = [re.sub(r"^\$\w+$", "0", argument) for argument in arguments]
    for name in (argument for argument in numbers if re.fullmatch(r"[\w./-]+\.(h5|csv|toml)", argument)):
        assert not name.startswith("examples/") or (ROOT / name).exists(), name
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()
    if numbers[0] in {"run", "plan"} and not any(re.search(r"\bNAME\b|\bN0,N1\b", argument) for argument in numbers):
        cli.main(["plan", *numbers[1:]], standalone_mode=False)
    else:
        parsed(numbers)


@pytest.mark.parametrize("block", [b for b in blocks("console", "bash", "sh") if b.why is None], ids=str)
def test_commands_of_the_pages_are_understood(block, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for line in commands(block):
        program, *arguments = shlex.split(line)
        if program == "adtool":
            adtool(arguments)
        elif program == "pip":
            wanted = re.findall(r"\[([\w,]+)\]", line)
            assert [extra for group in wanted for extra in group.split(",") if extra not in EXTRAS] == []
        elif program == "make":
            assert [target for target in arguments if f"\n{target}:" not in (ROOT / "Makefile").read_text()] == []
        elif program == "python" and arguments[0].endswith(".py"):
            assert (ROOT / arguments[0]).exists(), line
        else:
            assert program in {"pytest", "python"}, f"{block}: mark the block as <!-- not run: why -->, or test it: {line}"


# Code


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A folder with runs in it, a search of a file as RUN, and scores of another program."""
    folder = tmp_path_factory.mktemp("docs")
    rng = np.random.default_rng(0)
    truth = rng.random(20_000) < 0.1
    columns = np.column_stack([rng.uniform(2.5, 4.5, len(truth)), rng.normal(2.0 * truth), truth])
    np.savetxt(folder / "scores.csv", columns, delimiter=",", header="m,score,truth", comments="")
    toy = {"data": {"name": "toy-bump", "n_test": 8000}}
    table = {"data": {"name": "table", **write_table_example(folder, 2000, 100)}, "window": {"lo": 3.3, "hi": 3.7}}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("ADTOOLKIT_CACHE", str(folder / "cache"))
        for data, scorer, seed in ((toy, "random", 0), (toy, "random", 1), (toy, "cwola", 0), (toy, "cwola", 1), (table, "random", 0)):
            parts = {"scorer": {"name": scorer}, "metrics": {"names": ["auc", "sic"]}, "seed": seed}
            config = resolve_config(default_registry(), {**data, **parts}, preset="smoke")
            Run(config, plan_of(config, default_registry()), default_registry(), "cpu", pictures=False).execute()
    next(folder.glob("runs/table*/*")).rename(folder / "RUN")
    return folder


@pytest.mark.parametrize("block", [b for b in blocks("python") if b.why is None], ids=str)
def test_python_of_the_pages_runs(block, run, monkeypatch, capsys):
    monkeypatch.chdir(run)
    monkeypatch.setenv("ADTOOLKIT_CACHE", str(run / "cache"))
    if block.code.startswith(">>>"):
        test = doctest.DocTestParser().get_doctest(block.code, {}, str(block), None, 0)

        assert doctest.DocTestRunner().run(test).failed == 0
    else:
        exec(compile(block.code, str(block), "exec"), {"__name__": "page"})  # noqa: S102  # the point of the test


@pytest.mark.parametrize("block", blocks("toml"), ids=str)
def test_toml_of_the_pages_is_valid(block, tmp_path):
    tables = tomllib.loads(block.code)

    if "matrix" in tables or "only" in tables:
        (tmp_path / "search.toml").write_text("")
        (tmp_path / "matrix.toml").write_text(block.code)
        matrix = read_matrix(tmp_path / "matrix.toml")

        assert expand(matrix, default_registry(), tmp_path / "runs")
    elif "estimator" in tables:
        assert resolve_config(default_registry(), tables).estimator.name == tables["estimator"]["name"]
    else:
        assert tables


def test_files_of_a_run_are_those_described(run):
    page = (DOCS / "reference" / "files.md").read_text()
    described = set(re.findall(r"^  ([\w.*]+?)/? ", page, re.MULTILINE))
    written = {path.name if path.suffix != ".png" else "*.png" for path in (run / "RUN").iterdir() if not path.name.startswith(".")}

    assert written <= described
    assert json.loads((run / "RUN" / "metrics.json").read_text())["auc"] > 0
