import json
import multiprocessing
import os
import time
from pathlib import Path

import pytest

from adtoolkit.errors import CacheError
from adtoolkit.store import Store, key_of, write_atomic


def make_text(text):
    def make(folder: Path, work: Path):
        (folder / "payload.txt").write_text(text)
        return {"length": len(text)}

    return make


def test_key_does_not_depend_on_the_order_of_parts():
    assert key_of({"a": 1, "b": [2, 3]}) == key_of({"b": [2, 3], "a": 1})
    assert key_of({"a": 1}) != key_of({"a": 2})


def test_a_stage_is_made_once_and_then_reused(tmp_path):
    store = Store(tmp_path)
    first = store.get("fit", "k", make_text("one"))
    second = store.get("fit", "k", make_text("two"))

    assert (first.reused, second.reused) == (False, True)
    assert (second.path / "payload.txt").read_text() == "one"
    assert second.meta["length"] == 3


def test_a_tampered_entry_is_made_again_and_said(tmp_path):
    store = Store(tmp_path)
    path = store.get("fit", "k", make_text("one")).path
    (path / "payload.txt").write_text("evil")

    assert store.lookup("fit", "k") is None
    again = store.get("fit", "k", make_text("two"))
    assert (again.path / "payload.txt").read_text() == "two"
    assert "did not match its checksums" in again.notes[0]


@pytest.mark.parametrize("damage", ["DONE", "meta.json", "payload.txt"])
def test_an_entry_with_a_file_missing_is_not_valid(tmp_path, damage):
    store = Store(tmp_path)
    path = store.get("fit", "k", make_text("one")).path
    (path / damage).unlink()

    assert store.lookup("fit", "k") is None


def test_an_added_file_makes_an_entry_invalid(tmp_path):
    store = Store(tmp_path)
    (store.get("fit", "k", make_text("one")).path / "extra").write_text("x")

    assert store.lookup("fit", "k") is None


def test_a_failed_stage_leaves_no_entry_but_keeps_its_checkpoints(tmp_path):
    store = Store(tmp_path)

    def fail(folder, work):
        (work / "checkpoint").write_text("half")
        raise RuntimeError("boom")

    with pytest.raises(RuntimeError, match="boom"):
        store.get("fit", "k", fail)
    assert store.lookup("fit", "k") is None

    def resume(folder, work):
        (folder / "payload.txt").write_text((work / "checkpoint").read_text())

    entry = store.get("fit", "k", resume)
    assert (entry.path / "payload.txt").read_text() == "half"
    assert not (tmp_path / "fit" / "k.work").exists()


def test_overwrite_strategies(tmp_path):
    store = Store(tmp_path)
    with pytest.raises(CacheError, match="not in the cache"):
        store.get("fit", "k", make_text("one"), overwrite="only-cache")
    store.get("fit", "k", make_text("one"))
    assert store.get("fit", "k", make_text("two"), overwrite="only-cache").reused
    assert (store.get("fit", "k", make_text("two"), overwrite="always").path / "payload.txt").read_text() == "two"


def test_always_makes_what_a_batch_shares_once(tmp_path):
    Store(tmp_path).get("fit", "k", make_text("one"))
    for batch, text in (("a", "two"), ("b", "three")):
        first, second = (Store(tmp_path, batch).get("fit", "k", make_text(t), overwrite="always") for t in (text, "never"))
        assert (first.path / "payload.txt").read_text() == (second.path / "payload.txt").read_text() == text
        assert (first.reused, second.reused) == (False, True)


def _compete(root, results, number):
    def make(folder, work):
        time.sleep(0.2)
        (folder / "payload.txt").write_text(str(number))

    entry = Store(root).get("fit", "k", make)
    results.put((number, entry.reused, (entry.path / "payload.txt").read_text()))


def test_processes_that_want_the_same_stage_share_one_result(tmp_path):
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    workers = [context.Process(target=_compete, args=(tmp_path, results, n)) for n in range(3)]
    for worker in workers:
        worker.start()
    seen = [results.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join()

    assert sum(not reused for _, reused, _ in seen) == 1
    assert len({payload for _, _, payload in seen}) == 1


@pytest.mark.skipif(os.name != "posix", reason="needs /dev/full")
def test_a_full_disk_is_one_clear_line(tmp_path, monkeypatch):
    def full(self, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "rename", full)
    with pytest.raises(CacheError, match=r"No space left on device.*ADTOOLKIT_CACHE"):
        Store(tmp_path).get("fit", "k", make_text("one"))


def test_a_file_in_the_way_of_the_cache_is_one_clear_line(tmp_path):
    (tmp_path / "cache").write_text("not a folder")
    with pytest.raises(CacheError, match="Cannot write to"):
        Store(tmp_path / "cache").get("fit", "k", make_text("one"))


def test_write_atomic_leaves_the_old_file_when_it_fails(tmp_path, monkeypatch):
    target = tmp_path / "a.json"
    write_atomic(target, json.dumps({"a": 1}))

    def full(fd):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_atomic(target, "new")
    assert json.loads(target.read_text()) == {"a": 1}
    assert list(tmp_path.iterdir()) == [target]
