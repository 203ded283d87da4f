"""The configuration of a run: layers, types, messages, and the file that repeats it."""

import logging
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest
from pydantic import Field

from adtoolkit import builtin
from adtoolkit.config import ComponentConfig
from adtoolkit.errors import AdtoolError, ConfigError, DataError, MixError, UnknownNameError
from adtoolkit.overrides import Text
from adtoolkit.plugin import Cap, Component, Region, hookimpl
from adtoolkit.registry import Registry, default_registry
from adtoolkit.resolving import plan_of, resolve_config, usual_estimator
from adtoolkit.runconfig import RunConfig, read_file
from adtoolkit.testing import in_memory, registered
from adtoolkit.types import Window


class FlowConfig(ComponentConfig):
    """Of an estimator that exists in this file only."""

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "smoke": {"epochs": 2},
        "paper": {"epochs": 500, "limit": 9},
        "fast": {"epochs": 7},
    }

    epochs: int = Field(100, ge=1)
    rate: float = 0.1
    limit: int | None = None


class OtherConfig(ComponentConfig):
    """Of another one."""

    layers: int = 3


class ClashConfig(ComponentConfig):
    """Uses a key that belongs to the run."""

    name: str = "mine"


class Plugin:
    """Estimators and a scorer to configure; none of them is ever loaded."""

    @hookimpl
    def adtoolkit_register_components(self) -> list[Component]:
        model: dict[str, Any] = {"target": "nowhere:X", "provides": frozenset({Cap.SAMPLE}), "summary": "s"}
        return [
            Component(
                kind="estimator",
                name="flow",
                config=f"{__name__}:FlowConfig",
                trains_on=(Region.ALL,),
                default_interpolator="displacement",
                default_scorer="judge",
                **model,
            ),
            Component(kind="estimator", name="other", config=f"{__name__}:OtherConfig", trains_on=(Region.SIDEBAND,), **model),
            Component(kind="estimator", name="clash", config=f"{__name__}:ClashConfig", trains_on=(Region.SIDEBAND,), **model),
            Component(kind="scorer", name="judge", target="nowhere:X", summary="s", needs=frozenset({Cap.WINDOW, Cap.SAMPLE})),
        ]


@pytest.fixture(scope="module")
def registry() -> Registry:
    """The core's components and those above."""
    fresh = Registry()
    fresh.register(builtin, "builtin", "adtoolkit")
    fresh.register(Plugin(), "plugin", "in memory")
    return fresh


def resolved(registry: Registry, file: Mapping[str, Any] | None = None, preset: str | None = None, **flags: Any) -> RunConfig:
    """``estimator__epochs=3`` stands for ``--set estimator.epochs=3``; toy-bump and flow unless told otherwise."""
    layer: dict[str, dict[str, Any]] = {}
    for name, value in flags.items():
        table, _, key = name.partition("__") if "__" in name else ("", "", name)
        layer.setdefault(table, {})[key.replace("__", ".")] = value
    base = {"data": {"name": "toy-bump"}, "estimator": {"name": "flow"}} if file is None else file
    return resolve_config(registry, base, layer, preset)


def epochs(config: RunConfig) -> int:
    return int(config.tables()["estimator"]["epochs"])


def test_precedence_is_default_preset_file_flag(registry: Registry) -> None:
    bare = {"data": {"name": "toy-bump"}, "estimator": {"name": "flow"}}
    filed = {**bare, "estimator": {"name": "flow", "epochs": 20}}

    assert epochs(resolved(registry, bare)) == 100
    assert epochs(resolved(registry, bare, preset="smoke")) == 2
    assert epochs(resolved(registry, filed, preset="smoke")) == 20
    assert epochs(resolved(registry, filed, preset="smoke", estimator__epochs=Text("30"))) == 30


def test_preset_of_one_component_beats_that_of_all(registry: Registry) -> None:
    config = resolved(registry, preset="smoke", estimator__preset="paper")

    assert (config.estimator.preset, epochs(config)) == ("paper", 500)
    assert config.data.preset == "smoke"


def test_preset_that_only_one_component_knows_leaves_the_others_at_their_defaults(registry: Registry) -> None:
    config = resolved(registry, preset="fast")

    assert (config.estimator.preset, config.data.preset, epochs(config)) == ("fast", "default", 7)
    with pytest.raises(UnknownNameError, match=r"There is no preset 'fats'.*Did you mean 'fast'"):
        resolved(registry, preset="fats")
    with pytest.raises(UnknownNameError, match="no flow preset 'fats'"):
        resolved(registry, estimator__preset="fats")


def test_interpolator_and_scorer_default_to_the_estimators_own(registry: Registry) -> None:
    config = resolved(registry)

    assert (config.interpolator.name, config.scorer.name) == ("displacement", "judge")


def test_scorer_that_needs_no_background_gets_no_estimator(registry: Registry) -> None:
    config = resolved(registry, {"data": {"name": "toy-bump"}}, scorer__name="random")

    assert config.estimator.name == "none"


