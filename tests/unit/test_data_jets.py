"""Dijets: features against slow kinematics, official files, extra background, CATHODE's arrays, bad values."""

from __future__ import annotations

import math
from pathlib import Path

import h5py
import numpy as np
import pytest

from adtoolkit.context import RunContext
from adtoolkit.data.config import DIJET_FEATURES, DijetsConfig, LhcoConfig
from adtoolkit.data.dijets import Dijets
from adtoolkit.data.jet_files import read_jets
from adtoolkit.data.kinematics import FEATURES, JET_COLUMNS, dijet_features, dijet_mass
from adtoolkit.data.lhco import Lhco
from adtoolkit.errors import ConfigError, DataError, UnknownNameError

SHARED = Path(__file__).parents[3] / "shared" / "data"
REAL = SHARED / "lhco_rnd_v1_100k.features.h5"
needs_real = pytest.mark.skipif(not REAL.exists(), reason=f"{REAL.name} is not beside the checkout")


def make_jets(n, seed=0):
    """Columns of the official layout (GeV) with plausible values."""
    rng = np.random.default_rng(seed)
    columns = {}
    for j in (1, 2):
        pt, eta, phi = 1200 + rng.exponential(300, n), rng.normal(0, 0.7, n), rng.uniform(-math.pi, math.pi, n)
        columns |= {f"pxj{j}": pt * np.cos(phi), f"pyj{j}": pt * np.sin(phi), f"pzj{j}": pt * np.sinh(eta), f"mj{j}": rng.gamma(2, 70, n)}
        tau = np.sort(rng.random((n, 3)), axis=1)
        columns |= {f"tau{k}j{j}": tau[:, 3 - k] for k in (1, 2, 3)}
    return columns | {"label": (rng.random(n) < 0.2).astype(float)}


def write_official(path, columns, label_block=False):
    """pandas 'fixed' HDF5 under the key df; optionally with the labels as a block of integers of their own."""
    blocks = [[n for n in columns if n != "label"], ["label"]] if label_block and "label" in columns else [list(columns)]
    with h5py.File(path, "w") as file:
        group = file.create_group("df")
        group["axis0"] = np.array([n.encode() for n in columns])
        for i, names in enumerate(blocks):
            values = np.column_stack([columns[n] for n in names])
            group[f"block{i}_items"] = np.array([n.encode() for n in names])
            group[f"block{i}_values"] = values.astype(np.int64) if names == ["label"] else values
            group[f"block{i}_values"].attrs["transposed"] = np.uint8(1)
    return path


def slow(row, name):
    """One feature of one event in plain Python."""
    order = (1, 2) if row["mj1"] <= row["mj2"] else (2, 1)
    light, heavy = order
    if name == "delta_r":
        eta = [math.asinh(row[f"pzj{j}"] / math.hypot(row[f"pxj{j}"], row[f"pyj{j}"])) for j in order]
        phi = [math.atan2(row[f"pyj{j}"], row[f"pxj{j}"]) for j in order]
        around = math.remainder(phi[0] - phi[1], 2 * math.pi)
        return math.hypot(eta[0] - eta[1], around)
    if name == "delta_mj":
        return (row[f"mj{heavy}"] - row[f"mj{light}"]) / 1000
    jet = order[int(name[-1]) - 1]
    if name.startswith("mj"):
        return row[f"mj{jet}"] / 1000
    if len(name) == 7:
        return row[f"tau{name[3]}j{jet}"] / (row[f"tau{name[4]}j{jet}"] + 1e-5)
    return row[f"tau{name[3]}j{jet}"]


