"""``python -m adtoolkit`` is ``adtool``."""

import signal
from typing import NoReturn

from adtoolkit.cli import main


class Interrupt(KeyboardInterrupt):
    """Ctrl-C, told apart from Python's own.

    Behind ``-m``, Python ends itself by the signal, and our exit code 130 is lost, if a plain KeyboardInterrupt ever passed
    through the exec() of a string, as at the import of a dataclass. It looks for that very class, not for ones derived from it.
    """


def interrupt(*_: object) -> NoReturn:
    """Python's own handler, with our class."""
    raise Interrupt


if __name__ == "__main__":
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not where the caller had it ignored
        signal.signal(signal.SIGINT, interrupt)
    main()