@pytest.mark.parametrize(("wanted", "found"), [("flow", "flow"), ("not-installed", "sigma"), ("", "sigma")])
def test_scorer_without_estimator_gets_its_own_where_it_is_installed(registry: Registry, wanted: str, found: str) -> None:
    """Else the general default."""
    record = Component(kind="scorer", name="dear", target="nowhere:X", summary="s", needs=frozenset({Cap.SAMPLE}), default_estimator=wanted)
    with registered(in_memory(record), registry):
        assert usual_estimator(registry, "dear") == found
        assert usual_estimator(registry, None) == "sigma"


@pytest.mark.parametrize("scorer", ["anode", "r-anode", "likelihood"])
def test_scorers_of_densities_take_the_estimator_whose_densities_are_cheap(scorer: str) -> None:
    config = resolve_config(default_registry(), {"scorer": {"name": scorer}})

    assert (config.estimator.name, config.interpolator.name) == ("cathode", "direct")
    assert resolve_config(default_registry(), {"scorer": {"name": scorer}, "estimator": {"name": "sigma"}}).estimator.name == "sigma"


def test_window_defaults_to_the_datas_own_end_by_end(registry: Registry) -> None:
    default, given = resolved(registry).window, resolved(registry, window__lo=3.0).window

    assert default is not None
    assert given is not None
    assert (default.lo, default.hi, given.lo, given.hi) == (3.3, 3.7, 3.0, 3.7)
    assert None is resolved(registry, data__name="table").window


def test_data_with_a_usual_window_can_be_searched_without(registry: Registry) -> None:
    """One-class work; the resolved file says so, and a later layer wins."""
    none = resolved(registry, window__none=True)

    assert none.window is None
    assert Cap.WINDOW not in none.capabilities(registry)
    assert none.tables()["window"] == {"none": True}
    assert resolved(registry, none.tables()).window is None
    assert resolved(registry, none.tables(), window__lo=3.0).window == Window(3.0, 3.7)
    assert resolved(registry, {**none.tables(), "window": {"lo": 3.0, "hi": 3.5}}, window__none=True).window is None
    with pytest.raises(ConfigError, match="none was asked for"):
        resolved(registry, window__none=True, window__lo=3.0)


def test_window_that_is_no_interval_is_refused(registry: Registry) -> None:
    with pytest.raises(DataError, match="is not an interval"):
        resolved(registry, window__lo=4.0)
    with pytest.raises(ConfigError, match=r"window\.hi is missing"):
        resolved(registry, data__name="table", window__lo=4.0)


def test_capabilities_follow_options_and_window(registry: Registry) -> None:
    """What the data could offer is narrowed to what they do."""
    full = resolved(registry).capabilities(registry)
    less = resolved(registry, data__name="table").capabilities(registry)

    assert {Cap.WINDOW, Cap.TRUTH, Cap.REFERENCE} == full
    assert frozenset() == less
    with pytest.raises(MixError, match="need window"):
        plan_of(resolved(registry, data__name="table"), registry)


def test_data_seed_is_the_runs_own_unless_given(registry: Registry) -> None:
    assert resolved(registry, seed=5).data_seed == 5
    assert resolved(registry, seed=5, data__seed=Text("2")).data_seed == 2


def test_file_made_by_a_run_repeats_it(registry: Registry, tmp_path: Path) -> None:
    config = resolved(registry, preset="paper", seed=3, estimator__limit=Text("none"), data__seed=1, metrics__sic__at=Text("0.1,0.01"))
    path = tmp_path / "config.toml"
    path.write_text(config.to_toml())

    again = resolve_config(registry, read_file(path))

    assert config == again
    assert config.to_toml() == again.to_toml()
    assert config.digest == again.digest
    assert tomllib.loads(config.to_toml())["estimator"]["limit"] == "none"


def test_file_made_by_a_run_still_follows_flags(registry: Registry) -> None:
    """Its values that only repeat its preset are no choices of the user's."""
    file = tomllib.loads(resolved(registry, preset="smoke", estimator__rate=0.5).to_toml())

    config = resolve_config(registry, file, {"": {"seed": 8}}, preset="paper")

    assert (epochs(config), config.tables()["estimator"]["rate"], config.seed, config.data_seed) == (500, 0.5, 8, 8)


def test_options_of_another_component_are_dropped_with_a_warning(registry: Registry, caplog: pytest.LogCaptureFixture) -> None:
    file = {"data": {"name": "toy-bump"}, "estimator": {"name": "flow", "epochs": 3}, "scorer": {"folds": 4}}

    with caplog.at_level(logging.WARNING):
        config = resolved(registry, file, estimator__name="other", scorer__name="judge")

    assert config.tables()["estimator"] == {"name": "other", "preset": "default", "layers": 3}
    assert config.scorer.folds == 4
    assert "The options epochs of the file belong to estimator 'flow'" in caplog.text


