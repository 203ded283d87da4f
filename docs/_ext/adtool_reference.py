"""Reference pages from what the program knows, as Markdown: components, mixes, commands, configuration, hooks, capabilities.

Pure functions of the registry, the commands and the models; `adtool_site` puts what they return on the pages.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

import click
from pydantic import BaseModel

from adtoolkit import hookspecs, runconfig
from adtoolkit.capabilities import DATA_CAPS, SCORER_CAPS, Cap
from adtoolkit.cli import cli, describe
from adtoolkit.cli.options import FLAGS
from adtoolkit.legality import legality_table
from adtoolkit.mass import MassConfig
from adtoolkit.plugin import KINDS, Component, Kind
from adtoolkit.registry import HOOKS, Registry

#: Tables of a configuration file, with the model of what stands in them besides the options of a component.
TABLES: Final[dict[str, type[BaseModel]]] = {
    "": runconfig.Top,
    "data": runconfig.DataSection,
    "window": runconfig.WindowTable,
    "estimator": runconfig.Section,
    "interpolator": runconfig.Section,
    "scorer": runconfig.ScorerSection,
    "metrics": runconfig.MetricsSection,
    "mass": MassConfig,
    "template": runconfig.TemplateTable,
    "run": runconfig.RunTable,
}

_CODE: Final = re.compile(r"(`+[^`]+`+)")
_SPECIAL: Final = re.compile(r"([\\*_<>\[\]|$#~])")
_CITE: Final = re.compile(r"(arXiv:(\d{4}\.\d{4,5})|(?:doi:)?(10\.\d{4,}/[^\s,;]+))")


def prose(text: str) -> str:
    """Text of a docstring or of a help as one paragraph of Markdown: code stays code, nothing else is markup."""
    parts = _CODE.split(" ".join(text.split()))
    return "".join(f"`{part.strip('`')}`" if i % 2 else _SPECIAL.sub(r"\\\1", part) for i, part in enumerate(parts))


def linked(cite: str) -> str:
    """A citation with links to arXiv and doi.org."""
    return _CITE.sub(lambda m: f"[{m[1]}](https://arxiv.org/abs/{m[2]})" if m[2] else f"[{m[1]}](https://doi.org/{m[3]})", cite)


def definitions(rows: Iterable[tuple[str, str]]) -> str:
    """A definition list; the terms are Markdown, the definitions one paragraph each."""
    return "\n\n".join(f"{term}\n: {text}" for term, text in rows)


def components(registry: Registry, kind: Kind) -> str:
    """All components of a kind: an overview, then a section each."""
    found = [each.component for each in registry.components(kind)]
    overview = "\n".join(f"- [`{c.name}`](#{kind}-{c.name}): {prose(c.summary)}" for c in found)
    return "\n\n".join([overview, *("\n\n".join(_component(registry, c)) for c in found)])


def _component(registry: Registry, component: Component) -> Iterator[str]:
    kind, name = component.kind, component.name
    yield f"({kind}-{name})=\n## `{name}`"
    yield prose(component.summary)
    facts = [(label, linked(text) if label == "source" else prose(text)) for label, text in describe.facts(component)]
    if kind == "metric" and (needs := describe.needs_of_metric(registry, component)):
        facts.append(("needs", prose(describe.meant(needs))))
    for of, names in describe.partners(registry, component).items():
        facts.append((f"works with {of}", ", ".join(f"[`{n}`](#{of[:-1]}-{n})" for n in names) or "none"))
    if facts:
        yield "\n".join(f":{label}: {text}" for label, text in facts)
    config = registry.config_class(component)
    table = f"metrics.{name}" if kind == "metric" else kind
    if options := describe.options(config):
        yield f"**Options**, each set by `--set {table}.OPTION=VALUE`:"
        yield definitions((_option(row), prose(row["help"])) for row in options)
    else:
        yield "No options."
    if options and (presets := describe.presets(config)):
        yield "**Presets**, and where they differ from the defaults:"
        yield definitions(
            (f"`{preset}`", ", ".join(f"`{key}={value}`" for key, value in values.items()) or "the defaults")
            for preset, values in presets.items()
        )


def mixes(registry: Registry) -> str:
    """The legality table, as the program computes it."""
    return f"```text\n{legality_table(registry)}```"


def commands() -> str:
    """The help of every command."""
    return "\n\n".join(_command(cli, click.Context(cli, info_name="adtool")))


def walk(command: click.Command = cli, ctx: click.Context | None = None) -> Iterator[tuple[str, click.Command, click.Context]]:
    """Every command below a group, with its full name and a context."""
    ctx = ctx or click.Context(command, info_name="adtool")
    yield ctx.command_path, command, ctx
    if isinstance(command, click.Group):
        for name in command.list_commands(ctx):
            below = command.get_command(ctx, name)
            if below is not None and not below.hidden:
                yield from walk(below, click.Context(below, info_name=name, parent=ctx))


def _command(root: click.Command, root_ctx: click.Context) -> Iterator[str]:
    for path, command, ctx in walk(root, root_ctx):
        yield f"({path.replace(' ', '-')})=\n## `{path}`"
        yield f"```text\n{path} {' '.join(command.collect_usage_pieces(ctx))}\n```"
        yield "\n\n".join(prose(paragraph) for paragraph in inspect.cleandoc(command.help or "").split("\n\n"))
        if isinstance(command, click.Group):
            below = [(name, command.get_command(ctx, name)) for name in command.list_commands(ctx)]
            yield definitions(
                (f"[`{path} {name}`](#{path.replace(' ', '-')}-{name})", prose(each.get_short_help_str(limit=200)))
                for name, each in below
                if each
            )
        records = [record for param in command.get_params(ctx) if (record := param.get_help_record(ctx))]
        yield definitions((f"`{option}`", prose(text)) for option, text in records)


def configuration() -> str:
    """Every table of a configuration file with its keys."""
    return "\n\n".join(_table(table, model) for table, model in TABLES.items())


def _table(table: str, model: type[BaseModel]) -> str:
    flags = {key: f" Flag: `--{parameter.replace('_', '-')}`." for parameter, keys in FLAGS.items() for key in keys}
    about = prose(inspect.cleandoc(model.__doc__ or "").partition("\n\n")[0])
    if table == "metrics":
        about += " The options of the [metric](components/metric.md) NAME stand in `[metrics.NAME]`."
    elif table in KINDS:
        about += f" The options of the [component](components/{table}.md) stand beside its name."
    rows = [row for row in describe.options(model) if row["name"] not in {"options", "values"}]
    keys = definitions((_option(row), prose(row["help"]) + flags.get((table, row["name"]), "")) for row in rows)
    return "\n\n".join([f"## {f'`[{table}]`' if table else 'Above all tables'}", about, keys])


def _option(row: Mapping[str, str]) -> str:
    default = "" if row["default"] == "(required)" else f" = {row['default']}"
    return f"`{row['name']}{default}` ({prose(row['type'])})"


def hooks() -> str:
    """Each hook with its signature and what it promises."""
    return "\n\n".join(
        f"({name})=\n## `{name}`\n\n```python\ndef {name}{str(inspect.signature(getattr(hookspecs, name))).replace(chr(39), '')}\n```\n\n"
        + prose(inspect.getdoc(getattr(hookspecs, name)) or "")
        for name in HOOKS
    )


def capabilities(registry: Registry) -> str:
    """Each capability: whose it is, what it means, who gives and who needs it."""
    rows = []
    for found in registry.components():
        c = found.component
        of_runs = describe.needs_of_metric(registry, c) if c.kind == "metric" else []
        rows.append((c, c.provides.union(*(given for _, given in c.rules)), c.needs.union(of_runs, *(wanted for wanted, _ in c.rules))))
    own = sorted({word for _, gives, needs in rows for word in gives | needs if ":" in word})
    return "\n\n".join(
        _capability(word, [c for c, gives, _ in rows if word in gives], [c for c, _, needs in rows if word in needs])
        for word in [*map(str, Cap), *own]
    )


def _capability(word: str, given: Iterable[Component], needed: Iterable[Component]) -> str:
    meaning = Cap(word).meaning if ":" not in word else "a word of a plugin's own, which ties its parts together"
    owner = "data" if word in DATA_CAPS else "scores" if word in SCORER_CAPS else "models"
    named = {
        label: ", ".join(f"[`{c.name}`](#{c.kind}-{c.name}) ({c.kind})" for c in who)
        for label, who in (("given by", given), ("needed by", needed))
    }
    return f"## `{word}`\n\nOf {owner}: {prose(meaning)}.\n\n" + "\n".join(f":{label}: {names}" for label, names in named.items() if names)


#: What a page may ask for, by a comment ``<!-- adtool: components scorer -->``.
_MADE: Final[dict[str, Callable[..., str]]] = {
    "components": components,
    "mixes": mixes,
    "commands": lambda _registry: commands(),
    "configuration": lambda _registry: configuration(),
    "hooks": lambda _registry: hooks(),
    "capabilities": capabilities,
}
_ASKED: Final = re.compile(r"^<!-- adtool: (\w+)(?: (\w+))? -->$", re.MULTILINE)


def filled(text: str, registry: Registry) -> str:
    """A page with what it asks for."""
    return _ASKED.sub(lambda asked: _MADE[asked[1]](registry, *filter(None, [asked[2]])), text)
