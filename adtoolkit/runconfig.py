"""The configuration of a run: read from TOML and flags, resolved to every last value, written so that it can be run again.

Precedence: defaults, then presets, then the file, then flags. Options of a component stand beside its name, in one table::

    seed = 1
    [estimator]
    name = "sigma"
    epochs = 200
"""

from __future__ import annotations

import hashlib
import json
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import tomli_w
from pydantic import BaseModel, ConfigDict, Field, SerializeAsAny

from adtoolkit.capabilities import Cap, Caps
from adtoolkit.config import ComponentConfig
from adtoolkit.errors import ConfigError
from adtoolkit.mass import MassConfig
from adtoolkit.overrides import preset_values
from adtoolkit.registry import Registry
from adtoolkit.types import Window

TABLES: Final = ("data", "window", "estimator", "interpolator", "scorer", "metrics", "mass", "template", "run")


class Table(BaseModel):
    """A table of the configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Top(Table):
    """Keys outside any table. The seed decides everything random but the choice of events, which is ``data.seed``'s."""

    seed: int = Field(0, ge=0, lt=2**63, description="Seed of everything random.")
    preset: str | None = Field(None, description="Preset of all components.")


class Section(Table):
    """One component of the mix and its options."""

    name: str = Field(description="Which component.")
    preset: str = Field("default", description="Preset of its options.")
    options: SerializeAsAny[ComponentConfig]


class DataSection(Section):
    """The data. ``seed`` chooses events and folds; it is the run's own unless given."""

    seed: int | None = Field(None, ge=0, lt=2**63, description="Seed that chooses events and folds; none: that of the run.")


class ScorerSection(Section):
    """The scorer. An event is scored by the one of ``folds`` fits that did not see it."""

    folds: int = Field(5, ge=2, le=100, description="Fits, each on the events outside one fold.")


class MetricsSection(Table):
    """Which metrics, and the options of each."""

    names: tuple[str, ...] = Field(description="Metrics to compute.")
    preset: str = Field("default", description="Preset of their options.")
    values: Mapping[str, SerializeAsAny[ComponentConfig]]

    def options(self, name: str) -> dict[str, Any]:
        """All options of one metric."""
        return self.values[name].model_dump()


class WindowTable(Table):
    """The signal region, in the unit of m; or ``none``, for one-class work on data that have a usual one."""

    lo: float | None = Field(None, description="Lower end.")
    hi: float | None = Field(None, description="Upper end.")
    none: bool = Field(False, description="Search all masses.")

    @property
    def ends(self) -> tuple[float | None, float | None]:
        """Lower and upper, as far as given."""
        return self.lo, self.hi


class TemplateTable(Table):
    """The template drawn from the background: ``oversample`` times as many events as the data have in the window."""

    oversample: float = Field(4.0, gt=0, le=1000, description="Template events per event of the data in the window.")
    control: Literal["auto"] | Annotated[float, Field(ge=0, le=10)] = Field(
        "auto",
        description="Width of the control regions, in widths of the window; 0: none; auto: 1, or none where the scorer trains densities.",
    )
    refit: bool = Field(
        True, description="Train a model of the sidebands anew without each control region, as without the window; off: where it must be."
    )


class RunTable(Table):
    """Where the run is computed and kept; changes no number but for the rounding of the device."""

    device: Literal["auto", "cpu", "cuda", "mps"] = Field("auto", description="Where to compute.")
    out: str = Field("runs", description="Folder that runs are written to.")


@dataclass(frozen=True)
class RunConfig:
    """Every value of a run.

    Attributes:
        seed: Base seed.
        data: The data source.
        window: The signal region, or None in one-class work.
        estimator: The background estimator.
        interpolator: The interpolator.
        scorer: The scorer.
        metrics: The metrics.
        mass: The model of p(m) in the window.
        template: The template drawn from the background.
        run: Device and folder.
    """

    seed: int
    data: DataSection
    window: Window | None
    estimator: Section
    interpolator: Section
    scorer: ScorerSection
    metrics: MetricsSection
    mass: MassConfig
    template: TemplateTable
    run: RunTable

    @property
    def data_seed(self) -> int:
        """The seed that chooses events and folds."""
        return self.seed if self.data.seed is None else self.data.seed

    def capabilities(self, registry: Registry) -> Caps:
        """What the data offer with these options and this window."""
        offered = self.data.options.offers(registry.get("data", self.data.name).component.provides)
        return offered if self.window is not None else offered - {Cap.WINDOW}

    def tables(self) -> dict[str, Any]:
        """All values, ready for TOML or JSON; what is None and so by default is left out."""
        tables: dict[str, Any] = {"seed": self.seed, "data": _section(self.data)}
        if self.window is not None:
            tables["window"] = {"lo": self.window.lo, "hi": self.window.hi}
        elif getattr(self.data.options, "default_window", None) is not None:
            tables["window"] = {"none": True}
        tables |= {kind: _section(getattr(self, kind)) for kind in ("estimator", "interpolator", "scorer")}
        tables["metrics"] = {"names": list(self.metrics.names), "preset": self.metrics.preset}
        tables["metrics"] |= {name: _plain(options, self.metrics.preset) for name, options in self.metrics.values.items()}
        return tables | {name: getattr(self, name).model_dump(mode="json") for name in ("mass", "template", "run")}

    def to_toml(self) -> str:
        """The file that repeats this run: ``adtool run --config FILE``."""
        return tomli_w.dumps(self.tables())

    @cached_property
    def digest(self) -> str:
        """sha256 of everything that may change a number; where the run is kept does not."""
        tables = self.tables() | {"run": {"device": self.run.device}, "data_seed": self.data_seed}
        return hashlib.sha256(json.dumps(tables, sort_keys=True).encode()).hexdigest()


def read_file(path: str | os.PathLike[str]) -> dict[str, Any]:
    """A configuration file, not yet resolved.

    Raises:
        ConfigError: if it is not there or no TOML.
    """
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        what = f"The configuration {path} cannot be read: {getattr(error, 'strerror', None) or error}."
        raise ConfigError(what, "Check its name and place.") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"The configuration {path} is no valid TOML: {error}.") from error


def _section(section: Section) -> dict[str, Any]:
    return section.model_dump(exclude={"options"}, exclude_none=True) | _plain(section.options, section.preset)


def _plain(options: ComponentConfig, preset: str) -> dict[str, Any]:
    """Options for TOML, which knows no null: None is left out where the preset says so too, else written as "none"."""
    given = preset_values(type(options), preset)
    values = options.model_dump(mode="json")
    return {key: "none" if value is None else value for key, value in values.items() if not (value is None and given.get(key) is None)}
