"""``adtool bench``: every cell of a matrix of searches."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from adtoolkit.cli.lazy import Debug
from adtoolkit.errors import ConfigError, UnknownNameError

if TYPE_CHECKING:
    from rich.console import Console

    from adtoolkit.bench.crews import Crew
    from adtoolkit.bench.display import Display
    from adtoolkit.bench.session import Session


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--plan", is_flag=True, help="Print what would be done with each cell, and stop.")
@click.option("--collect", is_flag=True, help="Print and write what the cells found so far, and stop.")
@click.option(
    "--overwrite",
    type=click.Choice(["only-missing", "always", "only-cache"]),
    default="only-missing",
    show_default=True,
    help="Compute cells that are not there, all, or only what needs no new training or scoring.",
)
@click.option("--jobs", type=click.IntRange(min=1), default=1, show_default=True, help="Processes on this machine; cores are divided.")
@click.option("--executor", type=click.Choice(["local", "dask"]), default="local", show_default=True, help="Who computes.")
@click.option("--scheduler", metavar="ADDRESS", help="Dask scheduler, for example tcp://127.0.0.1:8786.")
@click.option("--stack", type=click.IntRange(min=1), help="Train up to this many models of one estimator together.")
@click.option("--index", type=click.IntRange(min=0), help="Compute one slice of the cells, counted from 0 (batch arrays).")
@click.option("--of", type=click.IntRange(min=1), help="Number of slices; cells that share the model of their window lie in one.")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda", "mps"]), help="Where to compute, for all cells.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the bench; bench/<name of the file> by default.")
@click.option("--metric", "metrics", multiple=True, metavar="NAME", help="Column of the table of --collect. Repeatable.")
@click.option("--pictures", is_flag=True, help="Draw the pictures of each cell.")
@click.option("--yes", is_flag=True, help="Confirm more than 10,000 cells.")
@click.option("--quiet", is_flag=True, help="Show failures only.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, last on stdout.")
def bench(file: Path, plan: bool, collect: bool, as_json: bool, quiet: bool, **options: Any) -> int:
    """Run every cell of a matrix FILE (TOML) and keep the results.

    Each background model is trained once, however many cells use it. Cells that are done are not computed again, one that
    fails does not end the others, and a bench that was stopped goes on where it was.
    """
    from rich.console import Console

    from adtoolkit.bench.session import open_bench
    from adtoolkit.registry import default_registry

    if plan and collect:
        raise click.UsageError("--plan and --collect are two questions: ask one of them.")
    _check_executor(options["executor"], options["scheduler"], options["jobs"])
    session = open_bench(
        file,
        default_registry(),
        out=options["out"],
        device=options["device"],
        overwrite=options["overwrite"],
        part=_part(options["index"], options["of"]),
        many=options["yes"],
        stack=1 if plan or collect else options["stack"],
    )
    console = Console(stderr=as_json)
    if plan:
        from adtoolkit.bench.tables import plan_json, print_plan

        _tell(as_json, lambda: plan_json(session), lambda: print_plan(session, console))
        if as_json and (debug := click.get_current_context().find_object(Debug)):
            debug.as_json = False
        session.check()
        return 0
    session.check()
    if collect:
        return _collect(session, console, options["metrics"], as_json)
    return _run(session, console, options, quiet, as_json)


def _part(index: int | None, of: int | None) -> tuple[int, int]:
    if index is None and of is None:
        return 0, 1
    if index is None or of is None:
        raise click.UsageError("--index and --of belong together.")
    if index >= of:
        raise ConfigError(f"There is no slice {index} of {of}: they are counted from 0 to {of - 1}.", "Start the batch array at 0")
    return index, of


def _check_executor(executor: str, scheduler: str | None, jobs: int) -> None:
    if (executor == "dask") != (scheduler is not None):
        raise click.UsageError("--executor dask and --scheduler ADDRESS belong together.")
    if executor == "dask" and jobs > 1:
        raise click.UsageError("--jobs is for this machine; with --executor dask the number of workers is the scheduler's.")


def _tell(as_json: bool, value: Any, show: Any) -> int:
    if as_json:
        click.echo(json.dumps(value()))
        sys.stdout.flush()
    else:
        show()
    return 0


def _collect(session: Session, console: Console, metrics: tuple[str, ...], as_json: bool) -> int:
    from adtoolkit.bench.collect import collect, tabulate, write_records
    from adtoolkit.bench.tables import print_rows, summary

    if not session.folder.there:
        raise ConfigError(
            f"There is no bench in {session.folder.path}.", "Name its folder with --out DIR, or run it first, without --collect"
        )
    records = collect(session.folder, session.own, session.states)
    known = list(dict.fromkeys(record.metric for record in records))
    for metric in metrics if records else ():
        if metric not in known:
            raise UnknownNameError("metric", metric, known, "These runs have no other.")
    rows = tabulate(session.own, session.states, records)
    if records:
        write_records(session.folder, records)
    value = {"bench": str(session.folder.path), **summary(session), "table": [row.as_json() for row in rows]}
    value["records"] = [vars(record) for record in records]
    _tell(as_json, lambda: value, lambda: print_rows(session, rows, metrics, console))
    return _verdict(session, failed=False)


def _run(session: Session, console: Console, options: dict[str, Any], quiet: bool, as_json: bool) -> int:
    from adtoolkit.bench.display import Display
    from adtoolkit.bench.tables import print_end, print_notes, summary
    from adtoolkit.bench.words import counted

    if not as_json:
        print_notes(console, session.changed if quiet else [*session.changed, *session.notes])
    display = Display(console, len(session.todo), quiet=quiet)
    crew = _crew(options, display)
    if crew.workers == 0:
        how = f"dask worker {options['scheduler']} --nthreads 1"
        console.print(f"The scheduler has no workers yet; waiting for them. Start one: {how}", highlight=False, soft_wrap=True)
    now = True
    try:
        with display:
            session.run(crew, session.site(threads=crew.threads, pictures=options["pictures"]), display.begun, display.ended)
        now = False
    except KeyboardInterrupt as error:
        count = session.count()
        done = f"{count['done']} of {counted(len(session.own) - count['blocked'], 'cell')} done"
        on = "with --overwrite only-missing a bench goes on" if options["overwrite"] == "always" else "the same command goes on"
        raise click.Abort(f"{done}; {on} from here.") from error
    finally:
        crew.close(now=now)
    _tell(as_json, lambda: {"bench": str(session.folder.path), **summary(session)}, lambda: print_end(session, console))
    return _verdict(session, failed=True)


def _crew(options: dict[str, Any], display: Display) -> Crew:
    from adtoolkit.bench.crews import Alone, Processes, cores

    if options["executor"] == "dask":
        from adtoolkit.bench.crew_dask import DaskCrew

        return DaskCrew(options["scheduler"])
    jobs = options["jobs"]
    return Processes(jobs, max(1, cores() // jobs)) if jobs > 1 else Alone(display.heard)


def _verdict(session: Session, *, failed: bool) -> int:
    """1 if a cell failed, or more are missing than expected."""
    from adtoolkit.bench.words import counted

    count = session.count()
    missing = count["waiting"] + count["failed"]
    expected = session.matrix.expect.get("missing")
    if expected is not None and missing > expected:
        has = f"{counted(missing, 'cell')} {'has' if missing == 1 else 'have'}"
        click.echo(f"error: {has} no results where at most {expected} are expected.", err=True)
        return 1
    return int(failed and missing > 0)
