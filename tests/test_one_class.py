"""One-class work: no window, models of events known to be background, any legal scorer on top."""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from support.command import adtool

from adtoolkit.data.checks import check_cells
from adtoolkit.errors import DataError

pytestmark = pytest.mark.usefixtures("cache")

TOY = ["run", "--data", "toy-bump", "--no-window", "--preset", "smoke", "--device", "cpu", "--json", "--no-pictures"]


@pytest.mark.parametrize(
    ("scorer", "auc"), [(("likelihood",), 0.8), (("likelihood", "--set", "scorer.rank_bins=10"), 0.8), (("cathode",), 0.9)]
)
def test_a_model_of_the_reference_serves_any_scorer(scorer, auc, tmp_path):
    done = adtool(*TOY, "--estimator", "cathode", "--scorer", *scorer, "--out", tmp_path)
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout.splitlines()[-1])
    manifest = json.loads((Path(result["run"]) / "manifest.json").read_text())

    assert manifest["mix"]["region"] == "reference"
    assert result["metrics"]["auc"] > auc
    assert Path(result["run"]).parent.name == "toy-bump"


@pytest.mark.parametrize(
    ("data", "estimator", "scorer"),
    [
        ("calo-showers", "caloflow", ("cathode", "--set", "estimator.epochs=2", "--set", "estimator.energy_epochs=2")),
        ("toy-bump", "masked-cfm", ("likelihood", "--set", "data.n_background=300", "--set", "data.n_test=200")),
        ("bcal-showers", "cathode", ("likelihood", "--set", "estimator.steps=30")),
    ],
)
def test_parts_of_resonant_searches_and_of_one_class_work_mix(data, estimator, scorer, tmp_path):
    """Draws of showers for a classifier, flow matching as a likelihood, CATHODE's flow with a further condition."""
    window = ("--no-window",) if data == "toy-bump" else ()
    done = adtool(
        "run", "--data", data, *window, "--preset", "smoke", "--json", "--estimator", estimator, "--out", tmp_path, "--scorer", *scorer,
        "--set", "metrics.names=auc", "--set", "template.oversample=0.5",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout.splitlines()[-1])

    assert json.loads((Path(result["run"]) / "manifest.json").read_text())["mix"]["region"] == "reference"
    assert 0 <= result["metrics"]["auc"] <= 1


def test_a_run_without_window_is_repeated_from_its_file(tmp_path):
    first = adtool(*TOY, "--estimator", "cathode", "--scorer", "likelihood", "--out", tmp_path)
    run = json.loads(first.stdout.splitlines()[-1])["run"]
    again = adtool("run", "--config", f"{run}/config.toml", "--json")

    assert json.loads(again.stdout.splitlines()[-1])["run"] == run


def test_sidebands_without_a_window_are_refused_with_what_would_do(tmp_path):
    refused = adtool(*TOY, "--estimator", "rad-ot", "--out", tmp_path)
    blind = adtool(*TOY, "--estimator", "cathode", "--set", "data.n_reference=0", "--out", tmp_path)

    coarse = adtool(*TOY, "--estimator", "cathode", "--scorer", "likelihood", "--set", "scorer.rank_bins=1000", "--out", tmp_path)

    assert (refused.exit_code, blind.exit_code, coarse.exit_code) == (2, 2, 2)
    assert "1000 bins of m over" in coarse.output
    assert "--window LO HI" in refused.output
    assert "events outside the window (sideband) or events known to be background (reference)" in " ".join(blind.output.split())


def test_cells_may_be_constant_but_not_all_nor_undefined():
    x = np.zeros((200, 3), np.float32)
    x[:, 1] = np.arange(200)

    check_cells(x)
    with pytest.raises(DataError, match="are constant"):
        check_cells(x[:, :1])
    with pytest.raises(DataError, match="at least 100"):
        check_cells(x[:99])
    x[7, 0] = np.nan
    with pytest.raises(DataError, match="1 of 200 events have NaN"):
        check_cells(x)


def test_events_beyond_the_trained_conditions_are_flagged_counted_and_told_of(tmp_path):
    """Photons of 1 to 100 GeV are judged by a model that was trained on some of 1 to 100 GeV: a few reconstructed energies lie beyond."""
    done = adtool(
        "run", "--data", "calo-showers", "--estimator", "caloflow", "--preset", "smoke", "--json", "--out", tmp_path,
        "--set", "metrics.names=auc", "--set", "estimator.epochs=1", "--set", "estimator.energy_epochs=1",
    )  # fmt: skip
    result = json.loads(done.stdout.splitlines()[-1])
    with h5py.File(Path(result["run"]) / "scores.h5") as file:
        flagged = file["events/outside"][()]

    assert 0 < flagged.sum() < 0.1 * len(flagged)
    assert result["events"]["data outside the trained conditions"] == flagged.sum()
    assert any("extrapolated" in note for note in json.loads((Path(result["run"]) / "manifest.json").read_text())["notes"])
