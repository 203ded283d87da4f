"""Whole runs through the command line, on the closed-form toy."""

import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from support.command import TOY, adtool


@pytest.fixture(scope="module")
def base(cache, tmp_path_factory):
    """The run that the others are compared with."""
    out = tmp_path_factory.mktemp("base")
    done = adtool(*TOY, "--estimator", "sigma", "--scorer", "cathode", "--seed", 1, "--out", out, "--json", "--pictures")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout.splitlines()[-1])


def test_json_is_one_object_with_the_promised_keys(base):
    assert set(base) >= {"status", "run", "metrics", "events", "times"}
    assert base["status"] == "done"
    for name in ("auc", "sic@1e-1", "max-sic", "closure-auc"):
        assert base["metrics"][f"{name}-lo"] <= base["metrics"][name] <= base["metrics"][f"{name}-hi"]


def test_the_search_finds_the_toy_signal(base):
    assert base["metrics"]["sic@1e-1"] > 1.5
    assert base["metrics"]["auc"] > 0.7


def test_run_folder_holds_what_is_promised(base):
    run = Path(base["run"])
    manifest = json.loads((run / "manifest.json").read_text())

    assert {p.name for p in run.iterdir()} >= {"config.toml", "manifest.json", "events.jsonl", "metrics.json", "scores.h5", "background.h5"}
    assert json.loads((run / "metrics.json").read_text()) == base["metrics"]
    assert (manifest["status"], manifest["trainings"]) == ("done", 1)
    assert list(run.glob("*.png"))
    assert not (run / "error.txt").exists()
    with h5py.File(run / "scores.h5") as file:
        assert len(file["events/score"]) == base["events"]["data"]
        assert file["test/score"].shape[1] == 5
        assert np.isfinite(file["events/score"][()]).all()
        for kind in ("", "template_"):
            assert np.isfinite(file[f"control/{kind}score"][()]).all() & (np.abs(file[f"control/{kind}m"][()] - 3.5) > 0.3).all()
    assert {"control-bias@1e-2", "excess-z-corrected@1e-2"} <= set(base["metrics"])
    with h5py.File(run / "background.h5") as file:
        assert ((file["m"][()] > 3.3) & (file["m"][()] < 3.7)).all()


def test_the_same_command_reuses_everything_and_gives_the_same_numbers(base, tmp_path):
    again = adtool(*TOY, "--estimator", "sigma", "--scorer", "cathode", "--seed", 1, "--out", tmp_path, "--json")
    told = json.loads(again.stdout.splitlines()[-1])

    assert told["metrics"] == base["metrics"]
    assert told["trainings"] == 0
    assert not list(Path(told["run"]).glob("*.png")), "it was asked for none"


def test_the_resolved_configuration_repeats_the_run_bit_for_bit_on_an_empty_cache(base, tmp_path, monkeypatch):
    monkeypatch.setenv("ADTOOLKIT_CACHE", str(tmp_path / "cache"))
    again = adtool("run", "--config", Path(base["run"]) / "config.toml", "--out", tmp_path, "--json")
    told = json.loads(again.stdout.splitlines()[-1])

    assert told["trainings"] == 1
    assert told["metrics"] == base["metrics"]


def test_another_seed_gives_other_numbers_from_the_same_events_if_the_data_seed_is_kept(base, tmp_path):
    other = adtool(*TOY, "--seed", 2, "--set", "data.seed=1", "--out", tmp_path, "--json")
    told = json.loads(other.stdout.splitlines()[-1])

    assert told["events"]["signal in window"] == base["events"]["signal in window"]
    assert told["metrics"]["auc"] != base["metrics"]["auc"]


def test_one_training_serves_another_window_and_another_interpolator(base, tmp_path):
    shifted = adtool(*TOY, "--seed", 1, "--window", 3.2, 3.6, "--out", tmp_path, "--json")
    linear = adtool(*TOY, "--seed", 1, "--interpolator", "linear", "--out", tmp_path, "--json")

    assert [json.loads(r.stdout.splitlines()[-1])["trainings"] for r in (shifted, linear)] == [0, 0]


