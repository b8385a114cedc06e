"""The files that hold the state of a partition: written whole or not at all, two generations kept."""

from __future__ import annotations

import logging
import os
import re
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import quote

from scrnn_stream.encoding import EncodingError, decode, encode
from scrnn_stream.records import Partition

logger = logging.getLogger(__name__)

N_KEPT = 2  # generations


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
        for path in self._paths(partition):
            if _offset(path) > offset:  # of a topic that was made anew, or of offsets that were reset
                path.unlink(missing_ok=True)
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
            except (OSError, EncodingError) as error:
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
