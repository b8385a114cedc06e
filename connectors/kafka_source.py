"""Records from a Kafka topic that workers of a group share."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from kafka import ConsumerRebalanceListener, KafkaConsumer, OffsetAndMetadata, TopicPartition
from kafka import errors as kafka_errors
from kafka.structs import MemberState

from scrnn_stream.records import Batch, Partition, Position, Record, Rejected

from .codecs import decode_json
from .formats import Decode
from .kafka_client import CLOSE_TIMEOUT_S, connect, explained
from .kafka_knock import CONNECT_TIMEOUT_MS, READ, knock, missing_topic
from .kafka_sink import KafkaSink
from .kafka_times import reaching_back
from .registry import PAUSE_S, NotNow

logger = logging.getLogger(__name__)

JOIN_PATIENCE_S = 10.0
LEADER_TIMEOUT_MS = 1_000  # to answer; one that is no leader any more answers at once
COMMITTED_TIMEOUT_MS = 60_000  # a killed worker's open transaction ends before
SILENCE_TOLD = "silence told until "
NOTHING_TOLD: Mapping[Partition, float] = MappingProxyType({})
MOST_POLLED = 2_000  # records: a transaction costs some milliseconds, however few it holds
_SLICE_S = 0.1  # how soon a poll notices that partitions came or went

_COMMIT_REFUSED = (
    kafka_errors.CommitFailedError,
    kafka_errors.IllegalGenerationError,
    kafka_errors.RebalanceInProgressError,
    kafka_errors.UnknownMemberIdError,
)


class _Changes(ConsumerRebalanceListener):  # type: ignore[misc]
    """Notes what a rebalance brings. It runs on the client's I/O thread, so it takes notes and does nothing else."""

    def __init__(self, consumer: Any) -> None:
        self._consumer = consumer
        self._lock = threading.Lock()
        self._assigned: set[TopicPartition] = set()
        self._revoked: set[TopicPartition] = set()

    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        with self._lock:
            self._assigned |= set(assigned)
        self._consumer.pause(*assigned)  # nothing is fetched before the worker says from where

    def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        with self._lock:
            self._revoked |= set(revoked)
            self._assigned -= set(revoked)

    on_partitions_lost = on_partitions_revoked

    def take(self) -> tuple[set[TopicPartition], set[TopicPartition]]:
        with self._lock:
            changes = self._assigned, self._revoked
            self._assigned, self._revoked = set(), set()
        return changes


