"""From ``--set table.key=value`` and TOML values to typed options, with one line about whatever is wrong.

The type of an option stands in its model; text from the command line is read as that type. Costs pydantic, neither numpy nor torch.
"""

from __future__ import annotations

import tomllib
import types
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from adtoolkit.config import ComponentConfig
from adtoolkit.errors import ConfigError, UnknownNameError
from adtoolkit.plugin import Component

M = TypeVar("M", bound=BaseModel)

#: Presets that every component has, if only as its defaults.
PRESETS: Final = ("default", "smoke", "paper")

_WORDS: Final = {int: "integer", float: "number", bool: "true | false", str: "text", Path: "path", type(None): "none"}
_LISTS: Final = (tuple, list, set, frozenset)
_BOUNDS: Final = (("gt", ">"), ("ge", ">="), ("lt", "<"), ("le", "<="), ("multiple_of", "a multiple of"))


class Text(str):
    """A value as it was typed on the command line, whose type is not known yet."""

    __slots__ = ()


def parse_setting(text: str) -> tuple[str, str, Text]:
    """``table.key=value`` -> table, key, value; the table of the run's own keys (``seed``) is "".

    Raises:
        ConfigError: if it reads otherwise.
    """
    name, equals, value = text.partition("=")
    table, _, key = name.strip().rpartition(".") if name.count(".") < 2 else (*name.strip().partition("."),)
    if not equals or not key:
        raise ConfigError(f"--set {text} is not understood.", "Write --set table.key=value, for example --set estimator.epochs=50")
    return table, key, Text(value.strip())


def build(
    cls: type[ComponentConfig], component: Component, preset: str, values: Mapping[str, Any], others: Iterable[str] = ()
) -> ComponentConfig:
    """The options of a component: its defaults, then the preset's, then ``values``; ``others`` may stand in its table too.

    Raises:
        UnknownNameError: if there is no such preset or option.
        ConfigError: if a value is not allowed.
    """
    if preset not in (known := presets_of(cls)):
        raise UnknownNameError(f"{component.name} preset", preset, known)
    show = f"See: adtool show {component.kind} {component.name}"
    where = component.kind if component.kind != "metric" else f"metrics.{component.name}"
    return fill(cls, where, {**cls.presets.get(preset, {}), **values}, f"{component.name} option", show, others)


def presets_of(cls: type[ComponentConfig]) -> list[str]:
    """The names of its presets, ``default`` first."""
    return list(dict.fromkeys((*PRESETS, *cls.presets)))


def preset_values(cls: type[ComponentConfig], preset: str) -> dict[str, Any]:
    """What the options are when nothing but the preset is given, as TOML would show them; required ones are missing."""
    defaults = {key: field.get_default(call_default_factory=True) for key, field in cls.model_fields.items() if not field.is_required()}
    return cls.model_construct(**{**defaults, **cls.presets.get(preset, {})}).model_dump(mode="json", warnings=False)


def fill(cls: type[M], where: str, values: Mapping[str, Any], what: str, fix: str = "", others: Iterable[str] = ()) -> M:
    """A model from values, texts read as the type of their option.

    Args:
        cls: The model.
        where: Its table, for messages.
        values: Option -> value or `Text`.
        what: What messages call one of its options.
        fix: Where to look the options up.
        others: What else might have been meant, for messages.

    Raises:
        UnknownNameError: if there is no such option; the nearest name is offered.
        ConfigError: if a value is not allowed, and says what is; if there are no options at all.
    """
    for key in values:
        if not cls.model_fields and not others:
            raise ConfigError(f"'{what.removesuffix(' option')}' has no options, but '{key}' was given.", fix)
        if key not in cls.model_fields:
            raise UnknownNameError(what, key, [*cls.model_fields, *others], fix)
    given = {key: read(cls.model_fields[key], value) for key, value in values.items()}
    prefix = f"{where}." if where else ""
    for key, value in given.items():
        if isinstance(value, bool) and not any(
            leaf in {bool, Any} or any(isinstance(choice, bool) for choice in get_args(leaf))
            for leaf in leaves(cls.model_fields[key].annotation)
        ):
            raise ConfigError(f"{prefix}{key} = {show_value(value)} is not allowed; it takes: {allowed(cls.model_fields[key])}.", fix)
    try:
        return cls.model_validate(given)
    except ValidationError as error:
        faults = dict.fromkeys(_sentence(cls, prefix, given, dict(fault)) for fault in error.errors(include_url=False))
        raise ConfigError(" ".join(faults), fix) from None


