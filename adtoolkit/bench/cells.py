"""From a matrix to its cells: every combination, each a resolved configuration, without those that would repeat another.

What a part does not know does not multiply it: an axis over an option of one estimator leaves the others alone, and a scorer
that needs no background model is run once, not once per estimator.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any, Final

from adtoolkit.bench.advice import advice
from adtoolkit.bench.matrix import KINDS, Matrix
from adtoolkit.capabilities import DATA_CAPS
from adtoolkit.errors import AdtoolError, ConfigError, UnknownNameError
from adtoolkit.loading import RESERVED
from adtoolkit.mass import MassConfig
from adtoolkit.mix import Blocked, Plan
from adtoolkit.records import makes_nothing
from adtoolkit.registry import Registry
from adtoolkit.resolving import DEFAULT_DATA, outcome_of, resolve_config, usual_estimator
from adtoolkit.runconfig import RunConfig, TemplateTable
from adtoolkit.runfolder import folder_name
from adtoolkit.store import key_of

#: More cells than this are computed only when that is confirmed.
MANY: Final = 10_000
#: What makes the background; without a model no option of these changes anything.
_BACKGROUND: Final = ("estimator", "interpolator", "mass", "template")
#: Options of tables that are no parts; checked by name, since what they say may mean nothing to any cell.
_OTHERS: Final = {"mass": frozenset(MassConfig.model_fields), "template": frozenset(TemplateTable.model_fields)}
_METHOD: Final = ("estimator", "interpolator", "scorer")


@dataclass(frozen=True)
class Cell:
    """One run of a bench.

    Attributes:
        axes: What tells it from the others: its parts, its window, and the options that are axes.
        seed: Its seed.
        name: For people; the same for all seeds.
        config: Every value.
        outcome: Whether its parts can work together.
        digest: sha256 of the configuration and of the versions of its parts: equal if it need not be computed again.
        below: Folder between that of all runs and its own; empty unless two cells would have the same folder.
    """

    axes: Mapping[str, Any]
    seed: int
    name: str
    config: RunConfig
    outcome: Plan | Blocked
    digest: str
    below: str = ""

    @cached_property
    def tables(self) -> dict[str, Any]:
        """All options, as plain data."""
        return self.config.tables()

    @cached_property
    def run(self) -> Path:
        """Its run folder, below the folder of all runs."""
        c = self.config
        estimates = isinstance(self.outcome, Plan) and self.outcome.estimates
        parts = (c.estimator.name, c.interpolator.name, c.scorer.name) if estimates else (c.scorer.name,)
        return Path(self.below) / folder_name(c.data.name, c.window.label if c.window else "", parts, c.seed, c.digest)


@dataclass
class Expansion:
    """All cells of a matrix.

    Attributes:
        cells: In the order of seeds, then as the matrix lists them.
        notes: Which combinations were not multiplied, and why.
    """

    cells: list[Cell]
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Row:
    """A combination before it is resolved: the parts, and what the axes say."""

    names: Mapping[str, str]
    given: Mapping[str, Any]


def expand(matrix: Matrix, registry: Registry, runs: Path, device: str | None = None, *, many: bool = False) -> Expansion:
    """All cells.

    Args:
        matrix: The file.
        registry: Where components come from.
        runs: Folder of the runs.
        device: Device of all cells, if it is not the configuration's.
        many: Whether more than `MANY` cells are wanted.

    Raises:
        UnknownNameError: if a part does not exist.
        ConfigError: if an option does not exist or a value is not allowed, there is no cell, or there are too many.
    """
    return _Expander(matrix, registry, {"out": str(runs), **({"device": device} if device else {})}).expand(many)


class _Expander:
    def __init__(self, matrix: Matrix, registry: Registry, run: Mapping[str, str]) -> None:
        self.matrix, self.registry, self.run = matrix, registry, run
        self.nothing = [r.component.name for r in registry.components("estimator") if makes_nothing(r.component)]
        self.notes: dict[str, None] = {}
        self.folders: set[Path] = set()

    def expand(self, many: bool) -> Expansion:
        if not self.matrix.axes and not self.matrix.only:
            raise ConfigError(f"{self.matrix.file} has no cells.", "Give axes below [matrix], or cells as [[only]]")
        combinations = list(self._combinations())
        self._check_options(combinations)
        count = len(self.matrix.seeds) * sum(math.prod(map(len, self._axes(*one).values())) for one in combinations)
        if count > MANY and not many:
            raise ConfigError(f"The matrix has {count:,} cells, more than {MANY:,}.", "Confirm with --yes")
        rows = [_Row(names, dict(values)) for names, only in combinations for values in self._product(self._axes(names, only), only)]
        cells: dict[str, Cell] = {}
        resolved = [(row, *self._resolve(row)) for row in rows]
        for seed in self.matrix.seeds:
            for row, config, outcome in resolved:
                cell = self._cell(row, replace(config, seed=seed), outcome)
                if cell.config.digest not in cells:
                    cells[cell.config.digest] = self._in_own_folder(cell)
        return Expansion(list(cells.values()), list(self.notes))

    def _in_own_folder(self, cell: Cell) -> Cell:
        """The six digits of a folder's name do not tell all configurations apart."""
        n = 1
        while cell.run in self.folders:
            n += 1
            run = cell.config.run.model_copy(update={"out": str(Path(self.run["out"]) / str(n))})
            cell = replace(cell, config=replace(cell.config, run=run), below=str(n))
        self.folders.add(cell.run)
        return cell

    def _combinations(self) -> Iterator[tuple[dict[str, str], Mapping[str, Any]]]:
        """The parts of every cell, and what an extra cell says on its own. Equal ones come once."""
        axes, seen = self.matrix.axes, set()
        cells: list[Mapping[str, Any]] = [{}] if axes else []
        for only in (*cells, *self.matrix.only):
            free = [kind for kind in KINDS if kind in axes and kind not in only and (kind == "data" or not only)]
            for chosen in product(*(axes[kind] for kind in free)):
                names = self._names({**only, **dict(zip(free, chosen, strict=True))})
                key = (*names.items(), *((name, str(value)) for name, value in only.items()))
                if key not in seen:
                    seen.add(key)
                    yield names, only

    def _names(self, given: Mapping[str, str]) -> dict[str, str]:
        """The four parts: as given, else as fixed, else the base's, else what goes with the estimator."""
        base, fixed = self.matrix.base, self.matrix.fixed
        stated = {kind: given.get(kind) or fixed.get(kind, {}).get("name") for kind in KINDS}
        lower = {kind: base.get(kind, {}).get("name") for kind in KINDS}
        named = stated["scorer"] or lower["scorer"]
        asked = str(stated["estimator"] or lower["estimator"] or usual_estimator(self.registry, named and str(named)))
        record = self.registry.get("estimator", asked).component
        scorer = self.registry.get("scorer", str(named or record.default_scorer)).component
        estimator = asked
        if scorer.needs <= DATA_CAPS and self.nothing and asked not in self.nothing:
            estimator = self.nothing[0]
            self.notes[f"'{scorer.name}' uses no background model: run once with estimator '{estimator}', not once per estimator."] = None
        # the base's interpolator goes with the base's estimator; another one brings its own
        own = lower["interpolator"] if asked == (lower["estimator"] or usual_estimator(self.registry, lower["scorer"])) else None
        interpolator = stated["interpolator"] or own or record.default_interpolator
        if estimator in self.nothing:
            interpolator = self.registry.get("estimator", estimator).component.default_interpolator
        data = stated["data"] or lower["data"] or DEFAULT_DATA
        names = {"data": data, "estimator": estimator, "interpolator": interpolator, "scorer": scorer.name}
        return {kind: self.registry.get(kind, str(name)).component.name for kind, name in names.items()}  # type: ignore[arg-type]

    def _axes(self, names: Mapping[str, str], only: Mapping[str, Any]) -> dict[str, tuple[Any, ...]]:
        """The axes that multiply these parts, besides the parts themselves."""
        axes = {}
        for axis, values in self.matrix.axes.items():
            if axis in KINDS or axis in only:
                continue
            if self._applies(axis, names):
                axes[axis] = values
            else:
                kind = axis.partition(".")[0]
                who = names[kind] if kind in _METHOD and names["estimator"] not in self.nothing else names["scorer"]
                self.notes[f"The axis '{axis}' means nothing to '{who}' and does not multiply it."] = None
        return axes

    def _product(self, axes: Mapping[str, tuple[Any, ...]], only: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        own = {axis: value for axis, value in only.items() if axis not in KINDS}
        for values in product(*axes.values()):
            yield {**dict(zip(axes, values, strict=True)), **own}

    def _options(self, kind: Any, name: str) -> set[str]:
        return {*self.registry.config_class(self.registry.get(kind, name).component).model_fields, *RESERVED[kind]} - {"name"}

    def _applies(self, axis: str, names: Mapping[str, str]) -> bool:
        """Whether the parts know this option."""
        table, _, key = axis.partition(".")
        if table in _BACKGROUND and names["estimator"] in self.nothing:
            return False
        if table not in KINDS:
            return True
        owner, dot, option = key.rpartition(".")
        return (not dot or owner == names[table]) and option in self._options(table, names[table])

    def _check_options(self, combinations: list[tuple[dict[str, str], Mapping[str, Any]]]) -> None:
        """Refuse options that none of the parts has."""
        fixed = [f"{kind}.{key}" for kind, key, value in self._fixed() if not isinstance(value, Mapping)]
        fixed += [f"{kind}.{key}.{option}" for kind, key, value in self._fixed() if isinstance(value, Mapping) for option in value]
        for axis in (*self.matrix.axes, *fixed):
            kind = axis.partition(".")[0]
            named = [{kind: name} for name in self.matrix.axes.get(kind, ())]  # also those of which no cell is left
            self._check_option(axis, [*(names for names, _ in combinations), *named])
        for names, only in combinations:
            for axis in only:
                self._check_option(axis, [names])

    def _check_option(self, axis: str, used: Sequence[Mapping[str, str]]) -> None:
        table, dot, key = axis.partition(".")
        kind = next((kind for kind in KINDS if kind == table), None)
        if dot and table in _OTHERS and key not in _OTHERS[table]:
            raise UnknownNameError(f"option of {table}", key, sorted(_OTHERS[table]))
        if not dot or kind is None:
            return
        owner, dotted, option = key.rpartition(".")
        names = [self.registry.get(kind, owner).component.name] if dotted else sorted({row[kind] for row in used})
        known = set[str]().union(*(self._options(kind, name) for name in names))
        if option not in known:
            near = get_close_matches(option, known, n=1, cutoff=0.5)
            hint = f" Did you mean '{near[0]}'?" if near else ""
            who = f"{kind} {' or '.join(names)} {'has' if len(names) == 1 else 'have'}"
            what = f"{who} no option '{option}', but: {', '.join(sorted(known))}.{hint}"
            raise ConfigError(what, f"See: adtool show {kind} {names[0]}")

    def _fixed(self) -> Iterator[tuple[str, str, Any]]:
        for kind in KINDS:
            for key, value in self.matrix.fixed.get(kind, {}).items():
                if key != "name":
                    yield kind, key, value

    def _resolve(self, row: _Row) -> tuple[RunConfig, Plan | Blocked]:
        """Every value of a combination, with the first seed."""
        flags: dict[str, dict[str, Any]] = {"": {"seed": self.matrix.seeds[0]}}
        for table, values in self.matrix.fixed.items():
            if table not in KINDS:
                flags[table] = dict(values)
        for kind, name in row.names.items():
            own = {key: v for k, key, v in self._fixed() if k == kind and not isinstance(v, Mapping) and key in self._options(kind, name)}
            flags[kind] = {"name": name, **own, **self.matrix.fixed.get(kind, {}).get(name, {})}
        for axis, value in row.given.items():
            table, _, key = axis.partition(".")
            if axis == "window":
                flags["window"] = {"none": True} if value is None else {"lo": value[0], "hi": value[1]}
            elif table in KINDS:
                flags[table][key.rpartition(".")[2]] = value
            else:
                flags.setdefault(table, {})[key] = value
        flags["run"] = {**flags.get("run", {}), **self.run}
        try:
            config = resolve_config(self.registry, self._base(row.names), flags, self.matrix.preset)
        except AdtoolError as error:
            raise ConfigError(f"{self.matrix.file}: {error.message}", advice(error.fix, self.matrix.file)) from error
        return config, outcome_of(config, self.registry)

    def _base(self, names: Mapping[str, str]) -> dict[str, Any]:
        """The base without the options of parts that this cell does not have."""
        base = {key: value for key, value in self.matrix.base.items() if key != "seed"}
        for kind in KINDS:
            table = base.get(kind)
            if isinstance(table, Mapping):
                same = table.get("name", names[kind]) == names[kind]
                known = self._options(kind, names[kind]) if "name" not in table else set(table)
                base[kind] = {k: v for k, v in table.items() if k in (known if same else RESERVED[kind] - {"name"})}
        return base

    def _cell(self, row: _Row, config: RunConfig, outcome: Plan | Blocked) -> Cell:
        estimates = row.names["estimator"] not in self.nothing
        axes: dict[str, Any] = {
            "data": config.data.name,
            "estimator": config.estimator.name,
            "interpolator": config.interpolator.name if estimates else None,
            "scorer": config.scorer.name,
            "window": [config.window.lo, config.window.hi] if config.window else None,
        }
        axes |= {axis: value for axis, value in row.given.items() if axis != "window"}
        parts = [row.names[kind] for kind in (_METHOD if estimates else ("scorer",))]
        words = ["+".join(parts)]
        if len(self.matrix.axes.get("data", ())) > 1 or any("data" in only for only in self.matrix.only):
            words.insert(0, config.data.name)
        if "window" in row.given:
            words.append(config.window.label if config.window else "no-window")
        words += [f"{self.short(axis)}={_shown(value)}" for axis, value in row.given.items() if axis != "window"]
        return Cell(axes, config.seed, " ".join(words), config, outcome, digest_of(config, self.registry))

    def short(self, axis: str) -> str:
        """Of an option without its table, unless options of two tables are called so."""
        name = axis.partition(".")[2]
        named = {other for given in (self.matrix.axes, *self.matrix.only) for other in given if other.partition(".")[2] == name}
        return axis if len(named) > 1 else name


def digest_of(config: RunConfig, registry: Registry) -> str:
    """What decides the numbers of a cell: all options, and the version of each part's code."""
    named = [(kind, str(getattr(config, kind).name)) for kind in KINDS]
    records = [registry.get(kind, name).component for kind, name in named]
    records += [registry.get("metric", name).component for name in config.metrics.names]
    parts = [[r.kind, r.name, r.target, r.cache_version] for r in records]
    return key_of({"config": config.digest, "parts": parts, **pipeline()})


def pipeline() -> dict[str, int]:
    """The version of the runner's own arithmetic, for keys; nothing until it is first raised, so that older benches stay valid."""
    from adtoolkit.stages import PIPELINE_VERSION

    return {"pipeline": PIPELINE_VERSION} if PIPELINE_VERSION > 1 else {}


def _shown(value: Any) -> str:
    return ",".join(map(_shown, value)) if isinstance(value, list | tuple) else f"{value:.12g}" if isinstance(value, float) else str(value)