def test_truth_labels_do_not_enter_a_blind_search(base, tmp_path):
    """Swapping the labels of the data leaves every stage in the cache valid: no key, so no number before the metrics, knows them."""
    from adtoolkit.data.toy_bump import ToyBump

    load = ToyBump.load

    def swapped(self, ctx):
        from dataclasses import replace

        data = load(self, ctx)
        return replace(data, events=replace(data.events, truth=1 - data.events.truth))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ToyBump, "load", swapped)
        done = adtool(*TOY, "--seed", 1, "--overwrite", "only-cache", "--out", tmp_path, "--json")
    assert done.exit_code == 0, done.output
    with (
        h5py.File(Path(json.loads(done.stdout.splitlines()[-1])["run"]) / "scores.h5") as a,
        h5py.File(Path(base["run"]) / "scores.h5") as b,
    ):
        np.testing.assert_array_equal(a["events/score"][()], b["events/score"][()])


@pytest.mark.parametrize("scorer", ["supervised", "idealised", "cwola", "random"])
def test_reference_scorers_run_without_an_estimator(cache, tmp_path, scorer):
    done = adtool(*TOY, "--estimator", "none", "--scorer", scorer, "--seed", 1, "--out", tmp_path, "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout.splitlines()[-1])

    assert told["trainings"] == 0
    if scorer == "random":
        assert told["metrics"]["auc-lo"] - 0.02 < 0.5 < told["metrics"]["auc-hi"] + 0.02
    else:
        assert told["metrics"]["auc"] > 0.6


def test_likelihood_scores_with_one_fit_and_no_folds(cache, tmp_path):
    few = ["--set", "estimator.steps=20"]
    done = adtool(*TOY, "--estimator", "cathode", *few, "--scorer", "likelihood", "--out", tmp_path, "--json")
    assert done.exit_code == 0, done.output
    with h5py.File(Path(json.loads(done.stdout.splitlines()[-1])["run"]) / "scores.h5") as file:
        assert file["test/score"].shape[1] == 1


def test_a_tampered_cache_entry_is_computed_again_and_said(base, cache, tmp_path):
    shutil.copytree(cache, tmp_path / "cache")
    own = json.loads((Path(base["run"]) / "manifest.json").read_text())["stages"]
    entry = next(file for stage in own if (file := tmp_path / "cache" / stage / "template.h5").exists())
    entry.write_bytes(entry.read_bytes()[:-1] + b"x")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ADTOOLKIT_CACHE", str(tmp_path / "cache"))
        done = adtool(*TOY, "--seed", 1, "--out", tmp_path / "runs", "--json")
        linear = adtool(*TOY, "--seed", 1, "--interpolator", "linear", "--out", tmp_path / "runs", "--json")
        shifted = adtool(*TOY, "--seed", 1, "--window", 3.2, 3.6, "--out", tmp_path / "runs", "--json")
    told = [json.loads(r.stdout.splitlines()[-1]) for r in (done, linear, shifted)]

    assert sum("did not match its checksums" in " ".join(t["notes"]) for t in told) == 1
    assert told[0]["metrics"] == base["metrics"]


def test_force_computes_a_stage_and_what_follows_again(base, tmp_path):
    done = adtool(*TOY, "--seed", 1, "--force", "template", "--out", tmp_path, "--json")
    told = json.loads(done.stdout.splitlines()[-1])
    manifest = json.loads((Path(told["run"]) / "manifest.json").read_text())

    assert (manifest["trainings"], manifest["scorer_trainings"]) == (0, 10), "5 folds in the window, 5 below it; above it are few events"
    assert told["metrics"] == base["metrics"]


def test_the_final_table_names_metrics_with_intervals_events_times_and_folder(base, tmp_path):
    done = adtool(*TOY, "--seed", 1, "--out", tmp_path)

    for word in ("auc", "68 % interval", " to ", "signal in window", "template", "scor", "cpu", str(tmp_path)):
        assert word in done.output
    lines = [" ".join(line.split()) for line in done.output.splitlines()]
    assert lines[0].endswith("on toy-bump, preset smoke")
    assert lines[1].startswith("read data toy-bump")
    assert any(line.endswith("from the cache") for line in lines)
    assert "from the cache;" in done.output


@pytest.fixture
def unlabelled(tmp_path):
    """Options that search a table without truth, and its masses; column ``w`` is 0 for signal, 1 for background."""
    rng = np.random.default_rng(0)
    m, w = 2.5 + rng.exponential(0.6, 6000), np.ones(6000)
    x = rng.normal(size=(6000, 2)) + 0.3 * m[:, None]
    m[:150], x[:150], w[:150] = rng.normal(3.5, 0.05, 150), rng.normal(2.5, 0.2, (150, 2)), 0
    keep = m < 5
    np.savetxt(tmp_path / "t.csv", np.column_stack([m, x, w])[keep], delimiter=",", header="m,a,b,w", comments="")
    table = ["--data", "table", "--set", f"data.path={tmp_path / 't.csv'}", "--set", "data.mass=m", "--set", "data.features=a,b"]
    return [*table, "--preset", "smoke", "--window", 3.3, 3.7, "--out", tmp_path, "--json"], m[keep]


def test_a_search_without_truth_tells_its_excess(cache, unlabelled):
    options, m = unlabelled
    done = adtool("run", *options)
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout.splitlines()[-1])

    with h5py.File(Path(told["run"]) / "scores.h5") as file:
        np.testing.assert_allclose(file["events/m"][()], m[file["events/row"][()]], rtol=1e-6)
    assert told["metrics"]["excess-z@1e-1"] > 3
    assert told["metrics"]["observed@1e-1"] > told["metrics"]["expected@1e-1-hi"]
    assert told["skipped"]["auc"] == "needs truth"


