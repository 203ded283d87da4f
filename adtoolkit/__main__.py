"""``python -m adtoolkit`` is ``adtool``."""

from adtoolkit.cli import main

if __name__ == "__main__":
    main()
