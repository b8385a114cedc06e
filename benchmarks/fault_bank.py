"""What breaks on a machine, as pure functions: calm readings in, a copy with one fault in it out.

Most faults are of a sensor, and are put into its readings. A fault of the machine needs a `twin`: all readings of the
same machine, from the same chances, were it broken from one record to before another.

A size in sd is in standard deviations of the sensor's noise: of its steps from record to record, divided by the root
of 2, over the CALM records before the fault. A wave through the day, however large, does not make a fault larger.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Generator = np.random.Generator

CALM = 1000  # records before a fault that tell what is calm
OSCILLATION = 10  # records in a period
N_PIECES = 12  # that a sensor's past is cut into where it is shuffled


class Sensor(NamedTuple):
    """One sensor about to break: its calm past, and what it should read while the fault lasts; without gaps."""

    past: Array
    true: Array

    @property
    def sd(self) -> float:
        """Of its noise."""
        return float(np.diff(self.past).std() / 2**0.5)

    @property
    def spread(self) -> float:
        """Standard deviation of all there was."""
        return float(self.past.std())

    @property
    def mean(self) -> float:
        return float(self.past.mean())


Course = Callable[[Sensor, Generator], Array]  # what it reads instead
PairCourse = Callable[[Sensor, Sensor], tuple[Array, Array]]
Twin = Callable[[int, int], Array]


class Fault(NamedTuple):
    """A kind of fault in one size: on one sensor, on two, or of the machine, which shows in the sensors `shown`."""

    kind: str
    size: str
    course: Course | None = None
    pair: PairCourse | None = None
    is_one_record: bool = False
    twin: Twin | None = None
    shown: tuple[int, ...] = ()

    @property
    def n_sensors(self) -> int:
        return 2 if self.pair else 1 if self.course else 0

    def last_end(self, begin: int, end: int) -> int:
        """One past the last record that is faulty."""
        return begin + 1 if self.is_one_record else end

    def inject(self, calm: Array, begin: int, end: int, columns: tuple[int, ...], rng: Generator) -> Array:
        """A copy of the readings (n, D) with the fault from `begin` to before `end`. What was missing stays missing."""
        if self.twin:
            return self.twin(begin, end)[: len(calm)]
        readings, rows = calm.copy(), slice(begin, self.last_end(begin, end))
        sensors = [_sensor(calm[:, column], rows) for column in columns]
        courses: tuple[Array, ...] = ()
        if self.course:
            courses = (self.course(sensors[0], rng),)
        elif self.pair:
            courses = self.pair(*sensors)
        for column, course in zip(columns, courses, strict=False):
            readings[rows, column] = np.where(np.isnan(calm[rows, column]), np.nan, course)
        return readings


def _sensor(values: Array, rows: slice) -> Sensor:
    """The sensor before and during the fault, its last reading in place of a missing one."""
    held = values[max(0, rows.start - CALM) : rows.stop].copy()
    known = np.flatnonzero(~np.isnan(held))
    held = held[known[np.maximum(0, np.searchsorted(known, np.arange(len(held)), side="right") - 1)]]
    n = rows.stop - rows.start
    return Sensor(held[:-n], held[-n:])


# ----------------------------------------------------------------------------------------------------------- one sensor


def shift(sensor: Sensor, rng: Generator, size: float) -> Array:
    """Reads too high or too low, by so many sd, at once: a level shift, or a spike where it is one record."""
    return sensor.true + _sign(rng) * size * sensor.sd


def drift(sensor: Sensor, rng: Generator, size: float) -> Array:
    """Departs in a straight line, by so many sd until the end."""
    return sensor.true + _sign(rng) * size * sensor.sd * _ramp(sensor)


def gain(sensor: Sensor, _: Generator, factor: float) -> Array:
    """Its departures from its mean are so many times as large."""
    return sensor.mean + factor * (sensor.true - sensor.mean)


def noise(sensor: Sensor, rng: Generator, size: float) -> Array:
    """White noise of so many sd on top."""
    return sensor.true + size * sensor.sd * rng.standard_normal(len(sensor.true))


def stuck(sensor: Sensor, _: Generator) -> Array:
    """Repeats its last reading."""
    return np.full(len(sensor.true), sensor.past[-1])


def oscillation(sensor: Sensor, rng: Generator, size: float) -> Array:
    """A sine of that amplitude in sd on top."""
    turns = np.arange(len(sensor.true)) / OSCILLATION + rng.random()
    return sensor.true + size * sensor.sd * np.sin(2 * np.pi * turns)


def shuffled(sensor: Sensor, rng: Generator) -> Array:
    """Its own past, cut into pieces that are put together at random: right values, wrong company."""
    n = len(sensor.true)
    pieces = np.array_split(sensor.past[-n:], min(N_PIECES, n))
    return np.concatenate([pieces[i] for i in rng.permutation(len(pieces))])


def twin(sensor: Sensor, rng: Generator) -> Array:
    """A series of the same spectrum and spread as its past, with other phases[^1].

    [^1]: Theiler et al., Testing for nonlinearity in time series: the method of surrogate data, 1992.
    """
    spectrum = np.fft.rfft(sensor.past - sensor.mean)
    turned = np.abs(spectrum) * np.exp(2j * np.pi * rng.random(len(spectrum)))
    surrogate = np.fft.irfft(turned, len(sensor.past))
    surrogate *= sensor.spread / max(float(surrogate.std()), 1e-12)
    twin_of: Array = sensor.mean + surrogate[: len(sensor.true)]
    return twin_of


def lag(sensor: Sensor, _: Generator, records: int) -> Array:
    """Tells what was true so many records ago."""
    return np.concatenate([sensor.past[-records:], sensor.true])[: len(sensor.true)]


def silence(sensor: Sensor, _: Generator) -> Array:
    """Sends nothing."""
    return np.full(len(sensor.true), np.nan)


# ---------------------------------------------------------------------------------------------------------- two sensors


def exchanged(one: Sensor, other: Sensor) -> tuple[Array, Array]:
    """Each reads what the other should: two plugs in each other's socket."""
    return other.true, one.true


