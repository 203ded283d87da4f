"""The files that options name: as they were when results were made of them, and whether they still are that."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from adtoolkit.runconfig import RunConfig

Seen = Mapping[str, Any]


def files_of(options: Mapping[str, Any]) -> list[str]:
    """The files that options of a component name, as they are written; of a folder given as ``path`` those that lie in it."""
    found: list[str] = []
    for name, value in options.items():
        for text in value if isinstance(value, list | tuple) else (value,):
            if isinstance(text, str) and text:
                try:
                    path = Path(text).expanduser()
                    if path.is_file():
                        found.append(text)
                    elif name == "path" and path.is_dir():
                        found += sorted(str(inside) for inside in path.iterdir() if inside.is_file())
                except (OSError, RuntimeError):  # a text that can be no path
                    continue
    return list(dict.fromkeys(found))


def files_of_data(config: RunConfig) -> list[str]:
    """The files that options of the data name."""
    return files_of(config.data.options.model_dump(mode="json"))


def files_of_parts(config: RunConfig) -> list[str]:
    """The files that options of any other part name, each once."""
    parts = (config.estimator.options, config.interpolator.options, config.scorer.options, *config.metrics.values.values())
    return list(dict.fromkeys(file for options in parts for file in files_of(options.model_dump(mode="json"))))


def seen(files: Iterable[str], before: Mapping[str, Seen]) -> dict[str, Seen]:
    """Size, time (ns) and sha256 of each file. One that looks as it did before is not read again."""
    out: dict[str, Seen] = {}
    for file in files:
        stat = Path(file).expanduser().stat()
        look = {"size": stat.st_size, "mtime_ns": stat.st_mtime_ns}
        known = before.get(file, {})
        digest = known.get("sha256") if look.items() <= known.items() else None
        out[file] = look | {"sha256": digest or _sha256(file, stat.st_size, stat.st_mtime_ns)}
    return out


def changed(before: Mapping[str, Seen]) -> dict[str, str]:
    """File -> what it was and is, of those whose content is not what it was. One that is gone is no other file."""
    out = {}
    for file, known in before.items():
        try:
            now = seen([file], before)[file]
        except OSError:
            continue
        if now["sha256"] != known.get("sha256"):
            out[file] = f"it was of {_look(known)} and is of {_look(now)}"
    return out


def _look(about: Seen) -> str:
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(about["mtime_ns"] / 1e9))
    return f"{when} ({about['size']:,} bytes)"


@lru_cache(maxsize=256)
def _sha256(file: str, size: int, mtime_ns: int) -> str:  # noqa: ARG001  # what tells one state of a file from another
    with Path(file).expanduser().open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
