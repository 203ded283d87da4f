"""The resolution of the mass embedding follows the number of events."""

from __future__ import annotations

import numpy as np
import pytest

from adtoolkit.context import RunContext
from adtoolkit.interfaces import FitTask
from adtoolkit.nn.cfm_fit import fit_cfm, octaves
from adtoolkit.types import Sample
from adtoolkit_sigma.config import SigmaConfig

#: Of a uniform mass a period of the highest of L octaves holds 4 N / 2^L events: the numbers at which L octaves leave 10,000.
LEAST = {1: 5000, 2: 10_000, 4: 40_000, 6: 160_000}


@pytest.mark.parametrize(("octave", "events"), LEAST.items())
def test_a_period_of_the_highest_frequency_holds_ten_thousand_events(octave, events):
    m = np.linspace(2.0, 5.0, events + events // 100)

    assert octaves(m) == octave
    assert octaves(m[::2]) == max(octave - 1, 1)


def test_masses_that_are_mostly_one_value_have_one_octave():
    assert octaves(np.r_[np.full(90_000, 3.0), 2.0, 4.0]) == 1


def task(n, seed, workdir):
    rng = np.random.default_rng(seed)
    events = Sample(rng.normal(size=(n, 2)).astype(np.float32), np.linspace(2, 5, n).astype(np.float32))
    workdir.mkdir()
    return FitTask(events, events[:10], RunContext(seed=seed, workdir=workdir))


def test_networks_of_different_resolution_are_trained_together_and_each_is_what_it_is_alone(tmp_path):
    config = SigmaConfig(steps=5, hidden=8, blocks=1, batch=64, ema=0, validate_every=0, schedule="constant")
    sizes = [12_000, 24_000, 12_000, 24_000]
    together = fit_cfm(config, [task(n, i, tmp_path / str(i)) for i, n in enumerate(sizes)], most=4)
    alone = [fit_cfm(config, [task(n, i, tmp_path / f"{i} alone")], most=1)[0] for i, n in enumerate(sizes)]

    assert [model.options["mass_frequencies"] for model in together] == [2, 3, 2, 3]
    at = Sample(np.zeros((50, 2), np.float32), np.linspace(2, 5, 50).astype(np.float32))
    for one, other in zip(together, alone, strict=True):
        assert one.log_prob(at.x, at.cond) == pytest.approx(other.log_prob(at.x, at.cond), abs=1e-4)


def test_a_number_given_is_kept(tmp_path):
    (model,) = fit_cfm(SigmaConfig(steps=1, hidden=8, blocks=1, mass_frequencies=5), [task(500, 0, tmp_path / "w")])

    assert model.options["mass_frequencies"] == 5
