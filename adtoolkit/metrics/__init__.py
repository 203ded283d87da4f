"""Numbers from scored events.

`adtoolkit.metrics.curves` works on plain arrays of scores and may be used on its own; `adtoolkit.metrics.selection` says which events of a
run are compared; the other modules are the metrics that a run computes. What each number means: docs/explanation/metrics.md.
"""
