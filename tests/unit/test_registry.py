"""The plugin host: discovery, what can go wrong with a plugin, lookup."""

import logging
import types
from collections.abc import Callable
from dataclasses import replace

import pytest

from adtoolkit import builtin
from adtoolkit.errors import ConfigError, PluginError, UnknownNameError
from adtoolkit.events import Event
from adtoolkit.plugin import Cap, Component, Region, hookimpl
from adtoolkit.records import faults
from adtoolkit.registry import Registry

Install = Callable[..., None]

HEAD = "from adtoolkit.plugin import Cap, Component, Region, hookimpl\n"
RECORD = "Component(kind='scorer', name='{name}', target='mine:Mine', summary='a scorer')"
HOOK = HEAD + "@hookimpl\ndef adtoolkit_register_components():\n    return [{records}]\n"


def good(name: str) -> str:
    """Source of a plugin that registers one scorer."""
    return HOOK.format(records=RECORD.format(name=name))


@pytest.fixture
def registry() -> Registry:
    """The core's own components."""
    fresh = Registry()
    fresh.register(builtin, "builtin", "adtoolkit", "0.1.0")
    return fresh


def module(**members: object) -> types.ModuleType:
    made = types.ModuleType("made")
    vars(made).update(members)
    return made


def plugin(*records: object) -> types.ModuleType:
    """A plugin in memory."""

    @hookimpl
    def adtoolkit_register_components() -> list[object]:
        return list(records)

    return module(adtoolkit_register_components=adtoolkit_register_components)


SCORER = Component(kind="scorer", name="mine", target="mine:Mine", summary="a scorer")


def test_builtin_components_come_through_the_hook_and_are_well_formed(registry: Registry) -> None:
    """The core has no privilege: its records pass the same rules."""
    found = {(r.component.kind, r.component.name) for r in registry.components()}

    assert [fault for record in builtin.adtoolkit_register_components() for fault in faults(record)] == []
    assert {("data", "dijets"), ("estimator", "none"), ("interpolator", "v-data"), ("scorer", "idealised"), ("metric", "max-sic")} <= found
    assert registry.failures == ()


def test_installed_plugin_is_found_with_its_distribution(install: Install) -> None:
    install("dist-a", good("mine"))

    found = Registry.discover().get("scorer", "mine")

    assert (found.origin.plugin, found.origin.distribution, found.origin.version) == ("dist-a", "dist-a", "2.5")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("import no_such_package_anywhere", "cannot be imported: ModuleNotFoundError: No module named 'no_such_package_anywhere'"),
        ("raise SystemExit('bye')", "cannot be imported: SystemExit: bye"),
        (HEAD + "@hookimpl\ndef adtoolkit_register_component(): return []", "did you mean 'adtoolkit_register_components'?"),
        (HEAD + "@hookimpl\ndef adtoolkit_on_event(event, more): pass", "is not a usable plugin"),
        (HEAD + "def adtoolkit_register_components(): return []", "without the decorator @hookimpl"),
        (HEAD, "implements no hook"),
        (HEAD + "@hookimpl\ndef adtoolkit_register_components(): 1 / 0", "ZeroDivisionError: division by zero"),
        (HEAD + "@hookimpl\ndef adtoolkit_register_components(): return 'sigma'", "must return a list of Component records"),
        (HOOK.format(records="'sigma'"), "must return Component records"),
        ("adtoolkit_api = '9.0'\n" + good("x"), "was written for plugin interface 9.0"),
        (good("Bad_Name"), "its name is 'Bad_Name'"),
    ],
)
def test_broken_plugin_is_kept_as_a_failure_and_hurts_nothing_else(install: Install, source: str, message: str) -> None:
    """One sentence that names plugin, distribution and version; the others load."""
    install("dist-bad", source)
    install("dist-good", good("mine"))

    registry = Registry.discover()

    assert [failure.origin.plugin for failure in registry.failures] == ["dist-bad"]
    assert "plugin 'dist-bad' of dist-bad 2.5" in registry.failures[0].error
    assert message in registry.failures[0].error
    assert "\n" not in registry.failures[0].error
    assert "mine" in registry.names("scorer")
    assert "direct" in registry.names("interpolator")


def test_name_clash_names_both_distributions_and_nobody_gets_the_name(install: Install) -> None:
    install("dist-a", good("mine"))
    install("dist-b", good("mine"))

    registry = Registry.discover()

    assert registry.names("scorer").count("mine") == 1
    with pytest.raises(PluginError, match=r"dist-b 2\.5 registers scorer 'mine', a name that plugin 'dist-a' of dist-a 2\.5 has already"):
        registry.get("scorer", "mine")


def test_clash_with_a_bundled_name_leaves_the_list_alive(install: Install) -> None:
    """The third party is the later one, whatever its name."""
    install("aaa", good("random"))

    registry = Registry.discover()

    assert registry.names("scorer").count("random") == 1
    assert [failure.origin.plugin for failure in registry.failures] == ["aaa"]
    with pytest.raises(PluginError, match=r"aaa 2\.5 .* of adtoolkit"):
        registry.get("scorer", "random")


