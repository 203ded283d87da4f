"""Options of CATHODE: of its flow, and of its scorer. Importing it costs no torch."""

from __future__ import annotations

from adtoolkit.flowconfig import FlowConfig
from adtoolkit.scorers.config import ClassifierConfig


class CathodeFlowConfig(FlowConfig):
    """Options of the estimator `adtoolkit_cathode.estimator.CathodeFlow`. The defaults are tuned for a minute on one CPU core.

    The preset ``paper`` is the affine masked autoregressive flow of arXiv:2109.00546 and its public code, averaged over the ten best
    of 100 epochs. What differs from it belongs to the run, not to the flow, so that methods can be compared: the features' bounds are
    those of all blinded events (there: of the sidebands' training events, and events outside are dropped), a tenth of the sidebands is
    kept for validation (there: 43 %), and the template's masses come from the run's mass model.
    """


class CathodeConfig(ClassifierConfig):
    """Options of `adtoolkit_cathode.scorer.Cathode`: those of its classifier.

    How many template events there are per data event is the run's business (``--set template.oversample=N``), since all scorers share them.
    """
