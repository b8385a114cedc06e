"""State to bytes and back, whatever happened to the bytes."""

from __future__ import annotations

import contextlib
import hashlib
import math
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from scrnn_stream.encoding import HEADER, MAGIC, NAMES, VERSION, EncodingError, decode, encode

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
    | hnp.arrays(st.sampled_from(NAMES), hnp.array_shapes(min_dims=0, min_side=0, max_dims=3))
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
        with pytest.raises(EncodingError):
            decode(data[:length])


@given(st.integers(0, len(encode(STATE)) * 8 - 1))
def test_every_flipped_bit_is_told(bit: int) -> None:
    data = bytearray(encode(STATE))
    data[bit // 8] ^= 1 << bit % 8
    with pytest.raises(EncodingError):
        decode(bytes(data))


@given(st.binary(max_size=200))
def test_foreign_bytes_are_told(data: bytes) -> None:
    for foreign in (data, MAGIC + data, encode({})[: HEADER.size] + data + b"\0"):
        with pytest.raises(EncodingError):
            decode(foreign)


def sealed(payload: bytes, version: int = VERSION) -> bytes:
    """Bytes with a valid header and checksum."""
    return HEADER.pack(MAGIC, version, hashlib.sha256(payload).digest()) + payload


@pytest.mark.parametrize("version", [0, VERSION + 1, 65535])
def test_another_version_is_told_by_its_number(version: int) -> None:
    with pytest.raises(EncodingError, match=f"version {version},"):
        decode(sealed(encode(STATE)[HEADER.size :], version))


@given(st.binary(max_size=60), st.integers(-128, 127))
def test_nonsense_under_a_valid_checksum_is_told_or_is_a_tree(data: bytes, code: int) -> None:
    for payload in (data, msgspec.msgpack.encode({"a": msgspec.msgpack.Ext(code, data)})):
        with contextlib.suppress(EncodingError):
            assert isinstance(decode(sealed(payload)), dict)


@pytest.mark.parametrize(
    ("name", "shape"),
    [("float64", [2]), ("float64", []), ("float64", [10**12]), ("float32", [2**63, 2]), ("object", [3]), ("<U4", [3])],
)
def test_an_array_that_does_not_fit_its_bytes_is_told(name: str, shape: list[int]) -> None:
    head = msgspec.msgpack.encode([name, shape])
    extension = msgspec.msgpack.Ext(1, len(head).to_bytes(2, "big") + head + bytes(24))
    with pytest.raises(EncodingError):
        decode(sealed(msgspec.msgpack.encode({"a": extension})))


def test_what_is_nested_too_deep_or_cut_short_is_told() -> None:
    for payload in (b"\x91" * 100_000, msgspec.msgpack.encode({"a": msgspec.msgpack.Ext(1, b"\0")})):
        with pytest.raises(EncodingError):
            decode(sealed(payload))
