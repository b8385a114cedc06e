"""Bytes to files, in a directory or an object store: written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
import time
import uuid
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import fsspec
from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

TIMEOUT_S = 60.0  # of a step of an object store; Kafka gives a worker up that does not poll for five minutes
LEFT_OVER_S = 600.0  # a temporary file that nobody has touched for so long belongs to nobody any more
TEMPORARY = ".ckpt-"
PROBE = bytes(4096)  # an empty file can be made on a full disk
LOCAL = ("file", "local")


class StoreProblem(Exception):
    """Files cannot be kept or read there; the message is one line without secrets."""


class Store:
    """Named files under a directory or URL. Each step that fails raises a :class:`StoreProblem`.

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
        """Make the store, write to it and read it, and clear away what killed writers left."""
        name = f"{TEMPORARY}{uuid.uuid4().hex}.tmp"
        self.write(name, PROBE)
        self.read(name)
        self.remove(name)
        for path in self.directory.glob(f"{TEMPORARY}*.tmp") if self.directory is not None else ():
            with contextlib.suppress(OSError):  # another worker may be clearing up too
                if time.time() - path.stat().st_mtime > LEFT_OVER_S:
                    path.unlink()

    def names(self) -> list[str]:
        """Of all files; none if there is no such place yet."""
        with self._explained():
            self._place[0].invalidate_cache()  # other workers write there too
            try:
                return [path.rpartition("/")[2] for path in self._do("ls", "", detail=False)]
            except FileNotFoundError:
                return []

    def read(self, name: str, begin: int | None = None, end: int | None = None) -> bytes:
        """A file, or a range of it, which is shorter where the file is."""
        with self._explained():
            data: bytes = self._do("cat_file", name, start=begin, end=end)
            return data

    def write(self, name: str, data: bytes) -> None:
        """A file, all or nothing."""
        with self._explained():
            try:
                self._put(name, data)
            except FileNotFoundError:  # the directory is missing; an object store has none, and its bucket is not ours
                if self._place[0].async_impl:
                    raise
                self._do("makedirs", "", exist_ok=True)
                self._put(name, data)

    def remove(self, name: str) -> None:
        """A file that may be gone already."""
        with self._explained(), contextlib.suppress(FileNotFoundError):
            self._do("rm_file", name)

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

    def _put(self, name: str, data: bytes) -> None:
        """An object store writes all or nothing by itself."""
        if self.directory is not None:
            write_atomically(self.directory / name, data)
        else:
            self._do("pipe_file", name, data)

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
            raise StoreProblem(f"{self}: {masked(' '.join(str(reason).split()))}") from None

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


def masked(text: str) -> str:
    """The URLs in it without user, password and parameters."""
    return re.sub(r"(://[^\s?]*)\?\S*", r"\1?***", re.sub(r"://\S*@", "://***@", text))
