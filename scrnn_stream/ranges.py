"""Readings against the limits that a user gave: on delay, off delay and deadband, no statistics."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import msgspec

from scrnn_stream.limits import SensorLimits
from scrnn_stream.records import Moment

ON_DELAY = 2  # readings in a row: a single wild one means nothing
OFF_DELAY = 10  # readings in a row


class SensorRange:
    """One sensor against its limits. A missing reading changes nothing.

    Parameters
    ----------
    limits
        At least one of them can be passed.
    """

    def __init__(self, limits: SensorLimits) -> None:
        self.limits = limits
        self.is_out = False
        self.farthest = math.nan  # reading beyond its limits, since it left them
        self.n_records = 0  # since it left them
        self.n_beyond = 0  # in a row
        self.n_back = 0  # in a row
        self.since: Moment | None = None  # when it left them

    def update(self, reading: float, now: Moment) -> None:
        if not math.isfinite(reading):
            return
        self.n_records += 1
        excess = self.limits.excess(reading)
        self.n_beyond = self.n_beyond + 1 if excess > 0 else 0
        self.n_back = self.n_back + 1 if self.limits.is_back(reading) else 0
        if self.n_beyond == 1 and not self.is_out:
            self.since, self.farthest, self.n_records = now, reading, 1
        if excess > self.limits.excess(self.farthest):
            self.farthest = reading
        self.is_out = self.n_back < OFF_DELAY if self.is_out else self.n_beyond >= ON_DELAY

    def to_state(self) -> list[Any]:
        since = self.since.to_state() if self.since is not None else None
        return [self.is_out, self.farthest, self.n_records, self.n_beyond, self.n_back, since]

    def restore(self, state: list[Any]) -> None:
        numbers = msgspec.convert(state, tuple[bool, float, int, int, int, Any])
        self.is_out, self.farthest, self.n_records, self.n_beyond, self.n_back, since = numbers
        self.since = Moment.from_state(since) if since is not None else None


class Ranges:
    """The sensors of one machine that have limits.

    Parameters
    ----------
    limits
        By sensor.
    """

    def __init__(self, limits: Mapping[str, SensorLimits]) -> None:
        self.sensors = {name: SensorRange(limit) for name, limit in limits.items() if limit.is_range}

    def update(self, values: Mapping[str, float], now: Moment) -> None:
        for name, sensor in self.sensors.items():
            sensor.update(values.get(name, math.nan), now)

    @property
    def out(self) -> list[str]:
        """Sensors that are out of range."""
        return sorted(name for name, sensor in self.sensors.items() if sensor.is_out)

    def to_state(self) -> dict[str, Any]:
        return {name: sensor.to_state() for name, sensor in self.sensors.items()}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on under the limits of today: a sensor without one is forgotten."""
        for name in state.keys() & self.sensors.keys():
            self.sensors[name].restore(state[name])