@pytest.mark.parametrize("name", sorted(FEATURES))
def test_each_feature_equals_its_definition_event_by_event(name):
    columns = make_jets(50)
    fast = dijet_features(columns, [name])[name]

    expected = [slow({k: v[i] for k, v in columns.items()}, name) for i in range(50)]
    assert fast == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_the_mass_is_that_of_the_sum_of_both_jets():
    columns = make_jets(50)
    for i, m in enumerate(dijet_mass(columns)):
        p = [[columns[f"{a}j{j}"][i] for a in ("px", "py", "pz", "m")] for j in (1, 2)]
        energy = sum(math.sqrt(sum(v * v for v in jet)) for jet in p)
        p2 = sum((p[0][k] + p[1][k]) ** 2 for k in range(3))
        assert m == pytest.approx(math.sqrt(energy**2 - p2) / 1000, rel=1e-9)


def load(cls, config, seed=0):
    return cls(config).load(RunContext(seed=seed))


@pytest.mark.parametrize("label_block", [False, True])
def test_an_official_file_gives_mass_features_and_truth(tmp_path, label_block):
    columns = make_jets(1_000)
    path = write_official(tmp_path / "e.h5", columns, label_block)

    data = load(Lhco, LhcoConfig(path=str(path), n_signal=30))

    assert (data.features, data.mass, data.unit) == (DIJET_FEATURES, "mjj", "TeV")
    assert int(data.events.truth.sum()) == 30
    assert sorted(np.concatenate([data.events.m, data.test.m])) == pytest.approx(sorted(dijet_mass(columns)), rel=1e-6)


def test_features_can_be_chosen_in_any_order(tmp_path):
    path = write_official(tmp_path / "e.h5", make_jets(500))

    data = load(Lhco, LhcoConfig(path=str(path), n_signal=None, features="tau32j2,mj1"))

    assert data.features == ("tau32j2", "mj1")
    assert data.events.x.shape == (500, 2)
    with pytest.raises(UnknownNameError, match=r"no feature 'tau21'.*Did you mean 'tau2"):
        load(Lhco, LhcoConfig(path=str(path), features="tau21"))


def test_events_without_defined_ratios_are_dropped_and_counted(tmp_path):
    columns = make_jets(500)
    columns["tau1j1"][:5] = 0.0
    columns["tau1j2"][3:8] = 0.0
    columns["tau2j2"][10:13] = 0.0
    path = write_official(tmp_path / "e.h5", columns)

    default = load(Lhco, LhcoConfig(path=str(path), n_signal=None))
    masses = load(Lhco, LhcoConfig(path=str(path), n_signal=None, features="mj1,delta_mj"))
    tau32 = load(Lhco, LhcoConfig(path=str(path), n_signal=None, features="mj1,tau32j1"))

    assert dict(default.counts) == {"dropped: tau1 = 0": 8}
    assert len(default.events) == 492
    assert masses.events.m.tolist() == default.events.m.tolist()
    assert dict(tau32.counts) == {"dropped: tau1 = 0": 8, "dropped: tau2 = 0": 3}


def test_masses_below_zero_by_rounding_are_clipped_and_really_negative_ones_refused(tmp_path):
    columns = make_jets(500)
    columns["mj1"][7] = -2e-5
    data = load(Lhco, LhcoConfig(path=str(write_official(tmp_path / "e.h5", columns)), n_signal=None))
    columns["mj1"][7] = -5.0
    path = write_official(tmp_path / "f.h5", columns)

    assert dict(data.counts) == {"clipped: mj1 below zero by rounding": 1}
    assert data.events.x[:, 0].min() == 0
    with pytest.raises(DataError, match="'mj1' is negative in 1 of 500 events, down to -5"):
        load(Lhco, LhcoConfig(path=str(path)))


def test_a_negative_tau_is_refused(tmp_path):
    columns = make_jets(500)
    columns["tau2j2"][9] = -0.2
    with pytest.raises(DataError, match="'tau2j2' is negative in 1 of 500"):
        load(Lhco, LhcoConfig(path=str(write_official(tmp_path / "e.h5", columns))))


def test_invalid_values_are_refused_or_dropped_and_counted(tmp_path):
    columns = make_jets(500)
    columns["pxj1"][:4] = np.nan
    columns["tau3j2"][4] = np.inf
    path = str(write_official(tmp_path / "e.h5", columns))

    with pytest.raises(DataError, match=r"5 of 500 events .*4 in 'pxj1', 1 in 'tau3j2'"):
        load(Lhco, LhcoConfig(path=path))
    data = load(Lhco, LhcoConfig(path=path, drop_invalid=True, n_signal=None))
    assert dict(data.counts) == {"dropped: NaN or infinite": 5}
    assert len(data.events) == 495


