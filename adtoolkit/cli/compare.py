"""``adtool compare``: which of several runs is better, with uncertainties."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

if TYPE_CHECKING:
    from rich.console import Console

    from adtoolkit.compare.summary import Summary
    from adtoolkit.compare.tables import TextTable

FORMATS: Final = ("rich", "markdown", "csv", "json")
#: Where the output is no terminal, tables are as wide as they need up to this.
WIDE: Final = 180


def _listed(_ctx: click.Context, _param: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    """Names of a repeatable option whose value may also be a list with commas."""
    return tuple(name.strip() for text in value for name in text.split(",") if name.strip())


@click.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--by", multiple=True, metavar="KEY,...", callback=_listed, help="What groups are told apart by; whatever differs by default."
)
@click.option("--metric", "metrics", multiple=True, metavar="NAME", callback=_listed, help="A column, as in metrics.json. Repeatable.")
@click.option("--baseline", metavar="NAME", help="The method that all others are compared with; the first one by default.")
@click.option("--format", "form", type=click.Choice(FORMATS), default="rich", show_default=True, help="How to print it.")
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option("--plot", type=click.Path(path_type=Path, file_okay=False), metavar="DIR", help="Draw pictures into this folder.")
@click.pass_context
def compare(
    ctx: click.Context,
    runs: tuple[Path, ...],
    by: tuple[str, ...],
    metrics: tuple[str, ...],
    baseline: str | None,
    form: str,
    as_json: bool,
    plot: Path | None,
) -> None:
    """Say with uncertainties which of several runs is better.

    RUNS are run folders, folders that hold some, benchmark folders, or what --format json wrote. Runs that differ in their seed alone are
    repetitions; methods are compared seed by seed, where they searched the same events. The exit code is 1 if no run ended well.
    """
    from adtoolkit.compare import load, summarise
    from adtoolkit.compare.tables import as_json as everything
    from adtoolkit.compare.tables import markdown, to_csv

    summary = summarise(load(path.expanduser() for path in runs), by, metrics, baseline)
    pictures = _draw(summary, plot.expanduser()) if plot is not None else []
    if as_json or form == "json":
        click.echo(json.dumps({**everything(summary), "pictures": [str(path) for path in pictures]}))
    elif form == "csv":
        click.echo(to_csv(summary), nl=False)
    elif form == "markdown":
        click.echo(markdown(summary), nl=False)
    else:
        _print(summary, pictures)
    if not any(run.ok for run in summary.records):
        ctx.exit(1)


def _draw(summary: Summary, folder: Path) -> list[Path]:
    from adtoolkit.plots.compare import draw_comparison
    from adtoolkit.store import disk_errors

    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        return draw_comparison(summary, folder)


def _print(summary: Summary, pictures: list[Path]) -> None:
    from rich.console import Console

    from adtoolkit.compare.tables import COSTS_OF_ALL, cost_table, footnotes, heading, overall, tables, words_of

    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=WIDE)
    for condition in summary.conditions:
        console.print(heading(summary, condition), style="bold", markup=False, soft_wrap=True)
        console.print()
        for table in tables(summary, condition):
            _table(table, console)
        for text in words_of(summary, condition):
            console.print(text, markup=False, soft_wrap=True)
        for text in footnotes(condition):
            _note(console, text)
        console.print()
    if summary.costs:
        _table(cost_table(COSTS_OF_ALL, summary.costs), console)
    for text in overall(summary):
        _note(console, text)
    if pictures:
        from rich.markup import escape

        console.print(f"[dim]plots[/]   {escape(', '.join(map(str, pictures)))}", soft_wrap=True)


def _note(console: Console, text: str) -> None:
    from rich.markup import escape

    console.print(f"[yellow]note[/]  {escape(text)}", soft_wrap=True)


def _table(table: TextTable, console: Console) -> None:
    """A table, cut into several where it is wider than the terminal; each has the names of the rows."""
    from rich.table import Table
    from rich.text import Text

    def width(i: int) -> int:
        cells = (line for row in table.rows for line in row[i])
        return max(len(table.columns[i]), *(len(line) for line in cells)) + 2

    blocks: list[list[int]] = []
    for i in range(1, len(table.columns)):
        if not blocks or sum(map(width, [0, *blocks[-1], i])) > console.width:
            blocks.append([])
        blocks[-1].append(i)
    console.print(table.title, style="dim", markup=False)
    for block in blocks:
        drawn: Any = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
        for i in (0, *block):
            drawn.add_column(Text(table.columns[i]), justify="right" if i else "left", no_wrap=True)
        for row in table.rows:
            drawn.add_row(*(Text("\n".join(row[i])) for i in (0, *block)))
        console.print(drawn)
        console.print()
