"""``adtool data simulate``: make collisions of one's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import click

from adtoolkit.simulate.settings import PROCESSES, DijetSettings

_DEFAULT = {field.name: field.default for field in fields(DijetSettings)}


@click.group()
def simulate() -> None:
    """Simulate collisions (needs: pip install "adtoolkit[simulate]")."""


_F = TypeVar("_F", bound=Callable[..., Any])


def _setting(flag: str, name: str, text: str) -> Callable[[_F], _F]:
    return click.option(flag, name, type=float, default=_DEFAULT[name], show_default=True, help=text)


@simulate.command()
@click.option("--process", type=click.Choice(PROCESSES), default="qcd", show_default=True, help="QCD dijets, or W' -> X Y.")
@click.option("--events", type=click.IntRange(min=1), default=10_000, show_default=True, help="Events to accept.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True, help="HDF5 file; its manifest is beside it.")
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Seed of all random numbers.")
@click.option("--jobs", type=click.IntRange(min=1), default=1, show_default=True, help="Processes; the events do not depend on it.")
@click.option("--force", is_flag=True, help="Replace the file if it exists.")
@_setting("--mass-wprime", "mass_wprime", "Mass of the W' in GeV.")
@_setting("--mass-x", "mass_x", "Mass of X in GeV.")
@_setting("--mass-y", "mass_y", "Mass of Y in GeV.")
@_setting("--width-wprime", "width_wprime", "Width of the W' in GeV.")
@click.option("--three-prong", is_flag=True, help="X and Y decay to three quarks instead of two.")
@_setting("--energy", "energy", "Centre-of-mass energy in GeV.")
@_setting("--pthat-min", "pthat_min", "Smallest pT of the hard QCD scattering in GeV.")
@_setting("--jet-pt-min", "jet_pt_min", "Smallest pT of the leading jet in GeV.")
@_setting("--eta-max", "eta_max", "Largest |eta| of particles and jets.")
@_setting("--radius", "radius", "Radius parameter of the jets.")
@_setting("--smearing", "smearing", "Factor on the detector's resolutions; 0 turns the detector off.")
def dijets(events: int, out: Path, seed: int, jobs: int, force: bool, **settings: Any) -> None:
    """Simulate dijets with Pythia 8 into a file in the column layout of the LHC Olympics.

    A run that was stopped goes on when called again with the same options.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from adtoolkit.simulate.run import simulate_dijets
    from adtoolkit.store import disk_errors

    chosen = DijetSettings(**settings)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with disk_errors(out), Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(f"{chosen.process} events", total=events)
        manifest = simulate_dijets(
            chosen, events, out.expanduser(), seed=seed, jobs=jobs, force=force, progress=lambda n: bar.advance(task, n)
        )
    click.echo(f"{out}: {events:,} events of {manifest['n_generated']:,} collisions, {manifest['bytes'] / 1e6:.1f} MB")


@simulate.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True, help="HDF5 file; its manifest is beside it.")
@click.option("--force", is_flag=True, help="Replace the file if it exists.")
def bundle(files: tuple[Path, ...], out: Path, force: bool) -> None:
    """Put files of simulated dijets into one, background and signal together."""
    from adtoolkit.simulate.run import bundle as put_together
    from adtoolkit.store import disk_errors

    with disk_errors(out):
        manifest = put_together(files, out.expanduser(), force=force)
    click.echo(f"{out}: {manifest['n_qcd']:,} QCD and {manifest['n_signal']:,} signal events, {manifest['bytes'] / 1e6:.1f} MB")
