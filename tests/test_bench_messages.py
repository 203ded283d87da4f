"""What a bench says: of files that changed, of blocked and failed cells, of notes, of what it was asked and does not have."""

import json
import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from support.benches import TOY, adtool

from adtoolkit.bench import sources
from adtoolkit.bench.advice import advice
from adtoolkit.bench.crew_dask import _how
from adtoolkit.bench.display import Display
from adtoolkit.bench.graph import Task
from adtoolkit.bench.work import Outcome
from adtoolkit.config import ComponentConfig
from adtoolkit.data import toy_bump

HEAD = f'{TOY}[metrics]\nnames = ["auc", "sic", "max-sic"]\n'
BLOCKED = '[matrix]\nestimator = ["sigma"]\ninterpolator = ["displacement"]\nscorer = ["likelihood"]\n'


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ADTOOLKIT_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def bench(tmp_path):
    """Runs ``adtool bench`` on a matrix of this text."""

    def call(text, *arguments, out="out"):
        (tmp_path / "m.toml").write_text(text)
        return adtool(tmp_path / "m.toml", "--out", tmp_path / out, *arguments)

    return call


@pytest.fixture
def table(tmp_path):
    """A file of events, its matrix, and how to write it anew."""
    rng = np.random.default_rng(0)
    events = np.column_stack([2.5 + rng.exponential(0.6, 4000).clip(0, 2.4), rng.normal(size=(4000, 2)), rng.random(4000) < 0.05])

    def write(events=events):
        np.savetxt(tmp_path / "ev.csv", events, delimiter=",", header="m,a,b,y", comments="")

    write()
    data = '"toy-bump"\nn_background = 4000\nn_reference = 1000\nn_test = 1000'
    text = HEAD.replace(data, f'"table"\npath = "{tmp_path}/ev.csv"\nmass = "m"\nfeatures = ["a", "b"]\ntruth = "y"')
    return text + '[window]\nlo = 3.3\nhi = 3.7\n[matrix]\nscorer = ["random"]\n', write, events


def test_a_file_that_changed_is_told_of_though_every_cell_is_done(bench, table, tmp_path):
    text, write, events = table
    assert bench(text).exit_code == 0
    write(events[1:])
    asked = [bench(text, *how) for how in (["--plan"], [], ["--collect"], ["--quiet"])]
    refused = bench(text.replace('"random"', '"random", "cwola"'))
    again = [bench(text, "--overwrite", "always"), bench(text, "--plan")]

    told = f"{tmp_path}/ev.csv has changed since these results were made: it was of "
    assert [told in " ".join(done.output.split()) for done in asked] == [True] * 4
    assert "ev.csv has changed: it was of 20" in refused.output
    assert not any("has changed" in done.output for done in again)


def test_a_file_that_was_only_touched_has_not_changed(bench, table, tmp_path):
    text, *_ = table
    bench(text)
    os.utime(tmp_path / "ev.csv", (1, 1))

    assert "has changed" not in bench(text, "--plan").output


def test_a_file_of_the_same_size_is_told_from_another_by_its_content(tmp_path):
    (tmp_path / "a").write_text("one")
    before = sources.seen([str(tmp_path / "a")], {})
    (tmp_path / "a").write_text("two")
    os.utime(tmp_path / "a", (1, 1))

    assert list(sources.changed(before)) == [str(tmp_path / "a")]
    assert list(before[str(tmp_path / "a")]) == ["size", "mtime_ns", "sha256"]


def test_files_of_a_source_are_those_that_its_options_name(tmp_path):
    for name in ("a.h5", "b.h5"):
        (tmp_path / name).write_text("")
    options = {"path": (f"{tmp_path}/a.h5", f"{tmp_path}/gone.h5"), "signal": f"{tmp_path}/b.h5", "features": ("mj1", "x" * 5000), "n": 3}

    assert sources.files_of(options) == [f"{tmp_path}/a.h5", f"{tmp_path}/b.h5"]
    assert sources.files_of({"path": str(tmp_path), "features": str(tmp_path)}) == [f"{tmp_path}/a.h5", f"{tmp_path}/b.h5"]


