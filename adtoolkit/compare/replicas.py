"""One run per seed: what to do with repetitions of a repetition."""

from __future__ import annotations

from collections.abc import Sequence

from adtoolkit.compare.records import RunRecord


def replicas(runs: Sequence[RunRecord]) -> tuple[list[RunRecord], list[str]]:
    """The run that counts for each seed, in order of the seeds, and what a reader should know of the choice.

    Of several runs of one configuration and seed the last that ended well counts. If their numbers differ, that is said.
    """
    seeds: dict[tuple[int | None, int | None], list[RunRecord]] = {}
    for run in runs:
        seeds.setdefault(run.replica, []).append(run)
    kept, notes = [], []
    for found in seeds.values():
        ok = sorted((run for run in found if run.ok), key=lambda run: run.started)
        kept.append(ok[-1] if ok else found[-1])
        if len(ok) > 1 and any(run.metrics != ok[-1].metrics for run in ok):
            notes.append(f"{len(ok)} runs of seed {ok[-1].seed} differ in their numbers (code, device or packages); {ok[-1].name} counts.")
    return sorted(kept, key=lambda run: tuple(-1 if s is None else s for s in run.replica)), notes
