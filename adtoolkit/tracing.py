"""``ADTOOLKIT_TRACE_PLUGINS=1``: every hook call, on stderr."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import pluggy


def trace(manager: pluggy.PluginManager) -> None:
    """Log every hook call of this manager to stderr."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    log = logging.getLogger("adtoolkit.trace")
    log.handlers = [handler]
    log.setLevel(logging.DEBUG)
    log.propagate = False

    def before(name: str, implementations: Sequence[pluggy.HookImpl], values: Mapping[str, Any]) -> None:
        for implementation in implementations:
            log.debug("hook %s -> %s %s", name, implementation.plugin_name, dict(values) or "")

    def after(outcome: object, name: str, implementations: Sequence[pluggy.HookImpl], values: Mapping[str, Any]) -> None:
        pass

    manager.add_hookcall_monitoring(before, after)
