"""Records in, alerts out: the one path that replay, service, demo and tests share."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from scrnn_stream.alert import Alert
from scrnn_stream.episodes import Budget
from scrnn_stream.monitor import Monitor, Verdict
from scrnn_stream.records import Partition, Record, Rejected
from scrnn_stream.settings import Settings

MAX_FUTURE_S = 3600.0  # a record may be this far ahead of the broker's clock
MAX_LEAP_S = 366 * 86400.0  # where there is no broker, time may leap this far ahead of the stream

Observer = Callable[[Record | Rejected, Verdict], None]


class Outcome(NamedTuple):
    """What came of a batch, in log order."""

    alerts: list[Alert]
    rejected: list[Rejected]


class Pipeline:
    """One monitor for each machine, one stream time for each partition.

    Everything is a function of the records and their order within a partition: the same records give the same alerts
    at any batch size.

    Parameters
    ----------
    settings
        What the user set.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or Settings()
        self._streams: dict[Partition, _Stream] = {}

    def process(self, messages: Iterable[Record | Rejected], observe: Observer | None = None) -> Outcome:
        """Take messages in log order; `observe` is told of each one with its verdict."""
        outcome = Outcome([], [])
        for message in messages:
            stream = self._stream(message.position.partition)
            stream.next_offset = message.position.offset + 1
            if isinstance(message, Record):
                message, verdict = stream.process(message)
            else:
                verdict = Verdict(math.nan, False, [])
            if isinstance(message, Rejected):
                outcome.rejected.append(message)
            outcome.alerts.extend(verdict.alerts)
            if observe is not None:
                observe(message, verdict)
        return outcome

    def check_idle(self, partition: Partition, idle_s: float) -> list[Alert]:
        """Machines that fell silent with their whole partition, which has been idle for `idle_s` on the wall clock."""
        stream = self._stream(partition)
        return stream.tell_silence(stream.time + idle_s)

    def recall_silence(self, partition: Partition, until: float) -> None:
        """Silence was told up to that stream time, by a process that is gone."""
        self._stream(partition).tell_silence(until)

    @property
    def monitors(self) -> Iterator[Monitor]:
        """Of all machines that have sent records."""
        for stream in self._streams.values():
            yield from stream.monitors.values()

    @property
    def n_machines(self) -> int:
        return sum(len(stream.monitors) for stream in self._streams.values())

    @property
    def budget(self) -> Budget:
        """Alerts asked for and raised so far, over all machines."""
        return Budget.total(self.settings.budget_per_day, (monitor.budget for monitor in self.monitors))

    @property
    def n_duplicates(self) -> int:
        """Exact repetitions of a machine's last record, dropped."""
        return sum(stream.n_duplicates for stream in self._streams.values())

    def monitor(self, partition: Partition, machine: str) -> Monitor:
        """The monitor of a machine that has sent records."""
        return self._streams[partition].monitors[machine]

    def drop(self, partition: Partition) -> None:
        """Forget a partition that belongs to someone else now."""
        self._streams.pop(partition, None)

    def to_state(self, partition: Partition) -> dict[str, Any]:
        """All that is known of a partition, as plain data."""
        return self._stream(partition).to_state()

    def restore(self, partition: Partition, state: dict[str, Any]) -> None:
        self._streams[partition] = _Stream.from_state(state, self.settings)

    def _stream(self, partition: Partition) -> _Stream:
        if partition not in self._streams:
            self._streams[partition] = _Stream(self.settings)
        return self._streams[partition]


class _Stream:
    """A partition: its machines and its time, the largest event time accepted."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.monitors: dict[str, Monitor] = {}
        self.time = -math.inf
        self.next_offset = 0
        self.n_duplicates = 0
        self._next_check = math.inf  # stream time before which no machine can be silent

    def process(self, record: Record) -> tuple[Record | Rejected, Verdict]:
        monitor = self.monitors.get(record.machine)
        last = monitor.sensors.last if monitor is not None else None
        reason = self._refusal(record, last)
        if reason is not None:
            return Rejected(record.position, reason, _payload(record)), Verdict(math.nan, False, [])
        if last is not None and last.time is not None and _repeats(record, last):
            self.n_duplicates += 1
            return record, Verdict(math.nan, bool(monitor and monitor.is_open), [])
        silent = self.tell_silence(record.time) if record.time is not None else []
        if monitor is None:
            monitor = self.monitors[record.machine] = Monitor(record.machine, self.settings)
        verdict = monitor.process(record)
        verdict.alerts[:0] = silent
        if record.time is None:
            return record, verdict
        self.time = max(self.time, record.time)
        monitor.sensors.heard_at = self.time
        self._next_check = min(self._next_check, self.time + monitor.sensors.silence_limit)
        return record, verdict

    def tell_silence(self, until: float) -> list[Alert]:
        """Alerts of the machines that fell silent before the stream stood at `until`.

        Each is told as of the full second in which its time was up, so that it does not matter who noticed, the next
        record or the wall clock.
        """
        alerts: list[Alert] = []
        while (up := math.floor(self._next_check) + 1.0 if self._next_check < math.inf else math.inf) <= until:
            alerts += self._check_silence(up)
        return alerts

    def _check_silence(self, time: float) -> list[Alert]:
        alerts: list[Alert] = []
        self._next_check = math.inf
        for monitor in self.monitors.values():
            sensors = monitor.sensors
            alerts += sensors.check_silence(time)
            if not sensors.is_silent:
                self._next_check = min(self._next_check, sensors.heard_at + sensors.silence_limit)
        return alerts

    def _refusal(self, record: Record, last: Record | None) -> str | None:
        if record.time is None:
            return None
        if not math.isfinite(record.time):
            return f"timestamp is not a finite number: {record.time}"
        if last is not None and last.time is not None and record.time < last.time:
            return f"timestamp goes backwards: {last.time - record.time:g} s before the machine's last record"

        if record.received is not None and record.time > record.received + MAX_FUTURE_S:
            return f"timestamp lies {record.time - record.received:g} s in the future, more than {MAX_FUTURE_S:g}"
        if record.received is None and record.time > self.time + MAX_LEAP_S > -math.inf:
            return f"timestamp leaps {record.time - self.time:g} s ahead, more than {MAX_LEAP_S:g}"
        return None

    def to_state(self) -> dict[str, Any]:
        return {
            "monitors": [monitor.to_state() for monitor in self.monitors.values()],
            "time": self.time,
            "next_offset": self.next_offset,
            "n_duplicates": self.n_duplicates,
            "next_check": self._next_check,
        }

    @classmethod
    def from_state(cls, state: dict[str, Any], settings: Settings) -> _Stream:
        stream = cls(settings)
        stream.monitors = {m["machine"]: Monitor.from_state(m, settings) for m in state["monitors"]}
        stream.time, stream.next_offset = state["time"], state["next_offset"]
        stream.n_duplicates, stream._next_check = state["n_duplicates"], state["next_check"]
        return stream


def _repeats(record: Record, last: Record) -> bool:
    """The same time and the same readings; NaN is no reading."""
    if record.time != last.time:
        return False
    readings, before = ({name: v for name, v in r.values.items() if not math.isnan(v)} for r in (record, last))
    return readings == before


def _payload(record: Record) -> bytes:
    """A refused record as text for the dead letter; its original bytes are at its position."""
    return repr({"machine": record.machine, "time": record.time, **record.values}).encode()
