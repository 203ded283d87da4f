"""The plugin host: finds plugins, keeps what went wrong with them, and looks up their components. Costs no torch."""

from __future__ import annotations

import logging
import os
import re
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any, Final

import pluggy

import adtoolkit
from adtoolkit import builtin, hookspecs, loading
from adtoolkit.errors import PluginError, UnknownNameError
from adtoolkit.plugin import API_VERSION, Component, Kind
from adtoolkit.records import faults, title
from adtoolkit.tracing import trace

if TYPE_CHECKING:
    from adtoolkit.config import ComponentConfig
    from adtoolkit.events import Event

GROUP: Final = "adtoolkit"
HOOKS: Final = tuple(name for name in vars(hookspecs) if name.startswith("adtoolkit_"))

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Origin:
    """Where a plugin comes from.

    Attributes:
        plugin: Name of its entry point.
        distribution: Name of the installed package it belongs to.
        version: Of that package.
    """

    plugin: str
    distribution: str = ""
    version: str = ""

    def __str__(self) -> str:
        home = f" of {self.distribution} {self.version}".rstrip() if self.distribution else ""
        return f"plugin '{self.plugin}'{home}"


@dataclass(frozen=True)
class Registered:
    """A component and where it comes from."""

    component: Component
    origin: Origin


@dataclass(frozen=True)
class PluginFailure:
    """What went wrong with a plugin, or with one of its records; the rest of the world goes on.

    Attributes:
        origin: Whose fault it is.
        error: One sentence.
        record: Kind and name of the component concerned, or None where the whole plugin is.
        clash: Whether another plugin had the name first; nobody gets it then.
        trace: Traceback, where there is one.
    """

    origin: Origin
    error: str
    record: tuple[str, str] | None = None
    clash: bool = False
    trace: str = ""


