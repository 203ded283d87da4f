"""The options that ``run`` and ``plan`` share, and how they become one resolved configuration.

A command that takes them reads::

    @click.command()
    @run_options
    def run(request: Request) -> None: ...
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import click
from click.core import ParameterSource

from adtoolkit.plugin import Kind

if TYPE_CHECKING:
    from adtoolkit.mix import Plan
    from adtoolkit.registry import Registry
    from adtoolkit.runconfig import RunConfig


@dataclass(frozen=True)
class Request:
    """What was asked for on the command line.

    Attributes:
        config: Every value, resolved.
        registry: Where components come from.
        json: Whether to print one JSON object, last on stdout.
    """

    config: RunConfig
    registry: Registry
    json: bool

    @cached_property
    def plan(self) -> Plan:
        """The legal mix.

        Raises:
            MixError: if the parts cannot work together.
        """
        from adtoolkit.resolving import plan_of

        return plan_of(self.config, self.registry)


def complete_names(kind: Kind) -> Callable[[click.Context, click.Parameter, str], list[str]]:
    """Shell completion by the names of the components of a kind."""

    def complete(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
        from adtoolkit.registry import default_registry

        return [name for name in default_registry().names(kind) if name.startswith(incomplete)]

    return complete


def _component(kind: Kind, text: str) -> Callable[[Any], Any]:
    return click.option(f"--{kind}", metavar="NAME", shell_complete=complete_names(kind), help=text)


OPTIONS: Final = (
    click.option("--config", "file", metavar="FILE", type=click.Path(), help="Read a configuration (TOML); flags win over it."),
    _component("data", "Data to search; the bundled sample by default."),
    _component("estimator", "Background estimator, or none."),
    _component("interpolator", "How the background is carried into the window; the estimator's own by default."),
    _component("scorer", "What makes the anomaly score; the estimator's own by default."),
    click.option("--window", type=float, nargs=2, metavar="LO HI", help="Signal region in the unit of m; the data's own by default."),
    click.option("--no-window", is_flag=True, help="Search all masses: one-class work, for estimators trained on reference events."),
    click.option("--seed", type=int, metavar="N", help="Seed of everything random."),
    click.option("--preset", metavar="NAME", help="Preset of all components: default, smoke (seconds) or paper (as published)."),
    click.option(
        "--set", "settings", multiple=True, metavar="TABLE.KEY=VALUE", help="Set any option; see: adtool show KIND NAME. Repeatable."
    ),
    click.option("--drop-invalid", is_flag=True, help="Drop and count events with NaN or infinite values instead of refusing them."),
    click.option("--device", type=click.Choice(["auto", "cpu", "cuda", "mps"]), help="Where to compute."),
    click.option("--out", metavar="DIR", type=click.Path(), help="Folder that runs are written to."),
    click.option("--print-config", is_flag=True, help="Print the resolved configuration and stop."),
    click.option("--json", "as_json", is_flag=True, help="Print one JSON object, last on stdout."),
)

#: Parameter -> the tables and keys that it sets.
FLAGS: Final[dict[str, tuple[tuple[str, str], ...]]] = {
    "data": (("data", "name"),),
    "estimator": (("estimator", "name"),),
    "interpolator": (("interpolator", "name"),),
    "scorer": (("scorer", "name"),),
    "window": (("window", "lo"), ("window", "hi")),
    "no_window": (("window", "none"),),
    "seed": (("", "seed"),),
    "drop_invalid": (("data", "drop_invalid"),),
    "device": (("run", "device"),),
    "out": (("run", "out"),),
}
_OTHERS: Final = ("file", "preset", "settings", "print_config", "as_json")


def run_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the shared options; it is called with a `Request` and its own parameters.

    ``--print-config`` is answered here, and the command is not called then.
    """

    @functools.wraps(command)
    def wrapped(**params: Any) -> None:
        shared = {name: params.pop(name) for name in (*FLAGS, *_OTHERS)}
        request = make_request(click.get_current_context(), shared)
        if not shared["print_config"]:
            command(request, **params)
        else:
            click.echo(json.dumps(request.config.tables()) if request.json else request.config.to_toml(), nl=request.json)

    return functools.reduce(lambda function, option: option(function), reversed(OPTIONS), wrapped)


def make_request(ctx: click.Context, params: dict[str, Any]) -> Request:
    """Resolve the configuration: defaults, presets, the file, then flags; ``--set`` is read last.

    Raises:
        AdtoolError: on anything unknown or not allowed.
    """
    from adtoolkit.overrides import parse_setting
    from adtoolkit.registry import default_registry
    from adtoolkit.resolving import resolve_config
    from adtoolkit.runconfig import read_file

    flags: dict[str, dict[str, Any]] = {}
    for name, keys in FLAGS.items():
        if ctx.get_parameter_source(name) not in {ParameterSource.DEFAULT, None}:
            values = params[name] if len(keys) > 1 else (params[name],)
            for (table, key), value in zip(keys, values, strict=True):
                flags.setdefault(table, {})[key] = value
    for text in params["settings"]:
        table, key, value = parse_setting(text)
        flags.setdefault(table, {})[key] = value
    registry = default_registry()
    file = read_file(params["file"]) if params["file"] else None
    return Request(resolve_config(registry, file, flags, params["preset"]), registry, params["as_json"])
