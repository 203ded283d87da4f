"""Public data by their DOI: checksums from the archive itself, interrupted downloads taken up where they stopped."""

from __future__ import annotations

import errno
import json
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Any, Final

from adtoolkit.errors import DataError
from adtoolkit.store import default_root

ZENODO: Final = "https://zenodo.org/api/records"
_CHUNK: Final = 1 << 18
_TIMEOUT: Final = 30.0
#: What a disk says; trying again does not help.
_DISK: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.ENOTDIR, errno.EISDIR, errno.EFBIG})

#: Told the bytes there are and the bytes expected (0 where the server does not say).
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Remote:
    """A file in a public archive.

    Attributes:
        name: Its name there and here.
        record: Record of Zenodo, which tells the address and the md5 sum; empty for others.
        url: Address, for files outside Zenodo.
        checksum: ``algorithm:hex``, for files outside Zenodo.
        cite: Where it comes from.
    """

    name: str
    record: str = ""
    url: str = ""
    checksum: str = ""
    cite: str = ""


LHCO: Final = Remote("events_anomalydetection_v2.features.h5", record="6466204", cite="doi:10.5281/zenodo.6466204, arXiv:2101.08320")
LHCO_EXTRA: Final = Remote(
    "events_anomalydetection_qcd_extra_inneronly_features.h5", record="8370758", cite="doi:10.5281/zenodo.8370758, arXiv:2109.00546"
)
UPSILON: Final = Remote(
    "Ymumu.csv",
    url="https://opendata.cern.ch/record/545/files/Ymumu.csv",
    checksum="adler32:5eef7b87",
    cite="CERN Open Data record 545 (CC0)",
)
#: What ``adtool data fetch`` knows.
SETS: Final[dict[str, tuple[Remote, ...]]] = {"lhco": (LHCO,), "lhco-extra": (LHCO_EXTRA,), "upsilon": (UPSILON,)}


def downloads_folder() -> Path:
    """Where downloads lie: ``downloads`` in ``$ADTOOLKIT_CACHE`` or in the user's cache folder."""
    return default_root() / "downloads"


