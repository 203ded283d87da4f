"""What stands around the checks: expected failures, the decorator, the command, worlds, examples, guards."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from adtoolkit.cli import cli
from adtoolkit.errors import DataError, PluginError, UnknownNameError
from adtoolkit.interfaces import Scorer
from adtoolkit.plugin import Component, Region
from adtoolkit.registry import Registry, default_registry
from adtoolkit.testing import (
    in_memory,
    parametrize_with_checks,
    reference_world,
    registered,
    toy_world,
    write_lhco_example,
    write_table_example,
)
from adtoolkit.testing.checks import all_checks, checks_for, run_checks
from adtoolkit.testing.guards import OtherGlobalSeeds, changed, fingerprint, global_state, pickles, tensors
from adtoolkit.testing.worlds import GammaModel, LineModel


class Aimless(Scorer):
    """Fails as soon as it is fitted."""

    def fit(self, data, background, ctx):
        raise RuntimeError("no idea")


def component(**changes) -> Component:
    values = {"name": "aimless", "summary": "knows nothing", "expected_failures": {}, **changes}
    return Component(kind="scorer", target=f"{__name__}:Aimless", **values)


def outcome(component: Component, name: str):
    return next(result for result in run_checks(component, Registry()) if result.name == name)


def test_expected_failure_is_reported_with_its_reason():
    """A declared failure is no failure, and its reason is shown."""
    found = outcome(component(expected_failures={"deterministic": "it has no idea"}), "deterministic")

    assert (found.outcome, found.reason) == ("expected-failure", "it has no idea")


def test_unexpected_pass_is_a_failure():
    """A declared failure that passes must be taken out of the record."""
    found = outcome(component(expected_failures={"presets_exist": "there are none"}), "presets_exist")

    assert found.outcome == "fail"
    assert "remove the declaration" in found.reason


def test_expected_failure_that_does_not_apply_is_a_failure():
    """A declaration about a check that makes no sense for the component is stale."""
    found = outcome(component(expected_failures={"cite_resolves_to_arxiv_or_doi": "unpublished"}), "cite_resolves_to_arxiv_or_doi")

    assert found.outcome == "fail"
    assert "does not apply" in found.reason


def test_exception_of_a_component_is_a_failure_with_its_text():
    """Whatever a component raises is told with the claim of the check."""
    found = outcome(component(), "deterministic")

    assert found.outcome == "fail"
    assert found.reason.startswith("Two fits with the same seed")
    assert found.reason.endswith("RuntimeError: no idea")


def test_decorator_gives_readable_ids_and_strict_xfails():
    """The ids say kind, name and check; expected failures become strict xfails with their reason."""
    mark = parametrize_with_checks([component(expected_failures={"deterministic": "it has no idea"})], Registry())
    cases = {case.id: case for case in mark.args[1]}
    xfail = cases["scorer-aimless-deterministic"].marks[0]

    assert len(cases) == len(checks_for("scorer"))
    assert "scorer-aimless-save_load_same_answer" in cases
    assert (xfail.name, xfail.kwargs) == ("xfail", {"reason": "it has no idea", "strict": True})


def test_decorator_finds_components_by_name():
    """A name stands for the components of all kinds that bear it; an unknown one is told with the nearest."""
    mark = parametrize_with_checks(["toy-bump"])

    assert {case.id.rpartition("-")[0] for case in mark.args[1]} == {"data-toy-bump"}
    with pytest.raises(UnknownNameError, match="Did you mean 'toy-bump'"):
        parametrize_with_checks(["toy-bmup"])


def test_decorated_tests_run_under_pytest(tmp_path):
    """A plugin author's file of five lines passes, with skips for what does not apply."""
    (tmp_path / "test_mine.py").write_text(
        "from adtoolkit.testing import parametrize_with_checks\n\n"
        "@parametrize_with_checks(['toy-bump'])\ndef test_conformance(check):\n    check()\n\n"
        "def test_fixture(toy_world):\n    assert len(toy_world.dataset.events) == 4100\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )

    assert done.returncode == 0, done.stdout
    assert "1 skipped" in done.stdout


def test_registered_adds_and_removes():
    """A plugin is there inside the block and gone behind it, whatever happens inside."""
    registry = Registry()
    inside = []

    def use() -> None:
        with registered(in_memory(component()), registry):
            inside.extend(registry.names("scorer"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        use()

    assert inside == ["aimless"]
    assert registry.names("scorer") == []


def test_registered_refuses_what_is_malformed():
    """A wrong record raises at once and leaves nothing behind."""
    registry = Registry()
    with pytest.raises(PluginError, match="names are lower-case"), registered(in_memory(component(name="Aim Less")), registry):
        pass

    assert registry.plugins == ()


def test_check_command_prints_outcomes_and_exit_code():
    """``adtool check`` prints a line per check, an exception once, and ends with 1 if one failed."""
    with registered(in_memory(component(cite="nowhere")), default_registry()):
        printed = CliRunner().invoke(cli, ["check", "aimless"])
        as_json = CliRunner().invoke(cli, ["check", "aimless", "--json"])
    told = json.loads(as_json.output)

    assert (printed.exit_code, as_json.exit_code) == (1, 1)
    assert "fail             fit_returns_new_model: fit returns a new model" in printed.output
    assert "fail             deterministic: as fit_returns_new_model\n" in printed.output
    assert printed.output.count("RuntimeError: no idea") == 1
    assert as_json.output.count("RuntimeError: no idea") > 1
    assert "pass             presets_exist" in printed.output
    assert told["status"] == "failed"
    assert told["components"][0]["checks"][0] == {
        "name": "name_and_summary",
        "outcome": "pass",
        "reason": "",
        "seconds": pytest.approx(0, abs=1),
    }


def test_check_command_passes_a_good_component():
    """A component without failures ends with 0."""
    done = CliRunner().invoke(cli, ["check", "toy-bump", "--kind", "data"])

    assert done.exit_code == 0
    assert "not-applicable   cite_resolves_to_arxiv_or_doi: it cites nothing" in done.output


@pytest.mark.parametrize("arguments", [["sgima"], ["direct", "--kind", "scorer"]])
def test_check_command_refuses_unknown_names(arguments):
    """An unknown name is refused with what there is."""
    done = CliRunner().invoke(cli, ["check", *arguments])

    assert done.exit_code == 2


def test_importing_testing_is_light():
    """pytest loads the plugin at every start, so it brings in neither numpy nor torch."""
    heavy = "{'numpy', 'torch', 'scipy', 'pydantic'}"
    code = f"import sys, adtoolkit.testing.pytest_support, adtoolkit.testing; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def test_field_of_line_model_carries_noise_to_data():
    """Integrating the closed-form field from 0 to 1 turns N(0, 1) into the model's own normal."""
    line = LineModel()
    x = torch.linspace(-2, 2, 9, dtype=torch.float64)[:, None].repeat(1, 2)
    start = x.clone()
    cond = torch.full((9, 1), 4.1, dtype=torch.float64)
    steps = 2000
    for i in range(steps):
        t = torch.tensor((i + 0.5) / steps, dtype=torch.float64)
        middle = x + line.field(torch.tensor(i / steps), x, cond) / (2 * steps)
        x = x + line.field(t, middle, cond) / steps
    expected = line.mean(np.array([4.1])) + line.width * start.numpy()

    assert np.abs(x.numpy() - expected).max() < 1e-5


def test_world_gives_each_region_and_blinds():
    """Training events are blinded and of the region asked for; scorers get only what they declare."""
    world = toy_world(seed=3, n=2000, n_signal=50)
    train, val = world.training(Region.SIDEBAND)
    data = world.scorer_data()

    assert train.truth is None
    assert not world.window.contains(train.m).any()
    assert len(val) == (len(train) + len(val)) // 5
    assert (data.reference, data.labelled, data.window.truth) == (None, None, None)
    assert set(np.unique(world.scorer_data(truth=True).labelled.truth)) == {0, 1}


def test_reference_world_is_one_class_with_an_exact_density():
    """Without a window all events are inside; the density integrates to one, and is that of the draws."""
    world = reference_world(seed=1, n=3000, n_signal=100, features=3)
    train, val = world.training(Region.REFERENCE)
    data = world.scorer_data(reference=True)
    grid = (np.arange(20_000) + 0.5)[:, None] * 1e-3
    one = GammaModel((0.3,))
    drawn = one.sample(np.full((20_000, 1), 4.0, np.float32), np.random.default_rng(2))

    assert (world.window, len(train) + len(val), len(data.window), len(data.sideband)) == (None, 3000, 3100, 0)
    assert data.reference.truth is None
    assert np.exp(one.exact(grid, np.full(20_000, 4.0))).sum() * 1e-3 == pytest.approx(1, abs=1e-6)
    assert drawn.mean() == pytest.approx(4 * 0.3 * 2, rel=0.02)
    with pytest.raises(DataError, match="no window"):
        _ = world.the_window


@pytest.mark.parametrize(("name", "write"), [("lhco", write_lhco_example), ("table", write_table_example)])
def test_example_files_load(name, write, tmp_path):
    """The example files are in the layout of their source, so that anybody can try one."""
    record = default_registry().get("data", name).component
    options = write(tmp_path)

    results = run_checks(record, None, **options)

    assert Path(options["path"]).parent == tmp_path
    assert [result for result in results if result.outcome == "fail"] == []


def test_pickles_are_found(tmp_path):
    """Pickles are found by name, by their first bytes and inside torch and numpy files; plain files are left alone."""
    import pickle

    (tmp_path / "a.pkl").write_bytes(b"x")
    (tmp_path / "b.bin").write_bytes(pickle.dumps({"a": 1}))
    np.save(tmp_path / "c.npy", np.array([{}], dtype=object), allow_pickle=True)
    torch.save({"f": Aimless}, tmp_path / "d.pt")
    np.save(tmp_path / "e.npy", np.zeros(3))
    torch.save({"w": torch.zeros(2)}, tmp_path / "f.pt")
    (tmp_path / "g.json").write_text("{}")

    assert [text[:5] for text in pickles(tmp_path)] == ["a.pkl", "b.bin", "c.npy", "d.pt "]


def test_tensors_are_found_wherever_they_hide():
    """Parameters, buffers, and tensors in nested attributes are all found, cycles included."""
    network = torch.nn.BatchNorm1d(2)
    holder = Aimless(None)
    holder.parts = [{"net": network, "extra": torch.zeros(1)}]
    holder.me = holder

    names = {name for name, _ in tensors(holder)}

    assert {name.rpartition(".")[2] for name in names} >= {"weight", "bias", "running_mean", "running_var"}
    assert "model.parts[0]['extra']" in names


def test_global_state_sees_and_restores():
    """Moved generators are seen, and set back behind the block."""
    before = global_state()
    with OtherGlobalSeeds():
        inside = changed(before, global_state())

    assert sorted(inside) == ["the random state of numpy", "the random state of python", "the random state of torch"]
    assert changed(before, global_state()) == []


def test_fingerprint_sees_one_changed_value():
    """One number written in place is found, and where."""
    world = toy_world(seed=0, n=50, n_test=10)
    before = fingerprint(world)
    world.dataset.events.m.base[3] = 0.0

    assert changed(before, fingerprint(world)) == ["dataset.events.m"]


def test_every_check_is_documented():
    """The reference page has one heading per check, and none for a check that is gone."""
    page = Path(__file__).parents[2] / "docs" / "reference" / "checks.md"
    headings = [line.removeprefix("### ").strip() for line in page.read_text().splitlines() if line.startswith("### ")]

    assert sorted(headings) == sorted({check.name for check in all_checks()})
