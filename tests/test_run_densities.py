"""Searches by ratios of densities, whole, through the command line: what they leave, and that its parts agree."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from support.command import TOY, adtool

WINDOW = (3.3, 3.7)


def searched(out: Path, *options: object) -> dict:
    done = adtool(*TOY, "--estimator", "cathode", *options, "--out", out, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def residual(cache, tmp_path_factory):
    """R-ANODE at several signal fractions over CATHODE's flow."""
    return searched(tmp_path_factory.mktemp("residual"), "--scorer", "r-anode", "--set", "scorer.mode=scan", "--pictures")


@pytest.fixture(scope="module")
def ratios(residual):
    """log R of the data in the window, and the fold that each event was held out from."""
    run = Path(residual["run"])
    with h5py.File(run / "scores.h5") as file:
        m, score, fold = (file[f"events/{name}"][()] for name in ("m", "score", "fold"))
    inside = (m >= WINDOW[0]) & (m < WINDOW[1])
    return score[inside].astype(np.float64), fold[inside]


def own_fractions(found: dict, cache: Path) -> list[float]:
    """The signal fraction that each fold reports, in the order of the folds."""
    stages = json.loads((Path(found["run"]) / "manifest.json").read_text())["stages"]
    return [json.loads((cache / path / "summary.json").read_text())["w"] for path in stages if path.startswith("score/")]


def test_signal_fraction_and_q0_are_those_of_the_scores_of_events_that_no_fold_trained_on(residual, ratios):
    log_r, _ = ratios
    best = minimize_scalar(lambda w: -np.log1p(w * np.expm1(log_r)).sum(), bounds=(0, 0.9), method="bounded", options={"xatol": 1e-7})

    assert residual["metrics"]["signal-fraction"] == pytest.approx(best.x, abs=1e-4)
    assert residual["metrics"]["q0@exact-background"] == pytest.approx(-2 * best.fun, rel=1e-4)
    assert residual["metrics"]["signal-fraction"] > 0.02, "a tenth is signal"


def test_the_e_value_bets_on_each_fold_with_the_fraction_that_the_other_folds_found(residual, ratios, cache):
    log_r, fold = ratios
    own = own_fractions(residual, cache)
    products = [np.log1p(w * np.expm1(log_r[fold == k])).sum() for k, w in enumerate(own)]

    assert len(set(own)) == len(own) == 5
    assert residual["metrics"]["e-log10@exact-background"] == pytest.approx(
        (np.logaddexp.reduce(products) - np.log(5)) / np.log(10), rel=1e-5
    )


def test_the_learnt_signal_lies_in_the_window_and_is_told_and_drawn(residual):
    run = Path(residual["run"])
    with h5py.File(run / "signal.h5") as file:
        m, x = file["m"][()], file["x"][()]

    assert ((m > WINDOW[0]) & (m < WINDOW[1])).all()
    assert len(m) == len(x) > 1000
    assert np.isfinite(x).all()
    assert {"signal.png", "scan.png"} <= {path.name for path in run.iterdir()}
    assert residual["metrics"]["sic@1e-1"] > 1.2


def test_events_outside_the_window_have_no_score(residual):
    with h5py.File(Path(residual["run"]) / "scores.h5") as file:
        m, score = file["events/m"][()], file["events/score"][()]

    inside = (m >= WINDOW[0]) & (m < WINDOW[1])
    assert np.isfinite(score[inside]).all()
    assert np.isnan(score[~inside]).all()


def test_anode_finds_the_signal_over_the_same_background_without_another_training_of_it(residual, tmp_path):
    found = searched(tmp_path, "--scorer", "anode")

    assert found["trainings"] == 0
    assert found["metrics"]["auc"] > 0.6
    assert found["events"]["without background density"] == 0
    assert not any("control-bias" in name for name in found["metrics"])
    assert any("--set template.control=1" in note for note in found["notes"])


@pytest.mark.parametrize("scorer", ["anode", "r-anode"])
def test_a_ratio_of_densities_is_learnt_anew_in_control_regions_where_asked_for(residual, scorer, tmp_path):
    found = searched(tmp_path, "--scorer", scorer, "--set", "template.control=1", "--set", "scorer.folds=2")
    with h5py.File(Path(found["run"]) / "scores.h5") as file:
        m, score, template = (file[f"control/{name}"][()] for name in ("m", "score", "template_score"))

    stages = json.loads((Path(found["run"]) / "manifest.json").read_text())["stages"]
    kinds = [path.partition("/")[0] for path in stages]

    assert found["trainings"] in (0, 1), "the flow of the region, unless the other scorer's run has trained it"
    assert (kinds.count("template"), kinds.count("density"), kinds.count("score")) == (2, 2, 4)
    assert kinds.count("fit") == 2, "for the window and for the region"
    assert ((m >= 2.8) & (m < 3.2)).all()
    assert np.isfinite(score).all() & np.isfinite(template).all()
    assert len(template) == 4 * len(m) > 4 * 1000
    assert abs(found["metrics"]["control-bias@1e-1"]) < 0.6
    assert found["metrics"]["excess-z-corrected@1e-1"] <= found["metrics"]["excess-z@1e-1"]
    assert any("No control region from 3.8 to 4.2: The data have" in note for note in found["notes"])


@pytest.mark.parametrize(("estimator", "anew"), [("cathode", True), ("sigma", False)])
def test_a_model_of_the_sidebands_is_trained_anew_without_each_control_region_unless_told_not_to(cache, tmp_path, estimator, anew):
    search = [*TOY, "--estimator", estimator, "--scorer", "cathode", "--out", tmp_path, "--json"]
    refit, same = (json.loads(adtool(*search, *more).stdout.splitlines()[-1]) for more in ((), ("--set", "template.refit=false")))
    fits = [
        [path for path in json.loads((Path(found["run"]) / "manifest.json").read_text())["stages"] if path.startswith("fit/")]
        for found in (refit, same)
    ]

    assert [len(paths) for paths in fits] == [2 if anew else 1, 1]
    assert (refit["metrics"]["control-bias@1e-1"] != same["metrics"]["control-bias@1e-1"]) == anew
    assert refit["metrics"]["excess-z@1e-1"] == same["metrics"]["excess-z@1e-1"], "the search in the window is the same"


def test_pairs_across_the_window_are_made_anew_across_a_control_region(cache, tmp_path):
    done = adtool(*TOY, "--estimator", "rad-ot", "--scorer", "cathode", "--out", tmp_path, "--json")
    found = json.loads(done.stdout.splitlines()[-1])
    with h5py.File(Path(found["run"]) / "scores.h5") as file:
        m, fold, template_fold = (file[f"control/{name}"][()] for name in ("m", "fold", "template_fold"))

    assert found["trainings"] == 2, "for the window and for the region"
    assert ((m >= 2.8) & (m < 3.2)).all()
    assert set(fold) == set(template_fold) == set(range(5)), "groups of pairs are spread over the folds"
    assert abs(found["metrics"]["control-bias@1e-1"]) < 0.4
    assert any("In the control region from 2.8 to 3.2: rad-ot:" in note for note in found["notes"])
