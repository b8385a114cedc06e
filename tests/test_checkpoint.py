"""The store of checkpoints, whatever happened to its files."""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
from fsspec.asyn import AsyncFileSystem

from scrnn_stream import checkpoint
from scrnn_stream.checkpoint import LEFT_OVER_S, N_KEPT, CheckpointStore, StoreProblem, write_atomically
from scrnn_stream.encoding import HEADER, MAGIC, VERSION, encode
from scrnn_stream.records import Partition

HERE = Partition("plant/sensors @1", 3)


def names(store: CheckpointStore) -> list[str]:
    return sorted(path.name for path in store.directory.iterdir())


@pytest.fixture
def store(tmp_path: Path) -> CheckpointStore:
    return CheckpointStore(tmp_path / "group" / "a")


def filled(store: CheckpointStore, *offsets: int, partition: Partition = HERE) -> CheckpointStore:
    for offset in offsets:
        store.save(partition, offset, {"offset": offset})
    return store


def test_nothing_is_created_before_the_first_save(store: CheckpointStore) -> None:
    assert store.load(HERE, at_most=10**9) is None
    assert not store.directory.exists()


def test_a_saved_state_is_loaded(store: CheckpointStore) -> None:
    store.save(HERE, 7, {"numbers": [1, 0.1], "array": np.arange(3.0)})
    offset, state = store.load(HERE, at_most=7)
    assert (offset, state["numbers"]) == (7, [1, 0.1])
    np.testing.assert_array_equal(state["array"], np.arange(3.0))


def test_what_lies_beyond_a_new_state_is_of_another_log(store: CheckpointStore) -> None:
    filled(store, 49_000, 50_000, 100)
    assert len(names(store)) == 1
    assert store.load(HERE, at_most=60_000) == (100, {"offset": 100})


def test_two_generations_are_kept_by_offset_not_by_name(store: CheckpointStore) -> None:
    filled(store, 8, 9, 10, 100)
    assert len(names(store)) == N_KEPT == 2
    assert store.load(HERE, at_most=10**9) == (100, {"offset": 100})
    assert store.load(HERE, at_most=99) == (10, {"offset": 10})


def test_the_newest_at_or_below_an_offset_is_loaded(store: CheckpointStore) -> None:
    filled(store, 10, 20)
    assert [found and found[0] for found in (store.load(HERE, n) for n in (9, 10, 19, 20, 21))] == [
        None,
        10,
        10,
        20,
        20,
    ]


def test_partitions_and_topics_do_not_mix(store: CheckpointStore) -> None:
    others = [Partition("plant", 3), Partition(HERE.topic, 33), Partition("plant/sensors @1-3", 1), Partition("a*", 3)]
    filled(store, 5)
    for number, other in enumerate(others):
        assert store.load(other, 10**9) is None
        filled(store, 50 + number, 60 + number, 70 + number, partition=other)
    assert store.load(HERE, 10**9) == (5, {"offset": 5})
    assert store.load(others[-1], 10**9) == (73, {"offset": 73})


@pytest.mark.parametrize(
    "damage", [b"", b"nonsense", encode({"a": 1})[:-1], HEADER.pack(MAGIC, VERSION + 1, bytes(32))]
)
def test_a_damaged_generation_is_passed_over_and_told(
    damage: bytes, store: CheckpointStore, caplog: pytest.LogCaptureFixture
) -> None:
    filled(store, 10, 20)
    (newest,) = store.directory.glob("*@20.ckpt")
    newest.write_bytes(damage)
    with caplog.at_level(logging.WARNING):
        assert store.load(HERE, at_most=30) == (10, {"offset": 10})
    assert newest.name in caplog.text


def test_a_directory_in_place_of_a_file_is_passed_over(store: CheckpointStore) -> None:
    filled(store, 10, 20)
    (newest,) = store.directory.glob("*@20.ckpt")
    newest.unlink()
    newest.mkdir()
    assert store.load(HERE, at_most=30) == (10, {"offset": 10})


def test_a_file_is_written_whole_and_no_other_is_left(tmp_path: Path) -> None:
    path = tmp_path / "a.ckpt"
    for data in (b"old", b"new" * 10_000):
        write_atomically(path, data)
        assert path.read_bytes() == data
        assert [p.name for p in tmp_path.iterdir()] == ["a.ckpt"]


def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "a.ckpt"
    path.write_bytes(b"old")
    with pytest.raises(TypeError):
        write_atomically(path, "text is not bytes")  # type: ignore[arg-type]
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.ckpt"]


def test_a_state_that_cannot_be_encoded_leaves_the_store_as_it_was(store: CheckpointStore) -> None:
    filled(store, 10, 20)
    before = names(store)
    with pytest.raises(NotImplementedError):
        store.save(HERE, 30, {"a": object()})
    assert names(store) == before


# -- a store is opened ------------------------------------------------------------------------------------------------


def test_an_opened_store_is_there_and_empty(store: CheckpointStore) -> None:
    store.open()
    assert names(store) == []


def test_what_a_killed_writer_left_is_cleared_away_and_what_another_writes_now_is_not(store: CheckpointStore) -> None:
    filled(store, 10)
    assert store.directory is not None
    for name in (".ckpt-old.tmp", ".ckpt-new.tmp"):
        (store.directory / name).write_bytes(b"half")
    long_ago = (store.directory / ".ckpt-new.tmp").stat().st_mtime - LEFT_OVER_S - 1
    os.utime(store.directory / ".ckpt-old.tmp", (long_ago, long_ago))
    store.open()
    assert names(store)[:-1] == [".ckpt-new.tmp"]
    assert store.load(HERE, 10) == (10, {"offset": 10})


