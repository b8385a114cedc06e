"""The rows of one open file, CSV or JSON lines, as records and dead letters."""

from __future__ import annotations

import csv
import difflib
import math
import shlex
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from scrnn_stream.records import Partition, Position, Record, Rejected

from .codecs import parse_object
from .formats import decoder
from .layout import Layout
from .readings import shorten
from .times import TIME_NAMES, parse_time

DELIMITERS = ",;\t|"
_WORDS = dict.fromkeys(("", "na", "n/a", "nan", "null", "none"), math.nan) | {"true": 1.0, "false": 0.0}


class InputError(ValueError):
    """A file cannot be read as asked; the message is one line that says what is wrong and what to do."""


class Choice(NamedTuple):
    """Which columns the user named."""

    key: str | None = None
    time: str | None = None
    ignore: frozenset[str] = frozenset()
    layout: Layout = Layout()  # of JSON lines, where the others name nothing


class _Columns(NamedTuple):
    """Where in a CSV row things stand."""

    names: list[str]
    machine: int | None
    time: int | None
    sensors: list[tuple[int, str]]


class JsonRows:
    """JSON lines: the record or dead letter of each line that is not blank, in order."""

    def __init__(self, lines: Iterator[bytes], partition: Partition, choice: Choice) -> None:
        self._lines = (line for line in lines if line.strip())
        self._partition = partition
        self._choice = choice
        self.row = 0  # the next one
        self.rest: deque[Record | Rejected] = deque()  # of the row before it
        layout = choice.layout
        times = layout.times if choice.time is None else (choice.time, *TIME_NAMES)
        ignore = layout.ignore | choice.ignore
        self._layout = replace(layout, machine=choice.key or layout.machine, times=times, ignore=ignore)
        self._decode = decoder(self._layout)

    def __iter__(self) -> Iterator[Record | Rejected]:
        return self

    def __next__(self) -> Record | Rejected:
        if self.rest:
            return self.rest.popleft()
        line = next(self._lines)
        if self.row == 0 and self._layout.form != "senml":
            self._check_first(line)
        position = Position(self._partition, self.row)
        self.row += 1
        decoded = self._decode(line, position, key=self._partition.topic.encode(errors="replace"), received=None)
        if not isinstance(decoded, list):
            return decoded
        self.rest.extend(decoded[1:])
        return decoded[0]

    def skip(self, n_rows: int) -> None:
        """Pass over rows without decoding them."""
        for _ in zip(range(n_rows), self._lines, strict=False):
            self.row += 1

    def _check_first(self, line: bytes) -> None:
        try:
            fields = parse_object(line)
        except ValueError:
            return
        path = self._partition.topic
        for name in (self._choice.key, self._choice.time, *sorted(self._choice.ignore)):
            _check_named(path, name, list(fields))
        layout = self._layout
        if layout.form == "long":
            return
        no_sensors = {layout.machine, *layout.of_long, *layout.times, *layout.ignore}
        for name, value in fields.items():
            if isinstance(value, str) and name not in no_sensors:
                raise _text_column(path, name, value)


