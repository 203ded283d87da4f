"""What plugin authors test with: the named conformance checks, a pytest decorator for them, and small worlds with exact answers.

Importing this package costs neither numpy nor torch: every name is looked up at first use.

Example:
    In a test file of a plugin's own::

        from adtoolkit.testing import parametrize_with_checks

        @parametrize_with_checks(["my-flow"])
        def test_conformance(check):
            check()
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from adtoolkit.testing.checks import CheckFailure, CheckResult, NotApplicable, all_checks, run_checks
    from adtoolkit.testing.examples import HasExample, write_lhco_example, write_table_example
    from adtoolkit.testing.plugins import in_memory, registered
    from adtoolkit.testing.pytest_support import parametrize_with_checks
    from adtoolkit.testing.worlds import World, reference_world, toy_world

__all__ = [
    "CheckFailure",
    "CheckResult",
    "HasExample",
    "NotApplicable",
    "World",
    "all_checks",
    "in_memory",
    "parametrize_with_checks",
    "reference_world",
    "registered",
    "run_checks",
    "toy_world",
    "write_lhco_example",
    "write_table_example",
]

_HOMES: Final = {
    "CheckFailure": "checks",
    "CheckResult": "checks",
    "HasExample": "examples",
    "NotApplicable": "checks",
    "World": "worlds",
    "all_checks": "checks",
    "in_memory": "plugins",
    "parametrize_with_checks": "pytest_support",
    "reference_world": "worlds",
    "registered": "plugins",
    "run_checks": "checks",
    "toy_world": "worlds",
    "write_lhco_example": "examples",
    "write_table_example": "examples",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
