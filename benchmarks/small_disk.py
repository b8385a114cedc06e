"""A disk that can be filled to its last byte: a file system in memory, in a mount namespace of this program's own."""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

_MARK = "CHAOS_HAS_MOUNTS_OF_ITS_OWN"  # not SCRNN_STREAM_...: the workers would take it for an option
CHUNK = 1 << 20


def mounts_of_its_own() -> None:
    """Begin this program anew where it may mount; its mounts end with it. Nothing happens where that is not allowed."""
    program = ["unshare", "--map-root-user", "--mount"]
    if _MARK in os.environ or not _runs([*program, "true"]):
        return
    os.environ[_MARK] = "1"
    os.execvp(program[0], [*program, sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - itself, and no shell


@contextlib.contextmanager
def small_disk(directory: Path, n_bytes: int) -> Iterator[SmallDisk | None]:
    """So large a file system in that directory, which is made; None where nobody may mount one."""
    directory.mkdir()
    options = f"size={n_bytes},mode=700"
    if _MARK not in os.environ or not _runs(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(directory)]):
        yield None
        return
    try:
        yield SmallDisk(directory)
    finally:
        _runs(["umount", "--lazy", str(directory)])


class SmallDisk:
    """The file system in a directory, with a ballast to be thrown off."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._ballast = directory / ".ballast"

    def fill(self, n_left: int = 0) -> None:
        """Leave so many bytes: room for the begin of a file, perhaps."""
        with self._ballast.open("ab") as ballast, contextlib.suppress(_Full):
            while True:
                _write(ballast.fileno(), bytes(CHUNK))
        os.truncate(self._ballast, max(0, self._ballast.stat().st_size - n_left))

    def free(self) -> None:
        """Throw the ballast off."""
        self._ballast.unlink(missing_ok=True)


class _Full(OSError):
    """There is no room left."""


def _write(descriptor: int, data: bytes) -> None:
    """All of it, or as much as there is room for."""
    while data:
        try:
            data = data[os.write(descriptor, data) :]
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise _Full from error
            raise


def _runs(command: list[str]) -> bool:
    with contextlib.suppress(OSError):
        return subprocess.run(command, capture_output=True).returncode == 0
    return False
