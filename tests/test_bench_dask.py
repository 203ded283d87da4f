"""A bench on the workers of a Dask scheduler, one of which is killed."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.benches import TOY, adtool, metrics

pytest.importorskip("distributed", reason="needs the extra 'dask'")

MATRIX = f"""{TOY}
[scorer.cathode]
members = 1
[estimator.sigma]
steps = 1000
hidden = 8
solver_steps = 2
[metrics]
names = ["auc"]
[matrix]
"data.n_signal" = [60, 120]
estimator = ["sigma"]
scorer = ["cathode", "random"]
"""


@pytest.fixture
def matrix(tmp_path, monkeypatch):
    monkeypatch.setenv("ADTOOLKIT_CACHE", str(tmp_path / "cache"))
    (tmp_path / "m.toml").write_text(MATRIX)
    return tmp_path / "m.toml"


@pytest.fixture
def crew(tmp_path):
    """A scheduler and two workers: its address and their processes."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address, here = f"tcp://127.0.0.1:{port}", ["--no-dashboard"]
    module = [sys.executable, "-m"]
    commands = [[*module, "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", str(port), *here]]
    commands += [[*module, "distributed.cli.dask_worker", address, "--nthreads", "1", "--no-nanny", *here]] * 2
    started = []
    for command in commands:
        with (tmp_path / f"log{len(started)}.txt").open("w") as log:
            started.append(subprocess.Popen(command, cwd=tmp_path, stdout=log, stderr=log))
    yield address, started[1:]
    for process in reversed(started):
        process.kill()
        process.wait()


def test_a_killed_worker_loses_nothing_and_the_numbers_are_those_of_one_process(matrix, crew, tmp_path):
    address, workers = crew
    command = [sys.executable, "-m", "adtoolkit", "bench", str(matrix), "--out", str(tmp_path / "dask"), "--json"]
    bench = subprocess.Popen(
        [*command, "--executor", "dask", "--scheduler", address], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=dict(os.environ)
    )
    deadline = time.monotonic() + 120
    while not list((tmp_path / "cache").glob("fit/*.part")) and bench.poll() is None:
        assert time.monotonic() < deadline, "no training began"
        time.sleep(0.05)
    workers[0].kill()
    out, said = bench.communicate(timeout=300)

    assert bench.returncode == 0, said.decode()
    assert json.loads(out.splitlines()[-1])["cells"] == {"done": 4, "failed": 0, "waiting": 0, "blocked": 0}
    alone = adtool(matrix, "--out", tmp_path / "alone")
    assert alone.exit_code == 0, alone.output
    assert metrics(tmp_path / "dask") == metrics(tmp_path / "alone")


def test_workers_with_another_version_are_refused_before_anything_runs(matrix, crew, tmp_path, monkeypatch):
    import adtoolkit
    from adtoolkit.bench.crew_dask import DaskCrew
    from adtoolkit.errors import ConfigError

    address, _ = crew
    real = adtoolkit.__version__
    deadline = time.monotonic() + 60
    while True:
        there = DaskCrew(address)
        there.close(now=True)
        if there.workers:
            break
        assert time.monotonic() < deadline, "no worker came"
        time.sleep(0.2)
    monkeypatch.setattr(adtoolkit, "__version__", "99.0")

    with pytest.raises(ConfigError, match=f"has adtoolkit {real}, but the bench is started with 99.0"):
        DaskCrew(address)


def test_a_scheduler_that_does_not_answer_is_one_line_and_exit_code_2(matrix, tmp_path, monkeypatch):
    monkeypatch.setattr("adtoolkit.bench.crew_dask.PATIENCE", 1.0)
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        done = adtool(matrix, "--out", tmp_path / "out", "--executor", "dask", "--scheduler", f"tcp://127.0.0.1:{mute.getsockname()[1]}")
    nonsense = adtool(matrix, "--out", tmp_path / "out", "--executor", "dask", "--scheduler", "nonsense")

    assert (done.exit_code, nonsense.exit_code) == (2, 2)
    assert "No Dask scheduler answers at tcp://127.0.0.1" in done.stderr
    assert "No Dask scheduler answers at nonsense" in nonsense.stderr
    assert "Traceback" not in done.output + nonsense.output
    assert not Path(tmp_path / "out").exists()
