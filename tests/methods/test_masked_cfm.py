"""The masked model: what it refuses, how it sees the mass, and that the window plays no part in it."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import numpy as np
import pytest
import torch

from adtoolkit.context import RunContext
from adtoolkit.errors import DataError
from adtoolkit.nn.velocity import FrequencyEmbedding, RawEmbedding
from adtoolkit.plugin import Region
from adtoolkit.types import Sample, Window
from adtoolkit_masked_cfm.config import MaskedCfmConfig
from adtoolkit_masked_cfm.estimator import MaskedCfm
from adtoolkit_masked_cfm.plugin import adtoolkit_register_components

TINY = {"hidden": 8, "blocks": 1, "steps": 20, "batch": 100, "precision": "float32"}


def toy(n=500, seed=0, unit=1.0):
    """x ~ N(m - 3.5, 0.5^2) at masses from 2 to 6, in TeV or another unit."""
    rng = np.random.default_rng(seed)
    m = rng.uniform(2, 6, n)
    return Sample((m - 3.5 + 0.5 * rng.standard_normal(n))[:, None], unit * m)


def fit(folder, events, **options):
    return MaskedCfm(MaskedCfmConfig(**{**TINY, **options})).fit(events, events[:50], RunContext(workdir=folder))


@pytest.mark.parametrize(("window", "match"), [(Window(1, 3), "0 events lie below"), (Window(5, 6.5), "0 above")])
def test_a_window_without_sidebands_on_both_sides_is_refused_before_training(window, match):
    """Beyond the last events a network extrapolates, whatever it likes."""
    with pytest.raises(DataError, match=match):
        MaskedCfm(MaskedCfmConfig()).check(toy(), window)

    MaskedCfm(MaskedCfmConfig()).check(toy(), Window(3.3, 3.7))
    MaskedCfm(MaskedCfmConfig()).check(toy(), None)  # reference events, at their own masses


def test_the_unit_of_the_mass_does_not_matter(tmp_path):
    """In GeV as in TeV: the mass is standardised on the training events."""
    tev, gev = fit(tmp_path / "a", toy()), fit(tmp_path / "b", toy(unit=1e3))
    cond = np.linspace(2, 6, 50, dtype="f")[:, None]
    draws = [model.sample(c, np.random.default_rng(0)) for model, c in ((tev, cond), (gev, 1e3 * cond))]

    np.testing.assert_allclose(*draws, atol=1e-3)


def test_the_mass_is_seen_raw_or_by_low_frequencies(tmp_path):
    """Raw by default: one number beside the harmonics of time; by frequencies, two per octave."""
    raw, waves = fit(tmp_path / "a", toy()), fit(tmp_path / "b", toy(), mass_embedding="frequencies", mass_frequencies=2)
    t, m = torch.tensor(0.3), torch.tensor([2.0, 4.0, 6.0])
    seen = raw.network.embedding(t, m)

    assert isinstance(raw.network.embedding, RawEmbedding)
    assert isinstance(waves.network.embedding, FrequencyEmbedding)
    assert seen.shape == (3, 2 * 3 + 1)
    torch.testing.assert_close(seen[:, -1], (m - toy().m.mean()) / toy().m.std(), atol=1e-5, rtol=1e-5)
    assert waves.network.embedding(t, m).shape == (3, 2 * (3 + 2))


def test_the_record_asks_for_the_sidebands_or_for_known_background():
    """A model of all events is SIGMA's business; its classes exist, and reading them costs no torch."""
    (record,) = adtoolkit_register_components()
    for target in (record.target, record.config):
        module, name = target.split(":")
        assert hasattr(import_module(module), name)
    code = "import sys, adtoolkit_masked_cfm.plugin, adtoolkit_masked_cfm.config; sys.exit('torch' in sys.modules)"

    assert record.trains_on == (Region.SIDEBAND, Region.REFERENCE)
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
