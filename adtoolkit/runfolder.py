"""The folder of a run: what a person reads, written so that it is whole at any moment."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

from adtoolkit.errors import CacheError
from adtoolkit.events import Event
from adtoolkit.store import disk_errors, write_atomic


def folder_name(data: str, window: str, parts: tuple[str, ...], seed: int, digest: str) -> Path:
    """``<data>-<window>/<estimator>+<interpolator>+<scorer>-s<seed>-<6 hex of the configuration's digest>``."""
    return Path(f"{data}-{window}" if window else data) / f"{'+'.join(parts)}-s{seed}-{digest[:6]}"


#: What tells of a run; set aside while it is repeated, so that a repetition that comes to nothing loses nothing.
RECORDS: Final = ("manifest.json", "metrics.json", "events.jsonl", "error.txt")


@dataclass
class RunFolder:
    """Writes config.toml, manifest.json, events.jsonl, metrics.json, error.txt and whatever else belongs to one run.

    Attributes:
        path: The folder.
        manifest: What is known of the run so far; written at every `update`.
    """

    path: Path
    manifest: dict[str, Any] = field(default_factory=dict)

    @contextmanager
    def opened(self, config: str, about: Mapping[str, Any], tell: Callable[[Event], None]) -> Iterator[None]:
        """Make the folder and write the first manifest; nobody else writes to it meanwhile.

        The record of an earlier run of the same configuration is moved to ``previous/`` until this one has ended.

        Raises:
            CacheError: if it cannot be written; nothing has been trained by then.
        """
        from filelock import FileLock, Timeout

        with disk_errors(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.path / ".lock")
            try:
                lock.acquire(timeout=0)
            except Timeout:
                tell(Event("note", "run", text=f"Another process writes the same run, {self.path}; waiting for it."))
                lock.acquire()
        try:
            try:
                with disk_errors(self.path):
                    self._move(self.path, self.previous)
                    write_atomic(self.path / "config.toml", config)
                    (self.path / "events.jsonl").write_text("")
                self.manifest = {"status": "running", "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"), **about, **provenance()}
                self.update()
            except CacheError:
                self._restore()
                raise
            yield
        finally:
            lock.release()

    @property
    def previous(self) -> Path:
        return self.path / "previous"

    @staticmethod
    def _move(source: Path, target: Path) -> None:
        """Carry the record of a run that ended well; that of any other is overwritten by the next."""
        try:
            ended_well = json.loads((source / "manifest.json").read_text())["status"] == "done"
        except (FileNotFoundError, ValueError, KeyError, TypeError):  # none, or damaged
            return
        if not ended_well:
            return
        target.mkdir(exist_ok=True)
        for name in RECORDS:
            if (source / name).exists():
                (source / name).replace(target / name)

    def update(self, **values: Any) -> None:
        """Add to the manifest."""
        self.manifest |= values
        with disk_errors(self.path):
            write_atomic(self.path / "manifest.json", json.dumps(self.manifest, indent=1, default=str))

    def heard(self, event: Event) -> None:
        """Append an event to events.jsonl."""
        with disk_errors(self.path), (self.path / "events.jsonl").open("a") as file:
            file.write(json.dumps({"time": round(time.time(), 3), **asdict(event)}, default=str) + "\n")

    def done(self) -> None:
        """The run ended well; the record of the one before is not needed any more."""
        scores = self.path / "scores.h5"
        self.update(status="done", sizes={scores.name: scores.stat().st_size} if scores.exists() else {})
        (self.path / "error.txt").unlink(missing_ok=True)
        shutil.rmtree(self.previous, ignore_errors=True)

    def refused(self, error: BaseException) -> None:
        """The run was refused before it made anything: what an earlier one left stands again."""
        if not self._restore():
            self.failed(error, "refused")

    def _restore(self) -> bool:
        """Put back what was set aside; says whether there was something."""
        if not (self.previous / "manifest.json").exists():
            return False
        self._move(self.previous, self.path)
        shutil.rmtree(self.previous, ignore_errors=True)
        return True

    def failed(self, error: BaseException, status: str = "failed") -> None:
        """Record why a run ended; itself never raises, so that the reason is not hidden."""
        self.failed_in_part("".join(traceback.format_exception(error)), f"{type(error).__name__}: {error}", status)

    def failed_in_part(self, trace: str, reason: str, status: str = "failed") -> None:
        """The same where there is no exception any more."""
        try:
            write_atomic(self.path / "error.txt", trace)
            self.update(status=status, error=reason)
        except Exception:  # noqa: BLE001  # the disk may be the very thing that failed
            return


def provenance() -> dict[str, Any]:
    """Versions, command and commit behind a run."""
    versions = {"python": sys.version.split()[0]}
    for name in ("adtoolkit", "torch", "numpy", "scikit-learn", "nflows", "torchcfm"):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return {"versions": versions, "command": sys.argv, "commit": _commit(), "threads": os.environ.get("OMP_NUM_THREADS")}


def _commit() -> str | None:
    """The commit of the checkout that adtoolkit is imported from, if it is one."""
    root = Path(__file__).parents[1]
    if not (root / ".git").exists():
        return None
    try:
        done = subprocess.run(["git", "-C", str(root), "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