def test_a_signal_of_weight_zero_is_not_there(cache, unlabelled):
    options, _ = unlabelled
    done = adtool("run", *options, "--set", "data.weight=w")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout.splitlines()[-1])

    with h5py.File(Path(told["run"]) / "scores.h5") as file:
        inside = (file["events/m"][()] > 3.3) & (file["events/m"][()] < 3.7)
        assert told["metrics"]["expected@1e-1"] == pytest.approx(0.1 * file["events/weight"][()][inside].sum())
    assert told["metrics"]["excess-z@1e-1"] < 2


def test_the_negative_control_says_so(base, tmp_path):
    done = adtool(*TOY, "--seed", 1, "--interpolator", "v-data", "--out", tmp_path, "--json")

    assert "negative control" in " ".join(json.loads(done.stdout.splitlines()[-1])["notes"])


def test_a_repetition_that_is_refused_leaves_the_finished_run_as_it_was(base, tmp_path, monkeypatch):
    shutil.copytree(Path(base["run"]).parent.parent, tmp_path / "runs")
    run = tmp_path / "runs" / Path(base["run"]).relative_to(Path(base["run"]).parent.parent)
    before = {name: (run / name).read_bytes() for name in ("manifest.json", "metrics.json", "events.jsonl")}
    monkeypatch.setenv("ADTOOLKIT_CACHE", str(tmp_path / "empty"))
    done = adtool("run", "--config", run / "config.toml", "--out", tmp_path / "runs", "--overwrite", "only-cache")

    assert done.exit_code == 2
    assert {name: (run / name).read_bytes() for name in before} == before
    assert not (run / "error.txt").exists()


def test_after_a_forced_fit_no_other_mix_reuses_what_came_from_the_old_model(tmp_path, monkeypatch):
    """Keys of templates and scores name the content of the model, not the recipe."""
    from adtoolkit_sigma.estimator import Sigma

    monkeypatch.setenv("ADTOOLKIT_CACHE", str(tmp_path / "cache"))
    few = ["--set", "estimator.steps=20", "--set", "metrics.names=auc"]

    def search(*more):
        done = adtool(*TOY, *few, "--out", tmp_path / "runs", "--json", *more)
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout.splitlines()[-1])

    old = search("--interpolator", "linear")
    fit = Sigma.fit

    def other(self, train, val, ctx):
        from dataclasses import replace

        return fit(self, train, val, replace(ctx, seed=99))

    monkeypatch.setattr(Sigma, "fit", other)
    search("--interpolator", "context", "--force", "fit")
    new = search("--interpolator", "linear")

    assert new["trainings"] == 0
    assert new["metrics"]["auc"] != old["metrics"]["auc"]
