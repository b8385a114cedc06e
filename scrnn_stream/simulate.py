"""A fleet of centrifugal pumps with known faults: data for the demo, the tests and the benchmarks."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from scrnn_stream.records import Partition, Position, Record

Array = NDArray[np.float64]
FaultKind = Literal["bearing_wear", "blockage", "stuck", "silent", "drift"]

FAULT_KINDS: tuple[FaultKind, ...] = get_args(FaultKind)
MONDAY = 1_767_571_200.0  # 2026-01-05 00:00 UTC
HOUR, DAY = 3600.0, 86400.0
P_MISSING = 0.002
HEALTHY_SHARE = 0.4  # of the run, from its begin: time to learn the weekly cycle


class Sensor(NamedTuple):
    """How a gauge reads: measurement noise as a share of the reading plus an absolute part, then rounding."""

    relative_noise: float
    absolute_noise: float
    decimals: int


SENSORS: dict[str, Sensor] = {
    "load": Sensor(0.0, 0.4, 1),  # %
    "speed": Sensor(0.0, 2.0, 0),  # rpm
    "flow": Sensor(0.006, 0.0, 1),  # m3/h
    "pressure": Sensor(0.005, 0.01, 2),  # bar
    "motor_current": Sensor(0.007, 0.0, 1),  # A
    "bearing_temperature": Sensor(0.0, 0.15, 1),  # degC
    "fluid_temperature": Sensor(0.0, 0.1, 1),  # degC
    "vibration": Sensor(0.05, 0.0, 2),  # mm/s RMS
}
COLUMN = {name: column for column, name in enumerate(SENSORS)}


class Course(NamedTuple):
    """How a kind of fault runs: the sensors it may hit, its length, its size, and the share of its length it grows."""

    sensors: tuple[tuple[str, ...], ...]
    hours: tuple[float, float]
    size: tuple[float, float]
    growth: float


COURSES: dict[FaultKind, Course] = {
    "bearing_wear": Course((("vibration", "bearing_temperature"),), hours=(36, 60), size=(0.8, 2.0), growth=0.8),
    "blockage": Course((("flow", "pressure", "motor_current"),), hours=(16, 36), size=(0.10, 0.25), growth=0.3),
    "stuck": Course(
        (("flow",), ("pressure",), ("motor_current",), ("bearing_temperature",), ("vibration",)),
        hours=(12, 36),
        size=(1, 1),
        growth=0,
    ),
    "silent": Course((tuple(SENSORS),), hours=(4, 12), size=(1, 1), growth=0),
    "drift": Course((("flow",), ("pressure",)), hours=(48, 72), size=(0.05, 0.10), growth=1.0),
}


@dataclass(frozen=True, slots=True)
class Fault:
    """What was wrong with one pump, from ``begin`` until it was repaired at ``end`` (Unix seconds).

    ``size`` is what the fault has grown to at its height. `bearing_wear`: relative rise of vibration (0.8 to 2.0); the
    bearing warms by 6 degC times that. `blockage`: share of the flow lost (0.10 to 0.25). `drift`: offset as a share of
    the sensor's mean reading (0.05 to 0.10), up or down. `stuck` and `silent` have no size but their length: 1.
    """

    machine: str
    kind: FaultKind
    sensors: tuple[str, ...]
    begin: float
    end: float
    size: float


@dataclass(frozen=True, slots=True)
class Fleet:
    """Records in time order, as one log, and the truth about them."""

    records: list[Record]
    faults: list[Fault]


def simulate_fleet(
    *,
    n_pumps: int = 5,
    days: float = 40.0,
    interval_s: float = 300.0,
    seed: int = 0,
    start: float = MONDAY,
    kinds: tuple[FaultKind, ...] = FAULT_KINDS,
) -> Fleet:
    """Simulate variable-speed centrifugal pumps, each with its own constants and its own demand, under one weather.

    Each pump has one fault. The kinds are dealt out at random, every kind once before any comes twice; all faults lie
    after the first 40% of the run. In a run too short for a fault of the usual length, the fault is shortened.

    Parameters
    ----------
    n_pumps
        Number of pumps.
    days
        Length of the run.
    interval_s
        Time between two records of a pump.
    seed
        The same seed gives the same fleet. Pumps are drawn one by one: more pumps leave the first ones as they were.
    start
        Time of the first record in Unix seconds. Days and weekends are those of UTC.
    kinds
        Kinds of fault to deal out. Without any, the fleet is healthy, and otherwise the same.

    Raises
    ------
    ValueError
        If there is no pump, or fewer than two time steps.

    Examples
    --------
    >>> fleet = simulate_fleet(days=14, seed=1)
    >>> fleet.records[0].machine, fleet.records[0].values["pressure"]
    ('pump-1', 6.03)
    >>> [fault.kind for fault in fleet.faults]
    ['blockage', 'drift', 'bearing_wear', 'silent', 'stuck']
    """
    if n_pumps < 1:
        raise ValueError(f"n_pumps must be at least 1, got {n_pumps}")
    if not interval_s > 0:
        raise ValueError(f"interval_s must be positive, got {interval_s}")
    if days * DAY < 2 * interval_s:
        raise ValueError(f"days must cover at least 2 intervals of {interval_s} s, got {days}")
    times: Array = start + interval_s * np.arange(int(days * DAY / interval_s), dtype=np.float64)
    weather, dealer, *pumps = np.random.default_rng(seed).spawn(n_pumps + 2)
    hands = [dealer.permutation(len(kinds)) for _ in range(0, n_pumps, max(len(kinds), 1))]
    dealt = [kinds[card] for hand in hands for card in hand][:n_pumps]
    ambient = 18.0 + 4.0 * np.cos(_turns(times, DAY) - 3.9) + _wander(times, 2 * DAY, 2.0, weather)
    faults: list[Fault] = []
    fleet: list[tuple[str, Array]] = []
    for number, rng in enumerate(pumps):
        machine = f"pump-{number + 1}"
        design, noise, fate = rng.spawn(3)
        fault = _strike(machine, dealt[number], times, fate) if number < len(dealt) else None
        truth = _operate(times, ambient, design, fault)
        fleet.append((machine, _measure(times, truth, noise, fault)))
        faults += [fault] if fault else []
    return Fleet(_interleave(times, fleet), sorted(faults, key=lambda fault: fault.begin))


def _turns(times: Array, period: float) -> Array:
    return 2 * np.pi * times / period


def _lag(times: Array, values: Array, constant_s: float) -> Array:
    """First-order lag: dy/dt = (values - y) / constant_s."""
    gain = -np.expm1(-(times[1] - times[0]) / constant_s)
    return np.fromiter(accumulate(values.tolist(), lambda y, v: y + gain * (v - y)), np.float64, len(values))


def _wander(times: Array, constant_s: float, sd: float, rng: np.random.Generator) -> Array:
    """A stationary first-order autoregression of standard deviation ``sd`` that forgets within ``constant_s``."""
    keep = float(np.exp(-(times[1] - times[0]) / constant_s))
    shocks = sd * rng.standard_normal(len(times))
    shocks[1:] *= np.sqrt(1 - keep**2)
    return np.fromiter(accumulate(shocks.tolist(), lambda y, v: keep * y + v), np.float64, len(times))


def _strike(machine: str, kind: FaultKind, times: Array, rng: np.random.Generator) -> Fault:
    course = COURSES[kind]
    step = times[1] - times[0]
    first, last = int(np.ceil(HEALTHY_SHARE * len(times))), int(0.97 * len(times))  # leaves time to see the repair
    length = int(np.clip(rng.uniform(*course.hours) * HOUR / step, 1, max(0.8 * (last - first), 1)))
    begin = float(times[min(first + int(rng.random() * max(last - first - length, 0)), len(times) - 1)])
    sensors = course.sensors[rng.integers(len(course.sensors))]
    size = rng.uniform(*course.size) * (rng.choice((-1.0, 1.0)) if kind == "drift" else 1.0)
    return Fault(machine, kind, sensors, begin, begin + length * float(step), float(size))


def _growth(times: Array, fault: Fault | None, kind: FaultKind) -> Array:
    """Size of the fault at each time: a ramp, then its height until the repair; 0 for a fault of another kind."""
    if fault is None or fault.kind != kind:
        return np.zeros(len(times))
    ramp = (times - fault.begin) / (COURSES[kind].growth * (fault.end - fault.begin))
    grown: Array = np.where(times < fault.end, np.clip(ramp, 0.0, 1.0), 0.0)
    return fault.size * grown


def _demand(times: Array, rng: np.random.Generator) -> Array:
    """Load in %: a daily cycle, lower and flatter at weekends, and a demand that wanders over hours and minutes."""
    level, swing, phase, lull = rng.uniform((62, 10, 0, 6), (76, 18, 2 * np.pi, 14))
    weekend = (times // DAY + 3) % 7 >= 5  # 1970-01-01 was a Thursday
    cycle = np.cos(_turns(times, DAY) - phase) + 0.35 * np.cos(2 * _turns(times, DAY) - 1.3 * phase)
    plan = level + np.where(weekend, 0.5 * swing * cycle - lull, swing * cycle)
    wandering = _wander(times, 6 * HOUR, 3.5, rng) + _wander(times, 0.5 * HOUR, 1.5, rng)
    return np.clip(_lag(times, plan, HOUR) + wandering, 15.0, 105.0)


def _operate(times: Array, ambient: Array, rng: np.random.Generator, fault: Fault | None) -> Array:
    """The true state, shape (time, sensor): the affinity laws on one pump curve and one system curve."""
    rated_speed = rng.choice((1480.0, 2960.0))
    rated_flow, rated_pressure, rated_current = rng.uniform((80, 3.5, 25), (260, 9.0, 90))
    slip_loss, suction, idle_current = rng.uniform((0.2, 0.3, 0.25), (0.35, 0.9, 0.4))
    heat, bearing_base, bearing_lag = rng.uniform((16, 16, 1.0), (26, 24, 2.5))
    fluid_base, fluid_lag, vibration_base, resonance = rng.uniform((22, 2.0, 1.3, 0.75), (48, 5.0, 2.3, 0.95))

    load = _demand(times, rng)
    speed = 0.5 + 0.5 * load / 100  # of rated
    resistance = np.exp(_wander(times, 12 * HOUR, 0.04, rng))
    open_flow = 1 - _growth(times, fault, "blockage")
    resistance = (slip_loss + resistance) / open_flow**2 - slip_loss
    opening = np.sqrt((1 + slip_loss) / (slip_loss + resistance))  # flow / speed, 1 at the design point
    head = speed**2 * (1 + slip_loss - slip_loss * opening**2)
    power = speed**3 * (0.45 + 0.55 * opening)
    wear = _growth(times, fault, "bearing_wear")
    warmth = 0.7 * ambient + bearing_base + heat * power + 6.0 * wear
    fluid = fluid_base + 0.25 * ambient + 2.5 * load / 100 + _wander(times, 8 * HOUR, 0.8, rng)
    rumble = 0.4 + 0.6 * speed**2 + 0.15 * np.exp(-(((speed - resonance) / 0.05) ** 2)) + 2.0 * (opening - 1) ** 2
    state = {
        "load": load,
        "speed": rated_speed * speed,
        "flow": rated_flow * speed * opening,
        "pressure": suction + rated_pressure * head,
        "motor_current": rated_current * (idle_current + (1 - idle_current) * power),
        "bearing_temperature": _lag(times, warmth, bearing_lag * HOUR),
        "fluid_temperature": _lag(times, fluid, fluid_lag * HOUR),
        "vibration": vibration_base * rumble * (1 + wear),
    }
    return np.stack([state[name] for name in SENSORS], axis=1)


def _measure(times: Array, truth: Array, rng: np.random.Generator, fault: Fault | None) -> Array:
    """What the gauges say, NaN where they say nothing: noise, drift, rounding, freezing, gaps, silence."""
    relative, absolute, decimals = np.array(list(SENSORS.values())).T
    readings: Array = truth + rng.standard_normal(truth.shape) * (relative * truth + absolute)
    missing = rng.random(truth.shape) < P_MISSING
    if fault and fault.kind == "drift":
        column = COLUMN[fault.sensors[0]]
        readings[:, column] += truth[:, column].mean() * _growth(times, fault, "drift")
    for column, places in enumerate(decimals.astype(int)):
        readings[:, column] = np.round(readings[:, column], places)
    if fault and fault.kind in ("stuck", "silent"):
        during = (times >= fault.begin) & (times < fault.end)
        if fault.kind == "silent":
            missing |= during[:, None]
        else:
            column = COLUMN[fault.sensors[0]]
            readings[during, column] = readings[max(int(during.argmax()) - 1, 0), column]
    readings[missing] = np.nan
    return readings


def _interleave(times: Array, fleet: list[tuple[str, Array]]) -> list[Record]:
    """One log of all machines in time order; a record without any reading is not sent."""
    partition = Partition("simulation", 0)
    rows = zip(*(readings.tolist() for _, readings in fleet), strict=True)
    records: list[Record] = []
    for time, row in zip(times.tolist(), rows, strict=True):
        for (machine, _), readings in zip(fleet, row, strict=True):
            values = {name: value for name, value in zip(SENSORS, readings, strict=True) if value == value}
            if values:
                records.append(Record(Position(partition, len(records)), machine, time, values))
    return records
