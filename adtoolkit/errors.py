"""What can go wrong, one class per kind. Each message says what was asked, what is available and what to do next."""

from __future__ import annotations


class AdtoolError(Exception):
    """Base of all errors that a user can do something about.

    Args:
        message: What was asked and what is available.
        fix: What to do next; shown behind the message.

    ``exit_code`` is what the command line ends with: 2 when refused before any training, 1 when a run failed.
    """

    exit_code = 2

    def __init__(self, message: str, fix: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.message} {self.fix}".strip()


class CacheError(AdtoolError):
    """The cache or a run folder cannot be read or written."""


class ConfigError(AdtoolError):
    """An option, table or file of the configuration is unknown or has a wrong value."""


class DataError(AdtoolError):
    """The data are missing, malformed, or not fit for the search asked for."""


class DeviceError(AdtoolError):
    """The device asked for is not there."""


class MissingExtraError(AdtoolError):
    """An optional dependency is not installed."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(
            f"{what} needs the optional packages of '{extra}', which are not installed.", f'Install them: pip install "adtoolkit[{extra}]"'
        )


class MixError(AdtoolError):
    """The parts asked for cannot work together."""


class PluginError(AdtoolError):
    """A plugin could not be loaded, or registers something malformed."""


class RunError(AdtoolError):
    """A run failed after it had started."""

    exit_code = 1


class UnknownNameError(AdtoolError):
    """A component, option or column of this name does not exist."""

    def __init__(self, what: str, name: str, known: list[str], fix: str = "") -> None:
        from difflib import get_close_matches

        near = get_close_matches(name, known, n=1, cutoff=0.5)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        super().__init__(f"There is no {what} '{name}'; there is: {', '.join(sorted(known)) or 'none'}.{hint}", fix)
        self.name = name
        self.known = known
