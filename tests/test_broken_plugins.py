"""What the author of a broken plugin is told by ``adtool plugins``, ``show`` and ``check``: what is wrong, and what to do."""

from collections.abc import Callable, Iterator

import pytest
from support.command import adtool

from adtoolkit.registry import default_registry

GOOD = """
import json
import numpy as np
from adtoolkit.interfaces import BackgroundEstimator, Model
from adtoolkit.plugin import Cap, Component, Region, hookimpl

class Blob(Model):
    def __init__(self, mean):
        self.mean = mean

    def sample(self, cond, rng):
        return (self.mean + rng.standard_normal((len(cond), len(self.mean)))).astype(np.float32)

    def save(self, directory):
        (directory / "mean.json").write_text(json.dumps(self.mean.tolist()))

    @classmethod
    def load(cls, directory, device):
        return cls(np.array(json.loads((directory / "mean.json").read_text())))

class Blobs(BackgroundEstimator):
    def fit(self, train, val, ctx):
        if not len(train) or not np.isfinite(train.x).all():
            raise ValueError("no events, or some are not finite")
        return Blob(np.average(train.x, axis=0, weights=train.weights))

@hookimpl
def adtoolkit_register_components():
    record = Component(
        kind="estimator", name="blob", target=f"{__name__}:Blobs", summary="one blob at all masses",
        provides=frozenset({Cap.SAMPLE}), trains_on=(Region.SIDEBAND,),
    )
    return [record]
"""

Install = Callable[[str, str], None]


@pytest.fixture
def broken(install: Callable[..., None]) -> Iterator[Install]:
    """Install the plugin above with one piece of it replaced, so that the commands find it."""

    def do(piece: str, by: str) -> None:
        assert GOOD.count(piece) == 1
        install("acme-blob", GOOD.replace(piece, by), "blob")
        default_registry.cache_clear()

    yield do
    default_registry.cache_clear()


def failures(output: str) -> dict[str, str]:
    """Failing checks of an output, with what is said of them."""
    rows = [line.split(maxsplit=1)[1].partition(": ") for line in output.splitlines() if line.startswith("  fail ")]
    return {name: text for name, _, text in rows}


def test_good_plugin_is_listed_shown_and_passes(broken: Install) -> None:
    broken("one blob at all masses", "a blob")

    done = adtool("check", "blob")

    assert "  blob     acme-blob 2.5    estimator blob" in adtool("plugins").output
    assert "from          plugin 'blob' of acme-blob 2.5" in adtool("show", "blob").output
    assert (done.exit_code, failures(done.output)) == (0, {})
    assert "docs/reference/checks.md" not in done.output


def test_import_error_is_told_by_every_command(broken: Install) -> None:
    broken("import json\n", "import jsno\n")

    plugins = adtool("plugins").output

    why = "cannot be imported: ModuleNotFoundError: No module named 'jsno'; adtool plugins --debug shows where."
    assert f"FAILED: The plugin 'blob' of acme-blob 2.5 {why}" in plugins
    assert "line 2, in <module>" in adtool("plugins", "--debug").output
    for command in (["show", "blob"], ["show", "estimator", "blob"], ["check", "blob"], ["check", "blob", "--kind", "estimator"]):
        done = adtool(*command)
        assert done.exit_code == 2
        assert done.stderr.rstrip().endswith("(Not loaded: blob; see: adtool plugins)")


def test_name_clash_is_told_by_every_command(broken: Install) -> None:
    broken('kind="estimator", name="blob"', 'kind="estimator", name="none"')

    what = "The plugin 'blob' of acme-blob 2.5 registers estimator 'none', a name that plugin 'builtin' of adtoolkit "
    assert what in adtool("plugins").output
    for command in (["show", "none"], ["check", "none"]):
        done = adtool(*command)
        assert done.exit_code == 2
        assert done.stderr.startswith(f"error: {what}")
        assert done.stderr.rstrip().endswith("has already; uninstall or rename one of the two. See: adtool plugins")


