"""The matrix file: seeds, axes, fixed tables, extra cells, expectations. Read and checked for form; nothing is resolved yet."""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from adtoolkit.errors import ConfigError, UnknownNameError
from adtoolkit.plugin import Kind
from adtoolkit.runconfig import TABLES, read_file

#: Kinds of component that an axis may name.
KINDS: Final[tuple[Kind, ...]] = ("data", "estimator", "interpolator", "scorer")
_KEYS: Final = ("base", "seeds", "preset", "matrix", "only", "expect")
_EXPECT: Final = ("blocked", "missing")


@dataclass(frozen=True)
class Matrix:
    """A matrix file.

    Attributes:
        file: Where it was read from.
        seeds: A run per seed and cell.
        preset: Preset of all components, or None.
        base: A run configuration below everything else.
        fixed: Table -> options that all cells have; an option that is a table belongs to the component of that name.
        axes: Axis -> its values. An axis is a kind of component, ``window`` (of which None is all masses) or ``table.key``.
        only: Extra cells: axis -> one value.
        expect: ``blocked`` and ``missing`` -> how many cells there may be of each.
    """

    file: Path
    seeds: tuple[int, ...] = (0,)
    preset: str | None = None
    base: Mapping[str, Any] = field(default_factory=dict)
    fixed: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    axes: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    only: tuple[Mapping[str, Any], ...] = ()
    expect: Mapping[str, int] = field(default_factory=dict)

    def tables(self) -> dict[str, Any]:
        """All of it, for records of the bench."""
        axes = {name: list(values) for name, values in self.axes.items()}
        about = {"seeds": list(self.seeds), "preset": self.preset, "base": self.base, "fixed": self.fixed}
        return about | {"matrix": axes, "only": list(self.only), "expect": self.expect}


def read_matrix(path: Path) -> Matrix:
    """Read a matrix file.

    Raises:
        ConfigError: if it cannot be read, or a key has a value of the wrong form.
        UnknownNameError: if it has a key that means nothing.
    """
    given = read_file(path)
    if "seed" in given:
        raise ConfigError(f"{path} gives 'seed'.", "A matrix has a list of them: seeds = [0, 1, 2]")
    for key in given:
        if key not in (*_KEYS, *TABLES):
            raise UnknownNameError("key of a matrix file", key, [*_KEYS, *TABLES])
    preset = given.get("preset")
    if preset is not None and not isinstance(preset, str):
        raise ConfigError(f"preset = {preset!r} must be the name of a preset.", 'Write preset = "smoke"')
    base = _base(path, given.get("base"))
    fixed: dict[str, dict[str, Any]] = {name: _table(name, given[name]) for name in TABLES if name in given}
    axes = {name: _values(name, values) for name, values in _flat(_table("matrix", given.get("matrix", {}))).items()}
    for kind in KINDS:
        if kind in axes and "name" in fixed.get(kind, {}):
            raise ConfigError(f"{kind} is an axis of the matrix, and [{kind}] gives its name too.", f"Leave name out of [{kind}]")
    only = given.get("only", [])
    if isinstance(only, list) and {} in only:
        raise ConfigError("A table [[only]] is empty.", "Write the parts of its cell below it")
    if not isinstance(only, list) or not all(isinstance(cell, Mapping) for cell in only):
        raise ConfigError("'only' must be tables with the parts of one cell each.", "Write [[only]] and its keys below it")
    return Matrix(
        file=path,
        seeds=_seeds(given.get("seeds", [base.get("seed", 0)])),
        preset=preset,
        base=base,
        fixed=fixed,
        axes=axes,
        only=tuple({name: _single(name, value) for name, value in _flat(cell).items()} for cell in only),
        expect=_expect(_table("expect", given.get("expect", {}))),
    )


def _base(path: Path, name: object) -> dict[str, Any]:
    """The run configuration that everything else lies on; its name is relative to the matrix file."""
    if name is None:
        return {}
    if not isinstance(name, str):
        raise ConfigError(f"base = {name!r} must be the name of a run configuration.", 'Write base = "search.toml"')
    base = read_file(path.parent / name)
    return base | {table: _table(table, base[table]) for table in TABLES if table in base}


