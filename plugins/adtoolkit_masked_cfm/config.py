"""Options of the estimator ``masked-cfm``. Importing it costs no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from adtoolkit.cfm_config import REFERENCE, SMOKE, CfmConfig


class MaskedCfmConfig(CfmConfig):
    """Network, training and solver of the masked model. Its mass is raw: high frequencies fit the sidebands, not the gap."""

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "smoke": SMOKE,
        # The published network of the sidebands is SIGMA's with the raw mass (in TeV; here standardised, which its first
        # layer can undo). Whether it had the non-linear context, the sources do not agree on; here it has, as SIGMA's.
        "paper": {**REFERENCE, "mass_embedding": "raw"},
    }
