"""What methods cost: trainings and seconds of the stages they are made of, a stage that several runs share counted once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from adtoolkit.compare.records import RunRecord


@dataclass(frozen=True)
class Costs:
    """Of the runs of a group.

    Attributes:
        runs: How many there are with recorded stages.
        fits: Distinct trainings of background models behind them.
        scorers: Distinct trainings of scorers (folds count one each).
        per_run: Stage -> median seconds in a run, counting what a shared stage took when it was made.
        seconds: All distinct stages together.
        cpu: The same in CPU seconds, None where it was not recorded.
        devices: Where they ran.
    """

    runs: int
    fits: int
    scorers: int
    per_run: dict[str, float]
    seconds: float
    cpu: float | None
    devices: tuple[str, ...]


def costs_of(runs: Sequence[RunRecord]) -> Costs:
    """Add up; nothing is known of a run that recorded no stages."""
    told = [run for run in runs if run.stages]
    distinct = {key: seconds for run in told for key, seconds in run.stages.items()}
    cpu = {key: seconds for run in told for key, seconds in run.cpu.items()}
    stages = list(dict.fromkeys(key.partition("/")[0] for run in told for key in run.stages))
    per_run = {stage: median(sum(s for key, s in run.stages.items() if key.partition("/")[0] == stage) for run in told) for stage in stages}
    return Costs(
        runs=len(told),
        fits=sum(key.startswith("fit/") for key in distinct),
        scorers=sum(key.startswith("score/") for key in distinct),
        per_run=per_run,
        seconds=sum(distinct.values()),
        cpu=sum(cpu.values()) if cpu and cpu.keys() >= distinct.keys() else None,
        devices=tuple(sorted({run.device for run in told if run.device})),
    )
