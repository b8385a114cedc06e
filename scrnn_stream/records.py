"""What flows in: records, and the messages that could not become one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec


class Partition(NamedTuple):
    """One ordered log: a Kafka topic and partition, or a file's path and 0."""

    topic: str
    number: int


class Position(NamedTuple):
    """Where a message stands: its partition and its offset (Kafka) or data row, counted from 0 (files)."""

    partition: Partition
    offset: int

    def __str__(self) -> str:
        return f"{self.partition.topic}/{self.partition.number}@{self.offset}"


class Moment(NamedTuple):
    """A place in time and in a log; the time is in Unix seconds, None where the data has none."""

    time: float | None
    position: Position

    def to_state(self) -> list[Any]:
        (topic, number), offset = self.position
        return [self.time, topic, number, offset]

    @classmethod
    def from_state(cls, state: list[Any]) -> Moment:
        time, topic, number, offset = msgspec.convert(state, tuple[float | None, str, int, int])
        return cls(time, Position(Partition(topic, number), offset))


@dataclass(frozen=True, slots=True)
class Record:
    """The readings of one machine at one time.

    Parameters
    ----------
    position
        Where the record stands in its log.
    machine
        The machine's name: the key that owns a model.
    time
        Event time in Unix seconds, or None where the data has no time: the model then takes one step for each record.
    values
        Sensor name to reading; NaN, infinite or absent means missing.
    received
        The broker's own timestamp in Unix seconds, None where there is no broker.
    """

    position: Position
    machine: str
    time: float | None
    values: Mapping[str, float]
    received: float | None = None

    @property
    def moment(self) -> Moment:
        return Moment(self.time, self.position)


@dataclass(frozen=True, slots=True)
class Rejected:
    """A dead letter: a message that was refused, where it stands, and why."""

    position: Position
    reason: str
    payload: bytes = field(default=b"", repr=False)


class Rebuilt(NamedTuple):
    """What a partition's machines had learned was lost, and is learned again from the records since `position`."""

    position: Position
    reason: str


class Batch(NamedTuple):
    """What one poll of a source brings: changes of ownership first, then messages in log order.

    ``assigned`` maps each partition that is new to this process to the first offset that nobody has finished
    (the committed one); the worker answers each with :meth:`Source.seek` before its messages are delivered.
    ``silence_told`` maps those of them that had fallen idle at that offset to the stream time up to which silence
    has been told, as committed with it. ``held`` are those with messages that cannot be read yet: they are not idle.
    """

    messages: list[Record | Rejected]
    assigned: Mapping[Partition, int]
    revoked: frozenset[Partition]
    silence_told: Mapping[Partition, float] = MappingProxyType({})
    held: frozenset[Partition] = frozenset()
