"""What the commands share: a wish that cannot be met is told in one line."""

from __future__ import annotations

import os
from pathlib import Path

from scrnn_stream.monitor import Settings


class UsageError(Exception):
    """A wish that cannot be met; the message is one line that says what is wrong and what to do."""


def settings_of(options: dict[str, object]) -> Settings:
    """Settings from the options that were given."""
    given = {name: value for name, value in options.items() if name in Settings.names() and value is not None}
    try:
        return Settings(**given)  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        raise UsageError(str(error)) from error


def writable(directory: Path, option: str) -> None:
    """Make the directory that an option names, before the work whose fruits go there."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{option} {directory}: cannot be made: {error.strerror}; name a directory") from error
    if not os.access(directory, os.W_OK | os.X_OK):
        raise UsageError(f"{option} {directory}: cannot be written to; name another directory")
