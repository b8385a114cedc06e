"""What the commands share: a wish that cannot be met is told in one line."""

from __future__ import annotations

import os
import re
from pathlib import Path

EXACTLY_ONCE = "exactly-once"
DELIVERIES = (EXACTLY_ONCE, "at-least-once")
FORMATS = ("auto", "wide", "long", "senml", "registry")
SECONDS = {"ms": 1e-3, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


class UsageError(Exception):
    """A wish that cannot be met; the message is one line that says what is wrong and what to do."""


def writable(directory: Path, option: str) -> None:
    """Make the directory that an option names, before the work whose fruits go there."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{option} {directory}: cannot be made: {error.strerror}; name a directory") from error
    if not os.access(directory, os.W_OK | os.X_OK):
        raise UsageError(f"{option} {directory}: cannot be written to; name another directory")


def seconds(span: str, option: str, *, may_be_none: bool = False) -> float:
    """A span of time such as 90m or 7d, above 0 or, where none will do, 0."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(ms|[smhdw])", span.strip())
    if match is None or (not float(match[1]) and not may_be_none):
        raise UsageError(
            f"{option} {span}: is no span of time; write a number and ms, s, m, h, d or w, such as 12h or 7d"
        )
    return float(match[1]) * SECONDS[match[2]]
