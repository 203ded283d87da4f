"""Runs that are refused, fail or are interrupted: what they say, what they leave and how they end."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from support.command import TOY, adtool

REFUSED = {
    "unknown component": (["--estimator", "sigmo"], "Did you mean 'sigma'"),
    "unknown option": (["--set", "estimator.step=3"], "steps"),
    "value of a wrong type": (["--set", "estimator.steps=many"], "steps"),
    "illegal mix": (["--estimator", "none", "--scorer", "cathode"], "This mix cannot run"),
    "window outside the data": (["--window", "9", "9.5"], "window"),
    "window that is no interval": (["--window", "3.7", "3.3"], "3.7"),
    "window with few events": (["--window", "4.8", "4.9"], "100"),
    "sideband empty on one side": (["--window", "2.4", "2.8"], "sideband"),
    "device that is not there": (["--device", "mps"], "device"),
    "mass model that cannot be fitted": (["--set", "mass.name=sideband-fit", "--set", "mass.sqrt_s=4"], "sqrt(s)"),
    "tiny template": (["--set", "template.oversample=0.01"], "template.oversample"),
    "nothing in the cache": (["--overwrite", "only-cache", "--seed", "77"], "not in the cache"),
    "more folds than groups of events": (["--estimator", "rad-ot", "--set", "estimator.groups=3"], "--set scorer.folds=3"),
    "unknown metric": (["--set", "metrics.names=auk"], "auc"),
    "anchors outside the data": (["--set", "interpolator.margin=3"], "anchor"),
}


@pytest.mark.parametrize("arguments", REFUSED.values(), ids=REFUSED)
def test_bad_input_is_one_line_and_exit_code_2_before_training(cache, tmp_path, arguments):
    before = {p for p in cache.rglob("*") if p.is_file()}
    done = adtool(*TOY, "--out", tmp_path / "runs", *arguments[0])

    assert done.exit_code == 2, done.output
    assert arguments[1] in done.stderr
    assert "Traceback" not in done.output
    assert {p for p in cache.rglob("*") if p.is_file()} == before


@pytest.mark.parametrize("out", ["file/runs", "/proc/nope", "x" * 300])
def test_unwritable_output_is_refused_before_training(cache, tmp_path, out):
    (tmp_path / "file").write_text("in the way")
    done = adtool(*TOY, "--out", tmp_path / out)

    assert done.exit_code == 2
    assert "Cannot write to" in done.stderr
    assert (tmp_path / "file").read_text() == "in the way"


def test_an_unwritable_cache_is_refused_before_training(tmp_path, monkeypatch):
    monkeypatch.setenv("ADTOOLKIT_CACHE", "/dev/null/cache")
    done = adtool(*TOY, "--out", tmp_path)

    assert done.exit_code == 2
    assert "Cannot write to /dev/null/cache" in done.stderr


def test_contradictory_flags_are_refused(cache, tmp_path):
    done = adtool(*TOY, "--force", "score", "--overwrite", "only-cache", "--out", tmp_path)

    assert done.exit_code == 2
    assert "give one of them" in done.stderr


def test_a_failure_during_a_run_is_recorded_with_exit_code_1(cache, tmp_path, monkeypatch):
    from adtoolkit.metrics.ranking import Auc

    def broken(self, scored, ctx):
        raise ZeroDivisionError("by the test")

    monkeypatch.setattr(Auc, "compute", broken)
    done = adtool(*TOY, "--seed", 1, "--out", tmp_path)
    (run,) = tmp_path.glob("*/*")

    assert done.exit_code == 1
    assert "ZeroDivisionError: by the test" in done.stderr
    assert "Traceback" not in done.stderr
    assert "ZeroDivisionError" in (run / "error.txt").read_text()
    assert json.loads((run / "manifest.json").read_text())["status"] == "failed"
    assert "Traceback" in adtool(*TOY, "--seed", 1, "--out", tmp_path, "--debug").stderr


def test_a_metric_that_fails_loses_only_itself(cache, tmp_path, monkeypatch):
    from adtoolkit.metrics.ranking import Auc

    monkeypatch.setattr(Auc, "compute", lambda *_: 1 / 0)
    done = adtool(*TOY, "--seed", 1, "--out", tmp_path)
    (run,) = tmp_path.glob("*/*")

    assert done.exit_code == 1
    assert "sic@1e-1" in json.loads((run / "metrics.json").read_text())
    assert (run / "scores.h5").exists()


def test_an_interrupted_run_ends_with_130_and_says_so(tmp_path):
    command = [sys.executable, "-m", "adtoolkit", *TOY, "--set", "estimator.steps=100000", "--out", str(tmp_path / "runs")]
    process = subprocess.Popen(command, env={**os.environ, "ADTOOLKIT_CACHE": str(tmp_path / "cache")}, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    # well inside the training: Python loses an interrupt that falls into a callback of its own, as at an import
    while not any('"step"' in path.read_text() for path in tmp_path.glob("runs/*/*/events.jsonl")) and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)

    assert process.returncode == 130
    assert said.decode().strip().splitlines()[-1] == "interrupted: what is done is kept; the same command goes on from here."
    (manifest,) = tmp_path.glob("runs/*/*/manifest.json")
    assert json.loads(manifest.read_text())["status"] == "interrupted"
