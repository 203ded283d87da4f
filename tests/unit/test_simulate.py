"""Simulated dijets: clustering, detector, chunks and resume, the shipped sample."""

from __future__ import annotations

import hashlib
import itertools
import json
from importlib.resources import files
from pathlib import Path

import h5py
import numpy as np
import pytest
from click.testing import CliRunner

from adtoolkit.cli.simulate import simulate
from adtoolkit.errors import ConfigError, DataError, MissingExtraError
from adtoolkit.simulate import COLUMNS, DijetSettings
from adtoolkit.simulate.files import dijet_mass, read_events, read_manifest, round_mantissa, write_events
from adtoolkit.simulate.particles import Particles, wrap_phi

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
SIGNAL = DijetSettings(process="wprime")


@pytest.fixture
def fastjet():
    """Skip where the extra 'simulate' is not installed."""
    pytest.importorskip("awkward")
    pytest.importorskip("vector")
    return pytest.importorskip("fastjet")


@pytest.fixture
def pythia(fastjet):
    return pytest.importorskip("pythia8mc")


@pytest.fixture
def official():
    """Raw official events `[1000, 700, 3]` and their features `[1000, 14]`."""
    raw, features = SHARED / "lhco_raw_1k.h5", SHARED / "lhco_rnd_v1_100k.features.h5"
    if not (raw.exists() and features.exists()):
        pytest.skip("the raw LHC Olympics events are not beside the checkout (../shared/data)")
    pytest.importorskip("hdf5plugin")
    with h5py.File(raw) as file:
        events = file["df/block0_values"][:, :2100].reshape(-1, 700, 3)
    with h5py.File(features) as file:
        return events, file["df/block0_values"][: len(events), :14]


def test_clustering_equals_the_official_features(fastjet, official):
    """Momenta and masses agree to 1e-6; the tau's to 1 % where the official ones are right."""
    from adtoolkit.simulate.jets import leading_dijets

    raw, expected = official
    actual, event = leading_dijets(Particles.from_padded(raw[..., 0], raw[..., 1], raw[..., 2]))

    np.testing.assert_array_equal(np.arange(1000), event)
    np.testing.assert_allclose(dijet_mass(actual), dijet_mass(expected), rtol=1e-6)
    for first in (0, 7):
        np.testing.assert_allclose(np.hypot(*actual[:, first : first + 2].T), np.hypot(*expected[:, first : first + 2].T), rtol=1e-6)
        np.testing.assert_allclose(actual[:, first : first + 4], expected[:, first : first + 4], rtol=1e-6)
        phi = np.arctan2(expected[:, first + 1], expected[:, first])
        good = np.abs(phi) < 2.0  # closer to pi the official ones are wrong: delta phi was not wrapped
        np.testing.assert_allclose(actual[good, first + 4 : first + 7], expected[good, first + 4 : first + 7], rtol=0.01)


