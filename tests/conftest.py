"""What all tests share."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

# The work of a test is too small for threads, and threads that wait actively ruin each other where cores are shared.
# Read when torch and scikit-learn are loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell that runs the tests in the background has interrupts ignored, which the programs that tests start would inherit.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One cache for a file, so that a model is trained once."""
    path = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ADTOOLKIT_CACHE", str(path))
        yield path


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Install a distribution with one plugin, as pip would leave it; only such plugins are loaded afterwards."""
    monkeypatch.syspath_prepend(tmp_path)
    names: list[str] = []

    def do(distribution: str, source: str, entry: str = "") -> None:
        entry = entry or distribution
        module = f"plugin_{tmp_path.name.replace('-', '_')}_{distribution.replace('-', '_')}"
        (tmp_path / f"{module}.py").write_text(source)
        info = tmp_path / f"{distribution.replace('-', '_')}-2.5.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 2.5\n")
        (info / "entry_points.txt").write_text(f"[adtoolkit]\n{entry} = {module}\n")
        names.append(entry)
        monkeypatch.setenv("ADTOOLKIT_PLUGINS", ",".join(names))

    return do