def _sentence(cls: type[BaseModel], prefix: str, given: Mapping[str, Any], fault: Mapping[str, Any]) -> str:
    why = str(fault["msg"]).removeprefix("Value error, ").removeprefix("Input ").removeprefix("should be ").rstrip(".")
    key = str(fault["loc"][0]) if fault["loc"] else ""
    if key not in cls.model_fields:
        return f"{prefix.rstrip('.')}: {why}." if prefix else f"{why}."
    if fault["type"] == "missing":
        return f"{prefix}{key} is missing; it takes: {allowed(cls.model_fields[key])}."
    if fault["type"] == "value_error":
        return f"{prefix}{key} = {show_value(given.get(key))} is not allowed: {why}."
    return f"{prefix}{key} = {show_value(given.get(key))} is not allowed; it takes: {allowed(cls.model_fields[key])}."


def read(field: FieldInfo, value: Any) -> Any:
    """The value as the option's type, as far as text alone decides; what fits nowhere is left to the model to refuse."""
    if isinstance(value, str) and value.lower() == "none" and type(None) in leaves(field.annotation):
        return None
    if not isinstance(value, Text):
        return value
    candidates = list(_readings(field, str(value)))
    kind: Any = field.annotation
    adapter: TypeAdapter[Any] = TypeAdapter(Annotated[(kind, *field.metadata)] if field.metadata else kind)
    for candidate in candidates:
        try:
            adapter.validate_python(candidate)
        except ValidationError:
            continue
        return candidate
    return candidates[0]


def _readings(field: FieldInfo, text: str) -> Iterator[Any]:
    """What the text may mean, the likeliest first."""
    listed = any(get_origin(leaf) in _LISTS or leaf in _LISTS for leaf in leaves(field.annotation))
    bracketed = text[:1] == "[" and text[-1:] == "]"  # parentheses may belong to a formula
    split = [part.strip() for part in (text[1:-1] if bracketed else text).split(",") if part.strip()]
    if listed and ("," in text or bracketed):
        yield [_toml(part) for part in split]
        yield split
    yield _toml(text)
    yield text
    if listed:
        yield [_toml(part) for part in split]
        yield split


def _toml(text: str) -> Any:
    """A number, a truth value or a quoted text as TOML reads it; anything else stays text."""
    try:
        value = tomllib.loads(f"v = {text}")["v"]
    except (tomllib.TOMLDecodeError, KeyError):
        return {"true": True, "false": False}.get(text.lower(), text)
    return value if isinstance(value, int | float | str) else text


def leaves(annotation: Any) -> Iterator[Any]:
    """The members of a union, unwrapped; lists and literals whole."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from leaves(get_args(annotation)[0])
    elif origin in {Union, types.UnionType}:
        for member in get_args(annotation):
            yield from leaves(member)
    else:
        yield annotation


def allowed(field: FieldInfo) -> str:
    """What an option takes, in words: ``integer >= 1``, ``kde | histogram``, ``list of text or none``."""
    return _words(field.annotation, field.metadata)


def _words(annotation: Any, metadata: Sequence[Any] = ()) -> str:
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _words(
            args[0], [*metadata, *(m for extra in args[1:] for m in (extra.metadata if isinstance(extra, FieldInfo) else [extra]))]
        )
    if origin in {Union, types.UnionType}:
        return " or ".join(_words(member, metadata if member is not type(None) else ()) for member in args)
    if origin is Literal:
        return " | ".join(show_value(arg) for arg in args)
    if origin in _LISTS:
        items = [_words(arg) for arg in args if arg is not Ellipsis]
        if origin is tuple and Ellipsis not in args:
            return f"{len(items)} values: {', '.join(items)}"
        return f"list of {items[0]}"
    word = _WORDS.get(annotation, getattr(annotation, "__name__", str(annotation)))
    bounds = [f"{sign} {show_value(bound)}" for name, sign in _BOUNDS for m in metadata if (bound := getattr(m, name, None)) is not None]
    return f"{word} {' and '.join(bounds)}" if bounds else word


def show_value(value: Any) -> str:
    """A value as one would type it behind ``--set``."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.10g}"
    if isinstance(value, tuple | list | set | frozenset):
        return ",".join(show_value(item) for item in value)
    return str(value)