def prong_jet(n_prongs: int, phi: float = 0.0):
    """A jet of 30 soft particles around ``n_prongs`` directions 0.4 apart."""
    rng = np.random.default_rng(0)
    centre = np.array([[0.0, 0.0], [0.4, 0.0], [0.0, 0.4]])[:n_prongs]
    place = np.repeat(centre, 30 // n_prongs, axis=0)
    eta, d_phi = (place + rng.normal(0.0, 0.01, place.shape)).T
    return np.full(len(place), 20.0), eta, wrap_phi(d_phi + phi)


@pytest.mark.parametrize("phi", [0.0, np.pi])
def test_n_subjettiness_counts_prongs(fastjet, phi):
    """tau_N drops where N reaches the number of prongs, at phi = pi too; tau_1 of two equal prongs is half their distance."""
    from adtoolkit.simulate.jets import n_subjettiness

    jets = [prong_jet(n, phi) for n in (1, 2, 3)]
    pt, eta, azimuth = (np.concatenate(values) for values in zip(*jets, strict=True))

    tau = n_subjettiness(pt, eta, azimuth, np.array([30, 30, 30]))

    assert tau[0, 0] < 0.02
    assert tau[1, 0] == pytest.approx(0.2, abs=0.01)
    assert tau[1, 1] / tau[1, 0] < 0.1
    assert tau[2, 1] / tau[2, 0] > 0.3
    assert tau[2, 2] / tau[2, 1] < 0.15


def test_n_subjettiness_of_jets_with_few_particles_is_zero(fastjet):
    """A jet of one, of two and of three particles among others."""
    from adtoolkit.simulate.jets import n_subjettiness

    pt, eta, phi = np.full(6, 10.0), np.array([0.0, 0.1, -0.1, 0.2, 0.0, -0.2]), np.array([0.0, 0.1, 0.0, 0.0, 0.2, 0.0])
    tau = n_subjettiness(pt, eta, phi, np.array([1, 2, 3]))

    np.testing.assert_allclose(tau[[0, 0, 0, 1, 1, 2], [0, 1, 2, 1, 2, 2]], 0.0, atol=1e-7)
    assert (tau[[1, 2, 2], [0, 0, 1]] > 0.01).all()


def test_events_without_two_jets_are_dropped(fastjet):
    """Of three events, the empty one and that with a jet outside are dropped."""
    from adtoolkit.simulate.jets import leading_dijets

    eta = np.array([0.1, 0.2, 0.3, 4.0])
    particles = Particles(np.full(4, 500.0), eta, np.array([0.0, 3.0, 0.0, 3.0]), np.array([0, 0, 2, 2]), 3)

    features, event = leading_dijets(particles)

    assert event.tolist() == [0]
    np.testing.assert_allclose(features[0, [3, 10]], 0.0, atol=1e-4)


def test_smearing_has_the_given_mean_and_width():
    """Factors of mean 1 and the relative width asked for, always positive."""
    from adtoolkit.simulate.detector import smear

    n, width = 200_000, 0.3
    factor = smear(np.full(n, 50.0), np.full(n, width), np.random.default_rng(1)) / 50.0

    assert factor.min() > 0.0
    assert factor.mean() == pytest.approx(1.0, abs=4 * width / np.sqrt(n))
    assert factor.std() == pytest.approx(width, rel=0.02)


def collisions(pt, eta, phi, charge, pdg):
    from adtoolkit.simulate.pythia import Collisions

    return Collisions(*(np.asarray(v, float) for v in (pt, eta, phi, charge)), np.asarray(pdg), np.zeros(len(pt), np.int64), 1)


def test_photons_in_one_cell_become_one_object_inside_it():
    """Two photons in a cell of 0.02 are one object with their energy, a third beside it another."""
    from adtoolkit.simulate.detector import reconstruct

    given = collisions([100.0, 50.0, 30.0], [0.001, 0.019, 0.021], [0.001, 0.002, 0.001], [0, 0, 0], [22, 22, 22])
    seen = reconstruct(given, np.random.default_rng(2), smearing=1e-9)

    order = np.argsort(-seen.pt)
    np.testing.assert_allclose(seen.pt[order], [150.0, 30.0], rtol=1e-3)
    assert 0.0 < seen.eta[order][0] < 0.02 < seen.eta[order][1] < 0.04


def test_energy_of_hadrons_is_kept_on_average():
    """Tracks, missed tracks and neutral hadrons: the energy flow loses and doubles next to nothing."""
    from adtoolkit.simulate.detector import reconstruct

    rng = np.random.default_rng(3)
    n = 4000
    eta, phi = rng.uniform(-1.4, 1.4, n), rng.uniform(-np.pi, np.pi, n)
    charge = rng.integers(0, 2, n)
    given = collisions(rng.uniform(20.0, 200.0, n), eta, phi, charge, np.where(charge == 1, 211, 130))
    seen = reconstruct(given, rng)

    ratio = (seen.pt * np.cosh(seen.eta)).sum() / (given.pt * np.cosh(given.eta)).sum()
    assert 0.99 < ratio < 1.05  # upward fluctuations become neutral objects, downward ones are averaged with the tracks


def test_no_smearing_returns_the_particles():
    """Factor 0 is truth level, within the acceptance."""
    from adtoolkit.simulate.detector import reconstruct

    given = collisions([1.0, 2.0], [0.5, 3.0], [1.0, 2.0], [0, 1], [130, 211])
    seen = reconstruct(given, np.random.default_rng(0), smearing=0.0)

    assert (seen.pt.tolist(), seen.eta.tolist(), seen.phi.tolist()) == ([1.0], [0.5], [1.0])


def run(out, seed=5, **kwargs):
    from adtoolkit.simulate.run import simulate_dijets

    simulate_dijets(kwargs.pop("settings", SIGNAL), kwargs.pop("n_events", 60), out, seed=seed, chunk=20, **kwargs)
    return out.read_bytes()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """60 signal events in three chunks: the file's bytes."""
    for name in ("pythia8mc", "fastjet", "awkward", "vector"):
        pytest.importorskip(name)
    return run(tmp_path_factory.mktemp("simulate") / "events.h5")


def test_a_stopped_run_goes_on_and_equals_an_undisturbed_one(undisturbed, tmp_path, monkeypatch):
    """Killed in its second chunk; only the chunks that were missing are made again."""
    import adtoolkit.simulate.run as module

    original, made = module.simulate_chunk, []

    def dies(settings, seed, number, n_events):
        if number == 1:
            raise KeyboardInterrupt
        return original(settings, seed, number, n_events)

    def counts(settings, seed, number, n_events):
        made.append(number)
        return original(settings, seed, number, n_events)

    out = tmp_path / "events.h5"
    monkeypatch.setattr(module, "simulate_chunk", dies)
    with pytest.raises(KeyboardInterrupt):
        run(out)
    assert not out.exists()
    monkeypatch.setattr(module, "simulate_chunk", counts)

    assert undisturbed == run(out)
    assert made == [1, 2]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["events.h5", "events.json"]


def test_events_do_not_depend_on_the_number_of_processes(undisturbed, tmp_path):
    """Two processes, the same bytes."""
    assert undisturbed == run(tmp_path / "events.h5", jobs=2)


def test_a_stopped_run_may_end_with_fewer_events(undisturbed, tmp_path, monkeypatch):
    """Stopped after two of three chunks, then asked for one and a half."""
    import adtoolkit.simulate.run as module

    original = module.simulate_chunk

    def dies(settings, seed, number, n_events):
        if number == 2:
            raise KeyboardInterrupt
        return original(settings, seed, number, n_events)

    monkeypatch.setattr(module, "simulate_chunk", dies)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "few.h5")
    run(tmp_path / "few.h5", n_events=30)
    (tmp_path / "many.h5").write_bytes(undisturbed)

    np.testing.assert_array_equal(read_events(tmp_path / "few.h5"), read_events(tmp_path / "many.h5")[:30])


