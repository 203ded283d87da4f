"""``adtool check``: the conformance checks of a component, one line each."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import click

from adtoolkit.cli.lazy import Debug
from adtoolkit.plugin import KINDS, Kind

if TYPE_CHECKING:
    from adtoolkit.plugin import Component
    from adtoolkit.testing.checks import Check, CheckResult
    from adtoolkit.testing.subject import Subject

_STYLES: Final = {"pass": "green", "expected-failure": "yellow", "fail": "red", "not-applicable": "bright_black"}


@click.command()
@click.argument("name")
@click.option("--kind", type=click.Choice(KINDS), help="Only the component of this kind, where several kinds have the name.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def check(ctx: click.Context, name: str, kind: Kind | None, as_json: bool) -> None:
    """Run every conformance check on the component NAME, with its smoke preset on a toy.

    Each check passes, fails, fails as its author expected (with the reason), or does not apply. An expected failure that
    passes is a failure. The exit code is 1 if any check fails; --debug shows where it did. For options of your own, use run_checks of
    adtoolkit.testing.
    """
    report = []
    failed = 0
    state = ctx.find_object(Debug)
    debug = state is not None and state.on
    for component in find(name, kind):
        if not as_json:
            click.secho(f"{component.kind} '{component.name}'", bold=True)
        results = _run(component, quiet=as_json, debug=debug)
        failed += sum(result.outcome == "fail" for result in results)
        report.append({"kind": component.kind, "name": component.name, "checks": [result.as_dict() for result in results]})
    if as_json:
        click.echo(json.dumps({"status": "failed" if failed else "passed", "failed": failed, "components": report}))
    if failed:
        ctx.exit(1)


def find(name: str, kind: Kind | None) -> list[Component]:
    """The components of this name, of all kinds unless one is given.

    Raises:
        UnknownNameError: if there is none.
        PluginError: if there is one, but its plugin is broken or two claim the name.
    """
    from adtoolkit.errors import UnknownNameError
    from adtoolkit.registry import default_registry

    registry = default_registry()
    if kind is not None:
        return [registry.get(kind, name).component]
    found: list[Component] = []
    for each in KINDS:
        try:
            found.append(registry.get(each, name).component)
        except UnknownNameError:
            continue
    if not found:
        known = sorted({record.component.name for record in registry.components()})
        raise UnknownNameError("component", name, known, f"See: adtool list{registry.absent}")
    return found


def _show_traceback(check: Check, subject: Subject) -> None:
    """Where a failing check failed: it is run once more, on what the checks share already."""
    import traceback

    try:
        check(subject)
    except Exception as error:  # noqa: BLE001  # whatever it is, it is what was asked for
        click.echo("".join(traceback.format_exception(error)), err=True, nl=False)


def _run(component: Component, *, quiet: bool, debug: bool = False) -> list[CheckResult]:
    from adtoolkit.testing.checks import checks_for, run_check
    from adtoolkit.testing.subject import Subject

    results = []
    raised: dict[str, str] = {}  # what an exception said -> the first check that met it
    with Subject(component, None, {}) as subject:
        for each in checks_for(component.kind):
            results.append(result := run_check(each, subject))
            if not quiet:
                text = f": {result.reason}" if result.reason else ""
                said = result.reason.removeprefix(each.claim)
                if result.outcome == "fail" and " It raised " in said and (first := raised.setdefault(said, each.name)) != each.name:
                    text = f": as {first}"
                click.echo(f"  {click.style(f'{result.outcome:<17}', fg=_STYLES[result.outcome])}{result.name}{text}")
            if debug and result.outcome == "fail":
                _show_traceback(each, subject)
    if not quiet:
        counts = {outcome: sum(result.outcome == outcome for result in results) for outcome in _STYLES}
        seconds = sum(result.seconds for result in results)
        told = ", ".join(f"{n} {outcome}" for outcome, n in counts.items() if n)
        click.echo(f"  {told} in {seconds:.1f} s")
        if counts["fail"]:
            where = "" if debug else f"; where it failed: adtool check {component.name} --debug"
            click.echo(f"  What each check asks for: 'Conformance checks' in the documentation (docs/reference/checks.md){where}")
    return results