def test_extra_background_becomes_reference_and_test_only(tmp_path):
    extra = make_jets(300, seed=9)
    del extra["label"]
    path = write_official(tmp_path / "e.h5", make_jets(1_000))
    extra_path = write_official(tmp_path / "x.h5", extra)

    data = load(Lhco, LhcoConfig(path=str(path), extra=str(extra_path), n_signal=20, n_reference=200))

    known = set(dijet_mass(extra).astype(np.float32).tolist())
    assert len(data.reference) == 200
    assert int((data.test.truth == 0).sum()) == 100
    assert known == set(data.reference.m.tolist()) | set(data.test.m[data.test.truth == 0].tolist())
    assert not known & set(data.events.m.tolist())


def test_extra_background_with_signal_in_it_is_refused(tmp_path):
    path = str(write_official(tmp_path / "e.h5", make_jets(1_000)))
    with pytest.raises(DataError, match=r"holds \d+ signal events"):
        load(Lhco, LhcoConfig(path=path, extra=path))


def test_a_file_of_another_layout_names_what_it_lacks(tmp_path):
    np.savez(tmp_path / "e.npz", m=np.zeros(3), pt=np.zeros(3))
    with pytest.raises(DataError, match=r"lacks the columns 'pxj1', 'pyj1', 'pzj1', 'mj1' and 10 more and has 'm', 'pt'.*--data table"):
        load(Lhco, LhcoConfig(path=str(tmp_path / "e.npz")))


def test_a_file_without_labels_is_refused(tmp_path):
    columns = make_jets(300)
    del columns["label"]
    with pytest.raises(DataError, match="no column 'label'"):
        load(Lhco, LhcoConfig(path=str(write_official(tmp_path / "e.h5", columns))))


def test_without_a_file_the_download_is_used_or_asked_for(tmp_path, monkeypatch):
    monkeypatch.setenv("ADTOOLKIT_CACHE", str(tmp_path))
    with pytest.raises(DataError, match="adtool data fetch lhco"):
        load(Lhco, LhcoConfig())
    (tmp_path / "downloads").mkdir()
    write_official(tmp_path / "downloads" / "events_anomalydetection_v2.features.h5", make_jets(900))
    assert len(load(Lhco, LhcoConfig(n_signal=None)).events) == 900


def cathode_rows(n, signal, seed, width=4):
    rng = np.random.default_rng(seed)
    return np.column_stack([rng.uniform(2, 5, n), rng.random((n, width)), np.arange(n) < signal]).astype(np.float64)


def test_a_folder_of_cathode_arrays_keeps_its_own_splits(tmp_path):
    rows = {
        "outerdata_train": (500, 5),
        "outerdata_val": (300, 3),
        "innerdata_train": (200, 20),
        "innerdata_val": (200, 22),
        "innerdata_test": (90, 30),
        "innerdata_extrasig_train": (40, 40),
        "innerdata_extrabkg_train": (60, 0),
        "innerdata_extrabkg_test": (50, 0),
        "samples": (70, 0),
    }
    for seed, (name, (n, signal)) in enumerate(rows.items()):
        np.save(tmp_path / f"{name}.npy", cathode_rows(n, signal, seed))

    data = load(Lhco, LhcoConfig(path=str(tmp_path), n_signal=None))
    some = load(Lhco, LhcoConfig(path=str(tmp_path), n_signal=10, features="tau21j1,mj1"))

    assert data.features == DIJET_FEATURES[:4]
    assert (len(data.events), int(data.events.truth.sum())) == (1_200, 50)
    assert len(data.reference) == 55
    assert (len(data.test), int(data.test.truth.sum())) == (90 + 40 + 55, 30 + 40)
    assert int(some.events.truth.sum()) == 10
    assert some.features == ("tau21j1", "mj1")