def test_more_events_begin_with_the_fewer(undisturbed, tmp_path):
    """30 events are the first 30 of 60."""
    run(tmp_path / "few.h5", n_events=30)
    (tmp_path / "many.h5").write_bytes(undisturbed)

    np.testing.assert_array_equal(read_events(tmp_path / "many.h5")[:30], read_events(tmp_path / "few.h5"))


def test_seeds_and_chunks_differ(undisturbed, tmp_path):
    """Another seed gives other events; no event is in two chunks."""
    run(tmp_path / "other.h5", seed=6)
    (tmp_path / "this.h5").write_bytes(undisturbed)
    this, other = (read_events(tmp_path / f"{name}.h5") for name in ("this", "other"))

    assert len(np.unique(np.concatenate([this, other]), axis=0)) == 120


def test_events_have_the_official_columns_and_pass_the_cuts(undisturbed, tmp_path):
    """15 named columns; labels, leading pT, and the masses of X and Y in the jets."""
    (tmp_path / "events.h5").write_bytes(undisturbed)
    with h5py.File(tmp_path / "events.h5") as file:
        assert set(COLUMNS) == set(file)
    events = read_events(tmp_path / "events.h5")

    pt = np.hypot(events[:, [0, 7]], events[:, [1, 8]])
    assert (events[:, -1] == 1).all()
    assert (pt[:, 0] > 1199.9).all()
    assert (pt[:, 0] >= pt[:, 1] - 0.1).all()
    assert np.median(np.sort(events[:, [3, 10]], axis=1), axis=0) == pytest.approx([100.0, 500.0], rel=0.15)


@pytest.mark.parametrize("settings", [DijetSettings(), DijetSettings(process="wprime", three_prong=True, mass_y=200.0)])
def test_other_processes_run(pythia, tmp_path, settings):
    """QCD, and decays to three quarks."""
    run(tmp_path / "events.h5", settings=settings, n_events=20)

    assert read_manifest(tmp_path / "events.h5")["cross_section_pb"] > 0
    assert settings.label == read_events(tmp_path / "events.h5")[0, -1]


def test_parts_of_another_run_are_refused(pythia, tmp_path):
    """The message names what differs."""
    out = tmp_path / "events.h5"
    (tmp_path / "events.h5.parts").mkdir()
    (tmp_path / "events.h5.parts" / "plan.json").write_text('{"seed": 4}')

    with pytest.raises(ConfigError, match=r"settings, seed, chunk.*remove the folder"):
        run(out)


