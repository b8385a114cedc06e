"""What is said on standard error: lines of text or of JSON, without secrets, and each of them really one line."""

from __future__ import annotations

import datetime as dt
import json
import logging
import sys

from scrnn_stream.masking import harmless, without_secrets

TEXT = "%(levelname)s %(name)s: %(message)s"
HEARD = ("scrnn_stream", "connectors", "kafka")
UNHEARD = ("apprise",)  # quotes URLs that are secrets as a whole; what it has to say, we say


def log_to_stderr(level: str, is_json: bool) -> None:
    """Begin to log; what a library logs below warnings is heard from us and the Kafka client alone."""
    handler = _Log()
    handler.setFormatter(_Json() if is_json else _Text(TEXT))
    logging.basicConfig(level=level.upper(), handlers=[handler])
    if level != "debug":  # the client's own warnings tell a user nothing that our errors do not
        logging.getLogger("kafka").setLevel(logging.ERROR)


class _Log(logging.Handler):
    """Lines to whatever standard error is at the moment: while a progress bar is shown, that writes above it.

    Below warnings only we are heard and the Kafka client: drivers of object stores quote their calls, secrets and all.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        owner = record.name.partition(".")[0]
        return owner in HEARD or (record.levelno >= logging.WARNING and owner not in UNHEARD)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            print(self.format(record), file=sys.stderr, flush=True)
        except Exception:
            self.handleError(record)


class _Text(logging.Formatter):
    """One line; the lines of an exception after it are indented, so that none can pass for a line of the log."""

    def format(self, record: logging.LogRecord) -> str:
        record.exc_text = None  # another handler may have left its own there, as it was
        return super().format(record)

    def formatMessage(self, record: logging.LogRecord) -> str:
        return harmless(super().formatMessage(record))

    def formatException(self, exc_info: logging._SysExcInfoType) -> str:
        return "\n".join(f"  {harmless(line)}" for line in super().formatException(exc_info).splitlines())


class _Json(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        moment = dt.datetime.fromtimestamp(record.created, dt.UTC).isoformat(timespec="milliseconds")
        fields = {
            "time": moment,
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": harmless(record.getMessage()),
        }
        if record.exc_info:
            fields["exception"] = without_secrets(self.formatException(record.exc_info))
        return json.dumps(fields, ensure_ascii=False)
