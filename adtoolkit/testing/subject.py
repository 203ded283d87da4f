"""A component under test: built once with its ``smoke`` preset, fitted once, and shared by all the checks."""

from __future__ import annotations

import shutil
import tempfile
import time
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Self

from adtoolkit.context import RunContext
from adtoolkit.testing.guards import OtherGlobalSeeds, changed, fingerprint, global_state

if TYPE_CHECKING:
    from adtoolkit.config import ComponentConfig
    from adtoolkit.plugin import Component
    from adtoolkit.registry import Registry


@dataclass(frozen=True)
class Call:
    """One watched call of a component.

    Attributes:
        result: What it returned.
        seconds: How long it took: wall or CPU time, whichever is less, so that a busy machine does not count.
        touched: Global state that differed afterwards.
        written: Input arrays that differed afterwards.
    """

    result: Any
    seconds: float
    touched: tuple[str, ...]
    written: tuple[str, ...]


def watch(call: Callable[[], Any], *inputs: Any) -> Call:
    """Run ``call`` and note what it did to its inputs and to global state."""
    arrays = [fingerprint(value) for value in inputs]
    state = global_state()
    wall, cpu = time.perf_counter(), time.process_time()
    result = call()
    seconds = min(time.perf_counter() - wall, time.process_time() - cpu)
    touched = tuple(changed(state, global_state()))
    written = tuple(name for before, value in zip(arrays, inputs, strict=True) for name in changed(before, fingerprint(value)))
    return Call(result, seconds, touched, written)


def lasting(first: Call, again: Callable[[], Call]) -> tuple[str, ...]:
    """What a call does to global state, each time: a package imported at the first call may draw random numbers once."""
    if not any("random" in name for name in first.touched):
        return first.touched
    with OtherGlobalSeeds():  # a generator that is set to the same seed again would not seem to move
        second = again().touched
    return tuple(name for name in first.touched if "random" not in name or name in second)


class Subject:
    """A component and what the checks share of it.

    Args:
        component: Its record.
        registry: Where it is registered; the usual one by default.
        options: Values on top of the ``smoke`` preset.
        pool: Other subjects of the same session, so that a model fitted for one serves the others.
    """

    def __init__(
        self, component: Component, registry: Registry | None = None, options: Mapping[str, Any] | None = None, pool: Subjects | None = None
    ) -> None:
        self.component = component
        self.pool = pool or Subjects(registry)
        self.registry = self.pool.registry
        self._options = dict(options or {})
        self._kept: dict[str, Any] = {}
        self._failed: dict[str, Exception] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.pool.close()

    @cached_property
    def config_class(self) -> type[ComponentConfig]:
        return self.registry.config_class(self.component)

    @cached_property
    def target(self) -> type[Any]:
        """The component's class."""
        return self.registry.load(self.component)

    @cached_property
    def config(self) -> ComponentConfig:
        """The ``smoke`` preset, with the options given, or those that read an example file."""
        from adtoolkit.testing.examples import example_options

        values = self._options or dict(example_options(self.component, self.target, self.folder("example")))
        return self.config_class.preset("smoke", **values)

    @cached_property
    def plugin_modules(self) -> tuple[str, ...]:
        """The module that registered the component, if it is one (and not an object in memory)."""
        for registered in self.registry.components(self.component.kind):
            if registered.component == self.component:
                plugin = self.registry.manager.get_plugin(registered.origin.plugin)
                return (plugin.__name__,) if isinstance(plugin, ModuleType) else ()
        return ()

    def make(self) -> Any:
        """A fresh instance."""
        return self.target(self.config)

    def folder(self, purpose: str) -> Path:
        """A new, empty folder."""
        return Path(tempfile.mkdtemp(prefix=f"{purpose}-", dir=self.pool.folder))

    def context(self, seed: int = 0, device: str = "cpu") -> RunContext:
        """What the runner would hand to the component, with a folder of its own."""
        return RunContext(seed=seed, scope=(self.component.kind, self.component.name), device=device, workdir=self.folder("work"))

    def once(self, name: str, make: Callable[[], Any]) -> Any:
        """``make()``, called the first time only; what it raised the first time is raised again."""
        if name in self._failed:
            raise self._failed[name]
        if name not in self._kept:
            try:
                self._kept[name] = make()
            except Exception as error:
                self._failed[name] = error
                raise
        return self._kept[name]

    def peek(self, name: str) -> Any:
        """What `once` keeps under this name, or None if it was not made yet."""
        return self._kept.get(name)


class Subjects:
    """The subjects of one session, one per component, with one temporary folder."""

    def __init__(self, registry: Registry | None = None) -> None:
        if registry is None:
            from adtoolkit.registry import default_registry

            registry = default_registry()
        self.registry = registry
        self._known: dict[tuple[str, str], Subject] = {}

    @cached_property
    def folder(self) -> Path:
        """Removed by `close`, or when the session ends."""
        path = Path(tempfile.mkdtemp(prefix="adtoolkit-checks-"))
        self._remove = weakref.finalize(self, shutil.rmtree, path, ignore_errors=True)
        return path

    def of(self, component: Component) -> Subject:
        """The subject of a component, made at first use."""
        key = (component.kind, component.name)
        if key not in self._known:
            self._known[key] = Subject(component, pool=self)
        return self._known[key]

    def close(self) -> None:
        """Forget all models and remove the folder."""
        self._known.clear()
        if "folder" in self.__dict__:
            self._remove()
            del self.__dict__["folder"]
