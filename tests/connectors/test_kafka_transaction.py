"""A client that waits for ever does not hold up the worker for ever."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest
from kafka import errors as kafka_errors

from connectors.kafka_security import KafkaProblem
from connectors.kafka_transaction import Transaction

MEMBER = SimpleNamespace(generation_id=1)


class Producer:
    """Does everything but what one of its methods is told."""

    def __init__(self) -> None:
        self.aborted = 0

    def init_transactions(self) -> None:
        pass

    def begin_transaction(self) -> None:
        pass

    def send_offsets_to_transaction(self, offsets: object, member: object) -> None:
        pass

    def commit_transaction(self) -> None:
        pass

    def abort_transaction(self) -> None:
        self.aborted += 1


class Forgetful(Producer):
    def commit_transaction(self) -> None:
        threading.Event().wait()


class Refused(Producer):
    def send_offsets_to_transaction(self, *_: object) -> None:
        raise kafka_errors.CommitFailedError


def test_a_commit_that_the_client_has_lost_ends_the_worker_with_one_line() -> None:
    with pytest.raises(KafkaProblem, match="start this worker again") as raised:
        Transaction(Forgetful(), patience_s=0.01).commit({}, MEMBER)
    assert "\n" not in str(raised.value)


def test_what_the_client_raises_comes_through() -> None:
    producer = Refused()
    assert not Transaction(producer).commit({}, MEMBER)
    assert producer.aborted == 1
    assert Transaction(Producer()).commit({}, MEMBER)
