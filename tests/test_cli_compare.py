"""``adtool compare`` on folders: real runs, runs that are not whole, benchmarks, pictures."""

import csv
import io
import json
import shutil
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from support.command import adtool

from adtoolkit.arrays import write_arrays
from adtoolkit.compare import load, summarise
from adtoolkit.compare.curves import EPS_GRID, band, read_scored, sic_curve
from adtoolkit.metrics.curves import sic
from adtoolkit.metrics.selection import judge
from adtoolkit.plots.compare import BOUND, _band, draw_against_signal, draw_sic_curves, families, looks, y_range

CONFIG = """seed = {seed}
[data]
name = "toy"
n_signal = {n_signal}
[window]
lo = 3.3
hi = 3.7
[estimator]
name = "none"
[interpolator]
name = "direct"
[scorer]
name = "{scorer}"
[run]
out = "runs"
"""


def make_run(root, scorer="a", seed=0, n_signal=200, power=1.5, status="done"):
    """A run folder with scores of which the separation is known: ``power`` standard deviations."""
    folder = Path(root) / "toy-3.3-3.7" / f"{scorer}-n{n_signal}-s{seed}-abcdef"
    folder.mkdir(parents=True)
    rng = np.random.default_rng([seed, n_signal])
    truth = np.repeat([0, 1], [2000, n_signal]).astype(np.int8)
    m = np.where(truth == 1, 3.5, rng.uniform(3.2, 3.8, len(truth))).astype(np.float32)
    test_truth = np.repeat([0, 1], [4000, 2000]).astype(np.int8)
    own = np.random.default_rng([seed, n_signal, *scorer.encode()])
    score, test_score = own.normal(size=len(m)) + power * truth, own.normal(size=(6000, 2)) + power * test_truth[:, None]
    arrays = {"m": m, "score": score, "fold": np.arange(len(m)) % 2, "truth": truth}
    test = {"m": np.full(6000, 3.5, np.float32), "score": test_score, "truth": test_truth}
    write_arrays(folder / "scores.h5", {f"{k}/{n}": v for k, d in (("events", arrays), ("test", test)) for n, v in d.items()})
    (folder / "config.toml").write_text(CONFIG.format(seed=seed, n_signal=n_signal, scorer=scorer))
    inside = (m > 3.3) & (m < 3.7)
    events = {"data": len(m), "data in window": int(inside.sum()), "signal in window": n_signal}
    about = {"status": status, "error": "RunError: no\nluck", "mix": {"interpolator": None}, "device": "cpu"}
    about |= {"events": events, "digests": {"events": f"{seed}-{n_signal}", "test": "t"}, "skipped": {"closure": "needs template"}}
    about |= {"stages": {f"score/{scorer}{seed}{n_signal}": {"seconds": 1.5, "reused": False}}, "started": "2026"}
    (folder / "manifest.json").write_text(json.dumps(about))
    value = 3.0 * power + 0.1 * own.normal()
    (folder / "metrics.json").write_text(json.dumps({"sic@1e-1": value, "sic@1e-1-lo": value - 1, "sic@1e-1-hi": value + 1, "auc": 0.8}))
    return folder


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two methods and the floor, three seeds, two strengths of the signal."""
    root = tmp_path_factory.mktemp("compare") / "runs"
    for n_signal in (100, 400):
        for seed in range(3):
            make_run(root, "weak", seed, n_signal, power=1.0)
            make_run(root, "strong", seed, n_signal, power=2.0)
            make_run(root, "random", seed, n_signal, power=0.0)
    return root


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """Two real runs."""
    root = tmp_path_factory.mktemp("real")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ADTOOLKIT_CACHE", str(root / "cache"))
        patch.setattr("adtoolkit.plots.draw_all", lambda *_: [])
        for scorer in ("random", "supervised"):
            toy = ["run", "--data", "toy-bump", "--preset", "smoke", "--device", "cpu", "--scorer", scorer, "--out", root / "runs"]
            done = adtool(*toy, "--set", "data.n_background=3000", "--set", "data.n_test=1000", "--quiet")
            assert done.exit_code == 0, done.output
    return root / "runs"


def test_real_runs_are_read_whole(real):
    records = load([real])
    random, supervised = records

    assert [r.status for r in records] == ["done", "done"]
    assert [r.parts for r in records] == [("random",), ("supervised",)]
    assert random.digests == supervised.digests != {}
    assert (random.replica, random.window) == ((0, 0), (3.3, 3.7))
    assert random.events["signal in window"] > 0
    assert [key.partition("/")[0] for key in supervised.stages] == ["score"] * 5
    assert records.metrics[0] == "auc"


def test_curve_from_the_file_is_that_of_the_metric(real):
    _, supervised = load([real])

    at = sic(judge(read_scored(supervised)).ranking, [0.1])
    curve = sic_curve(supervised, EPS_GRID)
    floor = supervised.metrics["max-sic-floor"]

    assert at[0] == pytest.approx(supervised.metrics["sic@1e-1"], rel=1e-6)
    assert np.isnan(curve[floor * 0.99 > EPS_GRID]).all()
    assert np.nanmax(curve) == pytest.approx(supervised.metrics["max-sic"], rel=0.03)


def test_real_runs_compared(real):
    result = adtool("compare", real)

    assert result.exit_code == 0, result.output
    assert "supervised (ceiling)" in result.output
    assert "random (floor)" in result.output
    assert "no closure-auc: skipped: needs template" in result.output or "closure-auc" not in result.output


def test_says_who_is_better(runs):
    result = adtool("compare", runs, "--baseline", "weak", "--metric", "sic@1e-1")

    assert result.exit_code == 0, result.output
    assert result.output.count("strong is better than weak by") == 2
    assert result.output.count("weak is better than random by") == 2
    assert "(n=3 paired seeds)" in result.output
    assert result.output.index("n_signal 100;") < result.output.index("n_signal 400;")


def test_narrow_terminals_cut_no_number(runs, monkeypatch):
    monkeypatch.setattr("adtoolkit.cli.compare.WIDE", 40)

    assert len({line for line in adtool("compare", runs).output.splitlines() if line.startswith("strong")}) > 2
    assert "…" not in adtool("compare", runs).output


def test_formats(runs, tmp_path):
    told = json.loads(adtool("compare", runs, "--json").output)
    rows = list(csv.DictReader(io.StringIO(adtool("compare", runs, "--format", "csv").output)))
    markdown = adtool("compare", runs, "--format", "markdown").output
    (tmp_path / "records.json").write_text(json.dumps(told))
    again = json.loads(adtool("compare", tmp_path / "records.json", "--format", "json").output)

    assert told == again
    assert len(told["records"]) == 18
    assert {"status", "by", "metrics", "common", "intervals", "conditions", "costs", "notes", "records", "pictures"} == set(told)
    strong = next(g for g in told["conditions"][0]["groups"] if g["label"] == "strong")
    row = next(r for r in rows if (r["condition"], r["method"], r["metric"]) == ("n_signal 100", "strong", "sic@1e-1"))
    assert float(row["median"]) == strong["metrics"]["sic@1e-1"]["spread"]["median"]
    assert markdown.startswith("## n_signal 100; data toy, window 3.3-3.7")
    assert "| strong | 3/3 |" in markdown


def test_by_that_would_mix_runs_is_split_and_said(runs):
    output = adtool("compare", runs, "--by", "scorer").output

    assert "Groups are split by n_signal too: --by scorer alone would mix runs that differ in it." in output


def test_runs_that_are_not_whole_are_not_ok_with_the_reason(tmp_path):
    for seed in range(5):
        make_run(tmp_path, "a", seed)
    a = [tmp_path / "toy-3.3-3.7" / f"a-n200-s{seed}-abcdef" for seed in range(5)]
    (a[0] / "metrics.json").unlink()
    (a[1] / "metrics.json").write_text('{"auc": ')
    (a[2] / "manifest.json").write_text("[]")
    (a[3] / "manifest.json").write_text(json.dumps({"status": "running"}))
    (a[4] / "config.toml").write_text("seed = ")
    make_run(tmp_path, "a", 6, status="failed")
    make_run(tmp_path, "a", 7)
    (tmp_path / "toy-3.3-3.7" / "a-n200-s7-abcdef" / "previous").mkdir()
    (tmp_path / "toy-3.3-3.7" / "a-n200-s7-abcdef" / "previous" / "manifest.json").write_text("{}")

    output = adtool("compare", tmp_path).output

    assert "1/6" in output
    for reason in (
        "seed 0: unreadable: metrics.json cannot be read: No such file",
        "seed 1: unreadable: metrics.json is no valid JSON",
        "seed 2: unreadable: manifest.json holds no table",
        "seed 3: unfinished: it is still running, or was killed",
        "seed 6: failed: RunError: no luck",
        "Not in any table: ",
        "config.toml cannot be read",
    ):
        assert reason in output


def test_nothing_that_ended_well_is_a_failure(tmp_path):
    make_run(tmp_path, status="failed")

    result = adtool("compare", tmp_path)

    assert result.exit_code == 1
    assert "0/1" in result.output


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "There is no "),
        ("", "No runs were found in"),
        ("[1]", "holds neither"),
        ("{", "is no valid JSON"),
        ('{"records": 1}', "is no list"),
    ],
)
def test_no_runs_is_refused_with_one_line(tmp_path, content, message):
    path = tmp_path / "given"
    if content == "":
        path.mkdir()
    elif content is not None:
        path.write_text(content)

    result = adtool("compare", path)

    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def test_cells_of_a_benchmark_count_whatever_became_of_them(tmp_path):
    bench = tmp_path / "bench" / "small"
    folders = [make_run(bench / "runs", scorer, seed) for scorer in ("a", "b") for seed in range(3)]
    axes = {"data": "toy", "estimator": "none", "interpolator": None, "window": [3.3, 3.7]}
    cells = [
        {
            "cell": "x",
            "axes": {**axes, "scorer": f.name[0]},
            "seed": int(f.name[8]),
            "status": "done",
            "run": f.relative_to(bench).as_posix(),
        }
        for f in folders
    ]
    shutil.rmtree(folders[0])
    (folders[3] / "manifest.json").unlink()
    cells[3] |= {"status": "failed", "error": {"name": "MemoryError", "message": "no room", "stage": "score"}}
    cells.append({"cell": "a", "axes": {**axes, "scorer": "a"}, "seed": 3, "status": "waiting", "run": "runs/nowhere", "error": None})
    reason = {"name": "Blocked", "message": "scorer 'c' needs log-prob"}
    cells.append({"cell": "c", "axes": {**axes, "scorer": "c"}, "seed": 0, "status": "blocked", "run": None, "error": reason})
    (bench / "bench.json").write_text(json.dumps({"version": 1, "cells": cells}))

    told = json.loads(adtool("compare", tmp_path / "bench", "--json").output)
    (condition,) = told["conditions"]

    assert {g["label"]: (g["n_ok"], g["n_seeds"]) for g in condition["groups"]} == {"a": (2, 4), "b": (2, 3)}
    faults = " | ".join(fault for g in condition["groups"] for fault in g["faults"])
    assert "seed 0: missing: its run folder is gone" in faults
    assert "seed 0: failed: MemoryError: no room" in faults
    assert "seed 3: waiting: it was not run yet" in faults
    assert "Blocked, and so in no table: c: Blocked: scorer 'c' needs log-prob" in told["notes"]


def test_pictures_are_drawn(runs, tmp_path, monkeypatch):
    monkeypatch.setattr("adtoolkit.plots.style.DPI", 60)

    told = json.loads(adtool("compare", runs, "--plot", tmp_path / "new", "--json").output)

    names = ["sic-curves-n_signal-100.png", "sic-curves-n_signal-400.png", "sic@1e-1-against-signal.png"]
    assert sorted(Path(p).name for p in told["pictures"]) == sorted(p.name for p in (tmp_path / "new").iterdir()) == names
    for path in told["pictures"]:
        assert mpl.image.imread(path)[..., :3].std() > 0.05


def test_band_is_the_percentiles_of_the_curves_where_all_have_the_events():
    eps = np.array([0.01, 0.1, 1.0])
    curves = np.array([[np.nan, 2.0, 1.0], [np.nan, 3.0, 1.0], [4.0, 5.0, 1.0], [6.0, 9.0, 1.0]])

    found = band(list(curves), eps)

    np.testing.assert_allclose(found.median, [np.nan, 4.0, 1.0])
    np.testing.assert_allclose(found.lo, [np.nan, np.percentile(curves[:, 1], 16), 1.0])
    assert np.isnan(band(list(curves[:2]), eps).lo).all()


def test_signal_is_shown_as_counted_in_the_window(runs):
    summary = summarise(load([runs]), metrics=["sic@1e-1"])
    (family,) = families(summary)

    fig = draw_against_signal(family, "sic@1e-1", looks(summary), "title")
    line = next(line for line in fig.axes[0].get_lines() if line.get_label() == "strong")
    counts = [next(r.events for r in summary.records if r.config["data.n_signal"] == n) for n in (100, 400)]
    expected = [c["signal in window"] / np.sqrt(c["data in window"] - c["signal in window"]) for c in counts]

    np.testing.assert_allclose(line.get_xdata(), expected, atol=0.05 * np.ptp(expected))
    assert min(line.get_ydata()) > 5


def test_methods_side_by_side_hide_no_marker_and_the_axis_is_that_of_the_methods(runs):
    summary = summarise(load([runs]), metrics=["sic@1e-1"])
    (family,) = families(summary)
    axes = draw_against_signal(family, "sic@1e-1", looks(summary), "title").axes[0]
    lines = {line.get_label(): line for line in axes.get_lines()}
    lo, hi = axes.get_ylim()

    assert len({tuple(lines[name].get_xdata()) for name in ("weak", "strong", "random")}) == 3
    assert lo == 0, "methods from 3 to 6"
    assert (BOUND in lines) == (1 / np.sqrt(0.1) <= hi)
    rows = [np.array([[3.0, 2.9, 3.1], [2.8, np.nan, np.nan]])]
    assert y_range(rows) == pytest.approx((2.77, 3.13))


def test_the_bound_of_the_sic_is_drawn_and_the_floor_named(runs):
    (condition, *_) = (summary := summarise(load([runs]))).conditions
    curves = {group.label: _band(group) for group in condition.groups}
    axes = draw_sic_curves(condition, curves, looks(summary), "title").axes[0]
    (bound,) = [line for line in axes.get_lines() if line.get_label() == BOUND]

    np.testing.assert_allclose(bound.get_ydata() * np.sqrt(bound.get_xdata()), 1)
    assert f"from the statistical floor ({axes.get_xlim()[0]:.2g}) on" in axes.get_xlabel()


def test_no_two_of_many_methods_look_alike(tmp_path):
    for i in range(14):
        make_run(tmp_path, f"m{i}")
    for scorer in ("random", "idealised", "supervised"):
        make_run(tmp_path, scorer)

    styles = looks(summarise(load([tmp_path])))

    assert len(styles) == len(set(styles.values())) == 17
