"""Options of the CATHODE scorer."""

from __future__ import annotations

from adtoolkit.scorers.config import ClassifierConfig


class CathodeConfig(ClassifierConfig):
    """Options of `adtoolkit_cathode.scorer.Cathode`: those of its classifier.

    How many template events there are per data event is the run's business (``--set template.oversample=N``), since all scorers share them.
    """
