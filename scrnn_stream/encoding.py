"""State <-> bytes: data only, versioned and checked.

Layout: the magic `SCRNNCKP`, a version (2 bytes), the SHA-256 of the rest (32 bytes), and a MessagePack document. An
array is an extension of it: data type, shape and raw numbers. Nothing in it is ever executed.
"""

from __future__ import annotations

import hashlib
import struct
from typing import Any

import msgspec
import numpy as np

MAGIC = b"SCRNNCKP"
VERSION = 7  # raise it when the state of any part changes its shape
HEADER = struct.Struct(">8sH32s")
ARRAY = 1  # MessagePack extension code
NAMES = ("float32", "float64", "int64", "bool")
DTYPES = {np.dtype(name): name for name in NAMES}  # NumPy makes a name anew each time it is asked


class EncodingError(ValueError):
    """Bytes that are not ours, or not to be trusted."""


def encode(state: dict[str, Any]) -> bytes:
    """A tree of dicts, lists, numbers, text and arrays as bytes."""
    payload = msgspec.msgpack.encode(state, enc_hook=_to_extension)
    return HEADER.pack(MAGIC, VERSION, hashlib.sha256(payload).digest()) + payload


def decode(data: bytes) -> dict[str, Any]:
    """The tree that `encode` was given.

    Raises
    ------
    EncodingError
        If the bytes are foreign, damaged, or of another version.
    """
    payload = verified(data)
    try:
        state = msgspec.msgpack.decode(payload, ext_hook=_from_extension)
    except (msgspec.MsgspecError, ValueError, OverflowError, RecursionError, struct.error) as error:
        raise EncodingError(f"it cannot be read: {error}") from None
    if not isinstance(state, dict):
        raise EncodingError("without state")
    return state


def verified(data: bytes) -> memoryview:
    """What follows the header, after its checksum was found to be right; `decode` reads it.

    Raises
    ------
    EncodingError
        If the bytes are foreign, damaged, or of another version.
    """
    if not data.startswith(MAGIC) and not MAGIC.startswith(data):
        raise EncodingError("not written by scrnn-stream")
    if len(data) < HEADER.size:
        raise EncodingError(f"truncated to {len(data)} bytes")
    _, version, digest = HEADER.unpack_from(data)
    if version != VERSION:
        writer = "a newer" if version > VERSION else "an older"
        raise EncodingError(f"state of version {version}, of {writer} program; this one reads version {VERSION}")
    payload = memoryview(data)[HEADER.size :]
    if hashlib.sha256(payload).digest() != digest:
        raise EncodingError("damaged or truncated: the checksum does not match")
    return payload


def _to_extension(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray) and value.dtype in DTYPES:
        header = msgspec.msgpack.encode([DTYPES[value.dtype], list(value.shape)])
        return msgspec.msgpack.Ext(
            ARRAY, struct.pack(">H", len(header)) + header + np.ascontiguousarray(value).tobytes()
        )
    raise NotImplementedError(f"{type(value).__name__} is not plain data")


def _from_extension(code: int, data: memoryview) -> Any:
    if code != ARRAY:
        raise ValueError(f"unknown extension {code}")
    (n,) = struct.unpack_from(">H", data)
    name, shape = msgspec.msgpack.decode(data[2 : 2 + n], type=tuple[str, list[int]])
    if name not in NAMES:
        raise ValueError(f"unknown data type {name!r}")
    return np.frombuffer(data[2 + n :], dtype=name).reshape(shape).copy()
