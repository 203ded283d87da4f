"""Downloads from a server on loopback: checksums, interruptions, servers that misbehave."""

from __future__ import annotations

import errno
import hashlib
import json
import threading
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from click.testing import CliRunner

from adtoolkit.cli.data import fetch as fetch_command
from adtoolkit.data.fetch import LHCO, LHCO_EXTRA, SETS, UPSILON, Remote, adler32, downloads_folder, fetch, locate
from adtoolkit.errors import DataError, UnknownNameError

CONTENT = np.random.default_rng(0).bytes(300_000)
NAME = "events.h5"
REMOTE = Remote(NAME, record="123")


class Archive:
    """What the server does, and what it was asked."""

    def __init__(self) -> None:
        self.content = CONTENT
        self.md5 = hashlib.md5(CONTENT).hexdigest()
        self.break_after: list[int] = []  # per connection: bytes before the line goes dead
        self.ranges = True
        self.status = 200
        self.length = True
        self.asked: list[str] = []
        self.url = ""


@pytest.fixture
def archive():
    state = Archive()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *args):
            pass

        def reply(self, status, body, headers=()):
            self.send_response(status)
            for name, value in headers:
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self):
            if self.path.startswith("/api/"):
                files = [{"key": NAME, "checksum": f"md5:{state.md5}", "links": {"self": f"{state.url}/files/{NAME}"}}]
                return self.reply(200, json.dumps({"files": files}).encode())
            asked = self.headers.get("Range")
            state.asked.append(asked or "all")
            if state.status != 200:
                return self.reply(state.status, b"")
            total, start = len(state.content), 0
            if asked and state.ranges:
                start = int(asked.removeprefix("bytes=").rstrip("-"))
                if start >= total:
                    return self.reply(416, b"", [("Content-Range", f"bytes */{total}")])
            body = state.content[start:]
            headers = [("Content-Length", str(len(body)))] if state.length else []
            if asked and state.ranges:
                headers.append(("Content-Range", f"bytes {start}-{total - 1}/{total}"))
            if state.break_after:
                body = body[: state.break_after.pop(0)]
            return self.reply(206 if asked and state.ranges else 200, body, headers)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    yield state
    server.shutdown()
    thread.join()
    server.server_close()


def get(archive, folder, remote=REMOTE, **options):
    return fetch(remote, folder, api=f"{archive.url}/api", wait=0.0, **options)


def test_a_file_arrives_whole_and_is_not_fetched_twice(archive, tmp_path):
    heard = []
    path = get(archive, tmp_path / "new", progress=lambda done, total: heard.append((done, total)))
    again = get(archive, tmp_path / "new")

    assert path == again == tmp_path / "new" / NAME
    assert path.read_bytes() == CONTENT
    assert archive.asked == ["all"]
    assert heard[-1] == (len(CONTENT), len(CONTENT))
    assert [p.name for p in (tmp_path / "new").iterdir()] == [NAME]


def test_a_broken_connection_is_taken_up_where_it_stopped(archive, tmp_path):
    archive.break_after = [100_000, 50_000, 1]

    assert get(archive, tmp_path).read_bytes() == CONTENT
    assert archive.asked == ["all", "bytes=100000-", "bytes=150000-", "bytes=150001-"]


def test_a_download_goes_on_in_another_process(archive, tmp_path):
    """What an interrupted program left behind is used by the next."""
    (tmp_path / f"{NAME}.part").write_bytes(CONTENT[:123_456])

    assert get(archive, tmp_path).read_bytes() == CONTENT
    assert archive.asked == ["bytes=123456-"]


def test_an_interrupt_of_the_user_keeps_what_has_come(archive, tmp_path):
    def impatient(done, total):
        if done > 1000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        get(archive, tmp_path, progress=impatient)
    kept = (tmp_path / f"{NAME}.part").stat().st_size

    assert kept > 1000
    assert get(archive, tmp_path).read_bytes() == CONTENT
    assert archive.asked == ["all"] if kept == len(CONTENT) else ["all", f"bytes={kept}-"]


def test_a_part_that_is_complete_needs_no_byte_more(archive, tmp_path):
    (tmp_path / f"{NAME}.part").write_bytes(CONTENT)

    assert get(archive, tmp_path).read_bytes() == CONTENT
    assert archive.asked == [f"bytes={len(CONTENT)}-"]


def test_a_part_longer_than_the_file_is_thrown_away(archive, tmp_path):
    (tmp_path / f"{NAME}.part").write_bytes(CONTENT + b"more")

    assert get(archive, tmp_path).read_bytes() == CONTENT
    assert archive.asked[-1] == "all"


def test_a_server_without_ranges_sends_the_whole_again(archive, tmp_path):
    archive.ranges, archive.break_after = False, [100_000]

    assert get(archive, tmp_path).read_bytes() == CONTENT