def test_an_existing_file_is_kept(pythia, tmp_path):
    """Unless --force is given."""
    (tmp_path / "events.h5").touch()

    with pytest.raises(ConfigError, match=r"exists.*--force"):
        run(tmp_path / "events.h5")


def test_files_are_bundled_with_their_manifests(undisturbed, tmp_path):
    """Background and signal in one file, behind one another."""
    from adtoolkit.simulate.run import bundle

    run(tmp_path / "a.h5")
    run(tmp_path / "b.h5", settings=DijetSettings(), n_events=20)
    manifest = bundle([tmp_path / "b.h5", tmp_path / "a.h5"], tmp_path / "both.h5")

    assert (manifest["n_qcd"], manifest["n_signal"]) == (20, 60)
    assert [part["settings"]["process"] for part in manifest["made_of"]] == ["qcd", "wprime"]
    assert read_events(tmp_path / "both.h5")[:, -1].tolist() == [0.0] * 20 + [1.0] * 60


def test_a_missing_extra_is_named(monkeypatch, tmp_path):
    """One line with the command to install it."""
    import adtoolkit.simulate.run as module

    monkeypatch.setattr(module, "find_spec", lambda _name: None)
    result = CliRunner().invoke(simulate, ["dijets", "--out", str(tmp_path / "x.h5")])

    assert isinstance(result.exception, MissingExtraError)
    assert 'pip install "adtoolkit[simulate]"' in str(result.exception)
    assert result.exception.exit_code == 2


def test_the_command_writes_events_and_says_so(pythia, tmp_path):
    """Options reach the manifest."""
    out = tmp_path / "events.h5"
    result = CliRunner().invoke(
        simulate, ["dijets", "--process", "wprime", "--events", "10", "--mass-x", "300", "--seed", "9", "--out", str(out)]
    )

    assert result.exit_code == 0, result.output
    assert "10 events" in result.output
    manifest = read_manifest(out)
    assert (manifest["n_signal"], manifest["seed"], manifest["settings"]["mass_x"]) == (10, 9, 300.0)


@pytest.mark.parametrize("wrong", [{"process": "zprime"}, {"mass_x": 3450.0}, {"mass_y": 1.0}, {"radius": 0.0}, {"smearing": -1.0}])
def test_impossible_settings_are_refused(wrong):
    """With a message, before anything is simulated."""
    with pytest.raises(ConfigError):
        DijetSettings(**wrong)


def test_rounding_keeps_the_precision():
    """13 bits: better than 1e-4, exact for short numbers."""
    values = np.random.default_rng(0).lognormal(0.0, 3.0, 1000).astype(np.float32) * np.resize([1, -1], 1000).astype(np.float32)

    assert np.abs(round_mantissa(values) / values - 1).max() < 2.0**-14 * 1.001
    np.testing.assert_array_equal(np.array([0, 1, -1.5], np.float32), round_mantissa(np.array([0, 1, -1.5], np.float32)))


def test_a_damaged_file_is_refused(tmp_path):
    """With the path in the message."""
    path = tmp_path / "x.h5"
    write_events(path, np.ones((5, 15), np.float32))
    path.write_bytes(path.read_bytes()[:100])

    with pytest.raises(DataError, match=r"x\.h5"):
        read_events(path)


def test_the_shipped_sample_matches_its_manifest():
    """Checksum, counts, columns, size, and the shares in the window."""
    folder = Path(str(files("adtoolkit.data"))) / "samples"
    path = folder / "dijets.h5"
    manifest = json.loads((folder / "dijets.json").read_text())
    events = read_events(path)
    signal, mass = events[:, -1] == 1, dijet_mass(events)

    assert sum(p.stat().st_size for p in folder.iterdir()) <= 6_000_000
    assert manifest["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert list(COLUMNS) == manifest["columns"]
    assert (manifest["n_qcd"], manifest["n_signal"]) == ((~signal).sum(), signal.sum())
    assert (~signal).sum() >= 120_000
    assert signal.sum() >= 15_000
    assert np.isfinite(events).all()
    assert (np.hypot(events[:, 0], events[:, 1]) > 1199.9).all()
    inside = (mass > 3300) & (mass < 3700)
    assert inside[signal].mean() == pytest.approx(0.76, abs=0.02)
    assert inside[~signal].mean() == pytest.approx(0.14, abs=0.01)
    for made, label in itertools.zip_longest(manifest["made_of"], [0, 1]):
        assert label == int(made["settings"]["process"] == "wprime")
        assert {"pythia8mc", "fastjet"} <= set(made["versions"])
