"""A file is described, a search suggested that really loads, and a picture drawn."""

from __future__ import annotations

import json
import shlex
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from adtoolkit.cli.data import inspect
from adtoolkit.context import RunContext
from adtoolkit.data.config import DIJET_FEATURES, TableConfig
from adtoolkit.data.inspect import inspect_file
from adtoolkit.data.inspect_plot import draw
from adtoolkit.data.kinematics import JET_COLUMNS
from adtoolkit.data.table import Table
from adtoolkit.errors import CacheError, DataError

N = 500
UPSILON = Path(__file__).parents[3] / "shared" / "data" / "cms_ymumu_2011.csv"


@pytest.fixture
def table(tmp_path):
    rng = np.random.default_rng(0)
    columns = {
        "run": rng.integers(1, 9, N),
        "m_JJ": rng.uniform(2, 5, N),
        "a": rng.normal(size=N),
        "twin": np.empty(N),
        "flat": np.ones(N),
        "kind": rng.choice(["x", "y"], N),
        "is_signal": rng.integers(0, 2, N).astype(float),
        "b": rng.normal(size=N),
    }
    columns["twin"][:] = columns["a"]
    columns["b"][:7] = np.nan
    np.savez(tmp_path / "my events.npz", **columns)
    return tmp_path / "my events.npz"


def test_columns_are_described(table):
    found = inspect_file(table)
    info = {c.name: c for c in found.columns}

    assert (found.format, found.rows, len(found.columns)) == ("npz", N, 8)
    assert (info["b"].invalid, info["a"].invalid, info["kind"].dtype) == (7, 0, "text")
    assert info["flat"].constant
    assert info["run"].lo == 1
    assert info["run"].hi == 8


@pytest.mark.parametrize(("weights", "suggested"), [((0.5, 2), "evt_weight"), ((-1, 1), ""), ((1, 1), "")])
def test_weights_are_no_feature_and_suggested_if_they_can_be_used(tmp_path, weights, suggested):
    rng = np.random.default_rng(0)
    columns = {"m": rng.uniform(2, 5, N), "evt_weight": np.resize(weights, N).astype(float), "a": rng.normal(size=N)}
    np.savez(tmp_path / "e.npz", **columns)
    s = inspect_file(tmp_path / "e.npz").suggestion

    assert (s.features, s.weight) == (("a",), suggested)
    assert ("data.weight=evt_weight" in s.command) == bool(suggested)


def test_mass_features_and_truth_are_suggested(table):
    s = inspect_file(table).suggestion

    assert (s.data, s.mass, s.features, s.truth) == ("table", "m_JJ", ("a", "b"), "is_signal")
    assert 2 < s.window[0] < s.window[1] < 5


def options_of(command):
    words = shlex.split(command)
    return dict(word.removeprefix("data.").split("=", 1) for word in words if word.startswith("data."))


def test_the_suggested_command_loads_the_file(table):
    command = inspect_file(table).suggestion.command
    data = Table(TableConfig(**options_of(command))).load(RunContext(seed=0))

    assert command.startswith("adtool run --data table ")
    assert len(data.events) == N - 7
    assert data.features == ("a", "b")


@pytest.mark.skipif(not UPSILON.exists(), reason=f"{UPSILON.name} is not beside the checkout")
def test_the_mass_of_a_pair_is_suggested_as_a_formula():
    s = inspect_file(UPSILON).suggestion

    assert s.mass.startswith("M = sqrt((E1+E2)**2")
    assert [text.partition(" = ")[0] for text in s.features] == ["pt", "y"]
    assert len(Table(TableConfig(**options_of(s.command))).load(RunContext(seed=0)).events) == 20_000


def test_features_of_a_pair_are_how_it_moves(tmp_path):
    rng = np.random.default_rng(0)
    columns = {f"{name}{i}": rng.normal(0, 1, N) + (20 if name == "pt" else 0) for i in (1, 2) for name in ("pt", "eta", "phi")}
    np.savez(tmp_path / "pairs.npz", **columns)
    found = inspect_file(tmp_path / "pairs.npz")
    data = Table(TableConfig(**options_of(found.suggestion.command))).load(RunContext(seed=0))
    x, y = (sum(columns[f"pt{i}"] * f(columns[f"phi{i}"]) for i in (1, 2)) for f in (np.cos, np.sin))

    assert list(found.x) == ["pt", "pz"]
    assert found.x["pt"] == pytest.approx(np.hypot(x, y))
    assert data.features == ("pt", "pz")


