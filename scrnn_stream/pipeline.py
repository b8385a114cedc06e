"""Records in, alerts out: the one path that replay, service, demo and tests share."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from scrnn_stream.alert import Alert
from scrnn_stream.checkpoint import Checkpoint
from scrnn_stream.encoding import EncodingError, decode
from scrnn_stream.episodes import Budget
from scrnn_stream.monitor import TIME_KEY, Monitor, Verdict
from scrnn_stream.records import Partition, Record, Rejected
from scrnn_stream.register import Entry, Outline
from scrnn_stream.segments import Place
from scrnn_stream.settings import Settings
from scrnn_stream.store import StoreProblem

MAX_FUTURE_S = 3600.0  # a record may be this far ahead of the broker's clock
EARLIEST_S, LATEST_S = -62135596800.0, 221845392000.0  # what is beyond, or is told soon after, can be no date
MAX_LEAP_S = 366 * 86400.0  # where there is no broker, time may leap this far ahead of the stream

Observer = Callable[[Record | Rejected, Verdict], None]
_Judged = tuple[Record | Rejected | None, Verdict]  # None: alerts that come of no record
Fetch = Callable[[str, Place], dict[str, Any]]  # the state of a machine that lies there


class Outcome(NamedTuple):
    """What came of a batch, in log order."""

    alerts: list[Alert]
    rejected: list[Rejected]

    def take(self, judged: Iterable[_Judged], observe: Observer | None = None) -> None:
        """Add what came of messages."""
        for message, verdict in judged:
            self.alerts.extend(verdict.alerts)
            if isinstance(message, Rejected):
                self.rejected.append(message)
            if observe is not None and message is not None:
                observe(message, verdict)


class Idle(NamedTuple):
    """What came of a pause, and the stream time up to which the same comes of it again; None if nothing did."""

    alerts: list[Alert]
    until: float | None


class Pipeline:
    """One monitor for each machine, one stream time for each partition.

    Everything is a function of the records and their order within a partition: the same records give the same alerts
    at any batch size.

    Parameters
    ----------
    settings
        What the user set.

    Attributes
    ----------
    fetch
        Brings the state of an evicted machine back; set by whoever evicts.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or Settings()
        self.fetch: Fetch | None = None
        self._streams: dict[Partition, _Stream] = {}
        self._ticks = itertools.count()
        self._last: Record | None = None  # message of the last batch

    def process(self, messages: Iterable[Record | Rejected], observe: Observer | None = None) -> Outcome:
        """Take messages in log order; `observe` is told of each one, or what it was joined to, and its verdict."""
        outcome = Outcome([], [])
        message = None
        for message in messages:
            stream = self._stream(message.position.partition)
            judged = stream.process(message) if isinstance(message, Record) else [(message, _unjudged())]
            outcome.take(judged, observe)
        self._last = message if isinstance(message, Record) else None
        return outcome

    def finish(self, observe: Observer | None = None) -> Outcome:
        """Judge the readings that still wait for others: no more will come."""
        outcome = Outcome([], [])
        for stream in self._streams.values() if self.settings.joining is not None else ():
            for entry in stream.entries.values():
                outcome.take(stream.close_frames(entry, stream.present(entry)), observe)
        return outcome

    def check_idle(self, partition: Partition, idle_s: float) -> Idle:
        """Machines that fell silent with their whole partition, which has been idle for `idle_s` on the wall clock."""
        stream = self._stream(partition)
        judged, until = stream.tell_silence(stream.time + idle_s)
        return Idle([alert for _, verdict in judged for alert in verdict.alerts], until)

    def recall_silence(self, partition: Partition, until: float) -> None:
        """Silence was told up to that stream time, by a process that is gone."""
        self._stream(partition).tell_silence(until)

    @property
    def gradient_norm(self) -> float:
        """Of the last record of the last batch, which stands for the others; NaN if that was none."""
        if self._last is None or (entry := self._entry_of(self._last)) is None or entry.monitor is None:
            return math.nan
        return entry.monitor.detector.gradient_norm

    def _entry_of(self, record: Record) -> Entry | None:
        stream = self._streams.get(record.position.partition)
        return None if stream is None else stream.entries.get(record.machine)

    @property
    def monitors(self) -> Iterator[Monitor]:
        """Of the machines that are in memory: without eviction, of all that have sent records."""
        return (entry.monitor for entry in self._entries if entry.monitor is not None)

    @property
    def outlines(self) -> Iterator[Outline]:
        """What is known of each machine that has sent records, evicted or not."""
        return (entry.known for entry in self._entries)

    def still_open(self, partition: Partition) -> list[Alert]:
        """The alerts of all open episodes of a partition, as they were last told."""
        return [alert for entry in self._stream(partition).entries.values() for alert in entry.known.still_open]

    @property
    def n_machines(self) -> int:
        return sum(len(stream.entries) for stream in self._streams.values())

    @property
    def n_in_memory(self) -> int:
        """Machines that are not evicted."""
        return sum(entry.monitor is not None for entry in self._entries)

    @property
    def budget(self) -> Budget:
        """Alerts asked for and raised so far, over all machines."""
        asked = self.settings.budget_per_day
        return Budget.total(asked, (outline.budget(asked) for outline in self.outlines))

    @property
    def n_duplicates(self) -> int:
        """Exact repetitions of a machine's last record, dropped."""
        return sum(stream.n_duplicates for stream in self._streams.values())

    def monitor(self, partition: Partition, machine: str) -> Monitor:
        """The monitor of a machine that has sent records."""
        stream = self._streams[partition]
        return stream.present(stream.entries[machine])

    def drop(self, partition: Partition) -> None:
        """Forget a partition that belongs to someone else now."""
        self._streams.pop(partition, None)

    # -- state --------------------------------------------------------------------------------------------------------

    def to_state(self, partition: Partition) -> dict[str, Any]:
        """All that is known of a partition, as plain data."""
        stream = self._stream(partition)
        monitors = [entry.to_state() or self._fetch(entry) for entry in stream.entries.values()]
        return {"monitors": monitors, **stream.numbers()}

    def restore(self, partition: Partition, state: dict[str, Any]) -> None:
        """Go on from `to_state`."""
        stream = _Stream(self)
        for of_one in state["monitors"]:
            stream.enter(Entry(of_one["machine"], Monitor.from_state(of_one, self.settings), None, None))
        stream.set_numbers(state)
        self._streams[partition] = stream

    def to_keep(self, partition: Partition) -> tuple[dict[str, Any], Mapping[str, Entry]]:
        """What a checkpoint is made of: the stream's own numbers, and its machines."""
        stream = self._stream(partition)
        return stream.numbers(), stream.entries

    def recover(self, partition: Partition, checkpoint: Checkpoint, n_most: int | None = None) -> None:
        """Go on from a checkpoint, with at most so many machines in memory; of the others the states are verified."""
        stream = _Stream(self)
        stream.set_numbers(checkpoint.stream)
        outlines = {name: Outline.from_state(name, kept.outline) for name, kept in checkpoint.machines.items()}
        for name, kept in checkpoint.machines.items():
            stream.entries[name] = Entry(name, None, kept.place, outlines[name])
        last_heard = sorted(outlines, key=lambda name: outlines[name].heard_at, reverse=True)
        room = len(last_heard) if n_most is None else max(0, n_most - self.n_in_memory)
        wanted = set(last_heard[:room])
        for name in reversed(last_heard):
            stream.entries[name].used = next(self._ticks)
        for name, data in checkpoint.states():
            if name in wanted:
                stream.entries[name].monitor = _monitor(name, decode(data), self.settings)
        self._streams[partition] = stream

    # -- eviction -----------------------------------------------------------------------------------------------------

    def evict(self, n_most: int) -> None:
        """Let go of the machines that were heard least recently, beyond so many, if the store has them as they are."""
        n_beyond = self.n_in_memory - n_most
        if n_beyond > 0:
            present = sorted((e for e in self._entries if e.monitor is not None), key=lambda entry: entry.used)
            for entry in present[:n_beyond]:
                if entry.place is not None:
                    entry.evict()

    def _fetch(self, entry: Entry) -> dict[str, Any]:
        if self.fetch is None or entry.place is None:
            raise RuntimeError(f"{entry.machine} is neither in memory nor in a store")
        return self.fetch(entry.machine, entry.place)

    @property
    def _entries(self) -> Iterator[Entry]:
        return (entry for stream in self._streams.values() for entry in stream.entries.values())

    def _stream(self, partition: Partition) -> _Stream:
        if partition not in self._streams:
            self._streams[partition] = _Stream(self)
        return self._streams[partition]