CHECKED = {
    "missing target": (
        (":Blobs", ":Blob_s"),
        "code_fits_the_interface",
        "has no class 'Blob_s'; it has: Blob, Blobs. Did you mean 'Blobs'?",
    ),
    "wrong signature": (
        ("def fit(self, train, val, ctx)", "def fit(self, train, ctx)"),
        "code_fits_the_interface",
        "Blobs.fit(self, train, ctx) does not fit: write def fit(self, train, val, ctx).",
    ),
    "wrong signature of the model": (
        ("def sample(self, cond, rng):", "def sample(self, cond, rng, n):"),
        "capabilities_match_methods",
        "Blob.sample(cond, rng, n) does not fit: write def sample(self, cond, rng).",
    ),
    "wrong shape": (
        (".astype(np.float32)", ".astype(np.float32)[:, :1]"),
        "sample_shape_dtype_finite",
        "sample returned shape [200, 1] where [200, 2] was asked for.",
    ),
    "nan": (
        ("(self.mean + rng", "(np.nan * self.mean + rng"),
        "sample_shape_dtype_finite",
        "400 of 400 values that sample returned are not finite.",
    ),
    "undeclared capability": (
        ("    def save(self", "    def reconstruct(self, x, cond):\n        return x\n\n    def save(self"),
        "capabilities_match_methods",
        "There but not declared: reconstruct; add it to provides, or call the method something else.",
    ),
    "capability that is not there": (
        ("{Cap.SAMPLE}", "{Cap.SAMPLE, Cap.LOG_PROB}"),
        "capabilities_match_methods",
        "Declared but not there: log-prob; write the method, or take it out of provides.",
    ),
    "mutating input": (
        ("        return Blob(", "        train.x -= 1\n        return Blob("),
        "fit_returns_new_model",
        "Events are shared and read-only: work on a copy, events.x.copy()",
    ),
    "mutating input in spite of its lock": (
        ("        return Blob(", "        train.x.base[:] = 0\n        return Blob("),
        "inputs_not_mutated",
        "Changed: x; work on a copy (torch.from_numpy shares memory, adtoolkit.nn.to_tensor copies).",
    ),
    "global seed": (
        ("        return Blob(", "        np.random.seed(1)\n        return Blob("),
        "no_global_rng_or_dtype_change",
        "draw from ctx.rng(purpose) or the generator given, make torch layers inside adtoolkit.nn.isolated_rng, put settings back.",
    ),
    "not storable": (
        (".tolist()", ""),
        "save_load_same_answer",
        "not JSON serializable; write arrays with adtoolkit.arrays.write_arrays, tensors with adtoolkit.nn.save_tensors, the rest as JSON.",
    ),
}


@pytest.mark.parametrize(("change", "check", "message"), CHECKED.values(), ids=CHECKED)
def test_check_says_what_is_wrong_and_what_to_do(broken: Install, change: tuple[str, str], check: str, message: str) -> None:
    """Listing and showing go on; the check that is about the fault ends in advice, and repeats nothing that was said before."""
    broken(*change)

    done = adtool("check", "blob")
    found = failures(done.output)

    assert [adtool("plugins").exit_code, adtool("show", "blob").exit_code, done.exit_code] == [0, 0, 1]
    assert found[check].endswith(message)
    told = [text for text in found.values() if not text.startswith("as ")]
    assert len(told) == len(set(told)) <= 4
    assert {text.removeprefix("as ") for text in found.values()} - set(told) <= set(found)
    assert "adtool check blob --debug" in done.output.splitlines()[-1]


@pytest.mark.parametrize("method", ["__init__(self, config)", "check(self, events, window)"])
def test_a_plugin_that_fails_before_training_is_blamed_by_name(broken: Install, method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    broken("class Blobs(BackgroundEstimator):\n", f"class Blobs(BackgroundEstimator):\n    def {method}:\n        return 1 / 0\n")
    monkeypatch.setenv("ADTOOLKIT_PLUGINS", "blob,cathode")

    done = adtool("run", "--data", "toy-bump", "--preset", "smoke", "--estimator", "blob")

    assert done.exit_code == 2
    assert done.stderr == "error: The estimator 'blob' failed: ZeroDivisionError: division by zero. Try: adtool check blob\n"
