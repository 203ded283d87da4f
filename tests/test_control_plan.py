"""What is said before any training of the models that control regions need, against what a run trains."""

import json
from pathlib import Path

import numpy as np
import pytest
from support.command import TOY, adtool

MIX = [*TOY[1:-1], "--window", "3.1", "3.3", "--set", "scorer.folds=2"]


@pytest.mark.parametrize("refit", ["true", "false"])
@pytest.mark.parametrize(
    ("estimator", "scorer", "control"), [("cathode", "cathode", "auto"), ("masked-cfm", "likelihood", "0.9"), ("rad-ot", "cathode", "auto"),
     ("sigma", "cathode", "auto"), ("cathode", "anode", "1.0"), ("cathode", "anode", "auto")],
)  # fmt: skip
def test_as_many_models_are_trained_as_the_plan_says(cache, tmp_path, estimator, scorer, control, refit):
    options = ["--estimator", estimator, "--scorer", scorer, "--set", f"template.control={control}", "--set", f"template.refit={refit}"]
    plan = json.loads(adtool("plan", *MIX, *options, "--json").stdout)
    done = adtool("run", "--no-pictures", *MIX, *options, "--out", tmp_path, "--json")
    found = json.loads(done.stdout.splitlines()[-1])
    stages = json.loads((Path(found["run"]) / "manifest.json").read_text())["stages"]

    assert done.exit_code == 0, done.output
    assert [path.partition("/")[0] for path in stages].count("fit") == plan["trainings"]


def test_no_other_model_is_planned_for_template_events_of_a_file(tmp_path):
    np.savez(tmp_path / "bg.npz", m=np.zeros(1), a=np.zeros(1))
    options = {"path": tmp_path / "bg.npz", "mass": "m", "columns": "a"}
    given = [argument for name, value in options.items() for argument in ("--set", f"estimator.{name}={value}")]
    done = adtool("plan", *MIX, "--estimator", "samples", "--scorer", "cathode", *given, "--json")

    assert json.loads(done.stdout)["trainings"] == 1
