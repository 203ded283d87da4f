"""Plugins that live in memory for the length of a test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from adtoolkit.plugin import Component, hookimpl

if TYPE_CHECKING:
    from adtoolkit.registry import Registry


class _InMemory:
    """A plugin object: the hook as a method."""

    def __init__(self, components: tuple[Component, ...]) -> None:
        self._components = components

    @hookimpl
    def adtoolkit_register_components(self) -> list[Component]:
        return list(self._components)


def in_memory(*components: Component) -> object:
    """A plugin that registers these components. Their targets are imported by name; classes of a test module can be."""
    return _InMemory(components)


@contextmanager
def registered(plugin: object, registry: Registry | None = None, name: str = "in-memory") -> Iterator[Registry]:
    """Add a plugin (a module, or an object with hooks) for the length of a block.

    Args:
        plugin: What to add.
        registry: Where; the usual registry by default.
        name: What messages call it.

    Raises:
        PluginError: if anything is wrong with it.

    Example:
        >>> from adtoolkit.plugin import Component
        >>> from adtoolkit.registry import Registry
        >>> mine = Component(kind="metric", name="mine", target="mine:Mine", summary="counts")
        >>> with registered(in_memory(mine), Registry()) as registry:
        ...     registry.names("metric")
        ['mine']
        >>> registry.names("metric")
        []
    """
    if registry is None:
        from adtoolkit.registry import default_registry

        registry = default_registry()
    origin = registry.register(plugin, name, "in memory")
    try:
        yield registry
    finally:
        registry.unregister(origin.plugin)
