"""How long the rest of a bench may take, from what its finished parts took."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from adtoolkit.bench.folder import read_json

if TYPE_CHECKING:
    from adtoolkit.bench.session import Session


@dataclass(frozen=True)
class Estimate:
    """Time left.

    Attributes:
        seconds: Of all that something is known about, one after the other.
        known: How many trainings and cells that is.
        unknown: How many nothing is known about.
    """

    seconds: float
    known: int
    unknown: int

    def __str__(self) -> str:
        if not self.known:
            return "time unknown: nothing alike was computed in this bench before"
        rest = f", and {self.unknown} of which nothing alike was computed before" if self.unknown else ""
        what = "trainings and cells" if self.known > 1 else "training or cell"
        return f"about {duration(self.seconds)} on one process for {self.known} {what}{rest}"


def estimate(session: Session) -> Estimate:
    """Time left, from finished trainings of the same estimator and finished cells of the same estimator and scorer."""
    fits: dict[str, list[float]] = {}
    for path in (session.folder.path / "fits").glob("*.json"):
        record, _ = read_json(path)
        if record and isinstance(record.get("seconds"), int | float):
            fits.setdefault(str(record.get("estimator")), []).append(record["seconds"])
    cells: dict[tuple[str, str], list[float]] = {}
    by_digest = {cell.digest: cell for cell in session.cells}
    for cell in session.cells:
        if session.states[cell.digest].status == "done" and (seconds := _cost(session, cell.run)) is not None:
            cells.setdefault((cell.config.estimator.name, cell.config.scorer.name), []).append(seconds)
    total, known, unknown = 0.0, 0, 0
    for task in session.tasks():
        if task.kind == "template":
            continue
        for key in task.keys:
            if task.kind == "fit":
                past = fits.get(task.estimator)
            else:
                config = by_digest[key].config
                past = cells.get((config.estimator.name, config.scorer.name))
            if past:
                total, known = total + median(past), known + 1
            else:
                unknown += 1
    return Estimate(total, known, unknown)


def _cost(session: Session, run: object) -> float | None:
    """What a cell takes besides its training; a stage that was reused counts with what it took when it was made."""
    manifest, _ = read_json(session.folder.runs / str(run) / "manifest.json")
    times, stages = (manifest or {}).get("times"), (manifest or {}).get("stages")
    if not isinstance(times, dict) or not isinstance(stages, dict):
        return None
    made = sum(stage.get("seconds", 0.0) for name, stage in stages.items() if not name.startswith("fit/"))
    return float(made + sum(times.get(name, 0.0) for name in ("data", "metrics", "pictures")))


def duration(seconds: float) -> str:
    """Seconds for people.

    Example:
        >>> duration(42), duration(150), duration(3 * 3600)
        ('42 s', '2.5 min', '3.0 h')
    """
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= 1.5 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"
