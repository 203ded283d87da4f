"""A bench on the workers of a Dask scheduler, one of which is killed."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from threading import Thread
from unittest.mock import Mock

import pytest
from support.benches import TOY, adtool, metrics

Client = pytest.importorskip("distributed", reason="needs the extra 'dask'").Client

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


def at_work(address):
    """Process numbers of the workers that have tasks."""
    with Client(address, set_as_default=False) as client:
        pids = client.run(os.getpid)
        return {pids[worker] for worker, tasks in client.processing().items() if tasks}


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
    busy = at_work(address)
    next(worker for worker in workers if worker.pid in busy).kill()
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
    begun = time.monotonic()
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        done = adtool(matrix, "--out", tmp_path / "out", "--executor", "dask", "--scheduler", f"tcp://127.0.0.1:{mute.getsockname()[1]}")
    took = time.monotonic() - begun

    assert done.exit_code == 2
    assert "No Dask scheduler answers at tcp://127.0.0.1" in done.stderr
    assert "no answer within 1 s" in done.stderr
    assert "Traceback" not in done.output
    assert took < 6, "it waits as long as it says, and for distributed to be loaded"
    assert not Path(tmp_path / "out").exists()


ADDRESSES = {
    "nonsense": "write tcp://HOST:PORT",
    "http://127.0.0.1:1": "Schedulers do not speak this protocol",
    "tcp://127.0.0.1:1": "Connection refused",
    "tcp://nowhere.invalid:8786": "not known",
}


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_address_without_scheduler_is_refused_with_the_cause(matrix, tmp_path, monkeypatch, address):
    monkeypatch.setattr("adtoolkit.bench.crew_dask.PATIENCE", 0.5)
    if "invalid" in address:
        monkeypatch.setattr(socket, "getaddrinfo", Mock(side_effect=socket.gaierror(-2, "Name or service not known")))

    done = adtool(matrix, "--out", tmp_path / "out", "--executor", "dask", "--scheduler", address)

    assert done.exit_code == 2
    assert f"No Dask scheduler answers at {address}" in done.stderr
    assert ADDRESSES[address] in " ".join(done.stderr.split())


def test_another_server_is_told_from_a_scheduler_without_taking_its_words_for_a_size(matrix, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:

        def greet():
            line, _ = server.accept()
            with line:
                line.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")

        thread = Thread(target=greet)
        thread.start()
        address = f"127.0.0.1:{server.getsockname()[1]}"
        done = adtool(matrix, "--out", tmp_path / "out", "--executor", "dask", "--scheduler", address)
        thread.join()

    assert done.exit_code == 2
    assert f"What answers at {address} is no Dask scheduler" in done.stderr
