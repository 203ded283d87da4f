"""Runs a search again and again on one cache, killing it until it ends: twice at chosen moments, else at random ones. Prints JSON.

kill_and_resume.py FOLDER KILLS SEED -- ADTOOL_ARGUMENTS. The parent imports everything and computes nothing, so that forked
children start at once and OpenMP is untouched before the fork.
"""

import contextlib
import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import matplotlib.pyplot as plt  # noqa: F401
import sklearn.ensemble  # noqa: F401
import torch._dynamo  # noqa: F401

import adtoolkit.cli.run  # noqa: F401
from adtoolkit.cli import main


def start(folder: Path, arguments: list[str]) -> int:
    pid = os.fork()
    if pid == 0:
        code = 1
        with (folder / "log.txt").open("a") as log, contextlib.redirect_stdout(log), contextlib.redirect_stderr(log):
            os.environ["ADTOOLKIT_CACHE"] = str(folder / "cache")
            try:
                main([*arguments, "--out", str(folder / "runs")])
                code = 0
            except SystemExit as end:
                code = int(end.code or 0)
            finally:
                log.flush()
                os._exit(code)
    return pid


def stages_there(folder: Path) -> dict[str, int]:
    return {stage.name: len(list(stage.glob("*/DONE"))) for stage in sorted((folder / "cache").glob("*"))}


def in_training(folder: Path) -> bool:
    return any((folder / "cache" / "fit").glob("*.part"))


def behind_template(folder: Path) -> bool:
    return sum(stages_there(folder).values()) >= 2


def metrics(folder: Path) -> dict[str, float]:
    (found,) = (folder / "runs").glob("*/*/metrics.json")
    return json.loads(found.read_text())


def undisturbed(folder: Path, arguments: list[str]) -> float:
    folder.mkdir(parents=True)
    began = time.monotonic()
    _, status = os.waitpid(start(folder, arguments), 0)
    if status:
        sys.exit((folder / "log.txt").read_text())
    return time.monotonic() - began


def main_script() -> None:
    root, kills, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    arguments = sys.argv[sys.argv.index("--") + 1 :]
    takes = undisturbed(root / "calm", arguments)
    rng = random.Random(seed)
    killed, rounds, moments, chosen = 0, [], [], [in_training, behind_template]
    while killed < kills:
        folder = root / f"stormy{len(rounds)}"
        folder.mkdir(parents=True)
        while True:
            pid = start(folder, arguments)
            moment = chosen.pop(0) if chosen else None
            deadline = time.monotonic() + rng.uniform(0.02, 0.9) * takes
            done, status = 0, 0
            while not done and (time.monotonic() < deadline if moment is None else not moment(folder)):
                time.sleep(0.005)
                done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                if status:
                    sys.exit((folder / "log.txt").read_text())
                break
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            killed += 1
            moments.append(stages_there(folder))
            if killed >= 3 * kills:  # progress too slow for these moments: let this round end
                _, status = os.waitpid(start(folder, arguments), 0)
                if status:
                    sys.exit((folder / "log.txt").read_text())
                break
        rounds.append(metrics(folder))
    sys.stdout.write(
        json.dumps({"calm": metrics(root / "calm"), "stormy": rounds, "killed": killed, "moments": moments, "seconds": takes}) + "\n"
    )


if __name__ == "__main__":
    main_script()