def locate(remote: Remote, api: str = ZENODO) -> tuple[str, str]:
    """Address and checksum of a file; Zenodo is asked for those of its records.

    Raises:
        DataError: if the archive cannot be reached or does not have the file.
    """
    if not remote.record:
        return remote.url, remote.checksum
    address = f"{api}/{remote.record}"
    try:
        with urllib.request.urlopen(_request(address), timeout=_TIMEOUT) as answer:
            record: dict[str, Any] = json.load(answer)
        files = {str(f["key"]): (str(f["links"]["self"]), str(f["checksum"])) for f in record["files"]}
    except (OSError, HTTPException) as error:
        raise DataError(
            f"{address} cannot be reached: {error}.", "Check the network, or download the file by hand and name it with data.path."
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{address} gave no list of files.", "Try again later, or download the file by hand.") from error
    if remote.name not in files:
        raise DataError(
            f"Record {remote.record} has no file {remote.name}; it has {', '.join(sorted(files)) or 'none'}.",
            "Download the file by hand and name it with data.path.",
        )
    return files[remote.name]


def fetch(
    remote: Remote, folder: Path, *, api: str = ZENODO, progress: Progress | None = None, attempts: int = 5, wait: float = 1.0
) -> Path:
    """The file in the folder: as it lies there if its checksum is right, downloaded else.

    Args:
        remote: Which file.
        folder: Where to.
        api: Zenodo's interface.
        progress: Told how far it is.
        attempts: How often a broken connection is taken up again, if not a single byte came in between.
        wait: Seconds before the second attempt; doubled each time.

    Raises:
        DataError: if the archive cannot be reached, or sends other content than its checksum says.
    """
    import pooch

    url, checksum = locate(remote, api)
    downloader = ResumingDownloader(folder / f"{remote.name}.part", progress=progress, attempts=attempts, wait=wait)
    algorithm, _, expected = checksum.partition(":")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        target = folder / remote.name
        if algorithm == "adler32":
            # pooch knows no adler32, the sum that CERN's portal gives.
            if not target.exists() or adler32(target) != expected:
                downloader(url, str(downloader.part), None)
                if (found := adler32(downloader.part)) != expected:
                    downloader.part.unlink()
                    raise DataError(_mismatch(remote.name, f"adler32:{found}", checksum), _AGAIN)
                downloader.part.replace(target)
            return target
        logger = pooch.get_logger()
        level = logger.level
        logger.setLevel("ERROR")
        try:
            return Path(pooch.retrieve(url, known_hash=checksum, fname=remote.name, path=folder, downloader=downloader))
        except ValueError as error:
            raise DataError(_mismatch(remote.name, "another sum", checksum), _AGAIN) from error
        finally:
            logger.setLevel(level)
    except (OSError, HTTPException) as error:
        raise DataError(
            f"{url} could not be downloaded to {folder}: {error}.", "Run the same command again: it goes on where it stopped."
        ) from error


_AGAIN: Final = "What came was thrown away: run the same command again."


def _mismatch(name: str, found: str, expected: str) -> str:
    return f"{name} arrived with {found} where the archive says {expected}."


def adler32(path: Path) -> str:
    """Checksum of a file, 8 hex digits."""
    value = 1
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            value = zlib.adler32(block, value)
    return f"{value:08x}"


def _request(url: str, **headers: str) -> urllib.request.Request:
    return urllib.request.Request(url, headers={"User-Agent": "adtoolkit", **headers})


class ResumingDownloader:
    """A downloader for pooch that keeps what has come in a ``.part`` file, and asks for the rest by HTTP Range.

    Args:
        part: File that collects the bytes; it outlives an interruption, also of the whole program.
        progress: Told how far it is.
        attempts: How often to connect again without getting a single byte.
        wait: Seconds before the second attempt; doubled each time.
    """

    def __init__(self, part: Path, *, progress: Progress | None = None, attempts: int = 5, wait: float = 1.0) -> None:
        self.part = part
        self._progress = progress
        self._attempts = attempts
        self._wait = wait

    def __call__(self, url: str, output_file: str, pooch: object, check_only: bool = False) -> bool | None:
        """Download to ``output_file`` (pooch's interface)."""
        del pooch
        if check_only:
            return True
        idle = 0
        while not self._complete(url):
            before, error = self._size(), None
            try:
                self._receive(url)
            except (OSError, HTTPException) as caught:
                refused = isinstance(caught, urllib.error.HTTPError) and 400 <= caught.code < 500
                if refused or getattr(caught, "errno", None) in _DISK:
                    raise
                error = caught
            idle = 0 if self._size() > before else idle + 1
            if idle >= self._attempts:
                raise error or OSError("the server sends nothing")
            if error is not None or idle:
                time.sleep(self._wait * 2 ** min(idle, 6) / 2)
        self._total = None
        if Path(output_file) != self.part:
            self.part.replace(output_file)
        return None

    #: Size that the server has told; None until it has.
    _total: int | None = None

    def _size(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def _complete(self, url: str) -> bool:
        del url
        return self._total is not None and self._size() == self._total

    def _receive(self, url: str) -> None:
        """One connection: append what comes, from where the part ends."""
        start = self._size()
        try:
            answer: HTTPResponse = urllib.request.urlopen(
                _request(url, **({"Range": f"bytes={start}-"} if start else {})), timeout=_TIMEOUT
            )
        except urllib.error.HTTPError as error:
            if error.code != 416:
                raise
            # Nothing beyond the part: it is complete, or of another file.
            self._total = _total(error.headers.get("Content-Range"))
            if self._total != start:
                self.part.unlink()
                self._total = None
            return
        with answer:
            if answer.status == 206:
                self._total = _total(answer.headers.get("Content-Range"))
            else:  # the server knows no ranges and sends the whole
                start = 0
                length = answer.headers.get("Content-Length")
                self._total = int(length) if length else None
            with self.part.open("ab" if start else "wb") as stream:
                if start == 0:
                    stream.truncate(0)
                while block := answer.read1(_CHUNK):
                    stream.write(block)
                    if self._progress:
                        self._progress(stream.tell(), self._total or 0)
            if self._total is None:
                self._total = self._size()


def _total(content_range: str | None) -> int | None:
    """``bytes 5-9/10`` -> 10."""
    text = (content_range or "").rpartition("/")[2]
    return int(text) if text.isdigit() else None
