"""Streams in which nothing is wrong: whatever a detector says of them, it says of noise.

One record a minute. Each generator is a function of the times and of chance; it gives readings of unit size, (n, D).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scrnn_stream.simulate import DAY, MONDAY, SENSORS, simulate_fleet

Array = NDArray[np.float64]
Generator = np.random.Generator

INTERVAL_S = 60.0
MONTH = 30 * DAY


class CalmStream(NamedTuple):
    """A kind of calm machine: its name, how many sensors it has, and how its readings come about."""

    name: str
    n_sensors: int
    readings: Callable[[Array, Generator], Array]

    @property
    def what(self) -> str:
        """The generator's own words."""
        return (self.readings.__doc__ or "").split("\n")[0].rstrip(".")

    def machine(self, number: int, days: float) -> tuple[Array, Array]:
        """Times (n,) and readings (n, D) of one such machine; the same number gives the same machine."""
        rng = np.random.default_rng([zlib.crc32(self.name.encode()), number])
        times = MONDAY + INTERVAL_S * np.arange(round(days * DAY / INTERVAL_S), dtype=np.float64)
        return times, self.readings(times, rng)


def chosen(names: str) -> list[CalmStream]:
    """Streams by how their names begin, with commas between: `counts` are both streams of counts."""
    wanted = [name.strip() for name in names.split(",")]
    found = [stream for stream in STREAMS if any(stream.name.startswith(name) for name in wanted)]
    for name in wanted:
        if not any(stream.name.startswith(name) for stream in STREAMS):
            raise ValueError(f"no stream begins with {name!r}; there are {', '.join(s.name for s in STREAMS)}")
    return found


# ----------------------------------------------------------------------------------------------------------- one sensor


def gaussian(times: Array, rng: Generator) -> Array:
    """Independent Gaussian noise."""
    return rng.standard_normal((len(times), 1))


def autoregressive(keep: float) -> Callable[[Array, Generator], Array]:
    """A first-order autoregression that keeps that much of its last value."""

    def readings(times: Array, rng: Generator) -> Array:
        return remembering(rng.standard_normal(len(times)), keep)[:, None]

    readings.__doc__ = f"A first-order autoregression, coefficient {keep:g}."
    return readings


def student(times: Array, rng: Generator) -> Array:
    """Independent Student t with 3 degrees of freedom."""
    return rng.standard_t(3, (len(times), 1))


def lognormal(times: Array, rng: Generator) -> Array:
    """Independent log-normal values, sigma 1."""
    return rng.lognormal(0.0, 1.0, (len(times), 1))


def bursts(times: Array, rng: Generator) -> Array:
    """Noise, and ten bursts a day of 20 minutes on average, their height log-normal."""
    readings = rng.standard_normal(len(times))
    for begin in np.flatnonzero(rng.random(len(times)) < 10 * INTERVAL_S / DAY):
        readings[begin : begin + rng.geometric(1 / 20)] += rng.lognormal(1.5, 0.7)
    return readings[:, None]


def counts_low(times: Array, rng: Generator) -> Array:
    """Poisson counts, 0.3 a record."""
    return rng.poisson(0.3, (len(times), 1)).astype(np.float64)


def counts_high(times: Array, rng: Generator) -> Array:
    """Poisson counts, 20 a record."""
    return rng.poisson(20.0, (len(times), 1)).astype(np.float64)


def season(times: Array, rng: Generator) -> Array:
    """A daily wave of amplitude 3 in noise."""
    readings: Array = 3 * np.sin(2 * np.pi * times / DAY) + rng.standard_normal(len(times))
    return readings[:, None]