def test_malformed_record_under_a_taken_name_does_not_block_the_good_one(install: Install) -> None:
    install("aaa", HOOK.format(records="Component(kind='scorer', name='random', target='no colon', summary='s')"))

    registry = Registry.discover()

    assert registry.get("scorer", "random").origin.distribution == "adtoolkit"
    assert "its target is 'no colon'" in registry.failures[0].error


def test_component_whose_only_record_is_malformed_says_why_it_is_missing(install: Install) -> None:
    install("aaa", HOOK.format(records="Component(kind='scorer', name='mine', target='no colon', summary='s')"))

    with pytest.raises(PluginError, match="its target is 'no colon'"):
        Registry.discover().get("scorer", "mine")


def test_two_distributions_with_one_entry_point_name(install: Install) -> None:
    install("dist-a", good("one"), entry="same")
    install("dist-b", good("two"), entry="same")

    failures = Registry.discover().failures

    assert [failure.error for failure in failures] == [
        "The plugin 'same' of dist-b 2.5 has the entry-point name of plugin 'same' of dist-a 2.5 too; rename one of the two."
    ]


@pytest.mark.parametrize(("wanted", "loaded"), [("", []), ("dist-b", ["dist-b"]), (" dist-a , dist-b ", ["dist-a", "dist-b"])])
def test_environment_restricts_which_plugins_load(
    install: Install, monkeypatch: pytest.MonkeyPatch, wanted: str, loaded: list[str]
) -> None:
    install("dist-a", good("one"))
    install("dist-b", good("two"))
    monkeypatch.setenv("ADTOOLKIT_PLUGINS", wanted)

    registry = Registry.discover()

    assert ["builtin", *loaded] == [origin.plugin for origin in registry.plugins]
    assert registry.failures == ()


def test_environment_naming_a_plugin_that_is_not_installed_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADTOOLKIT_PLUGINS", "nobody-has-this")

    assert "no installed distribution has such an entry point" in Registry.discover().failures[0].error


def test_trace_prints_hook_calls(install: Install, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    install("dist-a", good("one"))
    monkeypatch.setenv("ADTOOLKIT_TRACE_PLUGINS", "1")

    Registry.discover()

    out, err = capsys.readouterr()
    assert out == ""
    assert "hook adtoolkit_register_components -> dist-a" in err


BASE = {
    "data": Component(kind="data", name="x", target="a.b:C", summary="s", provides=frozenset({Cap.TRUTH})),
    "estimator": Component(
        kind="estimator", name="x", target="a.b:C", summary="s", provides=frozenset({Cap.SAMPLE}), trains_on=(Region.ALL,)
    ),
    "interpolator": Component(kind="interpolator", name="x", target="a.b:C", summary="s", accepts=frozenset({Region.ALL})),
    "scorer": Component(kind="scorer", name="x", target="a.b:C", summary="s", needs=frozenset({"owner:word"})),
}


@pytest.mark.parametrize("kind", BASE)
def test_good_records_have_no_fault(kind: str) -> None:
    assert faults(BASE[kind]) == []


@pytest.mark.parametrize(
    ("kind", "change", "message"),
    [
        ("scorer", {"kind": "scorrer"}, "did you mean 'scorer'?"),
        ("scorer", {"name": "a--b"}, "single hyphens"),
        ("scorer", {"name": 3}, "its name is 3"),
        ("scorer", {"target": "a.b.C"}, "it must read 'package.module:Class'"),
        ("scorer", {"target": ""}, "its target is ''"),
        ("scorer", {"config": "nowhere"}, "its config is 'nowhere'"),
        ("scorer", {"summary": "two\nlines"}, "one line of text"),
        ("scorer", {"cite": None}, "its cite is None"),
        ("scorer", {"cache_version": True}, "a whole number from 1"),
        ("scorer", {"needs": "window"}, "must be a frozenset"),
        ("scorer", {"needs": frozenset({"sampel"})}, "did you mean 'sample'?"),
        ("scorer", {"needs": frozenset({"Owner:Word"})}, "unknown capability 'Owner:Word'"),
        ("scorer", {"provides": frozenset({Cap.SAMPLE})}, "a scorer cannot provide sample; scorers have log-ratio, signal"),
        ("scorer", {"trains_on": (Region.ALL,)}, "trains_on is for estimator only"),
        ("estimator", {"default_estimator": "sigma"}, "default_estimator is for scorer only"),
        ("scorer", {"expected_failures": {"check": ""}}, "to the reason"),
        ("data", {"provides": frozenset({Cap.SAMPLE})}, "data cannot provide sample"),
        ("estimator", {"provides": frozenset({Cap.TRUTH})}, "a model cannot provide truth"),
        ("estimator", {"trains_on": ()}, "needs both trains_on and provides"),
        ("estimator", {"trains_on": (), "provides": frozenset()}, "no target"),
        ("estimator", {"trains_on": ("all",)}, "a tuple of Region members"),
        ("interpolator", {"accepts": frozenset()}, "of which regions it accepts"),
        ("interpolator", {"rules": (frozenset({Cap.SAMPLE}),)}, "(needs, gives) pairs"),
        ("interpolator", {"rules": ((frozenset({Cap.SAMPLE}), frozenset()),)}, "gives nothing"),
    ],
)
def test_malformed_record_is_refused_with_its_fault(kind: str, change: dict[str, object], message: str) -> None:
    assert message in "; ".join(faults(replace(BASE[kind], **change)))  # type: ignore[arg-type]


def test_all_faults_of_a_record_are_told_at_once(registry: Registry) -> None:
    with pytest.raises(PluginError, match=r"its name is .*its target is .*its summary"):
        registry.register(plugin(replace(SCORER, name="A", target="b", summary="")), "made", "in memory")


def test_register_by_hand_is_all_or_nothing(registry: Registry) -> None:
    """A fault in the second record takes the first out again."""
    with pytest.raises(PluginError, match="random"):
        registry.register(plugin(SCORER, replace(SCORER, name="random")), "made", "in memory")

    assert "mine" not in registry.names("scorer")
    assert registry.get("scorer", "random").origin.distribution == "adtoolkit"
    assert registry.failures == ()


def test_unregister_takes_everything_out_again(registry: Registry) -> None:
    registry.register(plugin(SCORER), "made", "in memory")
    registry.unregister("made")

    assert "mine" not in registry.names("scorer")
    registry.register(plugin(SCORER), "made", "in memory")
    with pytest.raises(UnknownNameError, match="There is no plugin 'maed'"):
        registry.unregister("maed")


def test_unknown_name_offers_the_nearest_and_the_other_kind(registry: Registry) -> None:
    with pytest.raises(UnknownNameError, match=r"Did you mean 'cwola'\? See: adtool list scorer"):
        registry.get("scorer", "cwolla")
    with pytest.raises(UnknownNameError, match="'linear' is the name of: interpolator"):
        registry.get("scorer", "linear")


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("no_such_module:X", "cannot be imported: ModuleNotFoundError"),
        ("adtoolkit.scorers.config:LikelyConfig", "Did you mean 'LikelihoodConfig'?"),
        ("adtoolkit.scorers.config:LikelihoodConfig", "must derive from adtoolkit.interfaces.Scorer"),
    ],
)
def test_missing_target_is_a_clear_error_at_first_use(registry: Registry, target: str, message: str) -> None:
    """Registering costs no import, so the list is there all the same."""
    registry.register(plugin(replace(SCORER, target=target)), "made", "in memory")

    component = registry.get("scorer", "mine").component
    with pytest.raises(PluginError, match="scorer 'mine' of plugin 'made' of in memory") as error:
        registry.load(component)
    assert message in str(error.value)


