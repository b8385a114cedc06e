"""Log lines without secrets, each of them one line: what came over the wire cannot make up another."""

from __future__ import annotations

import re
import threading

HIDDEN = "***"
LEAST = 4  # characters of a secret: to hide shorter ones would leave no text
MOST = 1_000  # secrets that are remembered: tokens come and go

_lock = threading.Lock()
_secrets: dict[str, None] = {}  # oldest first

# Clients log the bytes of their requests, and with them of passwords; and records whole.
_RAW = re.compile(r"""(auth_bytes=|Send: |Recv: )b(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")""", re.DOTALL)
_URL = re.compile(r"(?<=://)\S*@")  # user and password in it
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")


def hide(secret: object) -> None:
    """Never let this be seen in a log from now on; nothing happens if it is no text, or too short to be a secret."""
    if not isinstance(secret, str) or len(secret) < LEAST:
        return
    with _lock:
        for form in {secret, repr(secret)[1:-1], repr(secret.encode("utf-8", "surrogatepass"))[2:-1]}:
            _secrets.pop(form, None)
            _secrets[form] = None
        while len(_secrets) > MOST:
            del _secrets[next(iter(_secrets))]


def without_secrets(text: str) -> str:
    """The text with `***` for what was hidden, for raw requests, and for user and password of URLs."""
    text = _URL.sub(f"{HIDDEN}@", _RAW.sub(rf"\1{HIDDEN}", text))
    with _lock:
        secrets = sorted(_secrets, key=len, reverse=True)
    for secret in secrets:
        text = text.replace(secret, HIDDEN)
    return text


def harmless(text: str) -> str:
    """Both: fit to be shown to an operator."""
    return on_one_line(without_secrets(text))


def on_one_line(text: str) -> str:
    r"""The text with `\n` and the like for characters that end a line, move the cursor or turn the direction."""
    return _CONTROL.sub(lambda match: repr(match[0])[1:-1], text)
