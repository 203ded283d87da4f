"""The stage cache: content-addressed folders, completed by a checksummed ``DONE`` that is written last.

``<root>/<stage>/<key>/`` holds the payload, ``meta.json`` and ``DONE`` (sha256 of every file). A folder comes into being by
one rename, so it is whole or not there; a folder whose checksums do not match is set aside and made again. A lock per key
lets several processes share a cache: one works, the others wait and reuse. Locks and half-made folders of a killed process
do no harm; checkpoints of a long fit live in ``<key>.work`` and are found again by the next try.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from adtoolkit.errors import CacheError

if TYPE_CHECKING:
    from collections.abc import Iterator

Overwrite = Literal["only-missing", "always", "only-cache"]

#: What a run makes and keeps, in order.
STAGES: Final = ("fit", "template", "density", "score")


#: Faults of the disk itself; inside a component's own code nothing else is ours to explain.
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})


def key_of(parts: Mapping[str, Any]) -> str:
    """sha256 of the canonical JSON of the parts, shortened to 24 digits."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def default_root() -> Path:
    """``$ADTOOLKIT_CACHE``, else the user's cache folder."""
    if given := os.environ.get("ADTOOLKIT_CACHE"):
        return Path(given).expanduser()
    from platformdirs import user_cache_path

    return user_cache_path("adtoolkit")


@contextmanager
def disk_errors(what: Path, only: frozenset[int] | None = None) -> Iterator[None]:
    """Turn what the operating system says about a folder into one clear line.

    Args:
        what: The folder.
        only: Error numbers to explain; all by default.

    Raises:
        CacheError: when the disk is full, the folder read-only, a file in the way, and the like.
    """
    try:
        yield
    except OSError as error:
        if only is not None and error.errno not in only:
            raise
        reason = error.strerror or str(error)
        space = "Free some space or choose" if error.errno in {errno.ENOSPC, errno.EDQUOT} else "Choose"
        fix = f"{space} another folder: --out DIR, and ADTOOLKIT_CACHE=DIR for the cache."
        raise CacheError(f"Cannot write to {what}: {reason}.", fix) from error


def write_atomic(path: Path, content: str | bytes) -> None:
    """Write a file that is whole or not there, also after a crash of the machine."""
    data = content.encode() if isinstance(content, str) else content
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _checksums(folder: Path) -> dict[str, str]:
    sums = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != "DONE":
            with path.open("rb") as file:
                sums[path.relative_to(folder).as_posix()] = hashlib.file_digest(file, "sha256").hexdigest()
    return sums


@dataclass(frozen=True)
class Entry:
    """A completed stage.

    Attributes:
        path: The folder.
        reused: Found rather than made.
        seconds: What it took to make; of an interrupted stage, what the last try took; of one made together with others, its share.
        cpu: The same in CPU seconds of this process.
        digest: sha256 of the payload: keys of what follows from it name this, not how it was made.
        meta: What its maker recorded.
        notes: What happened to the cache on the way (an entry that had been tampered with).
    """

    path: Path
    reused: bool
    seconds: float
    cpu: float
    digest: str
    meta: Mapping[str, Any]
    notes: tuple[str, ...] = ()