def jets(rng, label=True):
    columns = {name: rng.normal(0, 1000, N) if name.startswith("p") else rng.random(N) for name in JET_COLUMNS}
    return columns | ({"label": rng.integers(0, 2, N)} if label else {})


def test_the_layout_of_the_olympics_is_recognised(tmp_path):
    np.savez(tmp_path / "e.npz", **jets(np.random.default_rng(0)))
    np.savez(tmp_path / "u.npz", **jets(np.random.default_rng(0), label=False))
    found, unlabelled = inspect_file(tmp_path / "e.npz").suggestion, inspect_file(tmp_path / "u.npz").suggestion

    assert (found.data, found.features, found.truth) == ("lhco", DIJET_FEATURES, "label")
    assert "from the momenta and masses of the two jets" in found.mass
    assert found.command == f"adtool run --data lhco --set data.path={tmp_path}/e.npz"
    assert unlabelled.command == f"adtool run --data dijets --set data.path={tmp_path}/u.npz"


def test_arrays_of_cathode_are_recognised(tmp_path):
    rng = np.random.default_rng(0)
    np.save(tmp_path / "e.npy", np.column_stack([rng.random((N, 5)), rng.integers(0, 2, N)]))
    np.save(tmp_path / "u.npy", rng.random((N, 5)))

    s = inspect_file(tmp_path / "e.npy").suggestion
    assert (s.data, s.features) == ("lhco", DIJET_FEATURES[:4])
    with pytest.raises(DataError, match="without names for its columns"):
        inspect_file(tmp_path / "u.npy")


def test_a_file_without_a_mass_says_so(tmp_path):
    np.savez(tmp_path / "e.npz", a=np.random.default_rng(0).random(N), b=np.arange(N))
    result = CliRunner().invoke(inspect, [str(tmp_path / "e.npz"), "--no-picture"], catch_exceptions=False)

    assert "mass      no column was recognised" in result.output
    assert "--set data.mass=M" in result.output


def test_the_picture_shows_m_and_every_feature(table):
    image = __import__("matplotlib.image", fromlist=["imread"]).imread(BytesIO(draw(inspect_file(table))))

    assert image.shape[0] > 400
    assert image.shape[1] > 800
    assert len(np.unique(image.reshape(-1, image.shape[2]), axis=0)) > 20


def test_the_command_prints_columns_suggestion_and_picture(table, tmp_path):
    out = tmp_path / "p.png"
    result = CliRunner().invoke(inspect, [str(table), "--out", str(out)], catch_exceptions=False)

    assert out.read_bytes().startswith(b"\x89PNG")
    assert [word in result.output for word in ("m_JJ", "constant", "is_signal", "adtool run --data table", str(out))] == [True] * 5


def test_json_is_one_object(table, tmp_path):
    result = CliRunner().invoke(inspect, [str(table), "--json", "--no-picture"], catch_exceptions=False)
    found = json.loads(result.stdout)

    assert (found["rows"], found["suggestion"]["mass"], found["picture"]) == (N, "m_JJ", None)
    assert found["columns"][-1] == {"name": "b", "dtype": "float64", "invalid": 7, "constant": False} | {
        k: found["columns"][-1][k] for k in ("min", "max")
    }


def test_a_picture_that_cannot_be_written_is_one_clear_line(table, tmp_path):
    with pytest.raises(CacheError, match="Cannot write"):
        CliRunner().invoke(inspect, [str(table), "--out", str(table / "p.png")], catch_exceptions=False)


def test_an_empty_table_is_described_without_a_suggestion(tmp_path):
    (tmp_path / "e.csv").write_text("m,a\n")
    found = inspect_file(tmp_path / "e.csv")

    assert found.rows == 0
    assert draw(found).startswith(b"\x89PNG")
