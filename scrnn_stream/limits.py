"""What a user knows of single sensors: which of their departures matter, and the limits no reading should pass."""

from __future__ import annotations

import math
from collections.abc import Mapping, Set
from dataclasses import dataclass, field, fields
from typing import Literal, get_args

Direction = Literal["both", "high", "low"]

DEADBAND = 0.02  # of the way from one limit to the other, where the user does not say


@dataclass(frozen=True, slots=True)
class SensorLimits:
    """What a user knows of one sensor, in the sensor's own unit; all of it is optional.

    Parameters
    ----------
    min_deviation
        An `anomaly` that this sensor leads opens only when it deviates so much from what is expected of it.
    direction
        Departures to which side open an `anomaly` that this sensor leads: "high", "low" or "both".
    low, high
        A reading below or above is `out_of_range`.
    deadband
        How far inside its limit a reading must come back to count as returned. None is a fiftieth of the way between
        the limits, or 0 where there is only one.
    """

    min_deviation: float = 0.0
    direction: Direction = "both"
    low: float = -math.inf
    high: float = math.inf
    deadband: float | None = None

    def __post_init__(self) -> None:
        for name in ("min_deviation", "deadband"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < math.inf:
                raise ValueError(f"{name} must be a number from 0 on, got {value}")
        if self.direction not in get_args(Direction):
            raise ValueError(f'direction must be "high", "low" or "both", got {self.direction!r}')
        if not self.low < self.high:
            raise ValueError(f"low must be below high, got {self.low} and {self.high}")
        if self.low + self.margin > self.high - self.margin:
            raise ValueError(f"deadband must be at most half of high - low, got {self.deadband}")

    @classmethod
    def names(cls) -> tuple[str, ...]:
        return tuple(f.name for f in fields(cls))

    @property
    def is_range(self) -> bool:
        """Whether there is a limit that a reading can pass."""
        return self.low > -math.inf or self.high < math.inf

    @property
    def ends(self) -> tuple[float, float]:
        return self.low, self.high

    @property
    def margin(self) -> float:
        """The deadband that holds."""
        if self.deadband is not None:
            return self.deadband
        width = self.high - self.low
        return DEADBAND * width if math.isfinite(width) else 0.0

    def excess(self, reading: float) -> float:
        """How far the reading lies beyond its limit; below 0 within them."""
        return max(self.low - reading, reading - self.high)

    def is_back(self, reading: float) -> bool:
        """In range again, and clear of the deadband."""
        return self.low + self.margin <= reading <= self.high - self.margin

    def admits(self, deviation: float, side: float) -> bool:
        """Whether a departure is large enough, and to a `side` (by its sign) that matters. What is unknown matters."""
        if self.direction != "both" and side != 0 and not math.isnan(side) and (side > 0) != (self.direction == "high"):
            return False
        return not abs(deviation) < self.min_deviation


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of all sensors.

    Parameters
    ----------
    sensors
        By the sensor's name, for every machine that has it.
    machines
        By machine and sensor: stands in the place of what is said for every machine.
    """

    sensors: Mapping[str, SensorLimits] = field(default_factory=dict)
    machines: Mapping[str, Mapping[str, SensorLimits]] = field(default_factory=dict)

    def of(self, machine: str) -> dict[str, SensorLimits]:
        """The limits of one machine's sensors."""
        return {**self.sensors, **self.machines.get(machine, {})}

    def unheard(self, heard: Mapping[str, Set[str]]) -> list[str]:
        """The places of limits whose sensors are not among those that were `heard` of each machine."""
        anywhere = set().union(*heard.values())
        of_all = [f"sensors.{sensor}" for sensor in self.sensors if sensor not in anywhere]
        of_one = [(m, sensor) for m, sensors in self.machines.items() for sensor in sensors]
        return of_all + [f"machines.{m}.{sensor}" for m, sensor in of_one if sensor not in heard.get(m, set())]