def _seeds(seeds: object) -> tuple[int, ...]:
    good = isinstance(seeds, list) and seeds and all(type(seed) is int and 0 <= seed < 2**63 for seed in seeds)
    if not good or not isinstance(seeds, list):
        raise ConfigError(f"seeds = {seeds!r} must be a list of whole numbers, 0 or larger.", "Write seeds = [0, 1, 2, 3, 4]")
    _distinct("seeds", seeds)
    return tuple(seeds)


def _table(name: str, value: object) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise ConfigError(f"'{name}' must be a table.", f"Write [{name}] and its keys below it")
    return dict(value)


def _flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """``data.n_signal = ...`` without quotes is a table inside a table; both ways of writing mean the same."""
    flat: dict[str, Any] = {}
    for key, value in table.items():
        full = f"{prefix}{key}"
        name = full.removesuffix(".name") if full.removesuffix(".name") in KINDS else full
        entries = _flat(value, f"{name}.") if isinstance(value, Mapping) else {_known(name): value}
        for entry, content in entries.items():
            if entry in flat:
                raise ConfigError(f"The matrix gives '{entry}' twice.")
            flat[entry] = content
    return flat


def _known(axis: str) -> str:
    """Refuse an axis that no run has."""
    table, dot, _ = axis.partition(".")
    if axis in {"seed", "seeds"}:
        raise ConfigError(f"'{axis}' is no axis.", "Write seeds = [0, 1, 2] above [matrix]; data.seed may be an axis")
    if axis == "run.out":
        raise ConfigError("'run.out' is no axis: the bench decides where its runs lie.", "See: adtool bench --out")
    if dot and table in TABLES:
        return axis
    if not dot and axis in (*KINDS, "window"):
        return axis
    if not dot and axis in TABLES:
        raise ConfigError(f"'{axis}' is a table of options, no axis.", f'Write "{axis}.OPTION" = [...]')
    raise UnknownNameError("axis", axis, [*KINDS, "window", *(f"{name}.OPTION" for name in TABLES)])


def _values(axis: str, values: object) -> tuple[Any, ...]:
    if not isinstance(values, list) or not values:
        raise ConfigError(f"The axis '{axis}' must be a list of at least one value.", f'Write "{axis}" = [...] below [matrix]')
    _distinct(axis, values)
    return tuple(_single(axis, value) for value in values)


def _single(axis: str, value: Any) -> Any:
    """One value of an axis, checked as far as its form goes."""
    if axis in KINDS and not isinstance(value, str):
        raise ConfigError(f"{axis} = {value!r} must be the name of one {axis}.", "In [[only]], write another table for each")
    if axis == "window":
        if value == "none":
            return None
        numbers = isinstance(value, list) and len(value) == 2 and all(type(end) in {int, float} for end in value)
        if not numbers:
            raise ConfigError(
                f'window = {value!r} must be two numbers, its ends, or "none".',
                'Write window = [[3.1, 3.5], [3.3, 3.7], "none"] in [matrix]',
            )
        return tuple(float(end) for end in value)
    if isinstance(value, Mapping):
        raise ConfigError(f"A value of '{axis}' is a table; it must be a number, a text or a list of them.")
    return value


def _distinct(what: str, values: list[Any]) -> None:
    seen: set[Any] = set()
    for value in values:
        # 1 and 1.0 are the same value, true is another
        key = type(value) is bool, value if isinstance(value, Hashable) else json.dumps(value, default=str)
        if key in seen:
            raise ConfigError(f"{what} lists {value!r} twice.", "Leave one out")
        seen.add(key)


def _expect(table: Mapping[str, Any]) -> dict[str, int]:
    for key, value in table.items():
        if key not in _EXPECT:
            raise UnknownNameError("expectation", key, list(_EXPECT))
        if type(value) is not int or value < 0:
            raise ConfigError(f"expect.{key} = {value!r} must be a whole number, 0 or larger.")
    return dict(table)
