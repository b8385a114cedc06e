"""What the commands share: a wish that cannot be met is told in one line."""

from __future__ import annotations

import os
from pathlib import Path

EXACTLY_ONCE = "exactly-once"
DELIVERIES = (EXACTLY_ONCE, "at-least-once")


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
