"""Files, folders and options that are not as they should be: refused, noted or put back, and nothing that was there is lost."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from adtoolkit import runfolder
from adtoolkit.cli import cli
from adtoolkit.compare.reading import read_run
from adtoolkit.context import RunContext
from adtoolkit.errors import CacheError
from adtoolkit.plots import draw_all
from adtoolkit.results import Results
from adtoolkit.runfolder import RunFolder
from adtoolkit.scored import Scored
from adtoolkit.stages import _clear_if_stale
from adtoolkit.store import default_root
from adtoolkit.types import Sample

RNG = np.random.default_rng(0)


def scored(*features):
    """Events with a template, so that each feature has a panel."""
    events = Sample(RNG.normal(size=(500, len(features))), RNG.uniform(3, 4, 500))
    rest = {"test": events[:0], "test_score": np.zeros((0, 1), np.float32), "template": events, "template_score": events.x[:, 0]}
    return Scored(events, events.x[:, 0], np.zeros(500, np.int8), features=features, template_fold=np.zeros(500, np.int8), **rest)


class Undefined:
    """A metric that has no value for these events."""

    needs = frozenset()

    def compute(self, scored, ctx):
        return {"width": np.nan, "count": 3}


def test_a_picture_that_fails_is_noted_and_loses_no_other(tmp_path):
    """A name with a dollar sign is set as a formula, and this one is none."""
    notes, bad = [], scored("$\\nonsense$", "b")
    results = Results(tmp_path)
    results.draw(bad, "title", RunContext(tell=lambda event: notes.append(event.text)))

    assert {path.name for path in results.pictures} == {"mass.png", "scores.png"}
    assert len(notes) == 1
    assert notes[0].startswith("The picture features.png could not be drawn: ValueError")
    assert not results.failures
    with pytest.raises(ValueError, match="nonsense"):
        draw_all(bad, {}, tmp_path)


def test_formulas_in_names_of_features_are_drawn(tmp_path):
    assert "features.png" in {path.name for path in draw_all(scored(r"$\tau_{21}$", "b"), {}, tmp_path)}


def test_a_value_that_is_no_number_is_left_out_and_noted(tmp_path):
    notes = []
    results = Results(tmp_path)
    results.measure({"undefined": Undefined()}, scored("a"), RunContext(tell=lambda event: notes.append(event.text)))

    assert results.metrics == {"count": 3.0}
    assert notes == ["'undefined' gave nan for width, which is left out."]


@pytest.mark.parametrize("option", ["sic.at=[2]", "sic.at=[0]", "rejection.at=[1, 2]", "excess.at=[1.0]"])
def test_efficiencies_that_are_none_are_refused(option):
    done = CliRunner().invoke(cli, ["plan", "--data", "toy-bump", "--set", f"metrics.{option}"])

    assert done.exit_code == 2
    assert "> 0 and < 1" in done.stderr


@pytest.mark.parametrize(
    "manifest",
    [
        '{"status": "done", "stages": {"fit/1": 3}}',
        '{"status": "done", "versions": "1.0"}',
        '{"status": "done", "digests": "abc"}',
        '{"status": "done", "events": 7}',
        "[]",
    ],
)
def test_an_odd_manifest_is_an_unreadable_run_and_no_error(tmp_path, manifest):
    (tmp_path / "config.toml").write_text('seed = 3\n[data]\nname = "dijets"\n')
    (tmp_path / "metrics.json").write_text('{"auc": 0.7}')
    (tmp_path / "manifest.json").write_text(manifest)

    assert read_run(tmp_path).status == "unreadable"


def test_a_full_disk_leaves_the_result_that_was_there(tmp_path, monkeypatch):
    folder = RunFolder(tmp_path / "run")
    with folder.opened("seed = 1\n", {}, lambda event: None):
        folder.done()

    def full(path, content):
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(runfolder, "write_atomic", full)
    with pytest.raises(CacheError, match="No space left"), RunFolder(tmp_path / "run").opened("seed = 1\n", {}, lambda event: None):
        pass

    assert json.loads((tmp_path / "run" / "manifest.json").read_text())["status"] == "done"
    assert not (tmp_path / "run" / "previous").exists()


def test_checkpoints_of_unknown_code_are_dropped(tmp_path):
    (tmp_path / "source.json").write_bytes(b"\xff\xfe garbage")
    (tmp_path / "model.ckpt").write_bytes(b"old")
    _clear_if_stale(tmp_path, {"sigma": "1"})

    assert [path.name for path in tmp_path.iterdir()] == ["source.json"]


def test_the_cache_may_lie_below_home(monkeypatch):
    monkeypatch.setenv("ADTOOLKIT_CACHE", "~/cache")

    assert default_root() == Path.home() / "cache"


def test_too_little_signal_to_learn_from_is_refused_before_training(tmp_path):
    sizes = ("--set", "data.n_background=4000", "--set", "data.n_signal=8", "--set", "data.n_test=30")
    done = CliRunner().invoke(cli, ["run", "--data", "toy-bump", "--scorer", "supervised", *sizes, "--out", str(tmp_path)])

    assert done.exit_code == 2
    assert "truth-labelled signal events in the window where 50 are needed" in done.stderr
