"""The conformance checks: how one is declared, and how all of a component are run.

A check is a function ``check_NAME(subject)`` whose docstring is what a failure says. It returns when the component
conforms, raises `CheckFailure` with the particulars when it does not, and `NotApplicable` with a reason where the
question makes no sense for the component.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, Literal

from adtoolkit.plugin import KINDS, Kind

if TYPE_CHECKING:
    from adtoolkit.plugin import Component
    from adtoolkit.registry import Registry
    from adtoolkit.testing.subject import Subject

Outcome = Literal["pass", "expected-failure", "fail", "not-applicable"]

_MODULES: Final = ("record", "estimator", "model", "density", "interpolator", "scorer", "data", "metric")


class CheckFailure(AssertionError):  # noqa: N818  (the name that reports use)
    """A component does not meet a check."""


class NotApplicable(Exception):  # noqa: N818  (an answer, not an error)
    """A check makes no sense for a component; the message says why."""


@dataclass(frozen=True)
class CheckResult:
    """How a component did in one check.

    Attributes:
        name: The check, without ``check_``.
        outcome: ``pass``, ``expected-failure``, ``fail`` or ``not-applicable``.
        reason: What failed, why that was expected, or why it does not apply; empty for a pass.
        seconds: Wall time; whichever check comes first pays for the fit that the others share.
    """

    name: str
    outcome: Outcome
    reason: str = ""
    seconds: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Check:
    """A named check and the kinds of component it is for."""

    name: str
    kinds: tuple[Kind, ...]
    function: Callable[[Subject], None]

    @property
    def claim(self) -> str:
        """What a failure says, on one line."""
        return " ".join((inspect.getdoc(self.function) or "").replace("``", "").split())

    def __call__(self, subject: Subject) -> None:
        """Run it.

        Raises:
            CheckFailure: if the component does not conform; whatever the component raises counts as that too.
            NotApplicable: if the question makes no sense for it.
        """
        __tracebackhide__ = True
        try:
            self.function(subject)
        except NotApplicable:
            raise
        except CheckFailure as error:
            message = f"{self.claim} {error}"
            raise CheckFailure(message) from error
        except Exception as error:
            message = f"{self.claim} It raised {type(error).__name__}: {error}{_advice(error)}"
            raise CheckFailure(message) from error


def _advice(error: Exception) -> str:
    """What to do about an exception that does not say it itself."""
    if isinstance(error, ValueError) and "read-only" in str(error):
        return ". Events are shared and read-only: work on a copy, events.x.copy()"
    return ""


_CHECKS: list[Check] = []


def conformance(*kinds: Kind) -> Callable[[Callable[[Subject], None]], Callable[[Subject], None]]:
    """Declare ``check_NAME`` as a check of these kinds (of all kinds if none is named)."""

    def declare(function: Callable[[Subject], None]) -> Callable[[Subject], None]:
        _CHECKS.append(Check(function.__name__.removeprefix("check_"), kinds or KINDS, function))
        return function

    return declare


@cache
def all_checks() -> tuple[Check, ...]:
    """Every check, in the order in which they run."""
    for module in _MODULES:
        import_module(f"adtoolkit.testing.checks_{module}")
    order = [f"adtoolkit.testing.checks_{module}" for module in _MODULES]
    return tuple(sorted(_CHECKS, key=lambda check: order.index(check.function.__module__)))


def checks_for(kind: Kind) -> tuple[Check, ...]:
    """The checks of components of this kind."""
    return tuple(check for check in all_checks() if kind in check.kinds)


def require(condition: object, message: str) -> None:
    """Fail the running check unless the condition holds."""
    if not condition:
        raise CheckFailure(message)


def run_check(check: Check, subject: Subject) -> CheckResult:
    """One check of one component, with its expected failures applied strictly."""
    expected = subject.component.expected_failures.get(check.name)
    start = time.perf_counter()
    outcome: Outcome = "pass"
    reason = ""
    try:
        check(subject)
    except NotApplicable as error:
        outcome, reason = "not-applicable", str(error)
    except CheckFailure as error:
        outcome, reason = "fail", str(error)
    if expected is not None:
        if outcome == "fail":
            outcome, reason = "expected-failure", expected
        else:
            met = "passes" if outcome == "pass" else "does not apply"
            outcome, reason = "fail", f"It is declared as an expected failure ({expected}) but {met}: remove the declaration."
    return CheckResult(check.name, outcome, reason, time.perf_counter() - start)


def iter_checks(component: Component, registry: Registry | None = None, **options: Any) -> Iterator[CheckResult]:
    """`run_checks`, one result at a time as they come."""
    from adtoolkit.testing.subject import Subject

    with Subject(component, registry, options) as subject:
        for check in checks_for(component.kind):
            yield run_check(check, subject)


def run_checks(component: Component, registry: Registry | None = None, **options: Any) -> list[CheckResult]:
    """Run every check of a component's kind.

    Args:
        component: The record to check.
        registry: Where it is registered; the usual one by default.
        options: Values of its configuration on top of the ``smoke`` preset (the file of a data source, say).

    Returns:
        One result per check, in a fixed order. An expected failure that passes is a failure.
    """
    return list(iter_checks(component, registry, **options))
