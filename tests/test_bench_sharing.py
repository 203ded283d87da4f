"""What cells of a bench share: made again once, and no cell fails of what it does not need."""

import json

import pytest
from support.benches import QUICK, adtool

from adtoolkit import stages
from adtoolkit.errors import RunError

BENCH = f"""{QUICK.replace("4000", "8000")}
[metrics]
names = ["auc", "excess"]
[matrix]
estimator = ["sigma"]
scorer = ["cathode", "anode"]
"""


@pytest.fixture
def bench(tmp_path, monkeypatch):
    """Run it: what became of the cells, and when each stage of the cache was made."""
    monkeypatch.setenv("ADTOOLKIT_CACHE", str(tmp_path / "cache"))

    def run(*arguments, text=BENCH):
        (tmp_path / "m.toml").write_text(text)
        adtool(tmp_path / "m.toml", "--out", tmp_path / "out", *arguments)
        cells = json.loads((tmp_path / "out" / "bench.json").read_text())["cells"]
        made = {done.parent.parent.name + done.parent.name: done.stat().st_mtime_ns for done in (tmp_path / "cache").glob("*/*/DONE")}
        manifests = [json.loads(path.read_text()) for path in (tmp_path / "out").glob("runs/**/manifest.json")]
        return {cell["axes"]["scorer"]: cell["status"] for cell in cells}, made, manifests

    return run


def test_control_regions_too_are_made_again_and_once(bench):
    _, before, _ = bench()
    ends, after, manifests = bench("--overwrite", "always")

    assert ends == {"cathode": "done", "anode": "done"}
    assert sum(name.startswith("template") for name in before) == 2, "in the window, and beside it"
    assert before.keys() == after.keys()
    assert all(after[name] > before[name] for name in before)
    shared = [path for manifest in manifests for path, stage in manifest["stages"].items() if stage["reused"]]
    assert {path.partition("/")[0] for path in shared} <= {"fit", "template", "density"}, "made once, by whoever came first"


def test_a_cell_that_fails_where_all_is_computed_again_is_not_taken_for_done(bench, monkeypatch):
    from adtoolkit_sigma.estimator import Sigma

    def broken(self, train, val, ctx):
        raise ZeroDivisionError("by the test")

    before, _, _ = bench()
    monkeypatch.setattr(Sigma, "fit", broken)
    after, _, _ = bench("--overwrite", "always")

    assert (set(before.values()), set(after.values())) == ({"done"}, {"failed"})


def test_a_cell_that_needs_no_densities_does_not_fail_of_them(bench, monkeypatch):
    def fail(*_arguments, **_more):
        raise RunError("The background gives no density.", "Train longer.")

    monkeypatch.setattr(stages, "tabulate_densities", fail)

    ends, _, _ = bench()

    assert ends == {"cathode": "done", "anode": "failed"}


#: A model of the sidebands; no data lie in the control region from 4.05 to 4.65.
SIDEBANDS = BENCH.replace("sigma", "masked-cfm").replace("[matrix]\n", "[matrix]\nwindow = [[3.3, 3.9]]\n")


@pytest.mark.parametrize("more", [(), ("--stack", 3), ("--jobs", 2)])
def test_a_model_of_the_sidebands_is_trained_for_a_control_region_ahead_of_its_cells(bench, more, tmp_path):
    ends, made, manifests = bench(*more, text=SIDEBANDS)
    together = {json.loads(path.read_text()).get("together") for path in tmp_path.glob("cache/fit/*/meta.json")}

    assert ends == {"cathode": "done", "anode": "done"}
    assert sum(name.startswith("fit") for name in made) == 2, "for the window, and without 2.55 to 3.15"
    assert together == ({2} if "--stack" in more else {None})
    assert {manifest["trainings"] for manifest in manifests} == {0}
    assert sum("No control region from 4.05 to 4.65: The data have" in note for manifest in manifests for note in manifest["notes"]) == 1


def test_a_control_region_that_is_the_window_of_another_cell_shares_its_model(bench, tmp_path):
    windows = SIDEBANDS.replace("[[3.3, 3.9]]", "[[2.7, 3.1], [3.2, 3.6]]").replace('"anode"', '"likelihood"')
    _, made, manifests = bench(text=windows)

    assert len(manifests) == 4
    assert sum(name.startswith("fit") for name in made) == len(list(tmp_path.glob("out/fits/*.json"))) == 2, (
        "of other regions the data have few"
    )


def test_a_part_that_cannot_be_loaded_for_the_plan_ends_no_other_cell(bench, monkeypatch):
    from adtoolkit_anode.scorer import Anode

    def broken(self, config):
        raise ZeroDivisionError("by the test")

    monkeypatch.setattr(Anode, "__init__", broken)
    ends, _, _ = bench(text=SIDEBANDS)

    assert ends == {"cathode": "done", "anode": "failed"}


def test_a_training_that_fails_for_a_control_region_leaves_the_region_out_and_fails_no_cell(bench, monkeypatch):
    from adtoolkit_masked_cfm.estimator import MaskedCfm

    fit = MaskedCfm.fit

    def fails_there(self, train, val, ctx):
        if not ((train.m < 3.1) & (train.m > 2.6)).any():
            raise ZeroDivisionError("by the test")
        return fit(self, train, val, ctx)

    monkeypatch.setattr(MaskedCfm, "fit", fails_there)
    ends, _, manifests = bench(text=SIDEBANDS)

    assert ends == {"cathode": "done", "anode": "done"}
    assert any("No control region from 2.55 to 3.15:" in note for manifest in manifests for note in manifest["notes"])