def rescaled(one: Sensor, other: Sensor) -> tuple[Array, Array]:
    """Each follows the other, in its own mean and spread: exchanged, and neither value is out of place."""
    return _in_units_of(one, other), _in_units_of(other, one)


def _in_units_of(one: Sensor, other: Sensor) -> Array:
    return one.mean + one.spread * (other.true - other.mean) / max(other.spread, 1e-12)


def _sign(rng: Generator) -> float:
    return float(rng.choice((-1.0, 1.0)))


def _ramp(sensor: Sensor) -> Array:
    ramp: Array = np.arange(1, len(sensor.true) + 1) / len(sensor.true)
    return ramp


# ------------------------------------------------------------------------------------------------------------- the bank


def _sized(kind: str, course: Callable[..., Array], sizes: tuple[float, ...], unit: str) -> list[Fault]:
    """A fault for each size; the size is the third argument of its course."""
    return [Fault(kind, f"{size:g} {unit}".strip(), partial(_with_size, course, size)) for size in sizes]


def _with_size(course: Callable[..., Array], size: float, sensor: Sensor, rng: Generator) -> Array:
    return course(sensor, rng, size)


NOTHING = Fault("nothing", "")  # what is raised here is false
FAULTS = (
    NOTHING,
    *(fault._replace(is_one_record=True) for fault in _sized("spike", shift, (4, 8, 16), "sd")),
    *_sized("level shift", shift, (1, 2, 4, 8), "sd"),
    *_sized("slow drift", drift, (2, 4, 8), "sd"),
    *_sized("gain", gain, (0.5, 1.5, 3), "x"),
    *_sized("noise", noise, (1, 2, 4), "sd"),
    Fault("stuck", "", stuck),
    *_sized("oscillation", oscillation, (1, 2, 4), "sd"),
    Fault("correlation", "shuffled", shuffled),
    Fault("correlation", "twin", twin),
    Fault("swap", "rescaled", pair=rescaled),
    Fault("swap", "raw", pair=exchanged),
    *(Fault("lag", f"{n} records", partial(_with_size, lag, n)) for n in (5, 20, 60)),
    Fault("silence", "", silence),
)
