"""Alerts and dead letters to two Kafka topics."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Mapping
from typing import Any

from kafka import KafkaConsumer, KafkaProducer, OffsetAndMetadata, TopicPartition
from kafka import errors as kafka_errors

from scrnn_stream.alert import Alert
from scrnn_stream.records import Partition, Rebuilt, Rejected

from .codecs import encode_alert, encode_rebuilt, encode_rejected
from .kafka_client import CLOSE_TIMEOUT_S, FENCED, connect, explained, fenced, one_line
from .kafka_knock import WRITE, knock, missing_topic
from .kafka_security import KafkaProblem
from .kafka_transaction import OPTIONS as TRANSACTION_OPTIONS
from .kafka_transaction import Transaction

logger = logging.getLogger(__name__)

MAX_REQUEST_BYTES = 8 << 20  # before compression; an alert with long trails shrinks about tenfold
CLOUD_EVENT = [("content-type", b"application/cloudevents+json")]  # headers
_WARN_FIRST = 5


class KafkaSink:
    """Alerts to one topic, dead letters to another, keyed by machine and acknowledged by all replicas.

    Parameters
    ----------
    transactional_id
        A name that no other worker has: what is sent then counts only with :meth:`commit`, for readers with
        ``isolation_level="read_committed"``. None: it counts at once.
    dead_letter_topic
        None: dead letters are counted and the first few logged.
    producer
        A configured ``KafkaProducer`` to use in place of one made here; its topics are then not checked, and there
        are no transactions.
    client_options
        Passed to ``KafkaProducer``.

    Raises
    ------
    ValueError
        If both a producer and a transactional id are given.
    """

    def __init__(
        self,
        brokers: str,
        alerts_topic: str,
        dead_letter_topic: str | None = None,
        *,
        transactional_id: str | None = None,
        producer: Any = None,
        **client_options: Any,
    ) -> None:
        if producer is not None and transactional_id is not None:
            raise ValueError("a producer with a transactional_id is made here: give its options, not the producer")
        self.brokers = brokers
        self.alerts_topic = alerts_topic
        self.dead_letter_topic = dead_letter_topic
        self.transactional_id = transactional_id
        self.n_rejected = 0
        self._transaction: Transaction | None = None
        self._client_options = client_options
        self._producer = producer
        self._failures: list[tuple[str, BaseException]] = []

    def __enter__(self) -> KafkaSink:
        if self._producer is None:
            topics = (topic for topic in (self.alerts_topic, self.dead_letter_topic) if topic is not None)
            knock(self.brokers, self._client_options, dict.fromkeys(topics, WRITE))
            self._open()
            try:
                self._check_topics()
            except BaseException:
                self.__exit__()
                raise
        return self

    def __exit__(self, *exc: object) -> None:
        if self._producer is not None:
            with contextlib.suppress(kafka_errors.KafkaError):
                self._producer.close(timeout=CLOSE_TIMEOUT_S)
            self._producer = None

    def send(self, alert: Alert) -> None:
        """Hand an alert to the client; :meth:`flush` tells whether it arrived."""
        self._send(self.alerts_topic, encode_alert(alert), alert.machine.encode(), CLOUD_EVENT)

    def announce(self, rebuilt: Rebuilt) -> None:
        """Send word of lost state to the topic of alerts, keyed by partition."""
        self._send(self.alerts_topic, encode_rebuilt(rebuilt), _key_of(rebuilt.position.partition), CLOUD_EVENT)

    def reject(self, rejected: Rejected) -> None:
        """Hand a dead letter to the client, keyed by where it came from."""
        self.n_rejected += 1
        if self.dead_letter_topic is not None:
            self._send(self.dead_letter_topic, encode_rejected(rejected), _key_of(rejected.position.partition), [])
        elif self.n_rejected <= _WARN_FIRST:
            logger.warning("rejected %s: %s", rejected.position, rejected.reason)

    def flush(self) -> None:
        """Return when the brokers hold everything sent so far.

        Raises
        ------
        KafkaProblem
            If anything sent since the last flush did not arrive.
        """
        with explained("send alerts"):
            self._producer.flush()
        failures, self._failures = self._failures, []
        if failures:
            topic, error = failures[0]
            if fenced(error):
                raise KafkaProblem(FENCED)
            raise KafkaProblem(f"{len(failures)} message(s) to topic {topic!r} did not arrive: {one_line(error)}")

    def commit(self, offsets: Mapping[TopicPartition, OffsetAndMetadata], member: Any) -> bool:
        """End the transaction with these offsets of a consumer; False if nothing of it counts."""
        assert self._transaction is not None, "a sink without transactional_id has no transactions"
        if not offsets:
            self._transaction.abort("none of its partitions is this worker's")
            return False
        if self._transaction.commit(offsets, member):
            return True
        self.__exit__()  # this client would commit these offsets with its next transaction (kafka-python 3.0.12)
        self._open()
        return False

    def _open(self) -> None:
        self._producer = connect(KafkaProducer, self.brokers, self._options())
        try:
            if self.transactional_id is not None:
                self._transaction = Transaction(self._producer)
        except BaseException:
            self.__exit__()
            raise

    def _send(self, topic: str, value: bytes, key: bytes, headers: list[tuple[str, bytes]]) -> None:
        if self._transaction is not None:
            self._transaction.begin()
        with explained(f"send to topic {topic!r}"):
            future = self._producer.send(topic, value=value, key=key, headers=headers)
        future.add_errback(lambda error: self._failures.append((topic, error)))

    def _options(self) -> dict[str, Any]:
        options = {
            "acks": "all",
            "compression_type": "gzip",
            "max_request_size": MAX_REQUEST_BYTES,
            "linger_ms": 5,
            "max_block_ms": 15_000,
            "allow_auto_create_topics": False,
        }
        if self.transactional_id is not None:
            options |= {"transactional_id": self.transactional_id, **TRANSACTION_OPTIONS}
        return options | self._client_options

    def _check_topics(self) -> None:
        # A consumer without a group looks topics up without creating them; the admin client logs passwords.
        consumer = connect(KafkaConsumer, self.brokers, self._client_options | {"enable_auto_commit": False})
        try:
            with explained("look up topics"):
                present = consumer.topics()
        finally:
            consumer.close(autocommit=False)
        for topic in (self.alerts_topic, self.dead_letter_topic):
            if topic is not None and topic not in present:
                raise missing_topic(topic, self.brokers)


def _key_of(partition: Partition) -> bytes:
    return f"{partition.topic}/{partition.number}".encode()
