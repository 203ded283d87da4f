"""Which mixes can run: the rules one by one, the messages, and the whole table of the bundled components.

After a deliberate change of the table: ``UPDATE_GOLDEN=1 pytest tests/test_mix.py``, and read the difference.
"""

import os
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from adtoolkit import builtin
from adtoolkit.capabilities import Cap
from adtoolkit.errors import UnknownNameError
from adtoolkit.legality import legality_table
from adtoolkit.mix import Blocked, Plan, resolve
from adtoolkit.plugin import Component, Region, hookimpl
from adtoolkit.registry import Registry

ROOT = Path(__file__).parents[1]
GOLDEN = Path(__file__).parent / "golden" / "legality.txt"

WINDOW, ALL_DATA = frozenset({Cap.WINDOW}), frozenset({Cap.WINDOW, Cap.REFERENCE, Cap.TRUTH})


def caps(*names: str) -> frozenset[str]:
    return frozenset(names)


class Methods:
    """Estimators and scorers of every kind that the rules tell apart."""

    @hookimpl
    def adtoolkit_register_components(self) -> list[Component]:
        def make(kind: Any, name: str, **more: Any) -> Component:
            return Component(kind=kind, name=name, target="nowhere:X", summary="s", **more)

        flow = {"provides": caps(Cap.SAMPLE, Cap.LOG_PROB, Cap.FIELD, "own:blend"), "needs": WINDOW}
        return [
            make("estimator", "everywhere", trains_on=(Region.ALL, Region.SIDEBAND), default_interpolator="blend", **flow),
            make("estimator", "only-all", trains_on=(Region.ALL,), default_interpolator="linear", **flow),
            make("estimator", "maf", trains_on=(Region.SIDEBAND,), provides=caps(Cap.SAMPLE, Cap.NOISE, Cap.LOG_PROB), needs=WINDOW),
            make(
                "estimator",
                "one-class",
                trains_on=(Region.REFERENCE,),
                provides=caps(Cap.SAMPLE, Cap.RECONSTRUCT),
                needs=caps(Cap.REFERENCE),
            ),
            make(
                "interpolator",
                "blend",
                accepts=frozenset({Region.ALL, Region.SIDEBAND}),
                rules=((caps("own:blend"), caps(Cap.SAMPLE, Cap.LOG_PROB)),),
                needs=WINDOW,
            ),
            make("scorer", "template", needs=caps(Cap.WINDOW, Cap.SAMPLE)),
            make("scorer", "mutability", needs=caps(Cap.SAMPLE, Cap.RECONSTRUCT)),
        ]


@pytest.fixture(scope="module")
def registry() -> Registry:
    """The core's components and those above."""
    fresh = Registry()
    fresh.register(builtin, "builtin", "adtoolkit")
    fresh.register(Methods(), "methods", "in memory")
    return fresh


@pytest.fixture(scope="module")
def bundled() -> Registry:
    """All that the distribution brings, whatever else is installed here."""
    fresh = Registry()
    fresh.register(builtin, "builtin", "adtoolkit")
    points = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["adtoolkit"]
    for name, module in sorted(points.items()):
        fresh.register(import_module(module), name, "adtoolkit")
    return fresh


def plan(registry: Registry, *mix: str | None, have: frozenset[str] = ALL_DATA) -> Plan:
    outcome = resolve(registry, "table", *mix, have=have)  # type: ignore[arg-type]
    assert isinstance(outcome, Plan), outcome.message
    return outcome


def blocked(registry: Registry, *mix: str | None, have: frozenset[str] = ALL_DATA) -> Blocked:
    outcome = resolve(registry, "table", *mix, have=have)  # type: ignore[arg-type]
    assert isinstance(outcome, Blocked), outcome
    return outcome


def codes(outcome: Blocked) -> str:
    return "".join(fault.code for fault in outcome.faults)


def test_region_is_the_first_that_the_interpolator_accepts(registry: Registry) -> None:
    """The same estimator is trained on all data for one interpolator and on the sideband for another."""
    assert Region.ALL is plan(registry, "everywhere", "blend", "template").region
    assert Region.SIDEBAND is plan(registry, "everywhere", "direct", "template").region
    assert Region.REFERENCE is plan(registry, "one-class", "direct", "mutability").region


def test_window_is_in_the_key_of_the_fit_only_where_it_was_masked(registry: Registry) -> None:
    assert not plan(registry, "everywhere", "blend", "template").window_in_fit
    assert plan(registry, "everywhere", "direct", "template").window_in_fit
    assert not plan(registry, "one-class", "direct", "mutability").window_in_fit


def test_background_is_what_the_rules_give_for_the_model(registry: Registry) -> None:
    assert {"sample", "log-prob"} == plan(registry, "everywhere", "linear", "template").background
    assert {"sample"} == plan(registry, "maf", "displacement", "template").background
    assert {"sample", "noise", "log-prob"} == plan(registry, "maf", "direct", "template").background