class _Stream:
    """A partition: its machines and its time, the largest event time accepted."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline = pipeline
        self.entries: dict[str, Entry] = {}  # in the order in which they were first heard
        self.time = -math.inf
        self.n_duplicates = 0
        self._next_check = math.inf  # stream time before which no machine can be silent

    def process(self, record: Record) -> list[_Judged]:
        """What was judged because of the record: nothing if it waits for more readings, or others before it."""
        entry = self.entries.get(record.machine)
        monitor = None if entry is None else entry.monitor or self.present(entry)
        reason = self._refusal(record, monitor) or self._too_many(record, monitor)
        if reason is not None:
            return [(Rejected(record.position, reason, _payload(record)), _unjudged())]
        if monitor is not None and _repeats(record, monitor):
            self.n_duplicates += 1
            return [(record, Verdict(math.nan, monitor.is_open, []))]
        if monitor is not None and entry is not None and (late := self._lateness(record, monitor)):
            entry.place = None  # its frames have heard of the sensor
            return [(Rejected(record.position, late, _payload(record)), _unjudged())]
        judged = self.tell_silence(record.time)[0] if record.time is not None else []
        if entry is None or monitor is None:
            monitor = Monitor(record.machine, self.pipeline.settings)
            entry = self.enter(Entry(record.machine, monitor, None, None))
        ready = [record] if monitor.frames is None else monitor.frames.add(record)
        judged += [(whole, monitor.process(whole)) for whole in ready]
        entry.place, entry.used = None, next(self.pipeline._ticks)
        if record.time is not None:
            self.time = max(self.time, record.time)
            monitor.sensors.heard_at = self.time
            self._next_check = min(self._next_check, self.time + monitor.sensors.silence_limit)
        return judged

    def close_frames(self, entry: Entry, monitor: Monitor) -> list[_Judged]:
        """Judge what waits of a machine, as it is."""
        if monitor.frames is None or not monitor.frames.open:
            return []
        entry.place = None
        return [(whole, monitor.process(whole)) for whole in monitor.frames.close(entry.machine)]

    def enter(self, entry: Entry) -> Entry:
        """A machine that was not known before."""
        self.entries[entry.machine] = entry
        return entry

    def present(self, entry: Entry) -> Monitor:
        """The monitor of a machine, brought back if it is evicted."""
        if entry.monitor is None:
            state = self.pipeline._fetch(entry)
            try:
                entry.monitor = _monitor(entry.machine, state, self.pipeline.settings)
            except Exception as error:  # its checksum is right, and it was written by whoever could
                raise StoreProblem(
                    f"the state of {entry.machine!r} is of another program: {error!r}; start again: its checkpoint is "
                    "passed over"
                ) from error
        return entry.monitor

    def tell_silence(self, until: float) -> tuple[list[_Judged], float | None]:
        """What came of machines that fell silent before the stream stood at `until`, and when the last of it was due.

        Each is told as of the full second in which its time was up, so that it does not matter who noticed, the next
        record or the wall clock.
        """
        judged: list[_Judged] = []
        last: float | None = None
        while (up := math.floor(self._next_check) + 1.0 if self._next_check < math.inf else math.inf) <= until:
            if came := self._check_silence(up):
                last = up
                judged += came
        return judged, last

    def _check_silence(self, time: float) -> list[_Judged]:
        judged: list[_Judged] = []
        self._next_check = math.inf
        for entry in self.entries.values():
            if entry.monitor is not None or entry.may_be_silent(time):
                monitor = self.present(entry)
                if monitor.sensors.may_be_silent(time):  # what waits came before the silence
                    judged += self.close_frames(entry, monitor)
                told = monitor.sensors.check_silence(time)
                if told:
                    judged.append((None, Verdict(math.nan, True, told)))
                    entry.place = None
            silence = entry.monitor.sensors if entry.monitor is not None else entry.known
            if not silence.is_silent:
                self._next_check = min(self._next_check, silence.heard_at + silence.silence_limit)
        return judged

    def _refusal(self, record: Record, monitor: Monitor | None) -> str | None:
        if TIME_KEY in record.values:  # a field of that name is a time, but a long message can call its sensor so
            return f"sensor {TIME_KEY!r} has the name of the time: rename it"
        if record.time is None:
            return None
        if not EARLIEST_S <= record.time < LATEST_S:
            return f"timestamp lies outside the years 1 to 8999: {record.time:.17g} s since 1970"
        last = monitor.sensors.last if monitor is not None and monitor.frames is None else None
        if last is not None and last.time is not None and record.time < last.time:
            return f"timestamp goes backwards: {last.time - record.time:g} s before the machine's last record"
        if record.received is not None and record.time > record.received + MAX_FUTURE_S:
            return f"timestamp lies {record.time - record.received:g} s in the future, more than {MAX_FUTURE_S:g}"
        if record.received is None and record.time > self.time + MAX_LEAP_S > -math.inf:
            return f"timestamp leaps {record.time - self.time:g} s ahead, more than {MAX_LEAP_S:g}"
        return None

    def _lateness(self, record: Record, monitor: Monitor) -> str | None:
        """Why a reading finds no frame that it could be joined to."""
        last, frames = monitor.sensors.last, monitor.frames
        if frames is None or record.time is None or last is None or last.time is None:
            return None
        if not frames.is_late(record.time, last.time):
            return None
        frames.miss(record)
        behind = f"the machine's record of {last.time - record.time:g} s after it has been judged"
        return f"reading comes too late: {behind} (--lateness)"

    def _too_many(self, record: Record, monitor: Monitor | None) -> str | None:
        """Whoever may send can make up names: what is learned of each takes memory for good."""
        settings = self.pipeline.settings
        most, known = settings.max_sensors, monitor.known_sensors if monitor is not None else ()
        if len(record.values) + sum(map(len, known)) > most and (n := len(set(record.values).union(*known))) > most:
            return f"the machine would have {n} sensors, more than {most} (--max-sensors)"
        if monitor is None and len(self.entries) >= (most := settings.max_known_machines):
            return f"machine is new, and its partition has {most} already (--max-known-machines)"
        return None

    def numbers(self) -> dict[str, Any]:
        """What is known beside the machines, as plain data."""
        return {
            "time": self.time,
            "n_duplicates": self.n_duplicates,
            "next_check": self._next_check,
        }

    def set_numbers(self, state: dict[str, Any]) -> None:
        """EncodingError if they are none: a store can hold anything."""
        numbers = {name: state[name] for name in ("time", "next_check", "n_duplicates")}
        if not all(type(value) in (int, float) and not math.isnan(value) for value in numbers.values()):
            raise EncodingError(f"the numbers of a stream are none: {numbers}")
        self.time, self._next_check, self.n_duplicates = numbers.values()


def _monitor(machine: str, state: dict[str, Any], settings: Settings) -> Monitor:
    """ValueError, or any other, if the state is not that of the machine."""
    monitor = Monitor.from_state(state, settings)
    if monitor.machine != machine:
        raise EncodingError(f"the state of {machine!r} is that of {monitor.machine!r}")
    return monitor


def _unjudged() -> Verdict:
    return Verdict(math.nan, False, [])


def _repeats(record: Record, monitor: Monitor) -> bool:
    """The same time and the same readings as before; NaN is no reading."""
    last = monitor.sensors.last
    if monitor.frames is not None and monitor.frames.repeats(record):
        return True
    if last is None or last.time is None or record.time != last.time:
        return False
    readings, before = ({name: v for name, v in r.values.items() if not math.isnan(v)} for r in (record, last))
    return readings == before


def _payload(record: Record) -> bytes:
    """A refused record as text for the dead letter; its original bytes are at its position."""
    return repr({"machine": record.machine, "time": record.time, **record.values}).encode()
