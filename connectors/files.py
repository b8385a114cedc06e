"""Records from CSV and JSON lines, alerts and scores into files: everything runs without a broker."""

from __future__ import annotations

import gzip
import io
import itertools
import sys
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, cast

from scrnn_stream.records import Batch, Partition

from .layout import Layout
from .outputs import JsonLinesSink, ScoresWriter
from .rows import Choice, CsvRows, InputError, JsonRows

__all__ = ["FileSource", "InputError", "JsonLinesSink", "ScoresWriter"]

BATCH_ROWS = 1000
_JSON_SUFFIXES = {".jsonl", ".ndjson", ".json"}
_BROKEN = (OSError, EOFError, zlib.error)  # what reading a file, or a damaged gzip file, can raise


class FileSource:
    """The rows of files, one file after the other; each file is the partition ``(path, 0)``, rows count from 0.

    Every data row yields one message, so output rows match input rows; blank lines are no rows. A file is CSV (comma,
    semicolon, tab or pipe) or JSON lines, by its suffix or its first character, plain or ``.gz``.

    Parameters
    ----------
    paths
        Files to read; ``-`` is standard input.
    key_column
        Column that names the machine. None: the column ``machine`` where there is one, else the file's path.
    time_column
        Column with the event time. None: the first of timestamp, datetime, time, ts; without any, records have no
        time. Columns of these names are never sensors.
    ignore
        Columns to leave out.
    layout
        Of JSON lines, where the three above name nothing.
    stdin
        What ``-`` reads; None: the process's standard input.

    Raises
    ------
    InputError
        On entry or from :meth:`poll`: a file is missing, empty or has no such column. The message says what to do.
    """

    is_live = False

    def __init__(
        self,
        paths: Sequence[str | Path],
        *,
        key_column: str | None = None,
        time_column: str | None = None,
        ignore: Iterable[str] = (),
        layout: Layout | None = None,
        stdin: BinaryIO | None = None,
    ) -> None:
        self.paths = [str(path) for path in paths]
        self.total_bytes: int | None = None
        self._choice = Choice(key_column, time_column, frozenset(ignore), layout or Layout())
        self._stdin = stdin
        self._waiting = list(self.paths)
        self._partition: Partition | None = None
        self._raw: BinaryIO | None = None
        self._rows: CsvRows | JsonRows | None = None  # None until the partition was positioned
        self._next_row = 0
        self._bytes_before = 0

    def __enter__(self) -> FileSource:
        if not self.paths:
            raise InputError("no input file; name at least one, or - for standard input")
        if len(set(self.paths)) < len(self.paths):
            raise InputError("a file is named twice; name each once")
        sizes = [_size(path) for path in self.paths]
        self.total_bytes = None if None in sizes else sum(size for size in sizes if size is not None)
        return self

    def __exit__(self, *exc: object) -> None:
        self._close()

    @property
    def bytes_read(self) -> int:
        """How much of ``total_bytes`` was read so far; compressed bytes of a compressed file."""
        return self._bytes_before + (self._raw.tell() if self._raw is not None and self._raw.seekable() else 0)

    def poll(self, timeout_s: float = 1.0) -> Batch | None:  # noqa: ARG002 - a file has its data or has ended
        """The next batch of at most 1000 rows; None after the last file."""
        if self._partition is None:
            if not self._waiting:
                return None
            self._partition = Partition(_name(self._waiting.pop(0)), 0)
            return Batch([], {self._partition: 0}, frozenset())
        if self._rows is None:
            return Batch([], {}, frozenset())
        try:
            messages = list(itertools.islice(self._rows, BATCH_ROWS))
            messages += itertools.islice(self._rows, len(self._rows.rest))  # a batch ends with a row
        except _BROKEN as error:
            raise InputError(f"{self._partition.topic}: cannot be read further: {error}") from error
        self._next_row = self._rows.row
        if len(messages) < BATCH_ROWS:
            self._close()
        return Batch(messages, {}, frozenset())

    def seek(self, partition: Partition, offset: int) -> int:
        """Deliver the current file from data row ``offset`` on."""
        if partition != self._partition:
            raise ValueError(f"{partition} is not the current partition")
        if self._rows is None or offset < self._next_row:
            self._open(partition)
        assert self._rows is not None
        self._rows.skip(offset - self._next_row)
        self._next_row = offset
        return offset

    def reaching_back(self, partition: Partition, before: int, span_s: float) -> int | None:  # noqa: ARG002
        """None: the times of a file's rows are not known before they are read."""
        return None

    def commit(self, offsets: Mapping[Partition, int], silence_told: Mapping[Partition, float]) -> bool:  # noqa: ARG002
        """Nothing to do: a file keeps no offsets."""
        return True

    def _open(self, partition: Partition) -> None:
        path = _path(partition.topic, self.paths)
        if self._raw is not None:
            if path == "-":
                raise InputError("standard input cannot be read twice; save it to a file")
            self._raw.close()
        try:
            self._raw = self._open_raw(path)
            stream = gzip.GzipFile(fileobj=self._raw) if path.endswith(".gz") else self._raw
            self._rows = _rows(stream, path, partition, self._choice)
        except _BROKEN as error:
            raise InputError(f"{partition.topic}: cannot be read: {error}") from error
        self._next_row = 0

    def _open_raw(self, path: str) -> BinaryIO:
        return (self._stdin or sys.stdin.buffer) if path == "-" else Path(path).open("rb")

    def _close(self) -> None:
        if self._raw is not None:
            self._bytes_before = self.bytes_read
            if self._partition != Partition(_name("-"), 0):
                self._raw.close()
        self._partition = self._raw = self._rows = None
        self._next_row = 0


def _rows(stream: BinaryIO | gzip.GzipFile, path: str, partition: Partition, choice: Choice) -> CsvRows | JsonRows:
    lines = iter(cast(io.BufferedIOBase, stream))
    first = next((line for line in lines if line.strip(b"\xef\xbb\xbf \t\r\n")), None)
    if first is None:
        raise InputError(f"{partition.topic}: is empty; it needs a header and rows, or JSON lines")
    first = first.removeprefix(b"\xef\xbb\xbf")  # the byte order mark that spreadsheets write
    starts = b"[" if choice.layout.form == "senml" else b"{"
    if Path(path.removesuffix(".gz")).suffix.lower() in _JSON_SUFFIXES or first.lstrip().startswith(starts):
        return JsonRows(itertools.chain([first], lines), partition, choice)
    return CsvRows(_text(first), map(_text, lines), partition, choice)


def _text(line: bytes) -> str:
    return line.decode("utf-8", "surrogateescape")  # a bad byte costs its row, not the file


def _size(path: str) -> int | None:
    if path == "-":
        return None
    if Path(path).is_dir():
        raise InputError(f"{path}: is a directory; name the files in it")
    try:
        return Path(path).stat().st_size
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; check the path") from error


def _name(path: str) -> str:
    return "stdin" if path == "-" else path


def _path(name: str, paths: list[str]) -> str:
    return name if name in paths else "-"
