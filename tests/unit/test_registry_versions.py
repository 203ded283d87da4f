"""Which versions of the plugin interface a plugin may have been written for."""

from collections.abc import Callable
from pathlib import Path

import pytest

from adtoolkit import __version__
from adtoolkit.plugin import API_VERSION
from adtoolkit.registry import Registry

Install = Callable[..., None]
MAJOR, MINOR = (int(number) for number in API_VERSION.split("."))

SOURCE = """
from adtoolkit.plugin import Component, hookimpl

@hookimpl
def adtoolkit_register_components():
    return [Component(kind="scorer", name="mine", target="mine:Mine", summary="a scorer")]
"""


@pytest.mark.parametrize("line", ["", f"adtoolkit_api = '{MAJOR}.0'", f"adtoolkit_api = '{API_VERSION}'", f"adtoolkit_api = {API_VERSION}"])
def test_plugin_of_this_or_an_earlier_minor_interface_is_loaded(install: Install, line: str) -> None:
    install("dist-a", SOURCE + line)

    registry = Registry.discover()

    assert registry.failures == ()
    assert "mine" in registry.names("scorer")


@pytest.mark.parametrize(
    ("version", "fix"),
    [
        (f"{MAJOR + 1}.0", "upgrade adtoolkit: pip install --upgrade adtoolkit"),
        (f"{MAJOR}.{MINOR + 1}", "upgrade adtoolkit: pip install --upgrade adtoolkit"),
        (f"{MAJOR - 1}.9", "install a newer release of the plugin"),
    ],
)
def test_plugin_of_another_interface_is_refused_with_what_to_install(install: Install, version: str, fix: str) -> None:
    install("dist-a", f"{SOURCE}adtoolkit_api = '{version}'\n")

    registry = Registry.discover()

    expected = f"was written for plugin interface {version}, but adtoolkit {__version__} has {API_VERSION}; {fix}."
    assert [failure.error for failure in registry.failures] == [f"The plugin 'dist-a' of dist-a 2.5 {expected}"]
    assert "mine" not in registry.names("scorer")


@pytest.mark.parametrize("value", ["'one'", "'1'", "'1.0.3'", "(1, 0)"])
def test_version_that_is_none_is_refused_with_how_to_write_it(install: Install, value: str) -> None:
    install("dist-a", f"{SOURCE}adtoolkit_api = {value}\n")

    assert f'for example adtoolkit_api = "{API_VERSION}"' in Registry.discover().failures[0].error


def test_page_about_stability_is_of_this_version() -> None:
    """Its first table says what this version loads, its last what came with it."""
    page = (Path(__file__).parents[2] / "docs" / "reference" / "stability.md").read_text()

    assert f"`adtoolkit.plugin.API_VERSION` is `{API_VERSION}`." in page
    assert f"loaded by {API_VERSION}" in page
    assert f"\n| {API_VERSION} | " in page
