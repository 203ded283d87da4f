"""What a reader should know before believing a comparison."""

from __future__ import annotations

from collections.abc import Sequence

from adtoolkit.compare.records import RunRecord


def remarks(groups: Sequence[Sequence[RunRecord]], metrics: Sequence[str]) -> list[str]:
    """On the runs compared under one condition in these metrics."""
    ok = [run for runs in groups for run in runs]
    out = []
    seeds = {run.seed for run in ok}
    if len({run.data_seed for run in ok}) == 1 and len(seeds) > 1:
        out.append("All seeds searched the same events: intervals hold the noise of training, not that of the events.")
    floors = [run.metrics["max-sic-floor"] for run in ok if "max-sic" in metrics and "max-sic-floor" in run.metrics]
    if floors and max(floors) > 1.05 * min(floors):
        out.append(
            f"max-sic is searched from eps_B = {min(floors):.2g} on in some runs, {max(floors):.2g} on in others: compare sic@ instead."
        )
    if len(devices := sorted({run.device for run in ok if run.device})) > 1:
        out.append(f"Times are of different devices: {', '.join(devices)}.")
    return out


def remarks_on_all(runs: Sequence[RunRecord]) -> list[str]:
    """On all runs."""
    versions = sorted({run.version for run in runs if run.version})
    shown = ", ".join(versions[:3]) + (f" and {len(versions) - 3} more" if len(versions) > 3 else "")
    return [f"The runs were made by different versions of adtoolkit: {shown}."] if len(versions) > 1 else []


def remarks_on_blocked(runs: Sequence[RunRecord]) -> list[str]:
    """Cells of a benchmark whose parts cannot work together: one line for each reason."""
    reasons: dict[str, dict[str, None]] = {}
    for run in runs:
        reasons.setdefault(run.reason, {})["+".join(run.parts) or run.name] = None
    return [f"Blocked, and so in no table: {', '.join(names)}: {reason}" for reason, names in reasons.items()]
