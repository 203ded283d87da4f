"""Benches on the closed-form toy: what is trained, what is kept, what a failure, a kill or a changed file does."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
from support.benches import QUICK, adtool, metrics

HEAD = f"""{QUICK}
[metrics]
names = ["auc"]
"""
SCAN = HEAD + '[matrix]\nestimator = ["sigma"]\nscorer = ["cathode", "likelihood", "random"]\nwindow = [[3.2, 3.6], [3.3, 3.7]]\n'


def told(done):
    return json.loads(done.stdout.splitlines()[-1])


def finished(folder):
    """metrics.json of the cells that are done: it is written before the manifest says so."""
    manifests = {path: json.loads(path.read_text()) for path in folder.glob("runs/**/manifest.json")}
    return [path.with_name("metrics.json") for path, manifest in manifests.items() if manifest["status"] == "done"]


def listed(folder):
    return {(cell["cell"], cell["seed"]): cell for cell in json.loads((folder / "bench.json").read_text())["cells"]}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ADTOOLKIT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def calm(tmp_path_factory):
    """A bench that nothing disturbed, its cache, and what it told."""
    home = tmp_path_factory.mktemp("calm")
    (home / "scan.toml").write_text(SCAN)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ADTOOLKIT_CACHE", str(home / "cache"))
        done = adtool(home / "scan.toml", "--out", home / "out", "--json")
    assert done.exit_code == 0, done.output
    return home, told(done)


@pytest.fixture
def copy(calm, tmp_path):
    """The same to play with."""
    shutil.copytree(calm[0] / "out", tmp_path / "out")
    shutil.copytree(calm[0] / "cache", tmp_path / "cache")
    return tmp_path / "out"


def test_one_training_serves_all_windows_and_scorers(calm):
    home, end = calm

    assert end["trainings"] == 1
    assert end["cells"] == {"done": 6, "failed": 0, "waiting": 0, "blocked": 0}
    assert len(list((home / "cache" / "fit").glob("*/DONE"))) == 1
    assert len(list((home / "cache" / "template").glob("*/DONE"))) == 2, (
        "one for the scorers of each window; no metric asks for one beside it"
    )


def test_bench_json_lists_every_cell_with_its_run(calm):
    home, _ = calm
    record = json.loads((home / "out" / "bench.json").read_text())

    assert set(record) >= {"version", "adtoolkit", "file", "matrix", "cells"}
    assert [set(cell) for cell in record["cells"]] == [{"cell", "axes", "seed", "status", "run", "error", "digest"}] * 6
    for cell in record["cells"]:
        manifest = json.loads((home / "out" / cell["run"] / "manifest.json").read_text())
        assert (cell["status"], manifest["status"], manifest["digest"]) == ("done", "done", cell["digest"])


def test_what_is_done_is_cached_and_not_touched(calm, copy):
    before = {path: path.stat().st_mtime_ns for path in copy.glob("runs/**/*")}
    plan = told(adtool(calm[0] / "scan.toml", "--out", copy, "--plan", "--json"))
    done = adtool(calm[0] / "scan.toml", "--out", copy, "--json")

    assert {cell["plan"] for cell in plan["cells"]} == {"cached"}
    assert (plan["trainings"], told(done)["trainings"]) == ({}, 0)
    assert {path: path.stat().st_mtime_ns for path in copy.glob("runs/**/*")} == before


def test_the_plan_tells_trainings_and_time_left(copy, tmp_path):
    for path in copy.glob("fits/*.json"):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"seconds": 1000}))
    for path in copy.glob("runs/**/manifest.json"):
        manifest = json.loads(path.read_text())
        stages = {name: stage | {"seconds": 500 if name.startswith("fit/") else 0} for name, stage in manifest["stages"].items()}
        path.write_text(json.dumps(manifest | {"stages": stages, "times": {"data": 1, "metrics": 2, "pictures": 4}}))
    (tmp_path / "more.toml").write_text(SCAN.replace("seeds = [0]", "seeds = [0, 1]").replace('"random"]', '"random", "cwola"]'))
    plan = told(adtool(tmp_path / "more.toml", "--out", copy, "--plan", "--json"))
    text = adtool(tmp_path / "more.toml", "--out", copy, "--plan").output
    nothing = adtool(tmp_path / "more.toml", "--out", tmp_path / "new", "--plan").output

    assert [cell["plan"] for cell in plan["cells"]].count("cached") == 6
    assert plan["trainings"] == {"sigma": 1}
    assert plan["seconds"] == 1000 + 6 * 7, "one training, and what six cells take besides"
    assert (plan["timed"], plan["not_timed"]) == (7, 4), "cwola has never been run here"
    assert "trainings left: 1 sigma" in text
    assert "'random' uses no background model" in text
    assert "time unknown" in nothing
    assert not (tmp_path / "new").exists()


def test_collect_gives_long_records_and_says_how_many_seeds_there_are(calm, copy, tmp_path):
    (tmp_path / "more.toml").write_text(SCAN.replace("seeds = [0]", "seeds = [0, 1]"))
    done = adtool(tmp_path / "more.toml", "--out", copy, "--collect", "--json")
    found = told(done)
    text = adtool(tmp_path / "more.toml", "--out", copy, "--collect", "--metric", "auc").output
    with (copy / "records.csv").open() as file:
        rows = list(csv.DictReader(file))

    assert done.exit_code == 0
    assert {(row["n_ok"], row["n_seeds"], row["complete"]) for row in found["table"]} == {(1, 2, False)}
    assert set(found["records"][0]) == {"cell", "axes", "seed", "metric", "value"}
    assert len(rows) == len(found["records"]) == sum(map(len, metrics(copy).values()))
    assert rows[0].keys() == {"cell", "data", "estimator", "interpolator", "scorer", "window", "seed", "metric", "value"}
    assert [float(row["value"]) for row in rows] == [record["value"] for record in found["records"]]
    assert text.count("1/2") == text.count("(1 of 2)") == 6


def test_fewer_results_than_expected_is_exit_code_1(calm, copy, tmp_path):
    (tmp_path / "more.toml").write_text(SCAN.replace("seeds = [0]", "seeds = [0, 1]") + "[expect]\nmissing = 5\n")
    done = adtool(tmp_path / "more.toml", "--out", copy, "--collect")

    assert done.exit_code == 1
    assert "6 cells have no results where at most 5" in done.stderr


def test_a_failed_cell_is_recorded_the_rest_is_done_and_it_is_tried_again(calm, copy, tmp_path, monkeypatch):
    from adtoolkit.scorers.baselines import Cwola

    (tmp_path / "more.toml").write_text(SCAN.replace('"random"]', '"random", "cwola", "supervised"]').replace("[[3.2", "[[4.8, 4.9], [3.2"))
    with monkeypatch.context() as patch:
        patch.setattr(Cwola, "fit", lambda *_: 1 / 0)
        done = adtool(tmp_path / "more.toml", "--out", copy, "--json")
    cells = listed(copy)

    assert done.exit_code == 1
    assert told(done)["cells"] == {"done": 8, "failed": 7, "waiting": 0, "blocked": 0}
    assert cells["cwola 3.3-3.7", 0]["error"] == {
        "name": "ZeroDivisionError",
        "message": cells["cwola 3.3-3.7", 0]["error"]["message"],
        "stage": "cell",
    }
    assert "ZeroDivisionError" in (copy / cells["cwola 3.3-3.7", 0]["run"] / "error.txt").read_text()
    assert {cells[name, 0]["error"]["name"] for name, _ in cells if " 4.8-4.9" in name} == {"DataError"}
    assert "failed" in done.stderr
    assert "Traceback" not in done.stderr
    again = adtool(tmp_path / "more.toml", "--out", copy, "--json")
    assert told(again)["cells"] == {"done": 10, "failed": 5, "waiting": 0, "blocked": 0}


def test_a_failed_training_fails_its_cells_once_and_no_others(tmp_path, monkeypatch):
    from adtoolkit_sigma.estimator import Sigma

    calls = []

    def broken(self, train, val, ctx):
        calls.append(1)
        raise ZeroDivisionError("by the test")

    monkeypatch.setattr(Sigma, "fit", broken)
    (tmp_path / "scan.toml").write_text(SCAN)
    done = adtool(tmp_path / "scan.toml", "--out", tmp_path / "out", "--json")

    assert done.exit_code == 1
    assert len(calls) == 1
    assert told(done)["cells"] == {"done": 2, "failed": 4, "waiting": 0, "blocked": 0}
    assert {cell["error"]["stage"] for cell in listed(tmp_path / "out").values() if cell["error"]} == {"fit"}


def test_a_cell_that_is_refused_leaves_the_training_to_the_others(tmp_path):
    text = HEAD + '[matrix]\nestimator = ["sigma"]\nscorer = ["cathode"]\nwindow = [[4.8, 4.9], [3.2, 3.6], [3.3, 3.7]]\n'
    (tmp_path / "m.toml").write_text(text)
    done = adtool(tmp_path / "m.toml", "--out", tmp_path / "out", "--json")
    trained = {json.loads(path.read_text())["trainings"] for path in (tmp_path / "out").glob("runs/**/manifest.json")}

    assert told(done)["cells"] == {"done": 2, "failed": 1, "waiting": 0, "blocked": 0}
    assert (told(done)["trainings"], trained) == (1, {0}), "trained before the cells"


def test_trainings_done_together_serve_their_cells(tmp_path):
    text = HEAD + '[matrix]\nestimator = ["sigma"]\nscorer = ["cathode"]\n"data.n_signal" = [60, 120]\n'
    (tmp_path / "m.toml").write_text(text)
    done = adtool(tmp_path / "m.toml", "--out", tmp_path / "out", "--stack", 4, "--json")
    fits = [json.loads(path.read_text()) for path in (tmp_path / "cache" / "fit").glob("*/meta.json")]

    assert done.exit_code == 0, done.output
    assert told(done)["trainings"] == 2
    assert [meta["together"] for meta in fits] == [2, 2]
    assert {
        json.loads((tmp_path / "out" / cell["run"] / "manifest.json").read_text())["trainings"]
        for cell in listed(tmp_path / "out").values()
    } == {0}


def test_slices_together_give_the_whole(calm, tmp_path):
    text = SCAN.replace("seeds = [0]", "seeds = [0, 1]").replace('"likelihood", ', "")
    (tmp_path / "m.toml").write_text(text)
    ends = [told(adtool(tmp_path / "m.toml", "--out", tmp_path / "out", "--index", i, "--of", 3, "--json")) for i in range(3)]

    assert sum(end["cells"]["done"] for end in ends) == 8
    assert sum(end["trainings"] for end in ends) == 2
    assert {cell["status"] for cell in listed(tmp_path / "out").values()} == {"done"}
    same = {name: values for name, values in metrics(calm[0] / "out").items() if "likelihood" not in name}
    assert {name: metrics(tmp_path / "out")[name] for name in same} == same


def test_always_computes_everything_again_with_each_training_once(calm, copy):
    before = {path: path.stat().st_mtime_ns for path in (copy.parent / "cache").glob("*/*/DONE")}
    done = adtool(calm[0] / "scan.toml", "--out", copy, "--overwrite", "always", "--json")
    after = {path: path.stat().st_mtime_ns for path in (copy.parent / "cache").glob("*/*/DONE")}

    assert told(done)["trainings"] == 1
    assert metrics(copy) == metrics(calm[0] / "out")
    assert before.keys() == after.keys()
    assert all(after[path] > before[path] for path in before)


def test_only_cache_trains_nothing_and_names_what_is_missing(calm, copy, tmp_path):
    (tmp_path / "more.toml").write_text(SCAN.replace('"random"]', '"random", "cwola"]'))
    shutil.rmtree(copy / "runs")
    done = adtool(tmp_path / "more.toml", "--out", copy, "--overwrite", "only-cache", "--json")

    assert done.exit_code == 1
    assert told(done)["cells"] == {"done": 6, "failed": 0, "waiting": 2, "blocked": 0}
    assert metrics(copy) == metrics(calm[0] / "out")


@pytest.mark.parametrize("damage", ["metrics.json", "manifest.json", "scores.h5"])
def test_a_damaged_run_counts_as_missing_and_is_said(calm, copy, damage):
    run = next(copy.glob("runs/*/sigma+context+cathode*"))
    with (run / damage).open("r+") as file:
        file.truncate(8)
    plan = adtool(calm[0] / "scan.toml", "--out", copy, "--plan")
    done = adtool(calm[0] / "scan.toml", "--out", copy, "--json")

    assert any(f"{run / damage} {trouble}" in plan.output for trouble in ("cannot be read", "is not whole"))
    assert (plan.output.count("seed 0: run"), told(done)["trainings"]) == (1, 0)
    assert metrics(copy) == metrics(calm[0] / "out")


def test_a_damaged_bench_json_is_written_anew(calm, copy):
    (copy / "bench.json").write_text("{")
    done = adtool(calm[0] / "scan.toml", "--out", copy)

    assert done.exit_code == 0, done.output
    assert len(listed(copy)) == 6


def test_data_that_changed_between_cells_are_refused(tmp_path):
    import numpy as np

    rng = np.random.default_rng(0)
    events = np.column_stack([2.5 + rng.exponential(0.6, 4000).clip(0, 2.4), rng.normal(size=(4000, 2)), rng.random(4000) < 0.05])
    np.savetxt(tmp_path / "t.csv", events, delimiter=",", header="m,a,b,y", comments="")
    data = '"toy-bump"\nn_background = 4000\nn_reference = 1000\nn_test = 1000'
    head = HEAD.replace(data, f'"table"\npath = "{tmp_path}/t.csv"\nmass = "m"\nfeatures = ["a", "b"]\ntruth = "y"')
    (tmp_path / "m.toml").write_text(head + '[window]\nlo = 3.3\nhi = 3.7\n[matrix]\nscorer = ["random"]\n')
    first = adtool(tmp_path / "m.toml", "--out", tmp_path / "out")
    np.savetxt(tmp_path / "t.csv", events[1:], delimiter=",", header="m,a,b,y", comments="")
    (tmp_path / "m.toml").write_text((tmp_path / "m.toml").read_text().replace('"random"', '"random", "cwola"'))
    second = adtool(tmp_path / "m.toml", "--out", tmp_path / "out")
    third = adtool(tmp_path / "m.toml", "--out", tmp_path / "out", "--overwrite", "always")

    assert (first.exit_code, second.exit_code, third.exit_code) == (0, 1, 0), first.output + second.output + third.output
    assert "The events of table (seed 0) changed since this bench began" in second.output


@pytest.fixture
def started():
    """Starts a bench in a session of its own; what is left of it in the end is killed."""
    processes = []

    def start(home, *more):
        command = [sys.executable, "-m", "adtoolkit", "bench", str(home / "scan.toml"), "--out", str(home / "out"), *map(str, more)]
        pipe = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        processes.append(
            subprocess.Popen(command, env={**os.environ, "ADTOOLKIT_CACHE": str(home / "cache")}, start_new_session=True, **pipe)
        )
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.wait()
        process.stdout.close()


def wait_for(condition, seconds=90):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def test_two_processes_killed_and_resumed_give_the_numbers_of_one(calm, tmp_path, started):
    (tmp_path / "scan.toml").write_text(SCAN)
    process = started(tmp_path, "--jobs", 2)
    wait_for(lambda: finished(tmp_path / "out") or process.poll() is not None)
    process.kill()
    process.communicate()
    survivors = {path: path.stat().st_mtime_ns for path in finished(tmp_path / "out")}
    assert 0 < len(survivors) < 6
    # workers whose parent was killed end by themselves
    sessions = ["ps", "-eo", "sess="]
    wait_for(lambda: str(process.pid) not in subprocess.run(sessions, capture_output=True, text=True, check=True).stdout.split(), 20)

    done = started(tmp_path, "--jobs", 2)
    output, _ = done.communicate(timeout=120)
    assert done.returncode == 0, output.decode()
    assert metrics(tmp_path / "out") == metrics(calm[0] / "out")
    assert {path: path.stat().st_mtime_ns for path in survivors} == survivors, "what was done was done again"


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_interrupt_ends_with_130_and_says_what_is_left(tmp_path, started, jobs):
    (tmp_path / "scan.toml").write_text(SCAN.replace("seeds = [0]", "seeds = [0, 1]").replace("steps = 20", "steps = 100000"))
    process = started(tmp_path, "--jobs", jobs)
    wait_for(lambda: (len(finished(tmp_path / "out")) == 4 and list(tmp_path.glob("cache/fit/*.part"))) or process.poll() is not None)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: workers get it too
    output, _ = process.communicate(timeout=60)

    assert process.returncode == 130, output.decode()
    assert output.decode().strip().splitlines()[-1] == "interrupted: 4 of 12 cells done; the same command goes on from here."
    left = {cell["axes"]["estimator"]: cell["status"] for cell in listed(tmp_path / "out").values()}
    assert left["sigma"] == "waiting"
