"""Driven machines: a set-point and a load move, and the sensors answer with dynamics. A record every ten seconds.

Pumps with a frequency converter. The set-point steps or ramps to another level at random times, a valve behind the pump
wanders and is moved now and then. Speed follows the set-point with a lag and a limited rate, flow follows speed and
valve with inertia, pressure rings after a change, power goes with the cube of speed and pays for acceleration, and the
winding warms over a quarter of an hour. Nothing but the past tells what a reading should be.

A fault of the machine changes its physics for a while. All else is as it was: the same random numbers.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

SENSORS = ("setpoint", "valve", "speed", "flow", "pressure", "power", "temperature")
NOISE = np.array([0.0, 0.3, 0.2, 0.4, 0.4, 0.3, 0.1])  # standard deviations: of %, and of degrees
DECIMALS = np.array([1, 1, 2, 2, 2, 2, 2])
INTERVAL_S = 10.0
CHANGES_EVERY = 60  # records between two moves of the set-point, on average
P_VALVE_MOVES = 1 / 300


class Physics(NamedTuple):
    """What a machine is like; times are in records, sizes relative to the rated ones."""

    lag: float  # of the speed
    rate: float  # at most, of the speed
    inertia: float  # of the flow
    delivery: float  # flow for a speed
    period: float  # of the ringing of pressure
    damping: float
    cost: float  # power of an acceleration
    heat: float  # warmth for power
    warming: float  # lag of the temperature


class Change(NamedTuple):
    """A fault of the machine: a property that is multiplied, and the sensors that show it. A lag of inf is stuck."""

    kind: str
    property: str
    factor: float
    sensors: tuple[str, ...]

    @property
    def size(self) -> str:
        return "" if math.isinf(self.factor) else f"{self.factor:g} x"


CHANGES = (
    *(Change("sluggish", "lag", factor, ("speed",)) for factor in (1.5, 2.0, 4.0)),
    Change("jammed", "lag", math.inf, ("speed",)),
    *(Change("delivery", "delivery", factor, ("flow",)) for factor in (0.98, 0.95, 0.9)),
    *(Change("choked", "inertia", factor, ("flow",)) for factor in (2.0, 4.0)),
    *(Change("ringing", "damping", factor, ("pressure",)) for factor in (0.5, 0.2)),
    *(Change("cooling", "heat", factor, ("temperature",)) for factor in (1.2, 1.5)),
)


def simulate(n: int, seed: int, change: Change | None = None, begin: int = 0, end: int = 0) -> Array:
    """Readings (n, 7) of the machine with that seed, whose physics is changed from row `begin` to before `end`."""
    rng = np.random.default_rng([seed, 11])
    well = Physics(*rng.uniform((2, 0.03, 1.0, 0.9, 7, 0.12, 1.0, 35, 60), (5, 0.08, 3.0, 1.1, 12, 0.25, 3.0, 60, 120)))
    noise = rng.standard_normal((n, len(SENSORS))) * NOISE
    setpoint, valve, ambient = _programme(n, rng), _valve(n, rng), 20 + _wander(n, 3000, 2.0, rng)
    faulty = well if change is None else _changed(well, change)
    truth = np.empty((n, len(SENSORS)))
    machine = _Machine(well, setpoint[0], valve[0], ambient[0])
    for t in range(n):
        machine.move(faulty if begin <= t < end else well, setpoint[t], valve[t], ambient[t])
        truth[t] = machine.readings(setpoint[t], valve[t])
    return np.stack([np.round(column, d) for column, d in zip((truth + noise).T, DECIMALS, strict=True)], axis=1)


def _changed(physics: Physics, change: Change) -> Physics:
    return physics._replace(**{change.property: getattr(physics, change.property) * change.factor})


class _Machine:
    """The state that moves on from record to record."""

    def __init__(self, physics: Physics, setpoint: float, valve: float, ambient: float) -> None:
        self.speed = setpoint
        self.flow = self._flow(physics, valve)
        self.head, self.swing = self._head(), 0.0
        self.power = 0.0
        self.temperature = ambient

    def _flow(self, physics: Physics, valve: float) -> float:
        """Where it settles: pump and pipe curve, both parabolas, meet."""
        return physics.delivery * self.speed * math.sqrt(1.3 / (0.3 + 1 / valve**2))

    def _head(self) -> float:
        return 1.3 * self.speed**2 - 0.3 * self.flow**2

    def move(self, now: Physics, setpoint: float, valve: float, ambient: float) -> None:
        step = (setpoint - self.speed) * -math.expm1(-1 / now.lag)
        step = min(max(step, -now.rate), now.rate)
        self.speed += step
        self.flow += (self._flow(now, valve) - self.flow) * -math.expm1(-1 / now.inertia)
        turn = 2 * math.pi / now.period  # half-implicit Euler keeps the ringing stable
        self.swing += turn**2 * (self._head() - self.head) - 2 * now.damping * turn * self.swing
        self.head += self.swing
        self.power = self.speed**3 * 0.45 + 0.55 * self.speed**2 * self.flow + now.cost * step
        self.temperature += (ambient + now.heat * self.power - self.temperature) * -math.expm1(-1 / now.warming)

    def readings(self, setpoint: float, valve: float) -> tuple[float, ...]:
        shares = (setpoint, valve, self.speed, self.flow, self.head, self.power)
        return (*(100 * share for share in shares), self.temperature)


def _programme(n: int, rng: np.random.Generator) -> Array:
    """Set-points: a level for a while, then the next one, half of the times by a ramp."""
    out, level, row = np.empty(n), rng.uniform(0.5, 1.0), 0
    while row < n:
        stay, following = 10 + int(rng.exponential(CHANGES_EVERY - 10)), rng.uniform(0.45, 1.0)
        n_ramp = int(rng.integers(5, 40)) if rng.random() < 0.5 else 1
        course = np.concatenate([np.full(stay, level), np.linspace(level, following, n_ramp + 1)[1:]])[: n - row]
        out[row : row + len(course)] = course
        row, level = row + len(course), following
    return np.round(out, 3)


def _valve(n: int, rng: np.random.Generator) -> Array:
    """Opening, 1 where the pump was designed for: it wanders, and jumps now and then."""
    moves = np.where(rng.random(n) < P_VALVE_MOVES, rng.uniform(-0.25, 0.25, n), np.nan)
    moves[0] = 0.0
    held = moves[np.maximum.accumulate(np.where(np.isnan(moves), 0, np.arange(n)))]
    return np.clip(0.9 + held + _wander(n, 200, 0.04, rng), 0.4, 1.3)


def _wander(n: int, memory: float, size: float, rng: np.random.Generator) -> Array:
    """An Ornstein-Uhlenbeck process of that memory in records and that standard deviation."""
    keep, out = math.exp(-1 / memory), np.empty(n)
    shocks, value = size * math.sqrt(1 - keep**2) * rng.standard_normal(n), size * rng.standard_normal()
    for t in range(n):
        value = keep * value + shocks[t]
        out[t] = value
    return out
