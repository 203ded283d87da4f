"""One bench from the file to the end: what there is, what is left, who does it, and the record of it all."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

import adtoolkit
from adtoolkit.bench import graph, sources
from adtoolkit.bench.advice import advice
from adtoolkit.bench.cells import Cell, expand
from adtoolkit.bench.drive import Driver
from adtoolkit.bench.folder import ELSE, BenchFolder, State
from adtoolkit.bench.matrix import Matrix, read_matrix
from adtoolkit.bench.words import counted, fixes
from adtoolkit.bench.work import Outcome, Site
from adtoolkit.control_plan import trained_beside
from adtoolkit.devices import resolve_device
from adtoolkit.errors import ConfigError
from adtoolkit.interfaces import TrainsTogether
from adtoolkit.mix import Blocked, Plan
from adtoolkit.store import Overwrite, Store

if TYPE_CHECKING:
    from adtoolkit.bench.crews import Crew
    from adtoolkit.bench.graph import Task
    from adtoolkit.registry import Registry
    from adtoolkit.types import Window

#: Trainings given to a GPU at a time; the estimator divides them as it sees fit. More would be lost if it stopped midway.
STACK: Final = 16


@dataclass
class Session:
    """A bench.

    Attributes:
        matrix: The file.
        folder: Where its results lie.
        cells: All of it.
        own: The cells of this slice; all of them where there are no slices.
        states: Digest -> what is there of a cell.
        notes: What a reader should know.
        changed: What changed since there were results of it, each as a sentence.
        registry: Where components come from.
        overwrite: As for a run.
        store: The stage cache.
        stack: How many trainings may be done together; None: `STACK` on a GPU, elsewhere one.
        trainings: Background models trained in this session.
    """

    matrix: Matrix
    folder: BenchFolder
    cells: list[Cell]
    own: list[Cell]
    states: dict[str, State]
    notes: list[str]
    registry: Registry
    overwrite: Overwrite = "only-missing"
    store: Store = field(default_factory=Store)
    stack: int | None = None
    trainings: int = 0
    changed: list[str] = field(default_factory=list)
    written: tuple[float, float] = (0.0, 0.0)

    @property
    def todo(self) -> list[Cell]:
        """Cells of this slice that are still to be computed."""
        done = set() if self.overwrite == "always" else {"done"}
        return [cell for cell in self.own if self.states[cell.digest].status not in {*done, "blocked"}]

    def check(self) -> None:
        """Refuse to go on with other cells blocked than expected.

        Raises:
            ConfigError: if there is nothing to compute, or not what is expected.
        """
        if (refusal := self.refusal()) is not None:
            raise refusal

    def refusal(self) -> ConfigError | None:
        """Why these cells are not computed, if they are not."""
        blocked = [cell for cell in self.cells if isinstance(cell.outcome, Blocked)]
        expected = self.matrix.expect.get("blocked")
        unexpected = expected is not None and len(blocked) != expected
        if not unexpected and not (blocked and len(blocked) == len(self.cells)):
            return None
        what = f"{len(blocked)} of {counted(len(self.cells), 'cell')} are blocked where {expected} are expected."
        if not unexpected:
            what = f"All {len(blocked)} cells are blocked." if len(blocked) > 1 else "The only cell is blocked."
        if blocked:
            what += f" The first: {blocked[0].name}: {' '.join([f'{blocked[0].outcome.reason}.', *fixes(blocked[0])])}"  # type: ignore[union-attr]
        return ConfigError(what, f"See: adtool bench {self.matrix.file} --plan")

    def tasks(self) -> list[Task]:
        """What is to be done. With ``only-cache`` nothing is shared, as nothing is made."""
        tasks = graph.build(self.todo, partial(_beside, self.registry), self.together)
        if self.overwrite == "only-cache":
            return [task for task in tasks if task.kind == "cell"]
        if self.overwrite == "always":
            return tasks
        return [task for task in tasks if task.kind != "fit" or not all(map(self.trained, task.keys))]

    def together(self, cell: Cell) -> int:
        """How many trainings like that of a cell are done together."""
        if self.stack == 1 or not isinstance(cell.outcome, Plan):
            return 1
        device = cell.config.run.device
        if self.stack is None and (resolve_device(device) if device == "auto" else device) != "cuda":  # workers may have what is not here
            return 1
        able = issubclass(self.registry.load(cell.outcome.estimator), TrainsTogether)
        return (self.stack or STACK) if able else 1

    def trained(self, key: str) -> bool:
        """Whether a shared training was recorded and is still in the cache."""
        record = self.folder.fit_record(key)
        return record is not None and (self.store.root / str(record.get("stage")) / "DONE").exists()

    def count(self) -> Counter[str]:
        """Status -> how many cells of this slice."""
        return Counter(self.states[cell.digest].status for cell in self.own)

    def run(self, crew: Crew, site: Site, begun: Callable[[Task], None], ended: Callable[[Task, Outcome], None]) -> None:
        """Compute what is left; bench.json follows.

        Raises:
            RunError: if the crew cannot go on. Results so far are kept.
        """
        if self.overwrite == "always":
            self.folder.forget_data()
        tasks, told = self.tasks(), set[str]()

        def heard(task: Task, outcome: Outcome) -> None:
            self.trainings += outcome.trainings
            if outcome.error is not None:
                message = advice(outcome.error["message"], self.matrix.file)
                outcome = replace(outcome, error={**outcome.error, "message": message})
            if task.kind == "cell":
                told.add(task.work[0].digest)
                self.states[task.work[0].digest] = _state(outcome, self.overwrite)
                self._keep()
            ended(task, outcome)

        self._keep(now=True)
        try:
            Driver(tasks, crew, site, begun, heard).drive()
        except BaseException:
            # a worker may have ended a cell that nobody heard of before an interrupt; with `always` what is there may be of before
            for cell in self.todo if self.overwrite != "always" else []:
                state = self.folder.finished(cell.run, cell.digest)
                if cell.digest not in told and state.status == "done":
                    self.states[cell.digest] = state
            raise
        finally:
            self._keep(now=True)

    def _keep(self, *, now: bool = False) -> None:
        """Write bench.json; not after every cell where writing it takes long."""
        last, took = self.written
        if now or time.monotonic() - last > max(1.0, 20 * took):
            started = time.monotonic()
            self.folder.write(self.matrix, self.cells, self.states, {cell.digest for cell in self.own})
            self.written = time.monotonic(), time.monotonic() - started

    def site(self, *, threads: int | None, pictures: bool) -> Site:
        """What the workers must know."""
        folder, cache = str(self.folder.path.absolute()), str(self.store.root.absolute())
        batch = uuid4().hex if self.overwrite == "always" else ""
        return Site(folder, cache, str(Path.cwd()), adtoolkit.__version__, self.overwrite, batch, threads, pictures)


def open_bench(
    file: Path,
    registry: Registry,
    *,
    out: Path | None = None,
    device: str | None = None,
    overwrite: Overwrite = "only-missing",
    part: tuple[int, int] = (0, 1),
    many: bool = False,
    stack: int | None = None,
) -> Session:
    """Read a matrix file and see what is there.

    Args:
        file: The matrix file.
        registry: Where components come from.
        out: Folder of the bench; ``bench/<name of the file>`` by default.
        device: Device of all cells, if it is not the configuration's.
        overwrite: As for a run.
        part: Index and number of slices.
        many: Whether more than 10,000 cells are wanted.
        stack: How many trainings may be done together.

    Raises:
        ConfigError: if the file is not understood; see too `Session.check`.
        UnknownNameError: if it names what does not exist.
    """
    matrix = read_matrix(file)
    folder = BenchFolder(out.expanduser() if out else Path("bench") / file.stem)
    expansion = expand(matrix, registry, folder.runs, device, many=many)
    cells = expansion.cells
    states = folder.states(cells)
    index, of = part
    own = cells if of == 1 else graph.slice_of(cells, index, of, partial(_beside, registry))
    before = folder.record().get("file")
    if before is not None and Path(str(before)).absolute() != file.absolute():
        text = f"{folder.path} holds the bench of {before}; its list of cells is replaced, its runs are kept. Use --out DIR to keep both."
        expansion.notes.append(text)
    notes = [*expansion.notes, *(state.note + "; the cell counts as missing." for state in states.values() if state.note)]
    session = Session(matrix, folder, cells, own, states, notes, registry, overwrite, Store(), stack)
    if overwrite != "always":
        session.changed = _changed(session)
    return session


def _beside(registry: Registry, cell: Cell) -> tuple[Window, ...]:
    try:
        return trained_beside(registry, cell.config, cell.outcome) if isinstance(cell.outcome, Plan) else ()
    except Exception:  # noqa: BLE001  # a part that cannot be loaded fails its own cells, which say why
        return ()


def _changed(session: Session) -> list[str]:
    """Files that are not what they were when the cells that are done were computed."""
    done = [cell for cell in session.own if session.states[cell.digest].status == "done"]
    found: dict[str, str] = {}
    for key in dict.fromkeys(map(graph.data_key, done)):
        found |= sources.changed(session.folder.data_record(key).get("files", {}))
    if known := session.folder.files_record():
        read = {file for cell in done for file in sources.files_of_parts(cell.config)}
        found |= sources.changed({file: seen for file, seen in known.items() if file in read})
    return [f"{file} has changed since these results were made: {how}. Restore it, {ELSE}" for file, how in found.items()]


def _state(outcome: Outcome, overwrite: Overwrite) -> State:
    error: Mapping[str, Any] | None = outcome.error
    if outcome.status in {"done", "kept"}:
        return State("done", seconds=outcome.seconds)
    if overwrite == "only-cache" and error is not None and error["name"] == "CacheError":
        return State("waiting", error)
    return State("failed", error)
