"""What the cells of a bench share, as a graph of tasks: each training once, each template that several need once, then the cells.

Tasks are plain data, so that they travel to other processes and machines.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from adtoolkit.bench.cells import Cell, pipeline
from adtoolkit.capabilities import DATA_CAPS, Cap
from adtoolkit.mix import Plan
from adtoolkit.plugin import Region
from adtoolkit.store import key_of
from adtoolkit.types import Window

Kind = Literal["fit", "template", "cell"]
Beside = Callable[[Cell], tuple[Window, ...]]

#: How many of the cells that need a training may try to begin it.
SPARE: Final = 8
#: Options of the data that change how many events there are, and not what they look like.
_NUMBERS: Final = ("n_signal", "n_background", "n_reference", "n_test", "seed")


@dataclass(frozen=True)
class Work:
    """One configuration to be worked on.

    Attributes:
        key: Of the training, of the template, or the digest of the cell.
        config: All options, as `RunConfig.tables` gives them.
        digest: The cell's whose configuration this is.
        data: Key of its data set.
        control: Of a training for a control region: that region.
    """

    key: str
    config: Mapping[str, Any]
    digest: str
    data: str
    control: Window | None = None


@dataclass(frozen=True)
class Task:
    """A piece of work.

    Attributes:
        id: Unique in its graph.
        kind: ``fit`` trains background models, ``template`` makes all that comes before the scorer, ``cell`` is a whole run.
        name: For people.
        work: What to do. A training has several that need it, in case one is refused, and trainings may be done together.
        after: Tasks that must have ended before.
        estimator: Name of the estimator.
    """

    id: str
    kind: Kind
    name: str
    work: tuple[Work, ...]
    after: tuple[str, ...] = ()
    estimator: str = ""

    @property
    def keys(self) -> tuple[str, ...]:
        """What is made, each once."""
        return tuple(dict.fromkeys(work.key for work in self.work))


def data_key(cell: Cell) -> str:
    """Of the options and the seed that decide the events."""
    return key_of({"data": cell.tables["data"], "seed": cell.config.data_seed})


def fit_key(cell: Cell, control: Window | None = None) -> str | None:
    """Equal for cells that need the same training, of the window or for a control region; None where nothing is trained."""
    plan, config = cell.outcome, cell.config
    if not isinstance(plan, Plan) or not plan.estimates:
        return None
    window = plan.region is Region.SIDEBAND and (control or config.window)
    return key_of(
        pipeline()
        | {
            "data": data_key(cell),
            "estimator": cell.tables["estimator"],
            "version": plan.estimator.cache_version,
            "region": plan.region,
            "window": [window.lo, window.hi] if window else None,
            "seed": config.seed,
            "device": config.run.device,
            # preprocessing is fitted on the reference events too where one of the parts uses them
            "reference": plan.region is Region.REFERENCE or Cap.REFERENCE in plan.scorer.needs,
        }
    )


def template_key(cell: Cell) -> str | None:
    """Equal for cells whose scorers are given the same background."""
    plan = cell.outcome
    if not isinstance(plan, Plan) or not plan.estimates:
        return None
    tables = cell.tables
    parts = {name: tables.get(name) for name in ("interpolator", "window", "mass", "template")}
    return key_of({"fit": fit_key(cell), "version": plan.interpolator.cache_version, **parts})


def build(cells: Iterable[Cell], beside: Beside, stack: Callable[[Cell], int] = lambda _: 1) -> list[Task]:
    """The tasks that compute these cells, in an order that respects what they wait for.

    Args:
        cells: Cells that can run.
        beside: The control regions for which the model of a cell is trained anew.
        stack: How many trainings like that of a cell may be done together.
    """
    fits: dict[str, list[_Need]] = {}
    templates: dict[str, list[Cell]] = {}
    cells = list(cells)
    needed = {cell.digest: _needed(cell, beside) for cell in cells}
    for cell in cells:
        if (template := template_key(cell)) is not None:
            for need in needed[cell.digest]:
                fits.setdefault(need.key, []).append(need)
            templates.setdefault(template, []).append(cell)
    tasks, made_by = _fits(fits, stack)

    def trainings(cell: Cell) -> tuple[str, ...]:
        return tuple(dict.fromkeys(made_by[need.key] for need in needed[cell.digest]))

    for key, members in templates.items():
        if len(members) > 1:
            # one that needs densities makes them too, for all
            first = next((c for c in members if Cap.LOG_PROB in _needs(c)), members[0])
            work = (_work(key, first),)
            tasks.append(Task(f"template-{key}", "template", _background(first), work, trainings(first), first.config.estimator.name))
    for cell in cells:
        before: tuple[str, ...] = ()
        if (template := template_key(cell)) is not None:
            shared = (f"template-{template}",) if len(templates[template]) > 1 else ()
            before = (*shared, *trainings(cell))
        name = f"{cell.name} seed {cell.seed}"
        tasks.append(Task(f"cell-{cell.digest}", "cell", name, (_work(cell.digest, cell),), before, cell.config.estimator.name))
    return tasks


@dataclass(frozen=True)
class _Need:
    """A training, and a cell that needs it."""

    key: str
    cell: Cell
    control: Window | None

    @property
    def work(self) -> Work:
        return replace(_work(self.key, self.cell), control=self.control)


def _needed(cell: Cell, beside: Beside) -> list[_Need]:
    """That of the window first."""
    return [_Need(key, cell, control) for control in (None, *beside(cell)) if (key := fit_key(cell, control)) is not None]


def _fits(fits: Mapping[str, list[_Need]], stack: Callable[[Cell], int]) -> tuple[list[Task], dict[str, str]]:
    """The trainings, alike ones together, and which task makes which."""
    groups: dict[str, list[tuple[str, list[_Need]]]] = {}
    for key, needs in fits.items():
        users = sorted(needs, key=lambda need: need.control is not None)  # a region may be the window of another cell
        cell = users[0].cell
        events = {name: value for name, value in cell.tables["data"].items() if name not in _NUMBERS}
        alike = (
            key_of({"estimator": cell.tables["estimator"], "data": events, "device": cell.config.run.device}) if stack(cell) > 1 else key
        )
        groups.setdefault(alike, []).append((key, users))
    tasks: list[Task] = []
    made_by: dict[str, str] = {}
    for members in groups.values():
        size = max(1, stack(members[0][1][0].cell))
        for start in range(0, len(members), size):
            group = members[start : start + size]
            first = group[0][1][0]
            task = f"fit-{group[0][0]}"
            name = f"{_training(first)}{f' and {len(group) - 1} more' if len(group) > 1 else ''}"
            work = tuple(user.work for _, users in group for user in users[:SPARE])
            tasks.append(Task(task, "fit", name, work, (), first.cell.config.estimator.name))
            made_by |= {key: task for key, _ in group}
    return tasks, made_by


def _needs(cell: Cell) -> frozenset[str]:
    return cell.outcome.scorer.needs - DATA_CAPS if isinstance(cell.outcome, Plan) else frozenset()


def _work(key: str, cell: Cell) -> Work:
    return Work(key, cell.tables, cell.digest, data_key(cell))


def _training(need: _Need) -> str:
    cell = need.cell
    region = cell.outcome.region if isinstance(cell.outcome, Plan) else None
    window = f" {cell.config.window.label}" if region is Region.SIDEBAND and cell.config.window else ""
    if need.control:
        window += f" control region {need.control.label}"
    shown = [f"{axis.partition('.')[2]}={value}" for axis, value in cell.axes.items() if axis.partition(".")[0] in {"data", "estimator"}]
    options = "".join(f" {text}" for text in shown if text[0] != "=")
    return f"{cell.config.estimator.name}{window}{options} seed {cell.config.seed}"


def _background(cell: Cell) -> str:
    window = f" {cell.config.window.label}" if cell.config.window else ""
    return f"{cell.config.estimator.name}+{cell.config.interpolator.name}{window} seed {cell.config.seed}"


def slice_of(cells: list[Cell], index: int, of: int, beside: Beside) -> list[Cell]:
    """One of ``of`` parts of the cells. Cells that share the model of their window lie in the same part; the parts are about equally large.

    A control region may be the window of a cell in another part: whoever comes first trains that model, and the other waits for it.
    """
    groups: dict[str, list[Cell]] = {}
    for cell in cells:
        groups.setdefault(fit_key(cell) or cell.digest, []).append(cell)
    loads = [0] * of
    mine: set[str] = set()
    for members in sorted(groups.values(), key=len, reverse=True):  # stable: the same in every process
        lightest = loads.index(min(loads))
        loads[lightest] += len(members) + len({need.key for cell in members for need in _needed(cell, beside)})
        if lightest == index:
            mine |= {cell.digest for cell in members}
    return [cell for cell in cells if cell.digest in mine]
