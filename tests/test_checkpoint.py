"""State to bytes and back, whatever happened to the bytes; and the store that keeps them."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import math
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from scrnn_stream.checkpoint import (
    DTYPES,
    HEADER,
    MAGIC,
    N_KEPT,
    VERSION,
    CheckpointError,
    CheckpointStore,
    decode,
    encode,
    write_atomically,
)
from scrnn_stream.records import Partition

HERE = Partition("plant/sensors @1", 3)
STATE: dict[str, Any] = {
    "numbers": [0, -1, 2**60, 0.1, math.inf, -math.inf, math.nan, True, None],
    "text": "pümp \N{GREEK SMALL LETTER ALPHA}",
    "deep": {"list": [{"array": np.arange(6.0).reshape(2, 3)}, []], "empty": {}},
    "odd": np.array([math.nan, -0.0, math.inf, 5e-324, 1e308]),
    "none": np.zeros((0, 4), np.float32),
    "scalar": np.array(7, np.int64),
    "flags": np.array([True, False]),
    "view": np.arange(12.0).reshape(3, 4).T[::2],
}

leaves = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats()
    | st.text()
    | hnp.arrays(st.sampled_from(DTYPES), hnp.array_shapes(min_dims=0, min_side=0, max_dims=3))
)
trees = st.dictionaries(
    st.text(), st.recursive(leaves, lambda t: st.lists(t) | st.dictionaries(st.text(), t), max_leaves=8)
)


def same(one: Any, other: Any) -> bool:
    """Equal to the bit: a NaN is a NaN, and -0.0 is not 0.0."""
    if isinstance(one, np.ndarray):
        return (one.dtype, one.shape, one.tobytes()) == (other.dtype, other.shape, other.tobytes())
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, list):
        return len(one) == len(other) and all(same(a, b) for a, b in zip(one, other, strict=True))
    if isinstance(one, float) and math.isnan(one):
        return isinstance(other, float) and math.isnan(other)
    return type(one) is type(other) and one == other and repr(one) == repr(other)


# -- bytes ------------------------------------------------------------------------------------------------------------


def test_a_tree_of_everything_comes_back_bit_identically() -> None:
    assert same(decode(encode(STATE)), STATE)
    assert encode(decode(encode(STATE))) == encode(STATE)


@settings(max_examples=40)
@given(trees)
def test_any_tree_comes_back_bit_identically(state: dict[str, Any]) -> None:
    assert same(decode(encode(state)), state)


def test_numbers_of_numpy_come_back_as_numbers() -> None:
    state = decode(encode({"a": np.float64(0.1), "b": np.int64(3), "c": np.bool_(True)}))
    assert same(state, {"a": 0.1, "b": 3, "c": True})


def test_an_array_that_comes_back_is_writable_and_its_own() -> None:
    decoded = decode(encode(STATE))["odd"]
    decoded[0] = 1.0
    assert decoded.flags.owndata


@pytest.mark.parametrize("value", [object(), print, np.array(["text"]), np.array([1 + 2j]), Path("/")])
def test_what_is_no_plain_data_is_refused(value: Any) -> None:
    with pytest.raises(NotImplementedError, match="plain data"):
        encode({"a": value})


def test_every_truncation_is_told() -> None:
    data = encode(STATE)
    for length in range(len(data)):
        with pytest.raises(CheckpointError):
            decode(data[:length])


@given(st.integers(0, len(encode(STATE)) * 8 - 1))
def test_every_flipped_bit_is_told(bit: int) -> None:
    data = bytearray(encode(STATE))
    data[bit // 8] ^= 1 << bit % 8
    with pytest.raises(CheckpointError):
        decode(bytes(data))


@given(st.binary(max_size=200))
def test_foreign_bytes_are_told(data: bytes) -> None:
    for foreign in (data, MAGIC + data, encode({})[: HEADER.size] + data + b"\0"):
        with pytest.raises(CheckpointError):
            decode(foreign)


def sealed(payload: bytes, version: int = VERSION) -> bytes:
    """Bytes with a valid header and checksum."""
    return HEADER.pack(MAGIC, version, hashlib.sha256(payload).digest()) + payload


@pytest.mark.parametrize("version", [0, VERSION + 1, 65535])
def test_another_version_is_told_by_its_number(version: int) -> None:
    with pytest.raises(CheckpointError, match=f"version {version};"):
        decode(sealed(encode(STATE)[HEADER.size :], version))


@given(st.binary(max_size=60), st.integers(-128, 127))
def test_nonsense_under_a_valid_checksum_is_told_or_is_a_tree(data: bytes, code: int) -> None:
    for payload in (data, msgspec.msgpack.encode({"a": msgspec.msgpack.Ext(code, data)})):
        with contextlib.suppress(CheckpointError):
            assert isinstance(decode(sealed(payload)), dict)


@pytest.mark.parametrize(
    ("name", "shape"),
    [("float64", [2]), ("float64", []), ("float64", [10**12]), ("float32", [2**63, 2]), ("object", [3]), ("<U4", [3])],
)
def test_an_array_that_does_not_fit_its_bytes_is_told(name: str, shape: list[int]) -> None:
    head = msgspec.msgpack.encode([name, shape])
    extension = msgspec.msgpack.Ext(1, len(head).to_bytes(2, "big") + head + bytes(24))
    with pytest.raises(CheckpointError):
        decode(sealed(msgspec.msgpack.encode({"a": extension})))


# -- store ------------------------------------------------------------------------------------------------------------


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
    store.save(HERE, 7, STATE)
    offset, state = store.load(HERE, at_most=7)
    assert offset == 7
    assert same(state, STATE)


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
