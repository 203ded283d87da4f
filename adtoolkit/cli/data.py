"""``adtool data inspect`` and ``adtool data fetch``."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from adtoolkit.data.inspect import Inspection

_SHOWN = 60


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--key", default="", metavar="NAME", help="Group, dataset or tree inside the file, where there are several.")
@click.option("--out", type=click.Path(path_type=Path), help="The picture; FILE's name with -inspect.png, in this folder, if not given.")
@click.option("--no-picture", is_flag=True, help="Draw nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def inspect(file: Path, key: str, out: Path | None, no_picture: bool, as_json: bool) -> None:
    """Say what FILE holds, suggest which column is the mass, and draw it.

    HDF5, npz, CSV, Parquet and ROOT files with named columns are read.
    """
    from adtoolkit.data.inspect import inspect_file

    inspection = inspect_file(file.expanduser(), key)
    picture = None if no_picture else _draw(inspection, out or Path(f"{file.stem}-inspect.png"))
    if as_json:
        click.echo(json.dumps({**inspection.as_dict(), "picture": str(picture) if picture else None}))
    else:
        _report(inspection, picture)


def _draw(inspection: Inspection, out: Path) -> Path:
    from adtoolkit.data.inspect_plot import draw
    from adtoolkit.store import disk_errors, write_atomic

    with disk_errors(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(out, draw(inspection))
    return out


def _report(inspection: Inspection, picture: Path | None) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(highlight=False, soft_wrap=True)
    console.print(f"{inspection.path}: {inspection.format}, {inspection.rows:,} events, {len(inspection.columns)} columns", markup=False)
    table = Table(box=None, pad_edge=False)
    for name, justify in (("column", "left"), ("type", "left"), ("min", "right"), ("max", "right"), ("NaN or inf", "right"), ("", "left")):
        table.add_column(name, justify="right" if justify == "right" else "left")
    for c in inspection.columns[:_SHOWN]:
        number = ".0f" if "int" in c.dtype else ".5g"
        lo, hi = ("" if v is None else f"{v:{number}}" for v in (c.lo, c.hi))
        table.add_row(escape(c.name), c.dtype, lo, hi, str(c.invalid or ""), "constant" if c.constant else "")
    console.print(table)
    if len(inspection.columns) > _SHOWN:
        console.print(f"... and {len(inspection.columns) - _SHOWN} more columns; --json has them all", markup=False)
    s = inspection.suggestion
    console.print(f"\nmass      {s.mass or 'no column was recognised'}", markup=False)
    console.print(f"features  {', '.join(s.features) or 'none found'}", markup=False)
    console.print(f"truth     {s.truth or 'none: nobody knows which events are signal'}", markup=False)
    if s.weight:
        console.print(f"weights   {s.weight}", markup=False)
    if picture is not None:
        console.print(f"picture   {picture}", markup=False)
    if s.command:
        console.print(
            "\nTo search it" + (" (the window is only an example: choose your own)" if "--window" in s.command else "") + ":", markup=False
        )
        console.print(f"  {s.command}", markup=False)
    else:
        console.print("\nTo search it, name the mass and the features:", markup=False)
        console.print(
            f"  adtool run --data table --set data.path={inspection.path} --set data.mass=M --set data.features=A,B --window LO HI",
            markup=False,
        )


def _show(display: Progress, task: TaskID, done: int, total: int) -> None:
    display.update(task, completed=done, total=total or None)


@click.command()
@click.argument("name", metavar="{lhco|lhco-extra|upsilon}")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder; 'downloads' in the cache if not given, where --data lhco looks.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def fetch(name: str, out: Path | None, as_json: bool) -> None:
    """Download public data, checked against the checksum of their archive.

    lhco: the R&D events of the LHC Olympics 2020. lhco-extra: more background in the signal region.
    upsilon: 20,000 muon pairs of CMS, 8 to 12 GeV. An interrupted download goes on where it stopped.
    """
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    from adtoolkit.data.fetch import SETS, downloads_folder
    from adtoolkit.data.fetch import fetch as download
    from adtoolkit.errors import UnknownNameError

    if name not in SETS:
        raise UnknownNameError("data set to fetch", name, list(SETS))
    folder = (out or downloads_folder()).expanduser()
    paths = []
    bars = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*bars, console=Console(stderr=True), transient=True) as display:
        for remote in SETS[name]:
            task = display.add_task(remote.name, total=None)
            paths.append(download(remote, folder, progress=partial(_show, display, task)))
    if as_json:
        click.echo(json.dumps({"name": name, "files": [str(p) for p in paths], "cite": [r.cite for r in SETS[name]]}))
        return
    for path, remote in zip(paths, SETS[name], strict=True):
        click.echo(f"{path} ({path.stat().st_size:,} bytes; {remote.cite})")
