"""``adtool list``, ``show``, ``plugins``, ``completion``: what there is. Fast, and without torch."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
from collections.abc import Iterable
from typing import Any

import click

from adtoolkit.cli.lazy import Debug
from adtoolkit.cli.options import complete_names
from adtoolkit.errors import UnknownNameError
from adtoolkit.plugin import KINDS, Component, Kind
from adtoolkit.registry import Registered, Registry, default_registry

_KIND = click.Choice(KINDS)


def _name_of_kind(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    kind = ctx.params.get("kind")
    return complete_names(kind)(ctx, param, incomplete) if kind in KINDS else []


def _kind_or_name(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    names = dict.fromkeys([*KINDS, *(name for kind in KINDS for name in complete_names(kind)(ctx, param, ""))])
    return [name for name in names if name.startswith(incomplete)]


@click.command("list")
@click.argument("kind", type=_KIND, required=False)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
def list_(kind: Kind | None, as_json: bool) -> None:
    """List the components there are, of all kinds or of one."""
    registry = default_registry()
    if as_json:
        click.echo(json.dumps([_record(found) for found in registry.components(kind)]))
        return
    for each in [kind] if kind else KINDS:
        click.echo(f"{each}:")
        _columns((found.component.name, found.component.summary, _home(found)) for found in registry.components(each))
    if registry.failures:
        click.echo(f"{len(registry.failures)} fault(s) in plugins; see: adtool plugins", err=True)


def _find(registry: Registry, kind: str, name: str | None) -> Registered:
    """The component meant by two words, or by one that only one kind has."""
    if name is not None:
        if kind not in KINDS:
            raise UnknownNameError("kind of component", kind, list(KINDS), "See: adtool list")
        return registry.get(kind, name)
    if kind in KINDS:
        raise click.UsageError(f"Which {kind}? There is: {', '.join(registry.names(kind))}.", click.get_current_context())
    having = [each for each in KINDS if kind in registry.names(each)]
    if len(having) > 1:
        which = " or ".join(f"adtool show {each} {kind}" for each in having)
        raise click.UsageError(f"'{kind}' is the name of a component of {len(having)} kinds: {which}.", click.get_current_context())
    if not having:
        known = sorted({n for each in KINDS for n in registry.names(each)})
        raise UnknownNameError("component", kind, known, f"See: adtool list{registry.absent}")
    return registry.get(having[0], kind)


@click.command()
@click.argument("kind", metavar="[KIND]", shell_complete=_kind_or_name)
@click.argument("name", metavar="NAME", required=False, shell_complete=_name_of_kind)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def show(kind: str, name: str | None, as_json: bool) -> None:
    """Show a component: its options, presets, needs, and what it works with.

    KIND is data, estimator, interpolator, scorer or metric; it may be left away where only one kind has the NAME.
    """
    from adtoolkit.cli import describe

    registry = default_registry()
    found = _find(registry, kind, name)
    kind, name = found.component.kind, found.component.name
    options = describe.options(registry.config_class(found.component))
    presets = describe.presets(registry.config_class(found.component))
    partners = describe.partners(registry, found.component)
    needs = describe.needs_of_metric(registry, found.component) if kind == "metric" else []
    if as_json:
        click.echo(
            json.dumps(
                {**_record(found), "options": options, "presets": presets, "works_with": partners} | ({"needs": needs} if needs else {})
            )
        )
        return
    click.echo(f"{kind} {name}: {found.component.summary}")
    _columns([("from", str(found.origin)), *describe.facts(found.component), *((("needs", describe.meant(needs)),) if needs else ())])
    if options:
        table = f"metrics.{name}" if kind == "metric" else kind
        click.echo(f"\noptions, each set by --set {table}.OPTION=VALUE:")
        formatter = click.HelpFormatter(max_width=120)
        with formatter.indentation():
            formatter.write_dl([(f"{o['name']} = {o['default']}", f"{o['help']} [{o['type']}]".strip()) for o in options], col_max=34)
        click.echo(formatter.getvalue(), nl=False)
    if written := [(preset, ", ".join(f"{k}={v}" for k, v in values.items()) or "the defaults") for preset, values in presets.items()]:
        click.echo("\npresets:")
        _columns(written)
    if partners:
        click.echo("\nworks with:")
        _columns((of, ", ".join(names) or "none") for of, names in partners.items())


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def plugins(ctx: click.Context, as_json: bool) -> None:
    """List the plugins, and what went wrong with any of them (with --debug: where)."""
    registry = default_registry()
    rows: list[dict[str, Any]] = []
    for origin in registry.plugins:
        names = [f"{found.component.kind} {found.component.name}" for found in registry.components() if found.origin is origin]
        rows.append({"plugin": origin.plugin, "distribution": origin.distribution, "version": origin.version, "components": names})
    failures: list[dict[str, Any]] = [
        {"plugin": f.origin.plugin, "distribution": f.origin.distribution, "version": f.origin.version, "error": f.error}
        for f in registry.failures
    ]
    if as_json:
        click.echo(json.dumps({"plugins": rows, "failures": failures}))
        return
    _columns((str(row["plugin"]), f"{row['distribution']} {row['version']}", _by_kind(row["components"])) for row in rows)
    for failure in registry.failures:
        click.echo(f"FAILED: {failure.error}")
        if failure.trace and (debug := ctx.find_object(Debug)) and debug.on:
            click.echo(failure.trace)


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script for a shell.

    Bash and zsh: eval "$(adtool completion bash)" in the start-up file. Fish: adtool completion fish | source
    """
    from click.shell_completion import get_completion_class

    from adtoolkit.cli import cli

    if maker := get_completion_class(shell):
        click.echo(maker(cli, {}, "adtool", "_ADTOOL_COMPLETE").source())


def _by_kind(components: list[str]) -> str:
    """``kind name`` of all as ``kind: name, name; kind: name``."""
    kinds: dict[str, list[str]] = {}
    for kind, _, name in (each.partition(" ") for each in components):
        kinds.setdefault(kind, []).append(name)
    return "; ".join(f"{kind} {', '.join(names)}" for kind, names in kinds.items())


def _home(found: Registered) -> str:
    """Where a component comes from, if that is worth saying."""
    return "" if found.origin.distribution == "adtoolkit" else f"({found.origin.distribution})"


def _record(found: Registered) -> dict[str, Any]:
    component: Component = found.component
    return {
        "kind": component.kind,
        "name": component.name,
        "summary": component.summary,
        "plugin": found.origin.plugin,
        "distribution": found.origin.distribution,
        "version": found.origin.version,
        "cite": component.cite,
        "needs": sorted(map(str, component.needs)),
        "provides": sorted(map(str, component.provides)),
        "trains_on": list(map(str, component.trains_on)),
        "accepts": sorted(map(str, component.accepts)),
    }


def _columns(rows: Iterable[tuple[str, ...]]) -> None:
    """Rows with aligned columns, the last one wrapped to the terminal (or to 120 characters) below its own start."""
    table = list(rows)
    if not table:
        return
    widths = [max(map(len, column)) for column in list(zip(*table, strict=True))[:-1]]
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 120
    for *cells, last in table:
        head = "".join(f"  {cell:<{w}}" for cell, w in zip(cells, widths, strict=True)) + "  "
        lines = textwrap.wrap(last, max(width - len(head), 30), break_long_words=False, break_on_hyphens=False) or [""]
        click.echo((head + f"\n{' ' * len(head)}".join(lines)).rstrip())
