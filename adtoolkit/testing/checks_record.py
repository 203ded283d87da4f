"""Checks of what a component says about itself: record, citation, options, presets. Nothing is trained."""

from __future__ import annotations

import inspect
import json
import os
import re
import subprocess
import sys
import tomllib
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Final

from adtoolkit.loading import BASES
from adtoolkit.records import NAME, faults
from adtoolkit.testing.checks import CheckFailure, NotApplicable, checks_for, conformance, require
from adtoolkit.testing.guards import misfit

if TYPE_CHECKING:
    from adtoolkit.config import ComponentConfig
    from adtoolkit.testing.subject import Subject

_CITATION: Final = re.compile(
    r"arXiv:(\d{4}\.\d{4,5}|[a-z-]+(\.[A-Z]{2})?/\d{7})(v\d+)?|(https://doi\.org/|doi:)?10\.\d{4,9}/\S+", re.IGNORECASE
)

#: Importing what a plugin registers must cost none of these.
HEAVY: Final = ("torch", "sklearn", "scipy", "matplotlib", "nflows", "torchcfm", "pandas", "h5py")

_SUMMARY_LENGTH: Final = 120


@conformance()
def check_name_and_summary(subject: Subject) -> None:
    """A component has a name of lower-case words joined by hyphens and a summary of one short line."""
    component = subject.component
    require(NAME.fullmatch(component.name), f"The name is '{component.name}'.")
    require(component.summary.strip() and "\n" not in component.summary, "The summary is not one line.")
    require(len(component.summary) <= _SUMMARY_LENGTH, f"The summary has {len(component.summary)} characters, more than {_SUMMARY_LENGTH}.")


@conformance()
def check_record_is_well_formed(subject: Subject) -> None:
    """The record of a component names capabilities and regions that exist, and only fields of its kind."""
    wrong = faults(subject.component)
    require(not wrong, f"{'; '.join(wrong)}.")


@conformance()
def check_code_fits_the_interface(subject: Subject) -> None:
    """The class that a component names is there, defines all that its kind asks for, and takes the arguments that it is given."""
    if not subject.component.target:
        reason = "it makes no model"
        raise NotApplicable(reason)
    target, base = subject.target, getattr(import_module("adtoolkit.interfaces"), BASES[subject.component.kind])
    missing = sorted(getattr(target, "__abstractmethods__", ()))
    require(not missing, f"{target.__name__} does not define {', '.join(missing)}.")
    for name in sorted(base.__abstractmethods__):
        require(not (wrong := misfit(getattr(target, name), getattr(base, name))), wrong)


@conformance()
def check_cite_resolves_to_arxiv_or_doi(subject: Subject) -> None:
    """What a component cites is an arXiv number or a DOI (several are separated by commas or semicolons)."""
    if not subject.component.cite:
        reason = "it cites nothing"
        raise NotApplicable(reason)
    for part in re.split(r"[;,]\s*|\s+(?:and\s+)?", subject.component.cite):
        require(_CITATION.fullmatch(part), f"'{part}' is neither like arXiv:2410.20537 nor like 10.1103/PhysRevD.106.055006.")


@conformance()
def check_expected_failures_are_real(subject: Subject) -> None:
    """Each expected failure names a check of the component's kind and gives a reason."""
    known = {check.name for check in checks_for(subject.component.kind)}
    for name, reason in subject.component.expected_failures.items():
        require(name in known, f"There is no check '{name}' for a component of kind '{subject.component.kind}'.")
        require(reason.strip(), f"'{name}' has no reason.")


@cache
def heavy_imports(module: str) -> tuple[str, ...]:
    """Which heavy packages importing this module in a fresh interpreter brings in; ``("?",)`` if it cannot be imported there."""
    code = f"import json, sys; import {module}; print(json.dumps([name for name in {HEAVY!r} if name in sys.modules]))"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=env)
    return tuple(json.loads(done.stdout.splitlines()[-1])) if done.returncode == 0 else ("?", done.stderr.strip().splitlines()[-1])


@conformance()
def check_plugin_import_is_light(subject: Subject) -> None:
    """Importing the plugin module and the options of a component loads no heavy package."""
    modules = {subject.component.config.partition(":")[0], *subject.plugin_modules}
    for module in sorted(modules):
        if module == "__main__" or module.rpartition(".")[2].startswith("test_"):
            continue  # made inside a test or a notebook, so there is nothing to import afresh
        heavy = heavy_imports(module)
        require(heavy[:1] != ("?",), f"'{module}' cannot be imported by itself: {', '.join(heavy[1:])}.")
        require(not heavy, f"'import {module}' loads {', '.join(heavy)}: move the import into the component's own module.")


@conformance()
def check_presets_exist(subject: Subject) -> None:
    """The presets ``smoke`` and ``paper``, and all others, are valid options."""
    for name in dict.fromkeys(["smoke", "paper", *subject.config_class.presets]):
        try:
            subject.config_class.preset(name)
        except ValueError as error:
            message = f"'{name}': {error}"
            raise CheckFailure(message) from error


@conformance()
def check_config_round_trip(subject: Subject) -> None:
    """The options of every preset, written to a one-level TOML table and read back, are the same."""
    import tomli_w

    for name in dict.fromkeys(["", "smoke", "paper", *subject.config_class.presets]):
        config = subject.config_class.preset(name)
        table = config.model_dump(mode="json", exclude_none=True)
        nested = sorted(key for key, value in table.items() if isinstance(value, dict))
        require(not nested, f"{', '.join(nested)} is a table inside the table.")
        again = subject.config_class(**tomllib.loads(tomli_w.dumps(table)))
        lost = sorted(key for key in type(config).model_fields if getattr(again, key) != getattr(config, key))
        require(not lost, f"{', '.join(lost)} came back changed (preset '{name or 'default'}').")


def documented(config_class: type[ComponentConfig]) -> set[str]:
    """Options that are described, in the ``Attributes`` of the class or its bases or by ``Field(description=...)``."""
    found = {name for name, field in config_class.model_fields.items() if field.description}
    for base in config_class.__mro__:
        text = inspect.getdoc(base) if "__doc__" in vars(base) else None
        _, _, listing = (text or "").partition("Attributes:\n")
        for line in re.findall(r"^ {4}([\w, ]+?)(?: \([^)]*\))?: ", listing, re.MULTILINE):
            found |= {name.strip() for name in line.split(",")}
    return found


@conformance()
def check_options_documented(subject: Subject) -> None:
    """Every option is described in the ``Attributes`` of its class."""
    missing = sorted(set(subject.config_class.model_fields) - documented(subject.config_class))
    require(not missing, f"Not described: {', '.join(missing)}.")
