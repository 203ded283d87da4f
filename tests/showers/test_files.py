"""Files of showers: what they must hold, how they are shared out, and that they need not fit into memory."""

import tracemalloc
from collections import Counter

import h5py
import numpy as np
import pytest

from adtoolkit.capabilities import Cap
from adtoolkit.context import RunContext
from adtoolkit.errors import AdtoolError, ConfigError, DataError
from adtoolkit_showers.calogan import CaloGan, write_calogan
from adtoolkit_showers.challenge import CaloChallenge
from adtoolkit_showers.config import CaloChallengeConfig, CaloGanConfig
from adtoolkit_showers.geometry import COARSE, FINE, pooled
from adtoolkit_showers.shower_files import Layout, read_showers

N, SIGNAL = 400, 150


def made_up(n, seed):
    """Cells [n, 508] in MeV that add up to 0.937 of the energies [n] in GeV."""
    rng = np.random.default_rng(seed)
    energy = rng.uniform(1, 100, n)
    share = rng.gamma(0.3, size=(n, 508))
    return (937 * energy[:, None] * share / share[:, :504].sum(axis=1, keepdims=True)).astype(np.float32), energy


@pytest.fixture
def files(tmp_path):
    for name, n, seed in (("gamma", N, 1), ("known", N, 2), ("chi", SIGNAL, 3)):
        write_calogan(tmp_path / f"{name}.hdf5", *made_up(n, seed))
    return tmp_path


def load(files, **options):
    options = {name: str(files / value) if name in ("path", "signal", "reference") else value for name, value in options.items()}
    return CaloGan(CaloGanConfig(**options)).load(RunContext(seed=4))


def rows(sample):
    return {row.tobytes() for row in sample.x}


