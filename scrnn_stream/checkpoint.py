"""The files that hold the state of a partition: written whole or not at all, two generations kept."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import tempfile
import time
import uuid
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote

import fsspec
from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

from scrnn_stream.encoding import EncodingError, decode, encode
from scrnn_stream.records import Partition

logger = logging.getLogger(__name__)

N_KEPT = 2  # generations
TIMEOUT_S = 60.0  # of a step of an object store; Kafka gives a worker up that does not poll for five minutes
LEFT_OVER_S = 600.0  # a temporary file that nobody has touched for so long belongs to nobody any more
TEMPORARY = ".ckpt-"
PROBE = bytes(4096)  # an empty file can be made on a full disk
LOCAL = ("file", "local")


class StoreProblem(Exception):
    """Checkpoints cannot be kept or read there; the message is one line without secrets."""


class CheckpointStore:
    """Checkpoints of one consumer group under a directory or URL, one file for each partition and offset.

    Parameters
    ----------
    url
        A path, or any URL of fsspec: ``file:///var/lib/models``, ``s3://bucket/prefix``. Credentials and options come
        from fsspec's own configuration or its driver's. Whatever ``str`` shows of it is without secrets.

    Raises
    ------
    StoreProblem
        If fsspec does not know the protocol, or the package of its driver is missing. Nothing is opened yet.
    """

    def __init__(self, url: str | Path) -> None:
        self.url = str(url)
        self.directory = _local(self.url)  # None: the store is elsewhere
        if self.directory is None:
            self._check_driver()

    def __str__(self) -> str:
        if self.directory is not None:
            return self.url
        return re.sub(r"\?.*", "?***", re.sub(r"://.*@", "://***@", self.url, flags=re.DOTALL), flags=re.DOTALL)

    def open(self) -> None:
        """Make the store, write to it and read it, and clear away what killed writers left.

        Raises
        ------
        StoreProblem
            If that is not possible.
        """
        name = f"{TEMPORARY}{uuid.uuid4().hex}.tmp"
        with self._explained():
            self._write(name, PROBE)
            self._do("cat_file", name)
            self._remove(name)
        for path in self.directory.glob(f"{TEMPORARY}*.tmp") if self.directory is not None else ():
            with contextlib.suppress(OSError):  # another worker may be clearing up too
                if time.time() - path.stat().st_mtime > LEFT_OVER_S:
                    path.unlink()

    def save(self, partition: Partition, offset: int, state: dict[str, Any]) -> None:
        """Keep the state after everything before `offset`; atomically, with the generation before it.

        Raises
        ------
        StoreProblem
            If it could not be kept; the generations before are then still there.
        """
        data = encode(state)
        with self._explained():
            kept = self._offsets(partition)
            for later in kept:
                if later > offset:  # of a topic that was made anew, or of offsets that were reset
                    self._remove(_name(partition, later))
            self._write(_name(partition, offset), data)
            for old in sorted({offset, *(before for before in kept if before < offset)})[:-N_KEPT]:
                self._remove(_name(partition, old))

    def load(self, partition: Partition, at_most: int) -> tuple[int, dict[str, Any]] | None:
        """The newest readable checkpoint whose offset is not beyond `at_most`; a bad one is told and passed over."""
        try:
            with self._explained():
                offsets = [offset for offset in self._offsets(partition) if offset <= at_most]
        except StoreProblem as problem:
            logger.warning("checkpoints cannot be looked up: %s", problem)
            return None
        for offset in reversed(offsets):
            name = _name(partition, offset)
            try:
                with self._explained():
                    data = self._do("cat_file", name)
                return offset, decode(data)
            except (StoreProblem, EncodingError) as error:
                logger.warning("checkpoint %s is passed over: %s", name, error)
        return None

    # -- the file system ----------------------------------------------------------------------------------------------

    @cached_property
    def _place(self) -> tuple[Any, str]:
        """A file system of fsspec, and where in it the files lie."""
        if self.directory is not None:
            return LocalFileSystem(), str(self.directory)
        files, root = url_to_fs(self.url)
        return files, root.rstrip("/")

    def _do(self, step: str, name: str, *arguments: Any, **options: Any) -> Any:
        files, root = self._place
        if files.async_impl:
            options["timeout"] = TIMEOUT_S
        return getattr(files, step)(f"{root}/{name}" if name else root, *arguments, **options)

    def _offsets(self, partition: Partition) -> list[int]:
        files, _ = self._place
        files.invalidate_cache()  # other workers write there too
        try:
            paths = self._do("ls", "", detail=False)
        except FileNotFoundError:
            return []
        pattern = re.compile(rf"{re.escape(_stem(partition))}@(\d+)\.ckpt")
        names = (path.rpartition("/")[2] for path in paths)
        return sorted(int(match[1]) for match in map(pattern.fullmatch, names) if match)

    def _write(self, name: str, data: bytes) -> None:
        """At the first time the directory may be missing; an object store has none, and its bucket is not ours."""
        try:
            self._put(name, data)
        except FileNotFoundError:
            if self._place[0].async_impl:
                raise
            self._do("makedirs", "", exist_ok=True)
            self._put(name, data)

    def _put(self, name: str, data: bytes) -> None:
        """All or nothing: an object store does so by itself."""
        if self.directory is not None:
            write_atomically(self.directory / name, data)
        else:
            self._do("pipe_file", name, data)

    def _remove(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._do("rm_file", name)

    # -- what is said when it fails -----------------------------------------------------------------------------------

    def _check_driver(self) -> None:
        for protocol in self.url.partition("://")[0].split("::"):
            try:
                fsspec.get_filesystem_class(protocol)
            except ImportError as error:
                raise StoreProblem(f"{self}: the driver of {protocol}:// is missing: {error} (with pip)") from error
            except ValueError as error:
                hint = "name a directory, or a URL that fsspec knows, such as s3://bucket/prefix"
                raise StoreProblem(f"{self}: unknown protocol {protocol!r}: {hint}") from error

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """Drivers raise whatever they like, and some of them quote the URL."""
        try:
            yield
        except Exception as error:
            reason = getattr(error, "strerror", None) or self._reason(error)
            raise StoreProblem(f"{self}: {_masked(' '.join(str(reason).split()))}") from None

    def _reason(self, error: Exception) -> str:
        if isinstance(error, TimeoutError):
            return f"no answer within {TIMEOUT_S:g} s"
        kind = type(error).__name__
        return f"{kind}: {error}" if str(error) and str(self) == self.url else kind


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file so that a reader finds the old one or the new one, never a part; safe against a power cut."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=TEMPORARY, suffix=".tmp")
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


def _local(url: str) -> Path | None:
    protocol, found, _ = url.partition("://")
    if not found:
        return Path(url).absolute()
    return Path(LocalFileSystem._strip_protocol(url)) if protocol in LOCAL else None


def _masked(text: str) -> str:
    """The URLs in it without user, password and parameters."""
    return re.sub(r"(://[^\s?]*)\?\S*", r"\1?***", re.sub(r"://\S*@", "://***@", text))


def _stem(partition: Partition) -> str:
    return f"{quote(partition.topic, safe='')}-{partition.number}"


def _name(partition: Partition, offset: int) -> str:
    return f"{_stem(partition)}@{offset}.ckpt"