def season_week(times: Array, rng: Generator) -> Array:
    """A daily wave that is flat at weekends, in noise."""
    is_weekend = (times // DAY + 3) % 7 >= 5  # 1970-01-01 was a Thursday
    wave = np.where(is_weekend, -3.0, 3 * np.sin(2 * np.pi * times / DAY))
    readings: Array = wave + rng.standard_normal(len(times))
    return readings[:, None]


def drift_walk(times: Array, rng: Generator) -> Array:
    """Noise on a random walk that moves by 0.2 in a day."""
    steps = 0.2 * np.sqrt(INTERVAL_S / DAY) * rng.standard_normal(len(times))
    readings: Array = np.cumsum(steps) + rng.standard_normal(len(times))
    return readings[:, None]


def drift_line(times: Array, rng: Generator) -> Array:
    """Noise on a line that rises by 1 in a month."""
    readings: Array = (times - times[0]) / MONTH + rng.standard_normal(len(times))
    return readings[:, None]


# --------------------------------------------------------------------------------------------------------- many sensors


def regimes(times: Array, rng: Generator) -> Array:
    """Two normal modes, 1 to 8 hours in each, with other levels and other noise of 3 sensors."""
    is_second = second_modes(len(times), rng)
    noise = remembering(rng.standard_normal((len(times), 3)), 0.5)
    second = np.array([4.0, -3.0, 2.0]) + 0.5 * noise
    return np.where(is_second[:, None], second, noise)


def sensors(n: int) -> Callable[[Array, Generator], Array]:
    """Sensors that follow the same few hidden courses, with noise of their own."""

    def readings(times: Array, rng: Generator) -> Array:
        n_factors = round(n**0.5)
        courses = remembering(rng.standard_normal((len(times), n_factors)), 0.95)
        noise = rng.standard_normal((len(times), n))
        shared: Array = courses @ rng.standard_normal((n_factors, n)) / np.sqrt(n_factors)
        return shared + 0.5 * noise

    readings.__doc__ = f"{n} sensors on {round(n**0.5)} hidden autoregressions, coefficient 0.95."
    return readings


def pump(times: Array, rng: Generator) -> Array:
    """A healthy pump of the demo: load by day and week, rounding, missing readings."""
    days = len(times) * INTERVAL_S / DAY
    fleet = simulate_fleet(
        n_pumps=1, days=days, interval_s=INTERVAL_S, seed=int(rng.integers(2**31)), start=float(times[0]), kinds=()
    )
    readings = np.full((len(times), len(SENSORS)), np.nan)
    for record in fleet.records:
        row = round(((record.time or 0.0) - times[0]) / INTERVAL_S)
        readings[row] = [record.values.get(name, np.nan) for name in SENSORS]
    return readings


# --------------------------------------------------------------------------------------------------------------- chance


def remembering(shocks: Array, keep: float) -> Array:
    """The autoregression x_t = keep x_(t-1) + shock, of unit variance from its first value, along the first axis."""
    readings = np.empty_like(shocks)
    readings[0] = shocks[0]
    for t in range(1, len(shocks)):
        readings[t] = keep * readings[t - 1] + (1 - keep**2) ** 0.5 * shocks[t]
    return readings


def second_modes(n: int, rng: Generator) -> NDArray[np.bool_]:
    """Which of n records are in the second mode; each stay takes 1 to 8 hours."""
    changes = np.cumsum(rng.integers(60, 480, size=n // 60 + 1))
    is_second: NDArray[np.bool_] = np.searchsorted(changes, np.arange(n), side="right") % 2 == 1
    return is_second


STREAMS = (
    CalmStream("gaussian", 1, gaussian),
    CalmStream("ar90", 1, autoregressive(0.9)),
    CalmStream("ar99", 1, autoregressive(0.99)),
    CalmStream("student", 1, student),
    CalmStream("lognormal", 1, lognormal),
    CalmStream("bursts", 1, bursts),
    CalmStream("counts_low", 1, counts_low),
    CalmStream("counts_high", 1, counts_high),
    CalmStream("season", 1, season),
    CalmStream("season_week", 1, season_week),
    CalmStream("drift_walk", 1, drift_walk),
    CalmStream("drift_line", 1, drift_line),
    CalmStream("regimes", 3, regimes),
    CalmStream("sensors3", 3, sensors(3)),
    CalmStream("sensors8", 8, sensors(8)),
    CalmStream("pump", 8, pump),
    CalmStream("sensors30", 30, sensors(30)),
    CalmStream("sensors100", 100, sensors(100)),
)
