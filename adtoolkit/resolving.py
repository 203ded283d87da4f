"""From the layers of a configuration (defaults, presets, file, flags) to a `RunConfig` that holds every value."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeVar

from pydantic import BaseModel

from adtoolkit.capabilities import DATA_CAPS, Cap, Caps
from adtoolkit.config import ComponentConfig
from adtoolkit.errors import ConfigError, MixError, UnknownNameError
from adtoolkit.loading import RESERVED
from adtoolkit.mass import MassConfig
from adtoolkit.mix import Blocked, Plan, resolve
from adtoolkit.overrides import build, fill, preset_values, presets_of
from adtoolkit.plugin import Kind
from adtoolkit.registry import Registry
from adtoolkit.runconfig import (
    TABLES,
    DataSection,
    MetricsSection,
    RunConfig,
    RunTable,
    ScorerSection,
    Section,
    TemplateTable,
    Top,
    WindowTable,
)
from adtoolkit.types import Window

DEFAULT_DATA: Final = "dijets"
DEFAULT_ESTIMATOR: Final = "sigma"
DEFAULT_METRICS: Final = ("auc", "sic", "max-sic", "rejection", "closure", "sculpting")
#: The usual ones of a window: what sidebands predict is an expectation, draws of a one-class model are none.
METRICS_OF_WINDOWS: Final = ("excess",)
#: Usual too where the scores are log ratios of signal and background.
METRICS_OF_RATIOS: Final = ("likelihood-ratio",)

log = logging.getLogger(__name__)

M = TypeVar("M", bound=BaseModel)
S = TypeVar("S", bound=Section)
Tables = Mapping[str, Mapping[str, Any]]


def resolve_config(
    registry: Registry, file: Mapping[str, Any] | None = None, flags: Tables | None = None, preset: str | None = None
) -> RunConfig:
    """Fill in every value.

    Args:
        registry: Where components come from.
        file: A configuration as read from a file.
        flags: Tables as given by flags, above the file's; "" is the table of the keys outside any. Values may be `Text`.
        preset: Preset of all components, above those that the file names.

    Raises:
        UnknownNameError: if a component, table, option or preset does not exist.
        ConfigError: if a value is not allowed.
        DataError: if the window is no interval.
        PluginError: if the code of a component's options cannot be imported.
    """
    return _Layers(registry, file or {}, flags or {}, preset).resolve()


def usual_estimator(registry: Registry, scorer: str | None) -> str:
    """The estimator when none is named: the scorer's own, if it is installed; none at all for a scorer that needs no background model.

    Raises:
        UnknownNameError: if there is no such scorer.
    """
    if scorer is None:
        return DEFAULT_ESTIMATOR
    record = registry.get("scorer", scorer).component
    if record.needs <= DATA_CAPS:
        return "none"
    return record.default_estimator if record.default_estimator in registry.names("estimator") else DEFAULT_ESTIMATOR


def outcome_of(config: RunConfig, registry: Registry) -> Plan | Blocked:
    """Whether the parts of a configuration can work together, with the data as their options make them."""
    names = config.data.name, config.estimator.name, config.interpolator.name, config.scorer.name
    return resolve(registry, *names, have=config.capabilities(registry))


def plan_of(config: RunConfig, registry: Registry) -> Plan:
    """What the run will do.

    Raises:
        MixError: if its parts cannot work together; says what would.
    """
    outcome = outcome_of(config, registry)
    if isinstance(outcome, Blocked):
        raise MixError(outcome.message)
    return outcome


class _Layers:
    """The layers of one configuration."""

    def __init__(self, registry: Registry, file: Mapping[str, Any], flags: Tables, preset: str | None) -> None:
        self.registry = registry
        self.flags = flags
        self.file: dict[str, Mapping[str, Any]] = {name: value for name, value in file.items() if isinstance(value, Mapping)}
        loose = {name: value for name, value in file.items() if not isinstance(value, Mapping)}
        for name in loose.keys() & set(TABLES):
            raise ConfigError(f"'{name}' must be a table of the configuration.", f"Write [{name}] and its keys below it")
        for name in [*self.file, *self.flags]:
            if name in {"matrix", "only"}:
                raise ConfigError(f"A file with the table '{name}' is a bench of many runs, not one run.", "Run it so: adtool bench FILE")
            if name and name not in TABLES:
                raise UnknownNameError("configuration table", name, list(TABLES))
        given = {**loose, **flags.get("", {})}
        fix = f"An option of a part is written table.option, for example estimator.steps; the tables are: {', '.join(sorted(TABLES))}."
        self.top = fill(Top, "", given, "configuration key", "" if given.keys() <= Top.model_fields.keys() else fix)
        self.flag_preset = preset if preset is not None else flags.get("", {}).get("preset")
        self.known_presets: dict[str, None] = {}

    def resolve(self) -> RunConfig:
        data = self.section("data", DEFAULT_DATA, DataSection)
        named = self.flags.get("scorer", {}).get("name") or self.file.get("scorer", {}).get("name")
        estimator = self.section("estimator", usual_estimator(self.registry, named and str(named)), Section)
        record = self.registry.get("estimator", estimator.name).component
        scorer = self.section("scorer", record.default_scorer, ScorerSection)
        window = self.window(data.options)
        config = RunConfig(
            seed=self.top.seed,
            data=data,
            window=window,
            estimator=estimator,
            interpolator=self.section("interpolator", record.default_interpolator, Section),
            scorer=scorer,
            metrics=self.metrics(self.registry.get("scorer", scorer.name).component.provides, window),
            mass=self.table("mass", MassConfig),
            template=self.table("template", TemplateTable),
            run=self.table("run", RunTable),
        )
        for wanted in (self.flag_preset, self.top.preset):
            if wanted is not None and wanted not in self.known_presets:
                raise UnknownNameError("preset", wanted, list(self.known_presets))
        return config

    def section(self, kind: Kind, usual: str, cls: type[S]) -> S:
        """One component: name and own keys as given, options from preset, file and flags."""
        file, flags = dict(self.file.get(kind, {})), dict(self.flags.get(kind, {}))
        filed = str(file.get("name", usual))
        name = str(flags.get("name", filed))
        component = self.registry.get(kind, name).component
        options = self.registry.config_class(component)
        if name != filed and (lost := sorted(set(file) - RESERVED[kind])):
            log.warning("The options %s of the file belong to %s '%s' and are not used for '%s'.", ", ".join(lost), kind, filed, name)
            file = {key: value for key, value in file.items() if key in RESERVED[kind]}
        preset = self.preset(options, flags.pop("preset", None), file.get("preset"))
        values = {**self.explicit(options, preset, file), **flags}
        own = {key: values.pop(key) for key in RESERVED[kind] & set(values)}
        own |= {
            "name": name,
            "preset": preset,
            "options": build(options, component, preset, values, sorted(RESERVED[kind] - {"name", "preset"})),
        }
        return fill(cls, kind, own, f"{name} option")

    def preset(self, options: type[ComponentConfig], flag: str | None, file: str | None) -> str:
        """The preset of one component: its own flag, the flag for all, its own key, the key for all."""
        known = presets_of(options)
        self.known_presets |= dict.fromkeys(known)
        for own, general in ((flag, self.flag_preset), (file, self.top.preset)):
            if own is not None:
                return str(own)
            if general is not None:
                return general if general in known else "default"
        return "default"

    def explicit(self, options: type[ComponentConfig], preset: str, file: Mapping[str, Any]) -> dict[str, Any]:
        """The file's keys without those that only repeat its own preset, so that a resolved file still follows ``--preset``."""
        if file.get("preset") in {None, preset}:
            return dict(file)
        repeated = preset_values(options, str(file["preset"]))
        return {key: value for key, value in file.items() if key not in repeated or value != repeated[key]}

    def metrics(self, scores: Caps, window: Window | None) -> MetricsSection:
        """Names, and a table of options for each; flags write ``metrics.NAME.option``. Scores and window decide on the usual ones."""
        file, flags = dict(self.file.get("metrics", {})), dict(self.flags.get("metrics", {}))
        tables: dict[str, dict[str, dict[str, Any]]] = {"file": {}, "flags": {}}
        for layer, table in (("file", file), ("flags", flags)):
            for key in [key for key in table if key not in {"names", "preset"}]:
                metric, dot, option = key.partition(".")
                self.registry.get("metric", metric)
                value = table.pop(key)
                if not dot and not isinstance(value, Mapping):
                    raise ConfigError(f"metrics.{metric} must be a table of options.", f"Write metrics.{metric}.OPTION = value")
                tables[layer].setdefault(metric, {}).update({option: value} if dot else value)
        usual = (*DEFAULT_METRICS, *(METRICS_OF_WINDOWS if window else ()), *(METRICS_OF_RATIOS if Cap.LOG_RATIO in scores else ()))
        listed = {"names": usual, **{key: table["names"] for table in (file, flags) for key in ("names",) if key in table}}
        names = tuple(dict.fromkeys(fill(MetricsSection, "metrics", {**listed, "values": {}}, "metrics key").names))
        self._unused_metrics(tables, names, named="names" in file or "names" in flags)
        values, presets = {}, set[str]()
        for name in names:
            component = self.registry.get("metric", name).component
            options = self.registry.config_class(component)
            preset = self.preset(options, flags.get("preset"), file.get("preset"))
            presets.add(preset)
            given = self.explicit(options, preset, {**tables["file"].get(name, {}), "preset": file.get("preset")})
            given.pop("preset", None)
            values[name] = build(options, component, preset, {**given, **tables["flags"].get(name, {})})
        return MetricsSection(names=names, preset=presets.pop() if len(presets) == 1 else "default", values=values)

    def _unused_metrics(self, tables: Mapping[str, Mapping[str, Any]], names: Sequence[str], *, named: bool) -> None:
        """Options of metrics that are not computed must be right too; as flags they are refused where the metrics are named."""
        for layer, of_metrics in tables.items():
            for metric in sorted(of_metrics.keys() - set(names)):
                component = self.registry.get("metric", metric).component
                given = {key: value for key, value in of_metrics[metric].items() if key != "preset"}
                build(self.registry.config_class(component), component, "default", given)
                if named and layer == "flags":
                    what = f"metrics.{metric}.{next(iter(given), 'preset')} has no effect: '{metric}' is not among metrics.names."
                    raise ConfigError(what, f"Leave it out, or compute it: --set metrics.names={','.join([*names, metric])}")

    def window(self, data: ComponentConfig) -> Window | None:
        """The window as given, or none; an end that is not given is the data's own, if they have one."""
        usual: tuple[float | None, float | None] = getattr(data, "default_window", None) or (None, None)
        file, flags = (fill(WindowTable, "window", layer.get("window", {}), "window key") for layer in (self.file, self.flags))
        for layer in (file, flags):
            if layer.none and layer.ends != (None, None):
                raise ConfigError("A window was given, and none was asked for.", "Leave one of them away.")
        if flags.none or (file.none and flags.ends == (None, None)):
            return None
        lo, hi = (next((end for end in ends if end is not None), None) for ends in zip(flags.ends, file.ends, usual, strict=True))
        if lo is None and hi is None:
            return None
        if lo is None or hi is None:
            raise ConfigError(f"window.{'lo' if lo is None else 'hi'} is missing.", "Give both ends: --window LO HI")
        return Window(lo, hi)

    def table(self, name: str, cls: type[M]) -> M:
        """A table that belongs to no component."""
        return fill(cls, name, {**self.file.get(name, {}), **self.flags.get(name, {})}, f"{name} key")
