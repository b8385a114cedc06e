"""Files in a directory or an object store: whole or not at all, and one line where it cannot be."""

from __future__ import annotations

import asyncio
import itertools
import os
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.asyn import AsyncFileSystem

from scrnn_stream import store as store_module
from scrnn_stream.store import LEFT_OVER_S, Store, StoreProblem, write_atomically


def names(store: Store) -> list[str]:
    assert store.directory is not None
    return sorted(path.name for path in store.directory.iterdir())


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "group" / "a")


@pytest.fixture(params=["directory", "object store"])
def any_store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return Store(tmp_path / "a" if request.param == "directory" else f"memory://files/{next(_places)}")


_places = itertools.count()


def test_what_was_written_is_read_whole_or_in_part(any_store: Store) -> None:
    assert any_store.names() == []
    for data in (b"old", b"abcdef"):
        any_store.write("one.seg", data)
        assert any_store.read("one.seg") == data
    assert [any_store.read("one.seg", *ends) for ends in ((0, 2), (2, 5), (4, 9))] == [b"ab", b"cde", b"ef"]
    any_store.write("two.seg", b"")
    assert sorted(any_store.names()) == ["one.seg", "two.seg"]
    any_store.remove("one.seg")
    any_store.remove("one.seg")
    assert any_store.names() == ["two.seg"]


def test_a_missing_file_is_told_in_one_line(any_store: Store) -> None:
    any_store.open()
    with pytest.raises(StoreProblem) as raised:
        any_store.read("one.seg")
    assert "\n" not in str(raised.value)


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


# -- a store is opened ------------------------------------------------------------------------------------------------


def test_an_opened_store_is_there_and_empty(store: Store) -> None:
    store.open()
    assert names(store) == []


def test_what_a_killed_writer_left_is_cleared_away_and_what_another_writes_now_is_not(store: Store) -> None:
    store.write("a.seg", b"kept")
    assert store.directory is not None
    for name in (".ckpt-old.tmp", ".ckpt-new.tmp"):
        (store.directory / name).write_bytes(b"half")
    long_ago = (store.directory / ".ckpt-new.tmp").stat().st_mtime - LEFT_OVER_S - 1
    os.utime(store.directory / ".ckpt-old.tmp", (long_ago, long_ago))
    store.open()
    assert names(store) == [".ckpt-new.tmp", "a.seg"]


def test_a_file_in_its_place_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    with pytest.raises(StoreProblem, match=r"^[^\n]*/a/b: Not a directory$"):
        Store(tmp_path / "a" / "b").open()


# -- URLs -------------------------------------------------------------------------------------------------------------


class Deaf(AsyncFileSystem):  # type: ignore[misc]
    """A store that never answers."""

    protocol = "deaf"

    async def _wait(self, *_: Any, **__: Any) -> None:
        await asyncio.sleep(3600)

    _ls = _cat_file = _pipe_file = _rm_file = _wait


def test_a_store_that_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    fsspec.register_implementation("deaf", Deaf, clobber=True)
    monkeypatch.setattr(store_module, "TIMEOUT_S", 0.05)
    store = Store("deaf://bucket/prefix")
    for step in (lambda: store.write("a", b""), lambda: store.read("a"), store.names, lambda: store.remove("a")):
        with pytest.raises(StoreProblem, match=r"deaf://bucket/prefix: no answer within 0\.05 s"):
            step()


@pytest.mark.parametrize(
    ("url", "words"), [("s4://bucket", "unknown protocol 's4'"), ("lost://bucket", "Install lostfs to access LOST")]
)
def test_a_url_without_a_driver_is_refused_in_one_line(url: str, words: str) -> None:
    fsspec.register_implementation("lost", "no_such_package.LostFileSystem", errtxt="Install lostfs to access LOST")
    with pytest.raises(StoreProblem, match=words) as raised:
        Store(url)
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
        store = Store(url)
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
        Store("chatty://bucket").names()
    assert str(raised.value) == "chatty://bucket: RuntimeError: PUT https://***@host/a?*** refused"
