"""What the worker needs from the outside world: a source of records and a sink for alerts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from scrnn_stream.alert import Alert
from scrnn_stream.records import Batch, Partition, Rebuilt, Rejected


class Source(Protocol):
    """Delivers messages in partition order. Open it with ``with``; nothing is read before.

    ``is_live`` tells whether messages come as they happen, so that a pause in them is a silence.
    """

    is_live: bool

    def __enter__(self) -> Source: ...

    def __exit__(self, *exc: object) -> None: ...

    def poll(self, timeout_s: float = 1.0) -> Batch | None:
        """The next batch, empty after ``timeout_s`` without data; None when the source has ended for good."""
        ...

    def seek(self, partition: Partition, offset: int) -> int:
        """Deliver ``partition`` from ``offset`` on, or from the oldest message if that is younger; tells from where.

        The answer to an assignment.
        """
        ...

    def reaching_back(self, partition: Partition, before: int, span_s: float) -> int | None:
        """The first offset with a time at most ``span_s`` older than the newest one before offset ``before``.

        None if the source knows no times.
        """
        ...

    def commit(self, offsets: Mapping[Partition, int], silence_told: Mapping[Partition, float]) -> bool:
        """Everything before these offsets is done, and silence told up to these stream times. False if not stored.

        A source and a sink that share transactions make what was sent since the last commit count now, all or nothing.
        Where that fails nothing of it counts, and the source announces its partitions anew.
        """
        ...


class Sink(Protocol):
    """Takes alerts, dead letters and word of lost state. Open it with ``with``."""

    def __enter__(self) -> Sink: ...

    def __exit__(self, *exc: object) -> None: ...

    def send(self, alert: Alert) -> None: ...

    def reject(self, rejected: Rejected) -> None: ...

    def announce(self, rebuilt: Rebuilt) -> None: ...

    def flush(self) -> None:
        """Return when everything sent so far is safely stored; raise when it is not."""
        ...


class Listener(Protocol):
    """Hears of the alerts that count, beside the sink. Nothing here may wait for anybody, or raise."""

    def tell(self, alerts: Sequence[Alert]) -> None:
        """These have been committed."""
        ...

    def take_up(self, partition: Partition, still_open: Sequence[Alert]) -> None:
        """The worker goes on with a partition, in which these episodes are open."""
        ...

    def give_up(self, partition: Partition) -> None:
        """Another worker goes on with it."""
        ...