def test_a_file_in_its_place_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    with pytest.raises(StoreProblem, match=r"^[^\n]*/a/b: Not a directory$"):
        CheckpointStore(tmp_path / "a" / "b").open()


FILLING = """
    import resource, sys
    from scrnn_stream.checkpoint import CheckpointStore, StoreProblem
    from scrnn_stream.records import Partition
    store, partition = CheckpointStore(sys.argv[1]), Partition("plant", 0)
    store.save(partition, 10, {"a": 1})
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, resource.RLIM_INFINITY))
    try:
        store.save(partition, 20, {"a": b"x" * 100_000})
    except StoreProblem as problem:
        print(problem)
"""


def test_a_state_too_large_for_the_disk_is_told_and_leaves_the_one_before_and_nothing_else(tmp_path: Path) -> None:
    command = [sys.executable, "-c", textwrap.dedent(FILLING), str(tmp_path)]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert told == f"{tmp_path}: File too large\n"
    assert [path.name for path in tmp_path.iterdir()] == ["plant-0@10.ckpt"]


# -- URLs -------------------------------------------------------------------------------------------------------------


_places = itertools.count()


@pytest.fixture
def remote() -> CheckpointStore:
    """A store with no directory, new for each test."""
    return CheckpointStore(f"memory://checkpoints/{next(_places)}")


def test_a_file_url_is_its_path(tmp_path: Path) -> None:
    filled(CheckpointStore(f"file://{tmp_path}/a"), 5)
    assert CheckpointStore(tmp_path / "a").load(HERE, 9) == (5, {"offset": 5})


def test_an_object_store_keeps_checkpoints_as_a_directory_does(remote: CheckpointStore) -> None:
    assert remote.load(HERE, 100) is None
    remote.open()
    filled(remote, 8, 9, 10, 100)
    assert [remote.load(HERE, n) for n in (9, 99, 100)] == [None, (10, {"offset": 10}), (100, {"offset": 100})]
    filled(remote, 50)
    assert remote.load(HERE, 100) == (50, {"offset": 50})
    filled(remote, 7, partition=Partition(HERE.topic, 33))
    assert remote.load(HERE, 100) == (50, {"offset": 50})


def test_a_damaged_object_is_passed_over_and_told(remote: CheckpointStore, caplog: pytest.LogCaptureFixture) -> None:
    filled(remote, 10, 20)
    files = fsspec.filesystem("memory")
    (newest,) = (path for path in files.ls(remote.url.removeprefix("memory:/"), detail=False) if "@20" in path)
    files.pipe_file(newest, files.cat_file(newest)[:-1])
    assert remote.load(HERE, 30) == (10, {"offset": 10})
    assert "passed over: damaged or truncated" in caplog.text


class Deaf(AsyncFileSystem):  # type: ignore[misc]
    """A store that never answers."""

    protocol = "deaf"

    async def _wait(self, *_: Any, **__: Any) -> None:
        await asyncio.sleep(3600)

    _ls = _cat_file = _pipe_file = _rm_file = _wait


def test_a_store_that_does_not_answer_is_given_up(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fsspec.register_implementation("deaf", Deaf, clobber=True)
    monkeypatch.setattr(checkpoint, "TIMEOUT_S", 0.05)
    store = CheckpointStore("deaf://bucket/prefix")
    with pytest.raises(StoreProblem, match=r"deaf://bucket/prefix: no answer within 0\.05 s"):
        store.save(HERE, 1, {})
    assert store.load(HERE, 1) is None
    assert "cannot be looked up: deaf://bucket/prefix: no answer" in caplog.text


@pytest.mark.parametrize(
    ("url", "words"), [("s4://bucket", "unknown protocol 's4'"), ("lost://bucket", "Install lostfs to access LOST")]
)
def test_a_url_without_a_driver_is_refused_in_one_line(url: str, words: str) -> None:
    fsspec.register_implementation("lost", "no_such_package.LostFileSystem", errtxt="Install lostfs to access LOST")
    with pytest.raises(StoreProblem, match=words) as raised:
        CheckpointStore(url)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://me:hush@127.0.0.1:1/x",
        "ftp://me:hu/hush@127.0.0.1:1/x",
        "ftp://me:a?b hush@127.0.0.1:1/x",
        "memory://x?token=hush",
        "s4://hush@bucket/x",
    ],
)
def test_no_secret_of_a_url_is_told(url: str) -> None:
    told = []
    try:
        store = CheckpointStore(url)
        told.append(str(store))
        store.open()
    except StoreProblem as problem:
        told.append(str(problem))
    assert told
    assert "hush" not in " ".join(told)


def test_secrets_in_the_words_of_a_driver_are_masked() -> None:
    class Chatty(AsyncFileSystem):  # type: ignore[misc]
        protocol = "chatty"

        async def _ls(self, *_: Any, **__: Any) -> None:
            raise RuntimeError("PUT https://me:hush@host/a?signature=hush refused")

    fsspec.register_implementation("chatty", Chatty, clobber=True)
    with pytest.raises(StoreProblem) as raised:
        CheckpointStore("chatty://bucket").save(HERE, 1, {})
    assert str(raised.value) == "chatty://bucket: RuntimeError: PUT https://***@host/a?*** refused"
