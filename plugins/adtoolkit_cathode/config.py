"""Options of CATHODE: of its flow, and of its scorer. Importing it costs no torch."""

from __future__ import annotations

from adtoolkit.flowconfig import FlowConfig
from adtoolkit.scorers.config import ClassifierConfig


class CathodeFlowConfig(FlowConfig):
    """Options of the estimator `adtoolkit_cathode.estimator.CathodeFlow`. The defaults are tuned for a minute on one CPU core.

    The preset ``paper`` is the affine masked autoregressive flow of section III B and the public code, by the ten best of 100 epochs.
    """


class CathodeConfig(ClassifierConfig):
    """Options of `adtoolkit_cathode.scorer.Cathode`: those of its classifier.

    How many template events there are per data event is the run's business (``--set template.oversample=N``), since all scorers share them.
    """
