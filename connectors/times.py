"""Text and numbers <-> event time in Unix seconds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

TIME_NAMES = ("timestamp", "datetime", "time", "ts")
"""Where event time is looked for, in this order. Fields of these names are clocks and never sensors."""

_MAX_SECONDS = 1e11  # the year 5138; a larger number counts a smaller unit
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EARLIEST = datetime(1, 1, 1, tzinfo=UTC).timestamp()


def parse_time(value: object) -> float:
    """Unix seconds of a timestamp as data carries it.

    Parameters
    ----------
    value
        ISO 8601 text with a space or a ``T``, with or without fraction and zone (none means UTC); or an epoch number,
        also as text. Its magnitude tells the unit: below 1e11 seconds, below 1e14 milliseconds, below 1e17
        microseconds, below 1e20 nanoseconds.

    Raises
    ------
    ValueError
        If it is neither, or before the year 1.
    """
    if isinstance(value, str):
        seconds = _parse_text(value)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        seconds = _epoch_seconds(value)
    else:
        raise ValueError("a time must be ISO 8601 text or an epoch number")
    if seconds < _EARLIEST:
        raise ValueError("a time before the year 1")
    return seconds


def format_time(seconds: float, separator: str = "T", zone: str = "Z") -> str:
    """ISO 8601 in UTC, with a fraction only where there is one: ``2013-12-02T21:15:00Z``."""
    moment = _EPOCH + timedelta(seconds=seconds)
    return moment.replace(tzinfo=None).isoformat(separator) + zone


def _parse_text(text: str) -> float:
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        return _epoch_seconds(_number(text))
    if text.strip().isdigit():  # 20200101 is a number before it is a date
        return _epoch_seconds(_number(text))
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError("not ISO 8601 and not an epoch number") from None


def _epoch_seconds(number: float) -> float:
    magnitude = abs(number)
    for unit in (1, 1_000, 1_000_000, 1_000_000_000):
        if magnitude < _MAX_SECONDS * unit:
            return number / unit
    raise ValueError("out of range for an epoch number")