class KafkaSource:
    """The records of one topic, shared with the other members of a consumer group.

    Offsets are committed by hand, so a record is delivered again when its worker died before the commit. A partition
    that a rebalance takes away and gives back at once, with nobody's commit in between, is not reported: it goes on
    where it was.

    Where a log does not hold what is to be delivered next, because that is older than what the topic retains, or the
    topic was made anew, the partition is announced anew: the worker then tells what is missing.

    A partition that is idle has the stream time up to which silence was told as the metadata of its offset.

    Parameters
    ----------
    brokers
        ``host:port``, several separated by commas.
    group
        Consumer group. A group without committed offsets begins at the oldest message.
    through
        The sink in whose transactions the offsets are committed; it needs a ``transactional_id``.
    consumer
        A configured ``KafkaConsumer`` to use in place of one made here; it needs ``enable_auto_commit=False``
        and ``auto_offset_reset="none"``.
    client_options
        Passed to ``KafkaConsumer``: TLS, SASL, ``group_instance_id``, ``partition_assignment_strategy`` and so on.
    """

    is_live = True

    def __init__(
        self,
        brokers: str,
        topic: str,
        group: str,
        *,
        through: KafkaSink | None = None,
        consumer: Any = None,
        decode: Decode = decode_json,
        **client_options: Any,
    ) -> None:
        self.brokers = brokers
        self.topic = topic
        self.group = group
        self.through = through
        self.decode = decode
        self._client_options = client_options
        self._consumer = consumer
        self._owned: set[TopicPartition] = set()
        self._next: dict[TopicPartition, int] = {}  # of partitions that were sought: what to deliver next
        self._member: Any = None  # as the group saw this worker before the last messages
        self._starts_over = False  # a transaction failed: the worker's state is ahead of what counts
        self._held: set[TopicPartition] = set()  # paused at a message that cannot be read yet
        self._held_until = 0.0
        self._out_of_range: set[TopicPartition] = set()  # their logs do not hold what is to be delivered next

    def __enter__(self) -> KafkaSource:
        if self._consumer is None:
            knock(self.brokers, self._client_options, {self.topic: READ})
            self._consumer = connect(KafkaConsumer, self.brokers, self._options())
        try:
            with explained(f"read topic {self.topic!r}"):
                if not self._consumer.partitions_for_topic(self.topic):
                    raise missing_topic(self.topic, self.brokers)
                self._changes = _Changes(self._consumer)
                self._consumer.subscribe([self.topic], listener=self._changes)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        if self._consumer is not None:
            with contextlib.suppress(kafka_errors.KafkaError):
                self._consumer.close(autocommit=False, timeout_ms=CLOSE_TIMEOUT_S * 1000)
            self._consumer = None

    def poll(self, timeout_s: float = 1.0) -> Batch:
        """The next batch; never None, a topic has no end. While the group rebalances it may take 10 s longer."""
        end = time.monotonic() + timeout_s
        self._let_go()
        while True:
            fetched = self._fetch(min(_SLICE_S, max(0.0, end - time.monotonic())))
            # A join that completes between two polls is thrown away by the client, which then joins again and
            # disturbs the whole group: stay until it is through.
            while not fetched and self._is_joining() and time.monotonic() < end + JOIN_PATIENCE_S:
                fetched = self._fetch(_SLICE_S)
            self._member = self._consumer.group_metadata()  # first: of what has come since, nothing may be committed
            assigned, revoked, silence_told = self._take_changes(fetched)
            messages = [message for part, batch in fetched.items() for message in self._messages(part, batch)]
            if messages or assigned or revoked or time.monotonic() >= end:
                held = frozenset(Partition(*part) for part in self._held)
                return Batch(messages, assigned, revoked, silence_told, held)

    def seek(self, partition: Partition, offset: int) -> int:
        """Deliver ``partition`` from ``offset`` on, or from the oldest message; do nothing if it has just been lost."""
        part = TopicPartition(*partition)
        offset = max(offset, self._oldest(part))
        try:
            self._consumer.seek(part, offset)
            self._consumer.resume(part)
        except (ValueError, KeyError):
            logger.info("partition %s went to another member before it was positioned", partition)
            return offset
        self._next[part] = offset
        self._held.discard(part)
        return offset

    def reaching_back(self, partition: Partition, before: int, span_s: float) -> int | None:
        """The first offset of the span that ends with the newest message before an offset, by the broker's times."""
        return reaching_back(self._consumer, TopicPartition(*partition), before, span_s)

    def commit(self, offsets: Mapping[Partition, int], silence_told: Mapping[Partition, float] = NOTHING_TOLD) -> bool:
        """Store the offsets of the partitions still owned; a commit lost to a rebalance is logged: False."""
        parts = {
            TopicPartition(*partition): OffsetAndMetadata(offset, _to_metadata(silence_told.get(partition)))
            for partition, offset in offsets.items()
            if TopicPartition(*partition) in self._owned
        }
        if self.through is not None:
            self._starts_over = not self.through.commit(parts, self._member)
            return not self._starts_over
        if not parts:
            return False
        with explained("commit offsets"):
            try:
                self._consumer.commit(parts)
            except _COMMIT_REFUSED as error:
                logger.warning("commit refused, its records will come again: %s", error)
                return False
            except kafka_errors.RetriableError as error:
                logger.warning("commit failed, the next one will cover it: %s", error)
                return False
        return True

    def behind(self) -> dict[Partition, int]:
        """Messages of each partition that wait, as far as the brokers have told with the messages before."""
        waiting = {}
        for part, following in self._next.items():
            with contextlib.suppress(kafka_errors.IllegalStateError, KeyError):  # it went since the last poll
                end = self._consumer.highwater(part)
                if end is not None:
                    waiting[Partition(*part)] = max(0, end - following)
        return waiting

    def _options(self) -> dict[str, Any]:
        options = {
            "group_id": self.group,
            "enable_auto_commit": False,
            "auto_offset_reset": "none",  # what is gone from the log is passed over with a word, or not at all
            "allow_auto_create_topics": False,
            "max_poll_records": MOST_POLLED,
            # Committed offsets are then those of finished transactions; of an open one the end is waited for.
            "isolation_level": "read_uncommitted" if self.through is None else "read_committed",
        }
        return options | self._client_options

    def _fetch(self, timeout_s: float) -> dict[TopicPartition, list[Any]]:
        with explained(f"read topic {self.topic!r}"):
            try:
                fetched: dict[TopicPartition, list[Any]] = self._consumer.poll(timeout_ms=round(timeout_s * 1000))
                return fetched
            except kafka_errors.NoOffsetForPartitionError:
                return {}  # just assigned: the worker will say from where
            except kafka_errors.OffsetOutOfRangeError as error:
                self._out_of_range.update(error.args[0])
                return {}
            except kafka_errors.LogTruncationError as error:
                self._out_of_range.update(error.divergent_offsets)
                return {}
            except kafka_errors.RetriableError as error:
                logger.warning("poll failed, trying again: %s", error)
                return {}

    def _is_joining(self) -> bool:
        return bool(self._consumer.group_metadata().state == MemberState.REBALANCING)

    def _take_changes(
        self, fetched: dict[TopicPartition, list[Any]]
    ) -> tuple[dict[Partition, int], frozenset[Partition], dict[Partition, float]]:
        """What came, from which committed offset, and what went; what was fetched stays if it is to be delivered."""
        assigned, revoked = self._changes.take()
        lost, self._out_of_range = (self._out_of_range & self._next.keys()) - revoked, set()
        anew = self._owned - revoked if self._starts_over else lost
        with contextlib.suppress(KeyError):  # some have just gone: what is fetched of the others is not delivered
            self._consumer.pause(*anew)
        assigned, revoked = assigned | anew, revoked | anew
        stored = {part: self._lost(part) if part in lost else self._committed(part) for part in assigned}
        committed = {part: offset for part, (offset, _) in stored.items()}
        kept = {part for part in assigned & revoked if self._next.get(part, -1) >= committed[part]}
        kept = set() if self._starts_over else kept - lost
        self._starts_over = False
        for part in (revoked | assigned) - kept:
            self._next.pop(part, None)
            self._held.discard(part)
        gone = (revoked & self._owned) - kept
        self._owned = (self._owned - revoked) | assigned
        for part in kept:
            self.seek(Partition(*part), self._next[part])
            fetched.pop(part, None)  # comes again from there
        new = {Partition(*part): offset for part, offset in committed.items() if part not in kept}
        silence_told = {Partition(*part): told for part, (_, told) in stored.items() if told is not None}
        return new, frozenset(Partition(*part) for part in gone), silence_told

    def _committed(self, part: TopicPartition) -> tuple[int, float | None]:
        """The first offset that nobody has finished, and up to when silence was told."""
        with explained("read committed offsets"):
            stored = self._consumer.committed(part, metadata=True, timeout_ms=COMMITTED_TIMEOUT_MS)
        if stored is None:
            return self._oldest(part), None
        return int(stored.offset), _from_metadata(stored.metadata)

    def _lost(self, part: TopicPartition) -> tuple[int, float | None]:
        """The same of a log that ends before, because its new leader has less, or no longer holds what was to come."""
        logger.warning("%s/%d: the log does not hold offset %d, which was to come next", *part, self._next[part])
        offset, silence_told = self._committed(part)
        return min(offset, self._newest(part)), silence_told

    def _oldest(self, part: TopicPartition) -> int:
        with explained("find the oldest message"):
            return self._look_up(self._consumer.beginning_offsets, part)

    def _newest(self, part: TopicPartition) -> int:
        """The offset after the newest message."""
        with explained("find the newest message"):
            return self._look_up(self._consumer.end_offsets, part)

    def _look_up(self, offsets: Callable[..., dict[TopicPartition, int]], part: TopicPartition) -> int:
        """One end of a log. If its leader moved, the client asks the old one until it looks anew (as of 3.0.12)."""
        try:
            return int(offsets([part], timeout_ms=LEADER_TIMEOUT_MS)[part])
        except kafka_errors.KafkaTimeoutError:
            self._consumer.topics()  # looks anew
            return int(offsets([part], timeout_ms=CONNECT_TIMEOUT_MS)[part])

    def _hold(self, part: TopicPartition, offset: int) -> None:
        """Nothing of a partition is delivered before the message there can be read; the client goes on meanwhile."""
        self._next[part] = offset
        with contextlib.suppress(ValueError, KeyError):  # it has just been lost
            self._consumer.pause(part)
            self._consumer.seek(part, offset)
            self._held.add(part)
            self._held_until = time.monotonic() + PAUSE_S

    def _let_go(self) -> None:
        """What was held is tried again."""
        if self._held and time.monotonic() >= self._held_until:
            self._consumer.resume(*(self._held & self._consumer.assignment()))
            self._held.clear()

    def _messages(self, part: TopicPartition, fetched: list[Any]) -> Iterator[Record | Rejected]:
        if part not in self._next:  # revoked meanwhile, or not yet positioned: these will come again
            return
        partition = Partition(*part)
        for message in fetched:
            received = message.timestamp / 1000 if message.timestamp >= 0 else None
            position = Position(partition, message.offset)
            try:
                decoded = self.decode(message.value or b"", position, key=message.key, received=received)
            except NotNow:
                self._hold(part, message.offset)
                return
            yield from decoded if isinstance(decoded, list) else (decoded,)
        self._next[part] = fetched[-1].offset + 1


def _to_metadata(silence_told: float | None) -> str:
    return "" if silence_told is None else f"{SILENCE_TOLD}{silence_told!r}"


def _from_metadata(metadata: str | None) -> float | None:
    """None too for what others have written there."""
    with contextlib.suppress(ValueError):
        if metadata and metadata.startswith(SILENCE_TOLD):
            return float(metadata.removeprefix(SILENCE_TOLD))
    return None
