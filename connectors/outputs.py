"""Alerts as JSON lines and scores as CSV."""

from __future__ import annotations

import contextlib
import csv
import logging
import os
import stat
import sys
from pathlib import Path
from types import TracebackType
from typing import TextIO

from scrnn_stream.alert import Alert
from scrnn_stream.records import Rebuilt, Rejected

from .codecs import encode_alert
from .rows import InputError
from .times import format_time

logger = logging.getLogger(__name__)

_WARN_FIRST = 5


class JsonLinesSink:
    """Writes each alert as one line of JSON. Dead letters are counted, the first five logged.

    Parameters
    ----------
    path
        File to write, an older one is replaced; ``-`` is standard output.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = str(path)
        self.n_rejected = 0
        self._file: TextIO | None = None

    def __enter__(self) -> JsonLinesSink:
        self._file = _open(self.path)
        return self

    def __exit__(self, *exc: object) -> None:
        if self.n_rejected > _WARN_FIRST:
            logger.warning("rejected %d messages in all", self.n_rejected)
        _close(self._file)
        self._file = None

    def send(self, alert: Alert) -> None:
        """Write one line."""
        assert self._file is not None, "open the sink with `with`"
        self._file.write(encode_alert(alert).decode() + "\n")

    def announce(self, rebuilt: Rebuilt) -> None:
        """Log it: files lose no state."""
        logger.warning("%s: %s", rebuilt.position, rebuilt.reason)

    def reject(self, rejected: Rejected) -> None:
        """Count a dead letter."""
        self.n_rejected += 1
        if self.n_rejected <= _WARN_FIRST:
            logger.warning("rejected %s: %s", rejected.position, rejected.reason)

    def flush(self) -> None:
        """Return when the lines are on the disk."""
        assert self._file is not None, "open the sink with `with`"
        self._file.flush()
        if stat.S_ISREG(os.fstat(self._file.fileno()).st_mode):
            os.fsync(self._file.fileno())


class ScoresWriter:
    """Writes one CSV row for each input row: ``time,machine,anomaly_score,alert``.

    Times are ``2013-12-02 21:15:00`` in UTC, empty for data without time; a missing score is ``nan``; alert is 0 or 1.

    Parameters
    ----------
    path
        File to write, an older one is replaced; ``-`` is standard output.
    """

    HEADER = ("time", "machine", "anomaly_score", "alert")

    def __init__(self, path: str | Path) -> None:
        self.path = str(path)
        self._file: TextIO | None = None

    def __enter__(self) -> ScoresWriter:
        self._file = _open(self.path)
        self._writer = csv.writer(self._file, lineterminator="\n")
        self._writer.writerow(self.HEADER)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _close(self._file)
        self._file = None

    def write(self, time: float | None, machine: str, score: float, alert: bool) -> None:
        """Write the row of one record."""
        shown = "" if time is None else format_time(time, separator=" ", zone="")
        self._writer.writerow((shown, machine, repr(float(score)), int(alert)))


def _open(path: str) -> TextIO:
    if path == "-":
        return sys.stdout
    try:
        return Path(path).open("w", encoding="utf-8", newline="")
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}; check the path") from error


def _close(file: TextIO | None) -> None:
    if file is sys.stdout:
        with contextlib.suppress(BrokenPipeError):
            file.flush()
    elif file is not None:
        file.close()
