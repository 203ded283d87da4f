"""``adtool run``: one whole search."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import click

from adtoolkit.cli.options import Request, run_options
from adtoolkit.store import STAGES

if TYPE_CHECKING:
    from adtoolkit.results import RunResult
    from adtoolkit.store import Overwrite


@click.command()
@run_options
@click.option(
    "--overwrite",
    type=click.Choice(["only-missing", "always", "only-cache"]),
    default="only-missing",
    show_default=True,
    help="Compute what is not in the cache, everything, or nothing.",
)
@click.option("--force", type=click.Choice(STAGES), help="Compute this stage again, and those that follow from it.")
@click.option("--pictures/--no-pictures", default=True, help="Draw the pictures of the run.  [default: pictures]")
@click.option("--quiet", is_flag=True, help="No progress display.")
def run(request: Request, overwrite: Overwrite, force: str | None, pictures: bool, quiet: bool) -> None:
    """Search data for a resonant anomaly.

    Everything is checked before anything is trained (exit code 2 if refused). What was computed before is reused; a run
    that was interrupted resumes. The run folder holds metrics, scores, template, pictures and the configuration that repeats it.
    """
    from rich.console import Console

    from adtoolkit.devices import describe_device, resolve_device
    from adtoolkit.progress import ProgressDisplay, ProgressLines
    from adtoolkit.report import print_result
    from adtoolkit.runner import Run

    if force and overwrite != "only-missing":
        raise click.UsageError(f"--force {force} computes again what --overwrite {overwrite} decides otherwise: give one of them.")
    plan = request.plan
    device = resolve_device(request.config.run.device)
    strategies: dict[str, Overwrite] = dict.fromkeys(STAGES, overwrite)
    if force:
        strategies |= dict.fromkeys(STAGES[STAGES.index(force) :], "always")
    console = Console(stderr=request.json)
    job = Run(request.config, plan, request.registry, device, overwrite=strategies, pictures=pictures)
    display = ProgressDisplay(console) if console.is_terminal and not quiet else None
    lines = ProgressLines(console) if not (display or request.json or quiet) else None
    job.tell = _teller(request, display or lines)
    if not request.json and not quiet:
        console.print(f"[bold]{' + '.join(job.parts)}[/] on {request.config.data.name}{_presets(request)}", highlight=False)
    try:
        with display or nullcontext():
            result = job.execute()
    except KeyboardInterrupt as error:
        raise click.Abort("what is done is kept; the same command goes on from here.") from error
    if request.json:
        click.echo(json.dumps(as_json(result)))
        sys.stdout.flush()
    else:
        print_result(result, console, describe_device(device), window=request.config.window is not None)


def _presets(request: Request) -> str:
    """The presets that are not the default, for the heading."""
    config = request.config
    parts = (config.data, config.estimator, config.interpolator, config.scorer)
    named = dict.fromkeys(part.preset for part in parts if part.preset != "default")
    return f", preset {' and '.join(named)}" if named else ""


def _teller(request: Request, display: Any) -> Callable[[Any], None]:
    """Events go to the display first, then to the plugins that listen."""

    def tell(event: Any) -> None:
        if display is not None:
            display.adtoolkit_on_event(event)
        request.registry.tell(event)

    return tell


def as_json(result: RunResult) -> dict[str, Any]:
    """The one object that ``--json`` prints."""
    return {
        "status": result.status,
        "run": str(result.run),
        "metrics": dict(result.metrics),
        "events": dict(result.events),
        "times": dict(result.times),
        "skipped": dict(result.skipped),
        "notes": list(result.notes),
        "scorer": {name: value if math.isfinite(value) else None for name, value in (result.manifest.get("scorer") or {}).items()},
        "trainings": result.manifest.get("trainings"),
    }
