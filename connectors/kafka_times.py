"""Offsets by the times of Kafka's messages."""

from __future__ import annotations

from typing import Any

from kafka import TopicPartition

from .kafka_client import explained
from .kafka_knock import CONNECT_TIMEOUT_MS

_LATEST_MS = 1 << 43  # the year 2248


def reaching_back(consumer: Any, part: TopicPartition, before: int, span_s: float) -> int | None:
    """The first offset with a time at most ``span_s`` older than the newest one before offset ``before``.

    None where messages have no times, or all are gone. Nothing is fetched, so the consumer's positions stay.
    """
    first = _first_since(consumer, part, 0)
    if first is None or first.offset >= before:
        return None
    newest = _newest(consumer, part, before)
    reached = _first_since(consumer, part, max(0, newest - round(span_s * 1000)))
    return None if reached is None else int(reached.offset)


def _newest(consumer: Any, part: TopicPartition, before: int) -> int:
    """The latest time of a message before that offset, by bisection: messages need not be in order of time."""
    low, high = 0, _LATEST_MS
    while low < high:
        middle = (low + high + 1) // 2
        found = _first_since(consumer, part, middle)
        if found is not None and found.offset < before:
            low = max(middle, found.timestamp)
        else:
            high = middle - 1
    return low


def _first_since(consumer: Any, part: TopicPartition, time_ms: int) -> Any:
    """The first message that is not older than that time, None if all are."""
    with explained("look up offsets by time"):
        return consumer.offsets_for_times({part: time_ms}, timeout_ms=CONNECT_TIMEOUT_MS)[part]
