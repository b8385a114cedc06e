"""Alerts, dead letters and offsets in one Kafka transaction, of which all counts or nothing does."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any

from kafka import errors as kafka_errors

from .kafka_client import explained, fenced
from .kafka_security import KafkaProblem

logger = logging.getLogger(__name__)

TIMEOUT_S = 30.0  # after which the broker ends the transaction of a worker that is gone; below its session timeout
PATIENCE_S = 45.0  # by then the broker has ended the transaction, or the client has lost a request and waits for ever
OPTIONS = {
    "transaction_timeout_ms": round(TIMEOUT_S * 1000),
    "retry_backoff_ms": 20,  # the broker asks to wait while it finishes the transaction before
}


class Transaction:
    """One transaction after another of a producer that has a ``transactional_id``.

    The broker checks with each commit that the group member which read the offsets is still one (KIP-447). So the id
    need not stand for a partition: any will do that no other worker has. One that stays the same across restarts ends
    at once the transaction that a killed worker has left open; another is ended after half a minute.
    """

    def __init__(self, producer: Any, patience_s: float = PATIENCE_S) -> None:
        self._producer = producer
        self._patience_s = patience_s
        self._is_open = False
        with explained("begin transactions; brokers that have none need --delivery at-least-once"):
            producer.init_transactions()

    def begin(self) -> None:
        """Begin one, unless one is open."""
        if not self._is_open:
            with explained("begin a transaction"):
                self._producer.begin_transaction()
            self._is_open = True

    def commit(self, offsets: Mapping[Any, Any], member: Any) -> bool:
        """Make all that was sent count, with these offsets. False, and nothing counts, if the group has gone on.

        `member` is the group's view of the worker when it was given the messages.
        """
        if member.generation_id < 0:  # thrown out of the group: the broker would take the offsets for nobody's
            self.abort("the group has thrown this worker out")
            return False
        self.begin()
        with explained("commit a transaction"):
            try:
                self._in_time(lambda: self._producer.send_offsets_to_transaction(offsets, member))
            except kafka_errors.KafkaError as error:
                if fenced(error):
                    raise
                self.abort(error)
                return False
            self._in_time(self._producer.commit_transaction)
        self._is_open = False
        return True

    def abort(self, reason: object) -> None:
        """Let nothing count of what was sent since the last commit."""
        logger.warning("transaction aborted, its records will come again: %s", reason)
        if self._is_open:
            with explained("abort a transaction"):
                self._in_time(self._producer.abort_transaction)
        self._is_open = False

    def _in_time(self, call: Callable[[], object]) -> None:
        """The client has no timeout here, and where a coordinator goes it can lose the request (kafka-python 3.0.12).

        Whether the transaction counts is then open; a worker that starts again learns it from the committed offsets.
        """
        failures: list[BaseException] = []

        def run() -> None:
            try:
                call()
            except BaseException as error:
                failures.append(error)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        thread.join(self._patience_s)
        if thread.is_alive():
            raise KafkaProblem(
                f"a transaction is not through after {self._patience_s:g} s: start this worker again, it goes on from "
                "what counts"
            )
        if failures:
            raise failures[0]