def test_a_file_that_the_estimator_reads_may_not_change_while_a_bench_grows(bench, tmp_path):
    rng = np.random.default_rng(0)

    def write():
        m = rng.uniform(3.0, 4.0, 4000)
        np.savez(tmp_path / "bg.npz", m=m, **dict(zip("abc", toy_bump.sample_background(m, rng, n_features=3).T, strict=True)))

    columns = f'[estimator.samples]\npath = "{tmp_path}/bg.npz"\nmass = "m"\ncolumns = ["a", "b", "c"]\n'
    text = HEAD + columns + '[matrix]\nestimator = ["samples"]\nscorer = ["cathode"]\nwindow = [[3.3, 3.7]]\n'
    larger = text.replace("]]", "], [3.2, 3.6]]").replace('["cathode"]', '["cathode", "random"]')
    write()
    first = bench(text)
    write()
    asked = [bench(text, *how) for how in (["--plan"], [], ["--collect"])]
    grown = bench(larger, "--json")
    again = [bench(larger, "--overwrite", "always"), bench(larger, "--plan")]

    told = f"{tmp_path}/bg.npz has changed since these results were made: it was of "
    assert first.exit_code == 0
    assert [told in " ".join(done.output.split()) for done in asked] == [True] * 3
    summary = json.loads(grown.stdout.splitlines()[-1])
    assert summary["cells"] == {"done": 3, "failed": 1, "waiting": 0, "blocked": 0}, "what reads no file goes on"
    (failure,) = summary["failures"]
    assert failure["cell"] == "samples+direct+cathode 3.2-3.6"
    assert f"{tmp_path}/bg.npz has changed since this bench began: it was of " in failure["message"]
    assert again[0].exit_code == 0
    assert "has changed" not in again[1].output


def test_files_of_every_part_but_the_data_are_those_that_its_options_name(tmp_path):
    class Options(ComponentConfig):
        file: Path

    def of(name):
        (tmp_path / name).write_text("")
        return SimpleNamespace(options=Options(file=tmp_path / name))

    parts = {kind: of(kind) for kind in ("data", "estimator", "interpolator", "scorer")}
    metrics = SimpleNamespace(values={"sic": of("sic").options, "auc": of("scorer").options})
    config = SimpleNamespace(**parts, metrics=metrics)

    assert sources.files_of_data(config) == [f"{tmp_path}/data"]
    assert sources.files_of_parts(config) == [f"{tmp_path}/{name}" for name in ("estimator", "interpolator", "scorer", "sic")]


@pytest.mark.parametrize(
    ("advised", "here"),
    [
        ("Widen or move it: --window LO HI", "Widen or move it: change the window in m.toml"),
        ("Use --set mass.name=kde.", "Use [mass] name = kde in m.toml."),
        ("Raise --set template.oversample=VALUE", "Raise [template] oversample = VALUE in m.toml"),
        ("Lower it: --set estimator.lr=0.001 or so", "Lower it: [estimator] lr = 0.001 in m.toml or so"),
        ("Drop them: --drop-invalid (or --set data.drop_invalid=true)", "Drop them: [data] drop_invalid = true in m.toml"),
        ("Use --interpolator linear.", 'Use interpolator = "linear" in m.toml.'),
        ("Make it anew: --force score", "Make it anew: --overwrite always"),
    ],
)
def test_advice_can_be_followed_in_a_bench(advised, here, tmp_path):
    assert advice(advised, tmp_path / "m.toml").replace(f"{tmp_path}/", "") == here


def test_cells_that_failed_alike_are_told_of_once(bench, tmp_path):
    text = HEAD.replace("[0]", "[0, 1]") + '[matrix]\nscorer = ["random", "cwola", "supervised"]\nwindow = [[4.8, 4.9], [3.3, 3.7]]\n'
    done = bench(text)
    end = done.output[done.output.index("\nfailed:") :]

    assert done.exit_code == 1
    assert "  6 cells: DataError: " in end
    assert end.count("DataError") == 1
    assert "    cwola 4.8-4.9 seeds 0-1\n" in end
    assert f"change the window in {tmp_path}/m.toml" in " ".join(end.split())
    assert "--window" not in done.output
    assert "12 cells: 6 done, 6 failed; 0 background models trained" in end


def test_notes_of_the_cells_are_counted_below_what_is_printed(bench):
    text = HEAD.replace("n_test = 1000", "n_test = 300") + '[matrix]\nscorer = ["random", "supervised"]\n'
    ends = [bench(text), bench(text, "--collect")]

    for done in ends:
        (line,) = [line for line in done.output.splitlines() if line.startswith("note Notes of 2 runs, see their manifest.json: ")]
        assert "background events, 6.25 pass only from" in line
        assert line.endswith("(2 runs).")
    assert "2 cells: 2 done; 0 background models trained" in ends[0].output