def test_a_file_of_reference_is_all_reference(files):
    data = load(files, path="gamma.hdf5", signal="chi.hdf5", reference="known.hdf5", n_signal=30)
    cells, energy = made_up(N, 2)

    assert (len(data.events), int(data.events.truth.sum())) == (N // 2 + 30, 30)
    assert (len(data.test), int(data.test.truth.sum())) == (N // 2 + SIGNAL - 30, SIGNAL - 30)
    assert data.reference.x == pytest.approx(pooled(cells[:, :504], FINE, COARSE), rel=1e-5)
    assert data.reference.m == pytest.approx(energy, rel=1e-6)
    assert (data.features, data.scale, data.mass, data.unit) == (COARSE.names, "none", "E", "GeV")


def test_without_one_the_showers_are_shared_out(files):
    data = load(files, path="gamma.hdf5", signal="chi.hdf5", pool=False)

    assert (len(data.reference), int((data.events.truth == 0).sum()), int((data.test.truth == 0).sum())) == (N // 2, N // 4, N // 4)
    assert not rows(data.reference) & (rows(data.events) | rows(data.test))
    assert not rows(data.events) & rows(data.test)
    assert len(data.features) == 504
    chosen = load(files, path="gamma.hdf5", signal="chi.hdf5", n_background=50, n_reference=60, n_signal=7)
    assert [len(sample) for sample in (chosen.reference, chosen.events, chosen.test)] == [60, 57, N - 110 + SIGNAL - 7]
    fewer = load(files, path="gamma.hdf5", signal="chi.hdf5", reference="known.hdf5", n_reference=70)
    assert len(fewer.reference) == 70


def test_without_signal_nobody_knows_and_places_in_the_file_are_kept(files):
    data = load(files, path="gamma.hdf5", reference="known.hdf5")
    cells, energy = made_up(N, 1)

    assert (data.events.truth, len(data.test), len(data.events)) == (None, 0, N)
    assert data.events.x == pytest.approx(pooled(cells[data.events.row, :504], FINE, COARSE), rel=1e-5)
    assert data.events.m == pytest.approx(energy[data.events.row], rel=1e-5)


def test_the_energy_is_reconstructed_with_the_response_given_or_measured(files):
    options = {"path": "gamma.hdf5", "signal": "chi.hdf5", "reference": "known.hdf5"}
    given, measured = load(files, **options, response=0.5), load(files, **options, response=None)
    true = load(files, **options, energy="incident")

    assert given.events.m == pytest.approx(given.events.x.sum(axis=1) / 500, rel=1e-5)
    assert measured.events.m == pytest.approx(true.events.m, rel=1e-5)
    assert np.array_equal(given.reference.m, true.reference.m)


def test_what_is_offered_is_what_is_there():
    declared = frozenset({Cap.TRUTH, Cap.REFERENCE})

    assert CaloGanConfig(path="a", signal="b").offers(declared) == declared
    assert CaloGanConfig(path="a", signal="b", n_reference=0).offers(declared) == {Cap.TRUTH}
    assert CaloGanConfig(path="a", reference="b").offers(declared) == {Cap.REFERENCE}
    assert CaloGanConfig(path="a").offers(declared) == set()


def change(files, name, value):
    """Replace a dataset of gamma.hdf5 by a function of it, or take it away."""
    with h5py.File(files / "gamma.hdf5", "a") as file:
        old = file[name][()]
        del file[name]
        if value is not None:
            file[name] = value(old)


def set_at(row, value):
    def put(array):
        array[row] = value
        return array

    return put


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("layer_1", None, r"lacks the dataset 'layer_1'; it holds energy, layer_0, layer_2, overflow"),
        ("energy", None, "lacks the dataset 'energy'"),
        ("layer_1", lambda a: a.reshape(-1, 8, 18), r"'layer_1' in .* have 144 voxels, shape \(8, 18\), where 144, shape \(12, 12\)"),
        ("layer_2", lambda a: a[:, :, :3], r"have 36 voxels, shape \(12, 3\), where 72, shape \(12, 6\), are needed"),
        ("layer_2", lambda a: a[:-1], "differ in length: 'layer_0' 400, 'layer_1' 400, 'layer_2' 399, 'energy' 400"),
        ("energy", lambda a: np.repeat(a, 3, axis=1), r"'energy' in .* has the shape \(400, 3\); one energy per shower"),
        ("layer_0", set_at(5, -1.0), "has negative energies in 1 of showers 0 to 399, down to -1"),
        ("layer_0", set_at(5, np.nan), "1 of 400 showers of .* have NaN or infinite values.*--drop-invalid"),
        ("energy", set_at(5, 0.0), "1 of 400 incident energies of .* are not above zero"),
        ("energy", lambda a: 1000 * a, "deposit 0.000937 times their incident energy: perhaps the incident energies are in MeV, not GeV"),
        ("energy", lambda a: 1000 * a, "Name the unit: --set data.energy_unit=MeV or --set data.voxel_unit=GeV"),
        ("energy", lambda a: a / 1000, "deposit 937 times .* are in TeV, not GeV, or the voxels are in keV, not MeV"),
        ("energy", lambda a: a * 1e-14, "one of them is no energy"),
    ],
)
def test_a_file_that_is_none_is_refused_in_one_sentence(files, name, value, message):
    change(files, name, value)

    with pytest.raises(DataError, match=message) as caught:
        load(files, path="gamma.hdf5", signal="chi.hdf5")
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("factor", [1000.0, 1e-3])
def test_the_option_that_a_message_names_converts(files, factor):
    plain = load(files, path="gamma.hdf5", signal="chi.hdf5")
    for part in ("gamma", "chi"):
        with h5py.File(files / f"{part}.hdf5", "a") as file:
            file["energy"][...] *= factor
    converted = load(files, path="gamma.hdf5", signal="chi.hdf5", energy_unit={1000.0: "MeV", 1e-3: "TeV"}[factor])

    assert converted.reference.m == pytest.approx(plain.reference.m, rel=1e-5)


def test_files_cut_short_missing_or_of_another_kind_are_refused(files):
    whole = (files / "gamma.hdf5").read_bytes()
    (files / "short.hdf5").write_bytes(whole[: len(whole) // 2])
    (files / "text.csv").write_text("a,b\n1,2\n")

    for name, message in (("short.hdf5", "damaged or cut short"), ("text.csv", "is not an HDF5 file"), ("none.hdf5", "There is no file")):
        with pytest.raises(DataError, match=message) as caught:
            load(files, path=name, signal="chi.hdf5")
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({}, ConfigError, "No file of showers is named"),
        ({"path": "gamma.hdf5"}, ConfigError, "none is known to be background"),
        ({"path": "gamma.hdf5", "signal": "chi.hdf5", "n_signal": 151}, DataError, "asks for 151 signal events, but there are 150"),
        ({"path": "gamma.hdf5", "signal": "chi.hdf5", "n_background": 401}, DataError, "asks for 401 background events, but there are 400"),
        ({"path": "gamma.hdf5", "reference": "known.hdf5", "n_reference": 401}, ConfigError, "asks for 401 showers, but there are 400"),
    ],
)
def test_options_that_do_not_fit_the_files_are_refused(files, options, error, message):
    with pytest.raises(error, match=message):
        load(files, **options)


def test_showers_without_energy_are_dropped_or_kept_and_counted(files):
    for i in range(3):
        change(files, f"layer_{i}", set_at(slice(4), 0.0))
    change(files, "energy", set_at(9, np.inf))
    options = {"path": "gamma.hdf5", "reference": "known.hdf5", "drop_invalid": True}
    dropped, kept = load(files, **options), load(files, **options, empty="keep")

    assert (len(dropped.events), dict(dropped.counts)) == (N - 5, {"dropped: NaN or infinite": 1, "dropped: deposits nothing": 4})
    assert (len(kept.events), dict(kept.counts)) == (N - 1, {"dropped: NaN or infinite": 1, "kept: deposits nothing": 4})
    assert set(range(4)) <= set(kept.events.row)
    assert np.isfinite(kept.events.m).all()


def test_memory_follows_the_features_and_not_the_file(tmp_path):
    """Twenty thousand showers of 504 voxels are 40 MB; read in portions and summed they need the 9 MB of the result, and one portion."""
    n, path = 20_000, tmp_path / "many.hdf5"
    part, _ = made_up(100, 5)
    write_calogan(path, np.tile(part, (n // 100, 1)), np.tile(made_up(100, 5)[1], n // 100))
    layout = Layout(
        "energy", {"layer_0": (3, 96), "layer_1": (12, 12), "layer_2": (12, 6)}, lambda v: pooled(v, FINE, COARSE), COARSE.names
    )
    tracemalloc.start()
    sample = read_showers(path, layout, CaloGanConfig(), Counter())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert sample.x.nbytes == n * 108 * 4
    assert peak < sample.x.nbytes + 4 * 4096 * 504 * 4
    assert sample.x[-1] == pytest.approx(pooled(part[-1:, :504], FINE, COARSE)[0], rel=1e-5)


def test_challenge_files_are_read_by_their_binning(tmp_path):
    options = dict(CaloChallenge.example(tmp_path))
    whole = CaloChallenge(CaloChallengeConfig(**options)).load(RunContext(seed=1))
    summed = CaloChallenge(CaloChallengeConfig(**options, pool=True)).load(RunContext(seed=1))
    with h5py.File(tmp_path / "photons.hdf5") as file:
        showers, energy = file["showers"][()], file["incident_energies"][:, 0]

    assert (len(whole.features), whole.features[3], whole.features[-1]) == (3 + 16 + 8, "L1_a0_r0", "L3_a3_r1")
    assert summed.features == ("L0_r0", "L0_r1", "L0_r2", "L1_r0", "L1_r1", "L1_r2", "L1_r3", "L3_r0", "L3_r1")
    assert summed.events.x[:, 3] == pytest.approx(whole.events.x[:, 3:19:4].sum(axis=1), rel=1e-5)
    assert summed.events.m == pytest.approx(whole.events.m, rel=1e-5)
    place = {np.float32(e / 1000): i for i, e in enumerate(energy)}
    known = [place[m] for m in whole.reference.m]
    assert whole.reference.x == pytest.approx(showers[known], rel=1e-5)


def test_a_binning_must_fit_the_showers(tmp_path):
    options = dict(CaloChallenge.example(tmp_path))
    text = (tmp_path / "binning.xml").read_text()
    (tmp_path / "binning.xml").write_text(text.replace('"0,20,60"', '"0,20,60,80"'))

    with pytest.raises(DataError, match=r"'showers' in .* have 27 voxels, shape \(27,\), where 31, shape \(31,\), are needed"):
        CaloChallenge(CaloChallengeConfig(**options)).load(RunContext(seed=1))
    with pytest.raises(ConfigError, match="geometry of the showers is not named"):
        CaloChallenge(CaloChallengeConfig(**{**options, "binning": ""})).load(RunContext(seed=1))


LAYER = '<Layer id="0" r_edges="0,5,10" n_bin_alpha="2"/>'


@pytest.mark.parametrize(
    ("text", "particle", "message"),
    [
        ("no xml", "", "is not an XML file"),
        ("<Bins/>", "", "describes no layers"),
        (f'<Bins><P name="photon">{LAYER}</P><P name="pion">{LAYER}</P></Bins>', "", "several particles: photon, pion"),
        (f'<Bins><P name="photon">{LAYER}</P></Bins>', "poton", "no particle 'poton'.*Did you mean 'photon'"),
        ('<Bins><P name="photon"><Layer id="0" r_edges="0,5"/></P></Bins>', "", "A layer of .* cannot be read: lacks 'n_bin_alpha'"),
        ('<Bins><P name="photon"><Layer id="0" r_edges="0,x" n_bin_alpha="2"/></P></Bins>', "", "cannot be read: could not convert"),
        ('<Bins><P name="photon"><Layer id="0" r_edges="0,5,5" n_bin_alpha="2"/></P></Bins>', "", "radii that do not grow"),
        ('<Bins><P name="photon"><Layer id="0" r_edges="0" n_bin_alpha="2"/></P></Bins>', "", "describes no layer with voxels"),
        (None, "", "no binning file"),
    ],
)
def test_a_binning_that_is_none_is_refused(tmp_path, text, particle, message):
    options = dict(CaloChallenge.example(tmp_path))
    path = tmp_path / "other.xml"
    if text is not None:
        path.write_text(text)

    with pytest.raises(AdtoolError, match=message) as caught:
        CaloChallenge(CaloChallengeConfig(**{**options, "binning": str(path), "particle": particle})).load(RunContext(seed=1))
    assert "\n" not in str(caught.value)
