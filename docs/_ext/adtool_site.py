"""The Sphinx side of the site: pages completed by the program, formulas as MathML, and pages that are made anew when the code changes."""

from __future__ import annotations

import hashlib
from functools import cache, partial
from pathlib import Path
from typing import Any

import jupyter_cache.executors.utils as executors
import nbclient
from adtool_reference import filled
from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx

from adtoolkit.registry import Registry

ROOT = Path(__file__).parents[2]


#: What a tutorial says, where it has the comment ``<!-- remark -->``, if its data were not there to run it.
NOT_RUN = """:::{note}
The data were not at hand where this page was made, so its commands are shown without output and pictures, of which the text speaks.
`adtool data fetch upsilon` brings the data; the site made anew then has them.
:::"""


def fill(app: Sphinx, name: str, source: list[str]) -> None:
    """Pages are completed before they are read, so that headings and links are like any others."""
    remark = NOT_RUN if f"{name}.md" in app.config.nb_execution_excludepatterns else ""
    source[0] = filled(source[0], bundled()).replace("<!-- remark -->", remark)


@cache
def bundled() -> Registry:
    """The components that come with the package, whatever else is installed where the site is made."""
    registry = Registry.discover()
    for origin in registry.plugins:
        if origin.distribution != "adtoolkit":
            registry.unregister(origin.plugin)
    return registry


def readable(_app: Sphinx, _what: str, _name: str, _object: object, _options: object, signature: str | None, returns: str | None) -> Any:
    """Signatures of dataclasses as Python, which Sphinx can lay out."""
    return (signature.replace("<factory>", "...") if signature else signature), returns


#: Stands for a colon while napoleon reads, which takes what is before the first colon of an attribute's text for its type.
COLON = "\ue000"


def hide_colon(_app: Sphinx, what: str, _name: str, _object: object, _options: object, lines: list[str]) -> None:
    """Attributes have annotations; their text is a sentence, colons included."""
    if what in {"attribute", "data", "property"} and lines:
        lines[0] = lines[0].replace(": ", f"{COLON} ")


def show_colon(_app: Sphinx, _what: str, _name: str, _object: object, _options: object, lines: list[str]) -> None:
    """Put it back."""
    lines[:] = [line.replace(COLON, ":") for line in lines]


def sources_digest() -> str:
    """sha256 of the program and its examples: tutorials are run and reference pages made again when it changes."""
    sha = hashlib.sha256()
    for path in sorted(p for folder in ("adtoolkit", "plugins", "examples", "docs/_ext") for p in (ROOT / folder).rglob("*")):
        if path.suffix in {".py", ".toml", ".json", ".h5", ".md"} and path.is_file():
            sha.update(path.relative_to(ROOT).as_posix().encode())
            sha.update(path.read_bytes())
    return sha.hexdigest()[:16]


def inline_math(translator: Any, node: nodes.math) -> None:
    """A formula in the text, without a script or a font from elsewhere."""
    translator.body.append(tex2mathml(node.astext(), as_block=False))
    raise nodes.SkipNode


def block_math(translator: Any, node: nodes.math_block) -> None:
    """A formula on lines of its own; wide ones scroll."""
    translator.body.append(f'<div class="formula">{tex2mathml(node.astext(), as_block=True)}</div>')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, Any]:
    """Called by Sphinx."""
    # The output of a command comes in pieces; MyST-NB's own nb_merge_streams would begin a new line after each.
    executors.executenb = partial(nbclient.execute, coalesce_streams=True)
    app.connect("source-read", fill)
    app.connect("autodoc-process-signature", readable)
    app.connect("autodoc-process-docstring", hide_colon, priority=400)
    app.connect("autodoc-process-docstring", show_colon, priority=600)
    app.add_config_value("adtool_sources", "", "env", [str])
    app.add_html_math_renderer("mathml", (inline_math, None), (block_math, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