class Registry:
    """The components of all plugins.

    Example:
        >>> registry = Registry()
        >>> origin = registry.register(builtin, "builtin", "adtoolkit")
        >>> registry.get("interpolator", "direct").component.summary
        'Evaluate the model at the masses of the window'
    """

    def __init__(self) -> None:
        self.manager = pluggy.PluginManager("adtoolkit")
        self.manager.add_hookspecs(hookspecs)
        self._records: dict[tuple[str, str], Registered] = {}
        self._failures: list[PluginFailure] = []
        self._origins: dict[str, Origin] = {}
        self._deaf: set[str] = set()
        if os.environ.get("ADTOOLKIT_TRACE_PLUGINS", "") not in {"", "0"}:
            trace(self.manager)

    @classmethod
    def discover(cls) -> Registry:
        """The built-in components, then all entry points of the group ``adtoolkit``: bundled ones first, the rest by name.

        ``ADTOOLKIT_PLUGINS`` restricts the entry points to a comma-separated list of names; empty means none.
        A plugin that cannot be loaded becomes a `PluginFailure`.
        """
        registry = cls()
        registry.register(builtin, "builtin", "adtoolkit", adtoolkit.__version__)
        for entry in registry._chosen(entry_points(group=GROUP)):
            origin = Origin(entry.name, entry.dist.name, entry.dist.version) if entry.dist else Origin(entry.name)
            try:
                plugin = entry.load()
            except (Exception, SystemExit) as error:  # noqa: BLE001  # whatever a stranger's import raises, the others go on
                trouble = f"cannot be imported: {type(error).__name__}: {_one_line(error)}; adtool plugins --debug shows where"
                registry._fail(origin, trouble, cause=error)
            else:
                registry._admit(plugin, origin)
        return registry

    def register(self, plugin: object, name: str, distribution: str, version: str = "") -> Origin:
        """Add a plugin by hand: a module or any object with hook implementations.

        Raises:
            PluginError: at the first thing that is wrong with it; nothing of it is kept then.
        """
        origin = Origin(name, distribution, version)
        before = len(self._failures)
        self._admit(plugin, origin)
        if len(self._failures) > before:
            error = self._failures[before].error
            del self._failures[before:]
            if self._origins.get(name) is origin:
                self.unregister(name)
            raise PluginError(error)
        return origin

    def unregister(self, name: str) -> None:
        """Take a plugin and all of its components out again.

        Raises:
            UnknownNameError: if there is no plugin of this name.
        """
        if name not in self._origins:
            raise UnknownNameError("plugin", name, list(self._origins))
        origin = self._origins.pop(name)
        self._deaf.discard(name)
        self.manager.unregister(name=name)
        self._records = {key: record for key, record in self._records.items() if record.origin is not origin}
        self._failures = [failure for failure in self._failures if failure.origin is not origin]

    @property
    def plugins(self) -> tuple[Origin, ...]:
        """The plugins that were loaded, in order."""
        return tuple(self._origins.values())

    @property
    def failures(self) -> tuple[PluginFailure, ...]:
        """What went wrong at discovery."""
        return tuple(self._failures)

    @property
    def absent(self) -> str:
        """What messages about an unknown name add where plugins could not be loaded, which may have it."""
        broken = sorted({failure.origin.plugin for failure in self._failures if failure.record is None})
        return f" (Not loaded: {', '.join(broken)}; see: adtool plugins)" if broken else ""

    def components(self, kind: Kind | None = None) -> list[Registered]:
        """All components, or those of one kind, in the order of registration."""
        return [record for record in self._records.values() if kind in {None, record.component.kind}]

    def names(self, kind: Kind) -> list[str]:
        """Their names."""
        return [record.component.name for record in self.components(kind)]

    def get(self, kind: Kind, name: str) -> Registered:
        """A component with its origin.

        Raises:
            UnknownNameError: if there is none of this name.
            PluginError: if two plugins claim the name, or the only one that does is broken.
        """
        good = self._records.get((kind, name))
        for failure in self._failures:
            if failure.record == (kind, name) and (failure.clash or not good):
                raise PluginError(failure.error, "See: adtool plugins")
        if not good:
            elsewhere = [record.component.kind for record in self.components() if record.component.name == name]
            fix = f"'{name}' is the name of: {', '.join(elsewhere)}." if elsewhere else f"See: adtool list {kind}"
            raise UnknownNameError(kind, name, self.names(kind), f"{fix}{self.absent}")
        return good

    def load(self, component: Component) -> type[Any]:
        """Import the class behind a component; the first moment that its heavy packages are imported.

        Raises:
            PluginError: if it is not there, cannot be imported, or is not of its kind.
        """
        return loading.load_class(component, self._whose(component))

    def config_class(self, component: Component) -> type[ComponentConfig]:
        """Import the class of its options.

        Raises:
            PluginError: if it is not there, cannot be imported, or is no usable `ComponentConfig`.
        """
        return loading.load_config(component, self._whose(component))

    def make(self, component: Component, preset: str = "default", values: Mapping[str, Any] | None = None) -> Any:
        """An instance of a component with the options of a preset and ``values`` on top.

        Raises:
            ConfigError: if a value is not allowed.
            UnknownNameError: if there is no such option or preset.
            PluginError: if its code cannot be imported.
        """
        from adtoolkit.overrides import build

        return self.load(component)(build(self.config_class(component), component, preset, values or {}))

    def tell(self, event: Event) -> None:
        """Tell all listeners. One that raises is reported, and not called again; the run goes on."""
        for origin in self.plugins:
            if origin.plugin in self._deaf:
                continue
            try:
                self._hook_of(origin.plugin, "adtoolkit_on_event")(event=event)
            except Exception as error:  # noqa: BLE001  # hours of training do not end because a listener fails
                self._deaf.add(origin.plugin)
                log.warning("The %s failed in adtoolkit_on_event and hears no more: %s: %s", origin, type(error).__name__, _one_line(error))

    def _hook_of(self, name: str, hook: str) -> Any:
        """The caller of one plugin's hook, so that it is known who answers."""
        return self.manager.subset_hook_caller(hook, [plugin for other, plugin in self.manager.list_name_plugin() if other != name])

    def _chosen(self, found: Any) -> Iterator[EntryPoint]:
        wanted = os.environ.get("ADTOOLKIT_PLUGINS")
        names = None if wanted is None else [name for name in map(str.strip, wanted.split(",")) if name]
        for name in sorted(set(names or []) - {entry.name for entry in found}):
            self._fail(Origin(name), "is asked for by ADTOOLKIT_PLUGINS, but no installed distribution has such an entry point")
        bundled_first = sorted(found, key=lambda e: (e.dist is None or e.dist.name != "adtoolkit", e.name, e.dist.name if e.dist else ""))
        yield from (entry for entry in bundled_first if names is None or entry.name in names)

    def _admit(self, plugin: object, origin: Origin) -> None:
        """Register a plugin and its records; whatever is wrong becomes a failure."""
        name = origin.plugin
        if first := self._origins.get(name):
            self._fail(origin, f"has the entry-point name of {first} too; rename one of the two")
            return
        try:
            self.manager.register(plugin, name=name)
            trouble = _api_fault(plugin) or self._hook_fault(plugin)
        except (pluggy.PluginValidationError, ValueError, TypeError) as error:
            trouble = f"is not a usable plugin: {_one_line(error)}"
        if trouble:
            if self.manager.has_plugin(name):
                self.manager.unregister(name=name)
            self._fail(origin, trouble)
            return
        self._origins[name] = origin
        try:
            answers = self._hook_of(name, "adtoolkit_register_components")()
        except Exception as error:  # noqa: BLE001  # a stranger's function may raise anything
            self._fail(origin, f"failed in adtoolkit_register_components: {type(error).__name__}: {_one_line(error)}", cause=error)
            return
        for answer in answers:
            if not isinstance(answer, list | tuple):
                self._fail(origin, f"returned {answer!r} from adtoolkit_register_components; it must return a list of Component records")
                continue
            for record in answer:
                self._add(record, origin)

    def _hook_fault(self, plugin: object) -> str:
        """Misspelt and forgotten hooks, which pluggy by itself ignores in silence."""
        callers = self.manager.get_hookcallers(plugin) or []
        try:
            self.manager.check_pending()
        except pluggy.PluginValidationError:
            name = next(caller.name for caller in callers if not caller.has_spec())
            near = get_close_matches(name, HOOKS, n=1)
            return f"implements the unknown hook '{name}'{f' (did you mean {near[0]!r}?)' if near else ''}; hooks are {', '.join(HOOKS)}"
        heard = {caller.name for caller in callers}
        if unmarked := [name for name in HOOKS if callable(getattr(plugin, name, None)) and name not in heard]:
            return f"defines {', '.join(unmarked)} without the decorator @hookimpl"
        return "" if heard else f"implements no hook; hooks are {', '.join(HOOKS)}"

    def _add(self, record: object, origin: Origin) -> None:
        if wrong := faults(record):
            key = (record.kind, record.name) if isinstance(record, Component) else None
            self._fail(origin, f"registers {title(record)} wrongly: {'; '.join(wrong)}", key)
        elif isinstance(record, Component):
            key = record.kind, record.name
            if first := self._records.get(key):
                what = f"registers {title(record)}, a name that {first.origin} has already; uninstall or rename one of the two"
                self._fail(origin, what, key, clash=True)
            else:
                self._records[key] = Registered(record, origin)

    def _fail(
        self, origin: Origin, what: str, record: tuple[str, str] | None = None, *, clash: bool = False, cause: BaseException | None = None
    ) -> None:
        text = "".join(traceback.format_exception(cause)) if cause else ""
        self._failures.append(PluginFailure(origin, f"The {origin} {what}.", record, clash, text))

    def _whose(self, component: Component) -> str:
        registered = self._records.get((component.kind, component.name))
        return str(registered.origin) if registered else "an unregistered plugin"


@cache
def default_registry() -> Registry:
    """The registry of this process, discovered at first use."""
    return Registry.discover()


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()).rstrip(".")


def _api_fault(plugin: object) -> str:
    """A plugin says which interface it was written for: ``adtoolkit_api = "1.1"``. One that does not is taken for the present one.

    The first number must be the core's; the second must not be above it, since the plugin would use what is not there yet.
    """
    wanted = str(getattr(plugin, "adtoolkit_api", API_VERSION))
    if not re.fullmatch(r"\d+\.\d+", wanted):
        return f'says adtoolkit_api = {wanted!r}; write the version of the plugin interface, for example adtoolkit_api = "{API_VERSION}"'
    major, minor = (int(number) for number in wanted.split("."))
    here = tuple(int(number) for number in API_VERSION.split("."))
    if major == here[0] and minor <= here[1]:
        return ""
    fix = "install a newer release of the plugin" if major < here[0] else "upgrade adtoolkit: pip install --upgrade adtoolkit"
    return f"was written for plugin interface {wanted}, but adtoolkit {adtoolkit.__version__} has {API_VERSION}; {fix}"
