"""Functions that a configuration names as hooks for tokens."""

from __future__ import annotations

from tests.guarded_kafka import token


def of_worker() -> str:
    return token()


def of_nobody() -> str:
    return token("nobody")


def out_of_date() -> str:
    return token(valid_s=-100.0)


def failing() -> str:
    raise ConnectionError(f"no answer about {token()}")


def bytes_alone() -> bytes:
    return b"token"


text = "no function"