def test_a_single_cathode_array_is_all_data(tmp_path):
    path = tmp_path / "innerdata_test.npy"
    np.save(path, cathode_rows(400, 50, 0, width=5))

    data = load(Lhco, LhcoConfig(path=str(path), n_signal=25))

    assert data.features == DIJET_FEATURES
    assert (len(data.events), len(data.test)) == (375, 25)
    with pytest.raises(UnknownNameError, match="no feature 'tau32j1'"):
        load(Lhco, LhcoConfig(path=str(path), features="tau32j1"))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (np.zeros((10, 3)), r"shape \(10, 3\)"),
        (np.zeros(10), r"shape \(10,\)"),
        (np.full((10, 6), 0.5), "must be 0 or 1"),
        (np.full((10, 6), np.nan), "NaN or infinite"),
    ],
)
def test_arrays_of_another_kind_are_refused(tmp_path, rows, message):
    np.save(tmp_path / "e.npy", rows)
    with pytest.raises(DataError, match=message):
        load(Lhco, LhcoConfig(path=str(tmp_path / "e.npy")))


def test_a_folder_without_data_says_what_it_holds(tmp_path):
    np.save(tmp_path / "innerdata_test.npy", cathode_rows(400, 50, 0))
    with pytest.raises(DataError, match=r"holds no data arrays.*innerdata_test.npy"):
        load(Lhco, LhcoConfig(path=str(tmp_path)))


def test_dijets_join_files_of_background_and_signal(tmp_path):
    for name, seed in (("qcd", 1), ("more", 2), ("signal", 3)):
        columns = make_jets(400, seed)
        np.savez(
            tmp_path / f"{name}.npz", events=np.column_stack([columns[n] for n in JET_COLUMNS]).astype(np.float32), columns=JET_COLUMNS
        )
    paths = f"{tmp_path}/qcd.npz,{tmp_path}/more.npz"

    data = load(Dijets, DijetsConfig(path=paths, signal=str(tmp_path / "signal.npz"), n_signal=100, n_background=700))

    assert (len(data.events), int(data.events.truth.sum())) == (800, 100)
    assert (len(data.reference), len(data.test)) == (50, 50 + 300)
    with pytest.raises(ConfigError, match=r"data\.path names none of background"):
        load(Dijets, DijetsConfig(signal=str(tmp_path / "signal.npz")))


@needs_real
def test_real_olympics_events_have_the_published_counts():
    """Background and signal per mass range of the first 100,000 R&D events, less the 12 without defined ratios."""
    counts: dict[str, int] = {}
    events = read_jets(REAL, DIJET_FEATURES, False, counts)
    table = [np.histogram(events.m[events.truth == y], [0, 2.7, 3.3, 3.7, 4.3, 20])[0].tolist() for y in (0, 1)]

    assert table == [[26261, 35771, 12879, 9698, 6321], [141, 1138, 6908, 819, 52]]
    assert counts["dropped: tau1 = 0"] == 12


@needs_real
def test_a_truncated_olympics_file_is_one_clear_error(tmp_path):
    content = REAL.read_bytes()
    (tmp_path / "cut.h5").write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match="damaged or cut short"):
        load(Lhco, LhcoConfig(path=str(tmp_path / "cut.h5")))


SAMPLES = Path(__file__).parents[2] / "adtoolkit" / "data" / "samples"


@pytest.mark.skipif(not list(SAMPLES.glob("*.h5")), reason="the shipped sample is not in this checkout")
def test_the_shipped_sample_is_the_default_with_a_signal_worth_finding():
    data = load(Dijets, DijetsConfig())
    inside = (data.events.m > 3.3) & (data.events.m < 3.7)
    signal, background = (int((inside & (data.events.truth == y)).sum()) for y in (1, 0))

    assert data.features == DIJET_FEATURES
    assert len(data.events) > 100_000
    assert 2.5 < signal / background**0.5 < 3.6