def test_a_server_that_tells_no_length_is_believed_if_the_checksum_is_right(archive, tmp_path):
    archive.length = False

    assert get(archive, tmp_path).read_bytes() == CONTENT


def test_other_content_than_the_checksum_says_is_thrown_away(archive, tmp_path):
    archive.content = b"x" + CONTENT[1:]
    with pytest.raises(DataError, match=rf"events\.h5 arrived with another sum where the archive says md5:{archive.md5}"):
        get(archive, tmp_path)
    assert list(tmp_path.iterdir()) == []

    archive.content = CONTENT
    assert get(archive, tmp_path).read_bytes() == CONTENT


def test_a_part_of_another_file_ends_in_a_clean_second_try(archive, tmp_path):
    (tmp_path / f"{NAME}.part").write_bytes(bytes(1000))
    with pytest.raises(DataError, match="another sum"):
        get(archive, tmp_path)

    assert get(archive, tmp_path).read_bytes() == CONTENT


def test_a_damaged_file_in_the_folder_is_fetched_again(archive, tmp_path):
    (tmp_path / NAME).write_bytes(CONTENT[:-1] + b"?")

    assert get(archive, tmp_path).read_bytes() == CONTENT


def test_a_server_that_sends_nothing_is_given_up(archive, tmp_path):
    archive.break_after = [0] * 10
    with pytest.raises(DataError, match=r"could not be downloaded.*goes on where it stopped"):
        get(archive, tmp_path, attempts=3)
    assert len(archive.asked) == 3


def test_a_refusal_is_not_tried_again(archive, tmp_path):
    archive.status = 404
    with pytest.raises(DataError, match=r"could not be downloaded.*404"):
        get(archive, tmp_path)
    assert archive.asked == ["all"]


def test_a_file_that_the_record_does_not_have_is_told(archive, tmp_path):
    with pytest.raises(DataError, match=r"Record 123 has no file other\.h5; it has events\.h5"):
        get(archive, tmp_path, Remote("other.h5", record="123"))


def test_an_archive_out_of_reach_is_told(tmp_path):
    with pytest.raises(DataError, match=r"cannot be reached.*data\.path"):
        fetch(REMOTE, tmp_path, api="http://127.0.0.1:9/api")


def test_an_unwritable_folder_is_told(archive, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match="could not be downloaded to"):
        get(archive, tmp_path / "file")


def test_a_full_disk_is_told_at_once_and_keeps_what_has_come(archive, tmp_path, monkeypatch):
    def full(done, total):
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(DataError, match="No space left on device"):
        get(archive, tmp_path, progress=full)
    assert archive.asked == ["all"]
    assert (tmp_path / f"{NAME}.part").exists()


def test_adler32_is_checked_too(archive, tmp_path):
    right = Remote(NAME, url=f"{archive.url}/files/{NAME}", checksum=f"adler32:{zlib.adler32(CONTENT):08x}")
    wrong = Remote("other", url=f"{archive.url}/files/{NAME}", checksum="adler32:00000000")

    assert get(archive, tmp_path, right).read_bytes() == CONTENT
    assert get(archive, tmp_path, right).read_bytes() == CONTENT
    assert archive.asked == ["all"]
    with pytest.raises(DataError, match=r"arrived with adler32:.* where the archive says adler32:00000000"):
        get(archive, tmp_path, wrong)
    assert [p.name for p in tmp_path.iterdir()] == [NAME]


def test_adler32_of_a_known_text(tmp_path):
    (tmp_path / "e").write_bytes(b"Wikipedia")
    assert adler32(tmp_path / "e") == "11e60398"


def test_the_sets_point_to_public_records():
    assert locate(UPSILON) == (UPSILON.url, "adler32:5eef7b87")
    assert (LHCO.record, LHCO_EXTRA.record) == ("6466204", "8370758")
    assert not LHCO.checksum  # Zenodo is asked; none is made up
    assert set(SETS) == {"lhco", "lhco-extra", "upsilon"}


def test_the_command_downloads_to_the_cache_and_tells_the_path(archive, tmp_path, monkeypatch):
    monkeypatch.setenv("ADTOOLKIT_CACHE", str(tmp_path))
    monkeypatch.setitem(
        SETS, "lhco", (Remote(NAME, url=f"{archive.url}/files/{NAME}", checksum=f"adler32:{zlib.adler32(CONTENT):08x}", cite="doi:1"),)
    )

    done = CliRunner().invoke(fetch_command, ["lhco", "--json"])
    text = CliRunner().invoke(fetch_command, ["lhco"])

    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == {"name": "lhco", "files": [str(downloads_folder() / NAME)], "cite": ["doi:1"]}
    assert "300,000 bytes; doi:1" in text.stdout
    with pytest.raises(UnknownNameError, match=r"no data set to fetch 'lhoc'.*Did you mean 'lhco'"):
        CliRunner().invoke(fetch_command, ["lhoc"], catch_exceptions=False)
