"""All that a plugin module imports: ``hookimpl``, ``Component``, ``Cap``, ``Region``. Importing it costs neither numpy nor torch.

A plugin is a module named by an entry point of the group ``adtoolkit``::

    from adtoolkit.plugin import Cap, Component, Region, hookimpl

    @hookimpl
    def adtoolkit_register_components() -> list[Component]:
        return [Component(kind="estimator", name="my-flow", target="my_package.estimator:MyFlow", ...)]
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Literal, get_args

import pluggy

from adtoolkit.capabilities import Cap, Caps

__all__ = ["API_VERSION", "KINDS", "Cap", "Caps", "Component", "Kind", "Region", "hookimpl"]

#: Version of the interface between the core and its plugins; the first number changes when plugins must change, the second when
#: something is added. A plugin says which one it was written for, ``adtoolkit_api = "1.1"`` (docs/reference/stability.md).
API_VERSION: Final = "1.1"

hookimpl = pluggy.HookimplMarker("adtoolkit")

Kind = Literal["data", "estimator", "interpolator", "scorer", "metric"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)


class Region(StrEnum):
    """What a background estimator is trained on."""

    SIDEBAND = "sideband"
    ALL = "all"
    REFERENCE = "reference"

    @property
    def meaning(self) -> str:
        """One line, used in messages and in the docs."""
        return {
            Region.SIDEBAND: "events outside the window",
            Region.ALL: "all events, the window's included",
            Region.REFERENCE: "events known to be background",
        }[self]


@dataclass(frozen=True, kw_only=True)
class Component:
    """The record a plugin registers: what a component is called, where it lives, what it needs and gives.

    Attributes:
        kind: One of `KINDS`.
        name: Unique in its kind, lower case, digits and hyphens; the papers' name where there is one.
        target: ``package.module:Class``, imported at first use.
        config: ``package.module:Class`` of its `adtoolkit.config.ComponentConfig`; importing it costs no torch.
        summary: One line.
        cite: ``arXiv:...`` or a DOI; empty only for what needs no citation.
        cache_version: Raise it when the same config and seed give other numbers than before.
        needs: Capabilities of the data (and, for scorers, of the background) without which it cannot run.
        provides: Data: what the events offer. Estimator: what its model can do. Scorer: what its scores are, beyond an order.
        trains_on: Estimators: regions it can be trained on, in order of preference.
        accepts: Interpolators: regions whose models it may be given.
        rules: Interpolators: ``(needs, gives)`` pairs; a model that meets ``needs`` becomes a background that ``gives``.
            An interpolator without rules passes on all that the model can do.
        default_interpolator: Estimators: the interpolator used when none is named.
        default_scorer: Estimators: the scorer used when none is named.
        default_estimator: Scorers of a background model: the estimator used when none is named; "" or one that is not installed
            stands for the general default.
        expected_failures: Name of a conformance check -> the reason why this component does not meet it. Strict.
    """

    kind: Kind
    name: str
    target: str
    config: str = "adtoolkit.config:NoOptions"
    summary: str
    cite: str = ""
    cache_version: int = 1
    needs: Caps = frozenset()
    provides: Caps = frozenset()
    trains_on: tuple[Region, ...] = ()
    accepts: frozenset[Region] = frozenset()
    rules: tuple[tuple[Caps, Caps], ...] = ()
    default_interpolator: str = "direct"
    default_scorer: str = "cathode"
    default_estimator: str = ""
    expected_failures: Mapping[str, str] = field(default_factory=dict)
