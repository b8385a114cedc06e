"""Is the data alive? A sensor that froze, a sensor that is missing, a machine that says nothing, each by its own past.

All three are runs that last too long: of equal values, of missing readings, of time without a record.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import msgspec

from scrnn_stream.records import Moment

TIMES_LONGEST = 3.0  # a run is too long at this many times the longest run before it
N_HABIT = 3  # so many runs that were too long make a habit: from then on they are learned


class RunLength:
    """One kind of run: how long it is now, how long runs were, and whether it is too long.

    Parameters
    ----------
    shortest
        A run is never too long below this length.
    n_needed
        Runs that must have ended before any is judged.
    """

    __slots__ = ("length", "limit", "longest", "n_ended", "n_needed", "n_too_long", "shortest", "since")

    def __init__(self, shortest: float, n_needed: int) -> None:
        self.shortest, self.n_needed = shortest, n_needed
        self.length = 0.0
        self.limit = math.inf  # length beyond which the present run is too long
        self.longest = 0.0
        self.n_ended = 0
        self.n_too_long = 0
        self.since: Moment | None = None  # when the present run began

    @property
    def is_too_long(self) -> bool:
        return self.length > self.limit

    def end(self) -> None:
        """The run has ended: learn its length, unless it was too long and that is not a habit yet."""
        self.n_ended += 1
        if self.length == 0 and self.n_ended != self.n_needed:  # of most readings, and there is nothing to learn
            return
        if self.is_too_long:
            self.n_too_long += 1
        if not self.is_too_long or self.n_too_long >= N_HABIT:
            self.longest = max(self.longest, self.length)
        self.length = 0.0
        self.set_limit()

    def set_limit(self) -> None:
        """Follow what was learned; to be called when `shortest` has changed."""
        if self.n_ended >= self.n_needed:
            self.limit = max(self.shortest, TIMES_LONGEST * self.longest)

    def to_state(self) -> list[Any]:
        since = self.since.to_state() if self.since is not None else None
        return [self.length, self.longest, self.n_ended, self.n_too_long, since]

    def restore(self, state: list[Any]) -> None:
        numbers = msgspec.convert(state, tuple[float, float, int, int, Any])
        self.length, self.longest, self.n_ended, self.n_too_long, since = numbers
        self.since = Moment.from_state(since) if since is not None else None
        self.set_limit()


class SensorContinuity:
    """The runs of one sensor: of equal readings and of missing ones.

    A sensor that is constant by nature never ends a run, so it is never stuck.
    """

    SHORTEST = 20  # records
    N_RUNS = 30  # changes of value that a sensor must have shown
    N_READINGS = 100  # readings before its silence means something

    def __init__(self) -> None:
        self.value = math.nan
        self.equal = RunLength(self.SHORTEST, self.N_RUNS)
        self.missing = RunLength(self.SHORTEST, self.N_READINGS)

    def update(self, value: float, now: Moment) -> None:
        if not math.isfinite(value):
            if self.missing.length == 0:
                self.missing.since = now
            self.missing.length += 1
            return
        self.missing.end()
        if value == self.value:
            self.equal.length += 1
        else:
            self.equal.end()
            self.equal.since = now
            self.value = value

    def run(self, kind: str) -> RunLength:
        """The run that makes it "stuck", or "silent"."""
        return self.equal if kind == "stuck" else self.missing

    def to_state(self) -> list[Any]:
        return [self.value, self.equal.to_state(), self.missing.to_state()]

    def restore(self, state: list[Any]) -> None:
        self.value = msgspec.convert(state[0], float)
        self.equal.restore(state[1])
        self.missing.restore(state[2])


class Continuity:
    """The runs of one machine: of each of its sensors, and of time between its records."""

    TIMES_USUAL = 10.0  # a machine is not silent before this many usual intervals
    N_RECORDS = 100  # records before its silence means something

    def __init__(self) -> None:
        self.sensors: dict[str, SensorContinuity] = {}
        self.gap = RunLength(0.0, self.N_RECORDS)  # seconds
        self.interval = 0.0  # usual seconds between records

    def update(self, values: Mapping[str, float], now: Moment, gap: float | None) -> None:
        """Take a record in, `gap` seconds after the one before; None where there is no time."""
        if values.keys() != self.sensors.keys():
            for name in values:  # in their order: that of a set differs between two processes, and so would the state
                if name not in self.sensors:
                    self.sensors[name] = SensorContinuity()
        for name, sensor in self.sensors.items():
            sensor.update(values.get(name, math.nan), now)
        if gap is not None and gap > 0:
            self.gap.length = gap
            self.gap.shortest = self.TIMES_USUAL * self.interval
            self.gap.set_limit()
            if not self.gap.is_too_long:
                self.interval += (gap - self.interval) * (0.02 if self.interval > 0 else 1.0)
            self.gap.end()

    @property
    def silence_limit(self) -> float:
        """Seconds without a record after which the machine counts as silent."""
        return max(self.TIMES_USUAL * self.interval, self.gap.limit)

    @property
    def stuck(self) -> list[str]:
        """Sensors that repeat one reading for longer than they ever did."""
        # `is_too_long`, here and below, without the call: every sensor of every record comes by
        return sorted([name for name, sensor in self.sensors.items() if sensor.equal.length > sensor.equal.limit])

    @property
    def silent(self) -> list[str]:
        """Sensors that have been missing for longer than they ever were."""
        return sorted([name for name, sensor in self.sensors.items() if sensor.missing.length > sensor.missing.limit])

    def to_state(self) -> dict[str, Any]:
        return {
            "sensors": {name: sensor.to_state() for name, sensor in self.sensors.items()},
            "gap": self.gap.to_state(),
            "interval": self.interval,
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Continuity:
        continuity = cls()
        for name, sensor in state["sensors"].items():
            continuity.sensors[name] = SensorContinuity()
            continuity.sensors[name].restore(sensor)
        continuity.gap.restore(state["gap"])
        continuity.interval = msgspec.convert(state["interval"], float)
        return continuity
