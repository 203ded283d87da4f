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
    (tmp_path / "m.toml").write_text(BENCH)

    def run(*arguments):
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


def test_a_cell_that_needs_no_densities_does_not_fail_of_them(bench, monkeypatch):
    def fail(*_arguments, **_more):
        raise RunError("The background gives no density.", "Train longer.")

    monkeypatch.setattr(stages, "tabulate_densities", fail)

    ends, _, _ = bench()

    assert ends == {"cathode": "done", "anode": "failed"}
