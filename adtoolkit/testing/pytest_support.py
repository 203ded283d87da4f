"""The pytest plugin of adtoolkit: conformance checks as tests, and fixtures.

Loaded at every start of pytest, so it imports next to nothing.

References:
    The decorator follows scikit-learn's ``parametrize_with_checks``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from adtoolkit.plugin import Component
    from adtoolkit.registry import Registry
    from adtoolkit.testing.checks import Check
    from adtoolkit.testing.subject import Subjects
    from adtoolkit.testing.worlds import World


@dataclass(frozen=True)
class BoundCheck:
    """One check of one component: what a test decorated with `parametrize_with_checks` is handed, and calls."""

    check: Check
    component: Component
    registry: Registry | None = None

    def __call__(self) -> None:
        """Run it; a check that does not apply skips the test, with its reason."""
        from adtoolkit.testing.checks import NotApplicable

        __tracebackhide__ = True
        try:
            self.check(_subjects(self.registry).of(self.component))
        except NotApplicable as reason:
            pytest.skip(str(reason))

    @property
    def id(self) -> str:
        """As in ``estimator-sigma-sample_is_reproducible``."""
        return f"{self.component.kind}-{self.component.name}-{self.check.name}"


@cache
def _subjects(registry: Registry | None) -> Subjects:
    """One set of subjects per registry, so that a model is fitted once per session."""
    from adtoolkit.testing.subject import Subjects

    return Subjects(registry)


def parametrize_with_checks(components: Iterable[str | Component], registry: Registry | None = None) -> Callable[[Any], Any]:
    """Run a test once per conformance check of each component.

    The test takes one argument ``check`` and calls it. Expected failures of a component become strict xfails.

    Args:
        components: Names of registered components (of every kind that has one of this name), or records.
        registry: Where they are registered; the usual one by default.

    Raises:
        UnknownNameError: if nothing is registered under a name.
    """
    from adtoolkit.testing.checks import checks_for

    cases = []
    for component in find_components(components, registry):
        for check in checks_for(component.kind):
            bound = BoundCheck(check, component, registry)
            reason = component.expected_failures.get(check.name)
            marks = [] if reason is None else [pytest.mark.xfail(reason=reason, strict=True)]
            cases.append(pytest.param(bound, id=bound.id, marks=marks))
    return pytest.mark.parametrize("check", cases)


def find_components(components: Iterable[str | Component], registry: Registry | None = None) -> list[Component]:
    """Records for names; a name stands for the components of all kinds that bear it.

    Raises:
        UnknownNameError: if nothing is registered under a name.
    """
    from adtoolkit.errors import UnknownNameError
    from adtoolkit.registry import default_registry

    records = [registered.component for registered in (registry or default_registry()).components()]
    found: list[Component] = []
    for wanted in components:
        if not isinstance(wanted, str):
            found.append(wanted)
            continue
        named = [record for record in records if record.name == wanted]
        if not named:
            raise UnknownNameError("component", wanted, sorted({record.name for record in records}), "See: adtool list")
        found += named
    return found


@pytest.fixture(scope="session")
def toy_world() -> World:
    """A small world with 4,000 background and 100 signal events, p(x | m) in closed form."""
    from adtoolkit.testing.worlds import toy_world

    return toy_world(seed=0, n=4000, n_signal=100)
