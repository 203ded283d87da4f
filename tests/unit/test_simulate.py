"""Simulated dijets: chunks and resume, files, the command, the shipped sample."""

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