class Stopwatch:
    """Measures from its making."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def read(self) -> dict[str, float]:
        """``seconds`` of the clock and ``cpu`` seconds of this process so far."""
        return {"seconds": round(time.perf_counter() - self._wall, 3), "cpu": round(time.process_time() - self._cpu, 3)}


class Store:
    """The cache of stages below one root folder.

    Args:
        root: The folder; the user's by default.
        batch: Name of what is computed together: what ``always`` made for it is not made a second time for it.
    """

    def __init__(self, root: Path | None = None, batch: str = "") -> None:
        self.root = root or default_root()
        self.batch = batch

    def path(self, stage: str, key: str) -> Path:
        return self.root / stage / key

    def lookup(self, stage: str, key: str) -> Entry | None:
        """The completed entry, or None if it is missing or does not match its checksums.

        Raises:
            CacheError: if it is there but cannot be read.
        """
        folder = self.path(stage, key)
        try:
            done = json.loads((folder / "DONE").read_text())
            if done["sha256"] != _checksums(folder):
                return None
            meta = json.loads((folder / "meta.json").read_text())
        except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError):
            return None
        except OSError as error:
            what = f"The cache entry {folder} cannot be read: {error.strerror}."
            raise CacheError(what, "Choose another cache: ADTOOLKIT_CACHE=DIR") from error
        payload = {name: digest for name, digest in done["sha256"].items() if name != "meta.json"}
        return Entry(folder, True, float(meta.get("seconds", 0.0)), float(meta.get("cpu", 0.0)), key_of(payload), meta)

    def ready(self, stage: str, key: str, overwrite: Overwrite = "only-missing") -> Entry | None:
        """The entry, if there is one that need not be made again."""
        entry = self.lookup(stage, key)
        if entry is None or overwrite != "always" or (self.batch and entry.meta.get("batch") == self.batch):
            return entry
        return None

    def get(
        self,
        stage: str,
        key: str,
        make: Callable[[Path, Path], Mapping[str, Any] | None],
        *,
        describe: Mapping[str, Any] | None = None,
        overwrite: Overwrite = "only-missing",
        waiting: Callable[[str], None] | None = None,
    ) -> Entry:
        """The entry of this key, made if it is not there.

        Args:
            stage: First level of the cache.
            key: From `key_of`.
            make: Called with an empty folder for the payload and a folder for checkpoints; may return what to record, also
                ``seconds`` and ``cpu`` where part of the work was done before.
            describe: What the key stands for; kept in ``meta.json`` for people.
            waiting: Told when another process is at work on this key, before waiting for it.
            overwrite: ``only-missing`` makes what is not there, ``always`` makes it again, ``only-cache`` refuses to make.

        Raises:
            CacheError: if it must not be made, or cannot be written.
        """
        if entry := self.ready(stage, key, overwrite):
            return entry
        if overwrite == "only-cache":
            raise CacheError(
                f"The stage '{stage}' ({key}) is not in the cache {self.root}.", "Let it be computed: --overwrite only-missing"
            )
        from filelock import FileLock, Timeout

        folder = self.path(stage, key)
        work, partial = folder.with_name(f"{key}.work"), folder.with_name(f"{key}.part")
        with disk_errors(self.root):
            folder.parent.mkdir(parents=True, exist_ok=True)
            lock = FileLock(folder.with_name(f"{key}.lock"))
            try:
                lock.acquire(timeout=0)
            except Timeout:
                if waiting is not None:
                    waiting(f"Another process is at work on the same stage '{stage}'; waiting for its result.")
                lock.acquire()
        try:
            if entry := self.ready(stage, key, overwrite):
                return entry
            with disk_errors(self.root):
                shutil.rmtree(partial, ignore_errors=True)
                partial.mkdir()
                work.mkdir(exist_ok=True)
            started = Stopwatch()
            with disk_errors(self.root, _FULL):
                meta = dict(make(partial, work) or {})
            meta = {**started.read(), **meta, "stage": stage, "key": key, "made_from": dict(describe or {})}
            meta |= {"batch": self.batch} if self.batch else {}
            notes: tuple[str, ...] = ()
            with disk_errors(self.root):
                write_atomic(partial / "meta.json", json.dumps(meta, indent=1, default=str))
                write_atomic(partial / "DONE", json.dumps({"sha256": _checksums(partial)}, indent=1))
                if folder.exists():
                    if overwrite != "always":
                        notes = (f"The cache entry {stage}/{key} did not match its checksums and was computed again.",)
                    self._swap(folder, partial)
                else:
                    partial.rename(folder)
                shutil.rmtree(work, ignore_errors=True)
            made = self.lookup(stage, key)
            if made is None:
                what = f"The cache entry {folder} vanished or changed while it was written."
                raise CacheError(what, "Give each user a cache of their own.")
            return replace(made, reused=False, notes=notes)
        finally:
            lock.release()

    def _swap(self, folder: Path, partial: Path) -> None:
        """Replace an entry by its successor, which is complete by now: what was there is lost only when there is better."""
        old = folder.with_name(f"{folder.name}.old")
        shutil.rmtree(old, ignore_errors=True)
        folder.rename(old)
        partial.rename(folder)
        shutil.rmtree(old, ignore_errors=True)
