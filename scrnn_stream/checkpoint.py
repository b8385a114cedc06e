"""State <-> bytes <-> files: data only, versioned, checked, and written whole or not at all.

Layout of the bytes: the magic `SCRNNCKP`, a version (2 bytes), the SHA-256 of the rest (32 bytes), and a MessagePack
document. An array is an extension of it: data type, shape and raw numbers. Nothing in it is ever executed.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import struct
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
import numpy as np

from scrnn_stream.records import Partition

logger = logging.getLogger(__name__)

MAGIC = b"SCRNNCKP"
VERSION = 2  # raise it when the state of any part changes its shape
HEADER = struct.Struct(">8sH32s")
ARRAY = 1  # MessagePack extension code
DTYPES = ("float32", "float64", "int64", "bool")
N_KEPT = 2  # generations


class CheckpointError(ValueError):
    """Bytes that are no checkpoint, or not one that can be trusted."""


def encode(state: dict[str, Any]) -> bytes:
    """A tree of dicts, lists, numbers, text and arrays as bytes."""
    payload = msgspec.msgpack.encode(state, enc_hook=_to_extension)
    return HEADER.pack(MAGIC, VERSION, hashlib.sha256(payload).digest()) + payload


def decode(data: bytes) -> dict[str, Any]:
    """The tree that `encode` was given.

    Raises
    ------
    CheckpointError
        If the bytes are foreign, damaged, or of another version.
    """
    if len(data) < HEADER.size or not data.startswith(MAGIC):
        raise CheckpointError("not a checkpoint of scrnn-stream")
    _, version, digest = HEADER.unpack_from(data)
    if version != VERSION:
        raise CheckpointError(f"a checkpoint of version {version}; this program reads version {VERSION}")
    payload = data[HEADER.size :]
    if hashlib.sha256(payload).digest() != digest:
        raise CheckpointError("a damaged checkpoint: its checksum does not match")
    try:
        state = msgspec.msgpack.decode(payload, ext_hook=_from_extension)
    except (msgspec.MsgspecError, ValueError) as error:
        raise CheckpointError(f"a checkpoint that cannot be read: {error}") from None
    if not isinstance(state, dict):
        raise CheckpointError("a checkpoint without state")
    return state


class CheckpointStore:
    """Checkpoints of one consumer group in a directory, one file for each partition and offset.

    Parameters
    ----------
    directory
        Created at the first save.
    """

    def __init__(self, directory: str | Path) -> None:
        self.directory = Path(directory)

    def save(self, partition: Partition, offset: int, state: dict[str, Any]) -> None:
        """Keep the state after everything before `offset`; atomically, with the generation before it."""
        self.directory.mkdir(parents=True, exist_ok=True)
        write_atomically(self._path(partition, offset), encode(state))
        for path in self._paths(partition)[:-N_KEPT]:
            path.unlink(missing_ok=True)

    def load(self, partition: Partition, at_most: int) -> tuple[int, dict[str, Any]] | None:
        """The newest readable checkpoint whose offset is not beyond `at_most`; a bad one is told and passed over."""
        for path in reversed(self._paths(partition)):
            offset = _offset(path)
            if offset > at_most:
                continue
            try:
                return offset, decode(path.read_bytes())
            except (OSError, CheckpointError) as error:
                logger.warning("checkpoint %s is passed over: %s", path.name, error)
        return None

    def _paths(self, partition: Partition) -> list[Path]:
        return sorted(self.directory.glob(f"{_stem(partition)}@*.ckpt"), key=_offset)

    def _path(self, partition: Partition, offset: int) -> Path:
        return self.directory / f"{_stem(partition)}@{offset}.ckpt"


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file so that a reader finds the old one or the new one, never a part; safe against a power cut."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".tmp")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _stem(partition: Partition) -> str:
    return f"{quote(partition.topic, safe='')}-{partition.number}"


def _offset(path: Path) -> int:
    match = re.search(r"@(\d+)\.ckpt$", path.name)
    return int(match[1]) if match else -1


def _to_extension(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray) and value.dtype.name in DTYPES:
        header = msgspec.msgpack.encode([value.dtype.name, list(value.shape)])
        return msgspec.msgpack.Ext(
            ARRAY, struct.pack(">H", len(header)) + header + np.ascontiguousarray(value).tobytes()
        )
    raise NotImplementedError(f"{type(value).__name__} is not plain data")


def _from_extension(code: int, data: memoryview) -> Any:
    if code != ARRAY:
        raise ValueError(f"unknown extension {code}")
    (n,) = struct.unpack_from(">H", data)
    name, shape = msgspec.msgpack.decode(data[2 : 2 + n], type=tuple[str, list[int]])
    if name not in DTYPES:
        raise ValueError(f"unknown data type {name!r}")
    return np.frombuffer(data[2 + n :], dtype=name).reshape(shape).copy()
