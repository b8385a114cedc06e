"""The store of checkpoints, whatever happened to its files."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest

from scrnn_stream.checkpoint import N_KEPT, CheckpointStore, write_atomically
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
