"""Readings that come one by one, put together to records: those of one machine at one time."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from scrnn_stream.records import Partition, Position, Record

N_TO_KNOW = 10  # frames that wait out the lateness, before it is known which sensors to expect
N_REMEMBERED = 1_000  # frames without a sensor after which none waits for it any more
MOST_OPEN = 1_000  # frames of a machine: with more, the oldest is judged as it is

Reading = tuple[float, float]  # its time and its value


@dataclass(frozen=True, slots=True)
class Joining:
    """When readings belong together, and how long they wait for each other.

    Parameters
    ----------
    within_s
        So far from a frame's time a reading may lie, in seconds; 0: readings of exactly the same time.
    lateness_s
        A frame without some of its sensors is judged once the machine has sent a reading that is so much younger.
    """

    within_s: float
    lateness_s: float

    def __post_init__(self) -> None:
        if not 0 <= self.within_s <= self.lateness_s < math.inf:
            raise ValueError(
                f"lateness must be at least join, and neither below 0 or endless, got {self.lateness_s:g} s and "
                f"{self.within_s:g} s"
            )


@dataclass
class Frame:
    """A record that may not be whole yet. Its time is that of the reading that came first, and so is its position."""

    time: float
    position: Position
    received: float | None
    readings: dict[str, Reading] = field(default_factory=dict)

    def take(self, record: Record, time: float) -> None:
        """Of two readings of a sensor the younger counts, and of the same time the one that came last."""
        for sensor, value in record.values.items():
            if sensor not in self.readings or self.readings[sensor][0] <= time:
                self.readings[sensor] = (time, value)
        if record.received is not None:
            self.received = max(record.received, self.received or record.received)


class Frames:
    """The open frames of one machine. Which ones close, and when, follows from the readings and their order alone.

    A frame closes when every sensor has come that the machine usually sends, or when the machine's own time has gone on
    by more than the lateness. Frames close in the order of their times, so a whole one waits for those before it. That
    no reading comes too late so takes sensors that send in their own order; where one does not, no frame closes early
    for a long while.

    Parameters
    ----------
    joining
        None: nothing is joined any more; what was open closes with the next record.
    """

    def __init__(self, joining: Joining | None) -> None:
        self.joining = joining
        self.open: list[Frame] = []  # by time
        self.last: dict[str, Reading] = {}  # of the frame that closed last
        self.heard: dict[str, int] = {}  # the usual sensors, with how many frames had closed when each last came
        self.n_closed = 0
        self._newest = -math.inf
        self._hasty_from = N_TO_KNOW  # so many must have closed before one closes early

    def add(self, record: Record) -> list[Record]:
        """Take a record of some or all sensors; returns those that are whole now. One without time is never joined."""
        if self.joining is None or record.time is None:
            return [*self.close(), record]
        self.hear(record.values)
        self._newest = max(self._newest, record.time)
        (self._fitting(record.time) or self._begin(record, record.time)).take(record, record.time)
        ripe = []
        while self.open and self._is_ripe(self.open[0], self.joining):
            ripe.append(self._close(record.machine))
        return ripe

    def close(self, machine: str = "") -> list[Record]:
        """All that are open, as they are."""
        return [self._close(machine) for _ in range(len(self.open))]

    def hear(self, values: Mapping[str, float]) -> None:
        """Sensors that the next frames will wait for."""
        self.heard |= dict.fromkeys(values, self.n_closed)

    def miss(self, record: Record) -> None:
        """A record has come too late: what it takes that the next ones do not."""
        is_in_time = self.joining is not None and (record.time or 0.0) + self.joining.lateness_s >= self._newest
        if is_in_time and record.values.keys() <= self.heard.keys():
            self._hasty_from = self.n_closed + N_REMEMBERED
        self.hear(record.values)

    def is_late(self, time: float, judged: float) -> bool:
        """Whether a reading of that time has no frame to go to, the last one judged being of the other."""
        if self.joining is None:
            return time < judged
        return time <= judged and self._fitting(time) is None

    def repeats(self, record: Record) -> bool:
        """Whether every reading of the record is there already, with the same time and value."""
        if record.time is None or self.joining is None:
            return False
        frame = self._fitting(record.time)
        places = (self.last, frame.readings if frame is not None else {})
        readings = {s: (record.time, value) for s, value in record.values.items() if not math.isnan(value)}
        return bool(readings) and all(any(p.get(s) == reading for p in places) for s, reading in readings.items())

    def _fitting(self, time: float) -> Frame | None:
        """The open frame that is nearest, if it is near enough; of two the earlier."""
        assert self.joining is not None
        at = bisect_left(self.open, time, key=lambda frame: frame.time)
        near = [
            frame for frame in self.open[max(0, at - 1) : at + 1] if abs(frame.time - time) <= self.joining.within_s
        ]
        return min(near, key=lambda frame: abs(frame.time - time), default=None)

    def _begin(self, record: Record, time: float) -> Frame:
        frame = Frame(time, record.position, record.received)
        self.open.insert(bisect_left(self.open, time, key=lambda other: other.time), frame)
        return frame

    def _is_ripe(self, frame: Frame, joining: Joining) -> bool:
        is_whole = self.n_closed >= self._hasty_from and self.heard.keys() <= frame.readings.keys()
        return is_whole or frame.time + joining.lateness_s < self._newest or len(self.open) > MOST_OPEN

    def _close(self, machine: str) -> Record:
        frame = self.open.pop(0)
        self.last = frame.readings
        self.n_closed += 1
        if len(self.heard) > len(frame.readings):
            self.heard = {s: n for s, n in self.heard.items() if self.n_closed - n <= N_REMEMBERED}
        values = {sensor: value for sensor, (_, value) in frame.readings.items()}
        return Record(frame.position, machine, frame.time, values, frame.received)

    # -- state --------------------------------------------------------------------------------------------------------

    def to_state(self) -> list[Any]:
        """All that is known of them, as plain data."""
        frames = [[f.time, *f.position.partition, f.position.offset, f.received, f.readings] for f in self.open]
        return [self.n_closed, self._hasty_from, self._newest, self.heard, self.last, frames]

    @classmethod
    def from_state(cls, state: list[Any], joining: Joining | None) -> Frames:
        """The frames whose `to_state` this is, joined as is wished today."""
        frames = cls(joining)
        frames.n_closed, frames._hasty_from, frames._newest, heard, last, is_open = state
        frames.heard, frames.last = dict(heard), _readings(last)
        for time, topic, number, offset, received, readings in is_open:
            position = Position(Partition(topic, number), offset)
            frames.open.append(Frame(time, position, received, _readings(readings)))
        return frames


def _readings(state: Mapping[str, Any]) -> dict[str, Reading]:
    return {sensor: (time, value) for sensor, (time, value) in state.items()}
