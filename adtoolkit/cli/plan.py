"""``adtool plan``: what a run would do, without doing it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from adtoolkit.cli.lazy import Debug
from adtoolkit.cli.options import Request, run_options
from adtoolkit.errors import MixError

if TYPE_CHECKING:
    from adtoolkit.mix import Blocked, Plan
    from adtoolkit.runconfig import RunConfig
    from adtoolkit.types import Window


@click.command()
@run_options
def plan(request: Request) -> None:
    """Print what a run with the same options would do, and whether its parts can work together.

    Nothing is loaded or trained. The exit code is 2 if they cannot.
    """
    from adtoolkit.control_plan import trained_beside
    from adtoolkit.mix import Blocked
    from adtoolkit.resolving import outcome_of

    outcome = outcome_of(request.config, request.registry)
    beside = () if isinstance(outcome, Blocked) else trained_beside(request.registry, request.config, outcome)
    if request.json:
        click.echo(json.dumps(_blocked(outcome) if isinstance(outcome, Blocked) else _planned(outcome, request.config, beside)))
        if debug := click.get_current_context().find_object(Debug):
            debug.as_json = False
    if isinstance(outcome, Blocked):
        raise MixError(outcome.message)
    if not request.json:
        for label, text in _lines(outcome, request.config, beside):
            click.echo(f"{label:<13} {text}")


def _blocked(outcome: Blocked) -> dict[str, object]:
    reasons = [" ".join(fault.text.split()) for fault in outcome.faults]
    return {"status": "blocked", "reasons": reasons, "fixes": {label: list(names) for label, names in outcome.fixes}}


def _planned(outcome: Plan, config: RunConfig, beside: tuple[Window, ...]) -> dict[str, object]:
    window = [config.window.lo, config.window.hi] if config.window else None
    trainings = int(outcome.estimates) + len(beside)
    about = {"window": window, "trainings": trainings, "folds": config.scorer.folds, "config": config.tables()}
    return {"status": "planned", **outcome.describe(), **about}


def _lines(outcome: Plan, config: RunConfig, beside: tuple[Window, ...]) -> Iterator[tuple[str, str]]:
    have, gives = (", ".join(sorted(caps)) or "nothing" for caps in (outcome.have, outcome.background))
    yield "data", f"{config.data.name}, preset {config.data.preset}, seed {config.data_seed}; offers {have}"
    yield "window", f"{config.window.lo:g} to {config.window.hi:g}" if config.window else "none"
    if outcome.region is None:
        yield "estimator", "none: no background model is made"
    else:
        yield "estimator", f"{config.estimator.name}, preset {config.estimator.preset}; trained on {outcome.region.meaning}"
        yield "interpolator", f"{config.interpolator.name}, preset {config.interpolator.preset}; the background gives {gives}"
    if "sample" in outcome.background:
        where, masses = ("", "the data's own") if config.window is None else (" in the window", f"from {config.mass.name}")
        yield "template", f"{config.template.oversample:g} x the data{where}, masses {masses}"
    yield "scorer", f"{config.scorer.name}, preset {config.scorer.preset}, {config.scorer.folds} folds"
    yield "metrics", ", ".join(config.metrics.names)
    if outcome.region is not None:
        scan = "one for every window of a scan" if outcome.window_in_fit else "one, which serves every window of a scan"
        where = " and ".join(f"{region.lo:g} to {region.hi:g}" for region in beside)
        more = f", and one more without each control region, {where}" if beside else ""
        yield "trainings", f"of the background model: {scan if config.window else 'one'}{more}"
