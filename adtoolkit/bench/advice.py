"""What a single run advises, in words of a bench: it has a matrix file where `adtool run` has options."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

#: An option of ``adtool run`` -> what to do instead; ``{file}`` is the matrix file.
_INSTEAD: Final = (
    (r"--drop-invalid \(or (--set [^)]*)\)", r"\1"),
    (r"--window LO HI", "change the window in {file}"),
    (r"--set (\w+)\.([\w.-]+)=(\S+?)(?=[.,;)]?(?:\s|$))", r"[\1] \2 = \3 in {file}"),
    (r"--(data|estimator|interpolator|scorer) ([\w-]+)", r'\1 = "\2" in {file}'),
    (r"--force \w+", "--overwrite always"),
)


def advice(text: str, file: Path) -> str:
    """The text of an error, with advice that can be followed here.

    Example:
        >>> advice("Use --set mass.name=kde.", Path("m.toml"))
        'Use [mass] name = kde in m.toml.'
    """
    for option, instead in _INSTEAD:
        text = re.sub(option, instead.replace("{file}", str(file).replace("\\", r"\\")), text)
    return text
