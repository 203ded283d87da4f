import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.command import TOY

SCRIPT = Path(__file__).parent / "scripts" / "kill_and_resume.py"
SEARCH = [*TOY, "--estimator", "sigma", "--scorer", "cathode", "--seed", "3"]
SEARCH += ["--set", "data.n_background=5000", "--set", "data.n_reference=2000", "--set", "data.n_test=1000", "--set", "scorer.members=1"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("kills", [4, pytest.param(20, marks=pytest.mark.slow)])
def test_a_run_killed_at_any_moment_resumes_and_ends_with_the_same_numbers(kills, tmp_path):
    command = [sys.executable, SCRIPT, tmp_path, str(kills), "1", "--", *SEARCH]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    told = json.loads(done.stdout.splitlines()[-1])

    assert told["killed"] >= kills
    stages_at_kill = [sum(moment.values()) for moment in told["moments"]]
    assert min(stages_at_kill) == 0, "no kill fell into the training"
    assert max(stages_at_kill) >= 2, "no kill fell behind the template"
    for metrics in told["stormy"]:
        assert metrics == told["calm"]