class CsvRows:
    """CSV with a header: the record or dead letter of each row that is not blank, in order."""

    def __init__(self, header: str, lines: Iterator[str], partition: Partition, choice: Choice) -> None:
        self._partition = partition
        self._taken: list[str] = []  # the lines behind the current row: a quoted cell may span several
        delimiter = sniff_delimiter(header)
        try:
            names = next(csv.reader([header], delimiter=delimiter))
        except csv.Error as error:
            raise InputError(f"{partition.topic}: its header is not CSV: {error}") from error
        self._columns = _columns(partition.topic, names, choice)
        self._rows = csv.reader(self._keep(lines), delimiter=delimiter)
        self.row = 0  # the next one
        self.rest: deque[Record | Rejected] = deque()  # none: a row is a message

    def __iter__(self) -> Iterator[Record | Rejected]:
        return self

    def __next__(self) -> Record | Rejected:
        cells = self._next_cells()
        position = Position(self._partition, self.row)
        self.row += 1
        if isinstance(cells, str):
            return self._reject(position, cells)
        if len(cells) != len(self._columns.names):
            return self._reject(position, f"row has {len(cells)} cells, the header {len(self._columns.names)}")
        return self._record(position, cells)

    def skip(self, n_rows: int) -> None:
        """Pass over rows without decoding them."""
        for _ in range(n_rows):
            try:
                self._next_cells()
            except StopIteration:
                return
            self.row += 1

    def _next_cells(self) -> list[str] | str:
        """The cells of the next row, or the reason why it has none."""
        while True:
            self._taken.clear()
            try:
                cells = next(self._rows)
            except csv.Error as error:
                return f"row is not CSV: {error}"
            if cells:
                return cells

    def _keep(self, lines: Iterator[str]) -> Iterator[str]:
        for line in lines:
            self._taken.append(line)
            yield line

    def _record(self, position: Position, cells: list[str]) -> Record | Rejected:
        columns = self._columns
        machine = position.partition.topic if columns.machine is None else cells[columns.machine].strip()
        if not machine or not _is_utf8(machine):
            return self._reject(position, "machine has an empty name" if not machine else "machine is not valid UTF-8")
        time = None
        if columns.time is not None and cells[columns.time].strip():
            try:
                time = parse_time(cells[columns.time])
            except (ValueError, OverflowError) as error:
                name, text = columns.names[columns.time], cells[columns.time]
                return self._reject(position, f"{name} ({shorten(text)}): {error}")
        values = {}
        for index, name in columns.sensors:
            try:
                values[name] = float(cells[index])
            except ValueError:
                value = _WORDS.get(cells[index].strip().lower())
                if value is None:
                    return self._refuse_text(position, name, cells[index])
                values[name] = value
        return Record(position, machine, time, values)

    def _refuse_text(self, position: Position, name: str, text: str) -> Rejected:
        if not _is_utf8(text):
            return self._reject(position, f"column {shorten(name)} is not valid UTF-8")
        if position.offset == 0:
            raise _text_column(position.partition.topic, name, text)
        return self._reject(position, f"column {shorten(name)} must be a number, got {shorten(text)}")

    def _reject(self, position: Position, reason: str) -> Rejected:
        payload = "".join(self._taken).rstrip("\r\n")
        return Rejected(position, reason, payload.encode("utf-8", "surrogateescape"))


def sniff_delimiter(header: str) -> str:
    """The one of comma, semicolon, tab and pipe that the header has most of, outside quotes."""
    bare = "".join(header.split('"')[::2])
    return max(DELIMITERS, key=bare.count)


def _columns(path: str, header: Sequence[str], choice: Choice) -> _Columns:
    names = [name.strip() for name in header]
    _check_header(path, names)
    for name in (choice.key, choice.time, *sorted(choice.ignore)):
        _check_named(path, name, names)
    lower = [name.lower() for name in names]
    time_name = choice.time or next((names[lower.index(name)] for name in TIME_NAMES if name in lower), None)
    machine_name = choice.key or ("machine" if "machine" in names else None)
    sensors = [
        (index, name)
        for index, name in enumerate(names)
        if name  # a column without a name is a saved row number or a trailing delimiter
        and name not in (machine_name, time_name)
        and name not in choice.ignore
        and lower[index] not in TIME_NAMES
    ]
    if not sensors:
        raise InputError(f"{path}: no sensor column is left among {_listed(names)}; name other columns")
    machine = None if machine_name is None else names.index(machine_name)
    return _Columns(names, machine, None if time_name is None else names.index(time_name), sensors)


def _check_header(path: str, names: list[str]) -> None:
    if not all(_is_utf8(name) and "\0" not in name for name in names):
        raise InputError(f"{path}: not text in UTF-8; save it as CSV or JSON lines in UTF-8")
    if all(_is_number(name) for name in names):
        raise InputError(f"{path}: no header; add a first line with the column names")
    twice = next((name for name in names if name and names.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"{path}: two columns are named {shorten(twice)}; rename one")


def _check_named(path: str, name: str | None, names: list[str]) -> None:
    if name is None or name in names:
        return
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"it has {_listed(names)}"
    raise InputError(f"{path}: no column {name!r}; {hint}")


def _text_column(path: str, name: str, text: str) -> InputError:
    named = shlex.quote(name) if name.isprintable() else repr(name)
    return InputError(f"{path}: column {name!r} is text ({shorten(text, 20)}); leave it out with --ignore {named}")


def _listed(names: list[str]) -> str:
    """A terminal obeys what it is shown, so what is not printable is written out."""
    return ", ".join(name if name.isprintable() else repr(name) for name in names[:8]) + ", ..." * (len(names) > 8)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _is_utf8(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:  # an undecodable byte was read as a surrogate
        return False
    return True
