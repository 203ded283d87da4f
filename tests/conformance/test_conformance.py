"""Every registered component against every check of its kind; and that none was left out."""

from __future__ import annotations

from collections import Counter

import pytest

from adtoolkit.registry import default_registry
from adtoolkit.testing import parametrize_with_checks
from adtoolkit.testing.checks import all_checks, checks_for, run_checks
from adtoolkit.testing.pytest_support import BoundCheck

_COMPONENTS = [registered.component for registered in default_registry().components()]

#: (kind, name) -> checks that ran and were not skipped, in this session.
_EXECUTED: Counter[tuple[str, str]] = Counter()
_STARTED: Counter[tuple[str, str]] = Counter()


# torch's own: the first derivative in forward mode makes it load decompositions with torch.jit.script.
@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning")
@parametrize_with_checks(_COMPONENTS)
def test_component_conforms(check: BoundCheck) -> None:
    """A component meets a check, or declares that it does not, with a reason."""
    key = check.component.kind, check.component.name
    _STARTED[key] += 1

    check()

    _EXECUTED[key] += 1


def test_every_component_took_part(request: pytest.FixtureRequest) -> None:
    """No registered component was left out, and none skipped all of its checks."""
    if any(_STARTED[c.kind, c.name] < len(checks_for(c.kind)) for c in _COMPONENTS):
        pytest.skip("only some of the conformance tests were chosen, or another worker ran the rest")

    idle = [f"{c.kind} '{c.name}'" for c in _COMPONENTS if _EXECUTED[c.kind, c.name] < 4]

    assert idle == []


def test_no_plugin_failed() -> None:
    """All bundled plugins were found and loaded, so that their components are among the tested ones."""
    assert [failure.error for failure in default_registry().failures] == []
    assert {"estimator", "interpolator", "scorer", "data", "metric"} == {c.kind for c in _COMPONENTS}


def test_checks_have_distinct_names_within_a_kind() -> None:
    """A check is known by its name: no kind has two of the same."""
    names = Counter((kind, check.name) for check in all_checks() for kind in check.kinds)

    assert [name for name, n in names.items() if n > 1] == []


def test_every_check_says_what_it_claims() -> None:
    """The docstring of a check is what a failure says."""
    assert [check.name for check in all_checks() if not check.claim.endswith(".")] == []


def test_network_classifier_conforms() -> None:
    """The ``smoke`` preset trains trees; the other classifier of the scorers keeps the same promises."""
    cathode = default_registry().get("scorer", "cathode").component

    failed = [result for result in run_checks(cathode, classifier="mlp") if result.outcome == "fail"]

    assert failed == []