def test_missing_or_wrong_config_is_a_clear_error(registry: Registry) -> None:
    records = replace(SCORER, config="adtoolkit.config:Nothing"), replace(SCORER, name="other", config="adtoolkit.types:Window")
    registry.register(plugin(*records), "made", "in memory")

    with pytest.raises(PluginError, match="Did you mean 'NoOptions'"):
        registry.config_class(registry.get("scorer", "mine").component)
    with pytest.raises(PluginError, match=r"must derive from adtoolkit\.config\.ComponentConfig"):
        registry.config_class(registry.get("scorer", "other").component)


def test_estimator_none_has_nothing_to_load(registry: Registry) -> None:
    with pytest.raises(PluginError, match="it makes no model"):
        registry.load(registry.get("estimator", "none").component)


def test_make_gives_an_instance_with_preset_and_values(registry: Registry) -> None:
    component = registry.get("data", "toy-bump").component

    made = registry.make(component, "smoke", {"n_features": 4})

    assert (made.config.n_background, made.config.n_features) == (8_000, 4)
    with pytest.raises(UnknownNameError, match="toy-bump option 'n_feature'"):
        registry.make(component, "smoke", {"n_feature": 4})
    with pytest.raises(ConfigError, match="integer >= 2 and <= 5"):
        registry.make(component, "smoke", {"n_features": 9})


def test_listener_that_raises_is_reported_once_and_the_others_hear(registry: Registry, caplog: pytest.LogCaptureFixture) -> None:
    heard: list[str] = []

    @hookimpl
    def adtoolkit_on_event(event: Event) -> None:
        heard.append(event.kind)

    @hookimpl(specname="adtoolkit_on_event")
    def broken(event: Event) -> None:
        raise ValueError("no")

    registry.register(module(adtoolkit_on_event=adtoolkit_on_event), "fine", "in memory")
    registry.register(module(broken=broken), "broken", "in memory")
    with caplog.at_level(logging.WARNING):
        registry.tell(Event("started", "fit"))
        registry.tell(Event("finished", "fit"))

    assert heard == ["started", "finished"]
    assert caplog.text.count("hears no more: ValueError: no") == 1