def test_digest_ignores_where_the_run_is_kept_and_nothing_else(registry: Registry) -> None:
    digest = resolved(registry).digest

    assert digest == resolved(registry, run__out="elsewhere").digest
    assert digest != resolved(registry, seed=1).digest
    assert digest != resolved(registry, mass__bins=10).digest
    assert digest != resolved(registry, metrics__sic__at=Text("0.1")).digest


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"estimator__epoch": Text("3")}, "There is no flow option 'epoch'; there is: epochs, limit, rate. Did you mean 'epochs'?"),
        ({"estimator__epochs": Text("0")}, "estimator.epochs = 0 is not allowed; it takes: integer >= 1. See: adtool show estimator flow"),
        ({"estimator__epochs": Text("1.5")}, "estimator.epochs = 1.5 is not allowed; it takes: integer >= 1."),
        ({"estimator__epochs": Text("true")}, "estimator.epochs = true is not allowed; it takes: integer >= 1."),
        ({"estimator__epochs": Text("many")}, "estimator.epochs = many is not allowed"),
        ({"scorer__folds": Text("1")}, "scorer.folds = 1 is not allowed; it takes: integer >= 2 and <= 100."),
        ({"seed": Text("-1")}, r"seed = -1 is not allowed; it takes: integer >= 0 and < 9223372036854775808."),
        ({"run__device": "tpu"}, "run.device = tpu is not allowed; it takes: auto | cpu | cuda | mps."),
        ({"mass__name": "guess"}, "mass.name = guess is not allowed; it takes: kde | histogram | sideband-fit."),
        ({"template__oversample": Text("0")}, "template.oversample = 0 is not allowed; it takes: number > 0 and <= 1000."),
        ({"template__control": Text("11")}, "template.control = 11 is not allowed; it takes: auto or number >= 0 and <= 10."),
        ({"template__control": Text("true")}, "template.control = true is not allowed; it takes: auto or number >= 0 and <= 10."),
        ({"template__control": False}, "template.control = false is not allowed"),
        ({"metrics__names": Text("auc,sicc")}, "There is no metric 'sicc'"),
        ({"metrics__sic__at": Text("x")}, "metrics.sic.at = x is not allowed"),
        ({"metrics__sic__att": Text("1")}, "There is no sic option 'att'"),
        ({"metrics__names": Text("auc"), "metrics__sic__att": Text("1")}, "There is no sic option 'att'"),
        ({"metrics__names": Text("auc"), "metrics__sic__at": Text("0.1")}, "has no effect: 'sic' is not among metrics.names"),
        ({"windo__lo": Text("1")}, "There is no configuration table 'windo'"),
        ({"sed": Text("1")}, "There is no configuration key 'sed'; there is: preset, seed. Did you mean 'seed'?"),
        ({"estimator__name": "clash"}, "has an option named name, which the run itself uses"),
        ({"data__name": "table", "data__n_signal": Text("5")}, "data: n_signal chooses events by their truth label"),
    ],
)
def test_bad_value_is_one_line_with_what_is_allowed(registry: Registry, flags: dict[str, Any], message: str) -> None:
    with pytest.raises(AdtoolError) as error:
        resolved(registry, **flags)

    assert str(error.value).count(message) == 1
    assert ("An option of a part is written" in str(error.value)) == ("configuration key" in message)
    assert "\n" not in str(error.value)
    assert error.value.exit_code == 2


@pytest.mark.parametrize(("content", "message"), [("seed = ", "is no valid TOML"), ("\xff", "cannot be read"), (None, "cannot be read")])
def test_file_that_is_no_configuration_is_refused(tmp_path: Path, content: str | None, message: str) -> None:
    path = tmp_path / "config.toml"
    if content is not None:
        path.write_text(content, encoding="latin-1")

    with pytest.raises(ConfigError, match=message):
        read_file(path)


def test_component_written_as_a_key_is_told_how_to_write_it(registry: Registry) -> None:
    with pytest.raises(ConfigError, match=r"'estimator' must be a table.*\[estimator\]"):
        resolve_config(registry, {"estimator": "flow"})


@pytest.mark.parametrize(
    ("given", "long"),
    [
        ({"estimator": {"name": "sigma", "epochs": 50}}, (0, 50)),
        ({"estimator": {"name": "cathode", "steps": 70}}, (70, 0)),
        ({"estimator": {"name": "cathode", "preset": "paper"}}, (0, 100)),
        ({"estimator": {"name": "cathode", "preset": "paper", "epochs": 3}}, (0, 3)),
    ],
)
def test_steps_or_epochs_that_are_given_replace_the_other(given, long):
    options = resolve_config(default_registry(), None, given).estimator.options

    assert (options.steps, options.epochs) == long


@pytest.mark.parametrize("given", [{"steps": 5, "epochs": 5}, {"steps": 0}, {"preset": "paper", "steps": 5}])
def test_steps_and_epochs_together_or_neither_are_refused_before_the_training(given):
    with pytest.raises(ConfigError, match=r"estimator: a training needs either steps or epochs, not \d+ steps and \d+ epochs"):
        resolve_config(default_registry(), None, {"estimator": {"name": "sigma", **given}})
