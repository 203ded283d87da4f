"""Which of several runs is better, with uncertainties::

    from adtoolkit.compare import load, summarise

    records = load(["runs", "bench/windows"])              # every run there is, those that failed too
    summary = summarise(records, metrics=["sic@1e-2"], baseline="cathode")

`load` reads run folders into one `RunRecord` each; `summarise` groups them, seeds being the replicas, and compares the groups; `tables`
and `words` say it. What the intervals mean: docs/how-to/compare.md.
"""

from adtoolkit.compare.finding import load
from adtoolkit.compare.records import Records, RunRecord
from adtoolkit.compare.summary import Summary, summarise

__all__ = ["Records", "RunRecord", "Summary", "load", "summarise"]