def test_columns_at_fixed_efficiency_come_first_and_the_legend_says_what_the_range_is(bench):
    text = HEAD.replace("[0]", "[0, 1, 2]") + '[matrix]\nscorer = ["supervised"]\n'
    bench(text)
    lines = bench(text, "--collect").output.splitlines()

    assert lines[0].split()[:3] == ["cell", "ok", "sic@1e-1"]
    assert lines[0].split()[-2:] == ["max-sic", "auc"]
    assert any("[smallest, largest]" in line and "not the error of the median" in line for line in lines)


def test_a_column_that_no_run_has_is_refused_with_those_there_are(bench):
    text = HEAD + '[matrix]\nscorer = ["random"]\n'
    bench(text)
    done = bench(text, "--collect", "--metric", "max-sik")

    assert done.exit_code == 2
    assert "There is no metric 'max-sik'" in done.stderr
    assert "Did you mean 'max-sic'?" in done.stderr


def test_collecting_where_there_is_no_bench_is_refused(bench, tmp_path):
    done = bench(HEAD + '[matrix]\nscorer = ["random"]\n', "--collect", out="nowhere")

    assert done.exit_code == 2
    assert f"There is no bench in {tmp_path}/nowhere." in done.stderr
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize(
    ("more", "cells", "refusal"),
    [
        ("[expect]\nblocked = 0\n", 2, "1 of 2 cells are blocked where 0 are expected."),
        ("", 1, "The only cell is blocked."),
    ],
)
def test_the_plan_lists_every_cell_before_it_refuses(bench, more, cells, refusal):
    text = HEAD + (BLOCKED if cells == 1 else BLOCKED.replace('["likelihood"]', '["likelihood", "cathode"]')) + more
    done, told = bench(text, "--plan"), bench(text, "--plan", "--json")
    lines = [line for line in done.stdout.splitlines() if " seed 0: " in line]

    assert (done.exit_code, told.exit_code) == (2, 2)
    assert len(lines) == cells
    assert "likelihood seed 0: blocked: scorer 'likelihood' needs log-prob" in " ".join(lines[0].split())
    assert "Estimators that work with likelihood here: " in done.stdout
    assert refusal in done.stderr
    assert "Estimators that work with likelihood here: " in done.stderr
    (line,) = told.stdout.splitlines()
    plan = json.loads(line)
    assert refusal in plan["error"]
    assert len(plan["cells"]) == cells
    assert bench(text).exit_code == 2


def test_a_model_found_in_the_cache_is_not_called_trained():
    from rich.console import Console

    console = Console(record=True, width=80)
    display = Display(console, 1, quiet=False)
    for n in (0, 1):
        display.ended(Task("a", "fit", f"sigma seed {n}", ()), Outcome("done", trainings=n))

    assert console.export_text().splitlines() == ["0/1 found sigma seed 0, 0 s", "0/1 trained sigma seed 1, 0 s"]


def test_what_is_no_address_is_told_how_one_is_written():
    assert _how("nonsense") == "That is no address: write tcp://HOST:PORT"
    assert _how("tcp://127.0.0.1:1") == _how("127.0.0.1:8786") == "Start one: dask scheduler"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[matrix]\n"estimator.sigma.stepz" = [1]', "estimator sigma has no option 'stepz', but: "),
        ('[matrix]\nestimator = ["sigma", "cathode"]\n"estimator.zzz" = [1]', "estimator cathode or sigma have no option 'zzz', but: "),
    ],
)
def test_an_option_that_is_not_there_is_named_with_its_component(bench, text, message):
    done = bench(HEAD + text)

    assert done.exit_code == 2
    assert message in done.stderr


def test_seeds_below_zero_are_refused(bench):
    assert "whole numbers, 0 or larger" in bench(HEAD.replace("[0]", "[-1]") + '[matrix]\nscorer = ["random"]\n').stderr


def test_two_matrix_files_of_one_name_are_told_apart(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = HEAD + '[matrix]\nscorer = ["random"]\n'
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "scan.toml").write_text(text)

    first, again, other = (adtool(file) for file in ("a/scan.toml", "a/scan.toml", "b/scan.toml"))

    assert [first.exit_code, again.exit_code, other.exit_code] == [0, 0, 0]
    assert "holds the bench of" not in first.output + again.output
    assert "bench/scan holds the bench of a/scan.toml" in " ".join(other.output.split())
