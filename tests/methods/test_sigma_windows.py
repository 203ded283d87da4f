"""SIGMA as it is by default, on a toy with a feature whose end point moves with m: one training, windows wherever the peak lies."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from adtoolkit.context import RunContext
from adtoolkit.data.config import ToyBumpConfig
from adtoolkit.data.toy_bump import ToyBump
from adtoolkit.interpolators.config import DisplacementConfig
from adtoolkit.interpolators.displacement import Displacement
from adtoolkit.metrics.closure import two_sample
from adtoolkit.metrics.curves import auc
from adtoolkit.nn.cfm_model import CfmModel
from adtoolkit.preprocess import Preprocess
from adtoolkit.types import Window
from adtoolkit_sigma.config import ContextConfig, SigmaConfig
from adtoolkit_sigma.estimator import Sigma
from adtoolkit_sigma.interpolator import ContextInterpolator

pytestmark = pytest.mark.slow

#: The peak is at 3.5 TeV, 0.06 wide; anchors are 0.1 TeV outside of the windows.
WINDOWS = {
    "peak inside": Window(3.3, 3.7),
    "peak at the edge": Window(3.5, 3.9),
    "peak on the lower anchor": Window(3.6, 4.0),
    "peak on the upper anchor": Window(3.0, 3.4),
    "peak above": Window(2.8, 3.2),
    "peak below": Window(3.8, 4.2),
}


@pytest.fixture(scope="module")
def search(tmp_path_factory):
    """A trained model, and known background of all masses; preprocessed. In the window around the peak S / sqrt(B) is 3.5."""
    config = ToyBumpConfig(n_background=100_000, n_signal=400, n_reference=200_000, n_test=0, edge=True)
    made = ToyBump(config).load(RunContext(seed=5))
    data = made.events.blind()
    prep = Preprocess.fit(data)
    ready = prep.apply(data)
    ctx = RunContext(seed=5, scope=("sigma",), workdir=tmp_path_factory.mktemp("fit"))
    return Sigma(SigmaConfig()).fit(ready[5000:], ready[:5000], ctx), prep.apply(made.reference)


def closure(template, background):
    """Two-sample AUC of a template against known background, at the masses of the latter; a perfect one scatters by 0.003."""
    n = min(len(background), 15_000)
    drawn = template.sample(background.cond[:n], np.random.default_rng(1))
    return auc(two_sample(drawn, background.x[:n], 2, 1, np.random.default_rng(2)))


@pytest.mark.parametrize(
    "interpolator", [ContextInterpolator(ContextConfig()), Displacement(DisplacementConfig())], ids=["context", "displacement"]
)
@pytest.mark.parametrize("place", WINDOWS)
def test_the_template_is_right_in_every_window_wherever_the_peak_lies(search, place, interpolator):
    model, background = search
    window = WINDOWS[place]
    inside = background[window.contains(background.m)]

    assert closure(interpolator.bind(model, window, RunContext()), inside) < 0.53


def test_ten_steps_of_the_midpoint_rule_are_as_good_as_forty_and_two_are_not(search):
    model, background = search
    window = WINDOWS["peak inside"]
    inside = background[window.contains(background.m)]
    found = {}
    for steps in (2, 10, 40):
        other = CfmModel(model.network, model.options, model.mass_range, replace(model.integration, solver="midpoint", steps=steps))
        found[steps] = closure(ContextInterpolator(ContextConfig()).bind(other, window, RunContext()), inside)

    assert found[10] == pytest.approx(found[40], abs=0.005)
    assert found[2] > found[40] + 0.01
