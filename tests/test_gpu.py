"""Whole runs on a GPU: every estimator and scorer does its work there, twice alike, and about as on the CPU."""

import json
import math

import pytest
import torch
from support.command import adtool

from adtoolkit.registry import default_registry

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")]

#: Tried in this order: the first that a mix can run on.
DATA = (["toy-bump"], ["toy-bump", "--no-window"], ["calo-showers"])
#: The template events of a file need a file, and nobody is a model.
PARTS = [(kind, name) for kind in ("estimator", "scorer") for name in default_registry().names(kind) if name not in ("none", "samples")]


def mix_with(kind, name):
    """Options of a mix of a part with the usual other one: a classifier for an estimator."""
    for data in DATA:
        for other in ([], ["--scorer", "cathode"], ["--scorer", "mutability"]) if kind == "estimator" else ([],):
            mix = ["--data", *data, f"--{kind}", name, *other]
            if adtool("plan", *mix).exit_code == 0:
                return mix
    raise AssertionError(f"No mix with {kind} {name} can run.")


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs a mix on a device, with an empty cache, and gives its metrics."""

    def do(mix, device, place):
        monkeypatch.setenv("ADTOOLKIT_CACHE", str(tmp_path / place / "cache"))
        done = adtool("run", *mix, "--preset", "smoke", "--device", device, "--seed", 1, "--out", tmp_path / place, "--json")
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout.splitlines()[-1])["metrics"]

    return do


@pytest.mark.parametrize(("kind", "name"), PARTS, ids=lambda part: part)
def test_a_run_on_a_gpu_repeats_itself_and_agrees_with_the_cpu(kind, name, run):
    mix = mix_with(kind, name)

    first = run(mix, "cuda", "first")

    assert all(math.isfinite(value) for value in first.values())
    assert run(mix, "cuda", "again") == first
    assert abs(run(mix, "cpu", "cpu")["auc"] - first["auc"]) < 0.1


def test_trainings_stacked_on_a_gpu_agree_with_those_one_by_one(tmp_path, monkeypatch):
    matrix = """
seeds = [0]
preset = "smoke"
[data]
name = "toy-bump"
[metrics]
names = ["auc"]
[matrix]
estimator = ["masked-cfm"]
window = [[3.2, 3.6], [3.3, 3.7]]
"""
    (tmp_path / "scan.toml").write_text(matrix)
    found = {}
    for stack in (1, 2):
        monkeypatch.setenv("ADTOOLKIT_CACHE", str(tmp_path / f"cache{stack}"))
        out = tmp_path / f"out{stack}"
        done = adtool("bench", tmp_path / "scan.toml", "--out", out, "--stack", stack, "--device", "cuda")
        assert done.exit_code == 0, done.output
        found[stack] = {p.parent.parent.name: json.loads(p.read_text())["auc"] for p in out.glob("runs/*/*/metrics.json")}

    assert found[1] == pytest.approx(found[2], abs=0.05)
    assert len(found[1]) == 2
