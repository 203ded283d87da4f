"""The hooks of adtoolkit. A plugin implements them with ``adtoolkit.plugin.hookimpl``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from adtoolkit.events import Event
    from adtoolkit.plugin import Component

hookspec = pluggy.HookspecMarker("adtoolkit")


@hookspec
def adtoolkit_register_components() -> list[Component]:  # type: ignore[empty-body]
    """Return the components of this plugin. Called once, at discovery; must not import torch."""


@hookspec
def adtoolkit_on_event(event: Event) -> None:
    """Hear what a run does: stages started, reused, finished, failed, and the steps of a training. Must be quick."""