def test_parts_left_open_are_the_estimators_own(registry: Registry) -> None:
    assert plan(registry, "everywhere", None, "template").interpolator.name == "blend"


def test_model_that_saw_the_window_is_not_evaluated_in_it(registry: Registry) -> None:
    """The domain rule: its signal would be learnt as background. The negative control does it by name."""
    outcome = blocked(registry, "only-all", "direct", "template")

    assert codes(outcome) == "r"
    assert "it has learnt the window's own signal as background" in outcome.message
    assert Region.ALL is plan(registry, "only-all", "v-data", "template").region


def test_interpolator_that_finds_nothing_to_work_on(registry: Registry) -> None:
    outcome = blocked(registry, "maf", "linear", "template")

    assert codes(outcome) == "i"
    assert "works on models with field,\nbut that of estimator 'maf' has only: log-prob, noise, sample" in outcome.message


def test_scorer_that_needs_what_the_background_lacks(registry: Registry) -> None:
    """The message of the design, to the letter."""
    outcome = blocked(registry, "one-class", "direct", "likelihood")

    assert outcome.message.splitlines() == [
        "This mix cannot run: scorer 'likelihood' needs log-prob (a density p(x | m) it can evaluate),",
        "but estimator 'one-class' through 'direct' gives only: reconstruct, sample.",
        "  Scorers that work with one-class here:     template, mutability",
        "  Estimators that work with likelihood here: everywhere, only-all (through linear), maf",
    ]


def test_scorer_without_background_runs_only_with_estimator_none(registry: Registry) -> None:
    """Else a baseline would be repeated for every estimator, and a model trained for nothing."""
    assert None is plan(registry, "none", None, "random").region
    assert not plan(registry, "none", None, "supervised").estimates
    assert codes(blocked(registry, "maf", "direct", "random")) == "n"
    assert codes(blocked(registry, "none", "direct", "template")) == "s"
    assert codes(blocked(registry, "none", "linear", "random")) == "m"


@pytest.mark.parametrize(
    ("mix", "have", "lacking"),
    [
        (("none", None, "supervised"), WINDOW, "truth"),
        (("none", None, "idealised"), WINDOW, "reference"),
        (("none", None, "cwola"), caps(), "window"),
        (("maf", "direct", "template"), caps(Cap.REFERENCE), "window"),
        (("one-class", "direct", "mutability"), WINDOW, "reference"),
    ],
)
def test_data_must_offer_what_any_part_needs(
    registry: Registry, mix: tuple[str, str | None, str], have: frozenset[str], lacking: str
) -> None:
    outcome = blocked(registry, *mix, have=have)

    assert codes(outcome) == "d"
    assert f"needs {lacking} (" in outcome.message or f"need {lacking} (" in outcome.message


def test_missing_window_is_mended_by_a_flag(registry: Registry) -> None:
    outcome = blocked(registry, "maf", "displacement", "template", have=caps())

    assert "estimator 'maf', interpolator 'displacement' and scorer 'template' need window" in outcome.message
    assert ("Give a window (and leave --no-window away)", ("--window LO HI",)) in outcome.fixes


def test_all_faults_are_told_at_once(registry: Registry) -> None:
    outcome = blocked(registry, "one-class", "linear", "supervised", have=caps())

    assert codes(outcome) == "dddnri"
    assert "for 6 reasons:" in outcome.message


def test_every_fix_that_is_offered_mends_the_mix(registry: Registry) -> None:
    """Brute force over all mixes: following the advice gives a plan."""
    for estimator in registry.names("estimator"):
        for interpolator in registry.names("interpolator"):
            for scorer in registry.names("scorer"):
                outcome = resolve(registry, "table", estimator, interpolator, scorer, have=ALL_DATA)
                for label, names in outcome.fixes if isinstance(outcome, Blocked) else ():
                    for name in names:  # `plan` asserts that the mix is legal
                        if label.startswith("Scorers"):
                            plan(registry, estimator, interpolator, name)
                        elif label.startswith("Interpolators"):
                            plan(registry, estimator, name, scorer)
                        elif label.startswith("Estimators"):
                            other, _, through = name.removesuffix(")").partition(" (through ")
                            own = registry.get("estimator", other).component.default_interpolator if other == "none" else interpolator
                            plan(registry, other, through or own, scorer)


def test_unknown_part_is_named(registry: Registry) -> None:
    with pytest.raises(UnknownNameError, match="There is no estimator 'mafia'"):
        resolve(registry, "table", "mafia", None, None)


def test_table_of_all_bundled_mixes(bundled: Registry) -> None:
    """Every mix there is, against the file."""
    table = legality_table(bundled)
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_text(table)

    assert GOLDEN.read_text() == table


def test_resolving_imports_neither_numpy_nor_torch() -> None:
    code = (
        "import sys, adtoolkit.legality, adtoolkit.registry;"
        "adtoolkit.legality.legality_table(adtoolkit.registry.default_registry());"
        "print({'numpy', 'torch', 'pydantic'} & set(sys.modules))"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "set()"
