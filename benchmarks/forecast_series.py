"""The series of the benchmark of forecasts: those that River ships, NAB's, SKAB's sensors and synthetic ones."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import numpy as np
from river import datasets

LONGEST = 5000  # records of a series: the rivals' time, not ours, is what limits it
START = datetime(2024, 1, 1, tzinfo=UTC)


class Series(NamedTuple):
    """A series: its values, their times where it has any, and the season that rivals are told (1: none)."""

    name: str
    y: list[float]
    times: list[datetime] | None
    season: int
    held_out: bool  # no constant was chosen on it

    @property
    def first(self) -> int:
        """The first origin that counts: after two seasons and 50 records, or a third of a short series."""
        return min(max(50, 2 * self.season), len(self.y) // 3)

    def x(self, i: int) -> dict[str, datetime] | None:
        return {"time": self.times[i]} if self.times else None


# -- River ------------------------------------------------------------------------------------------------------------


def of_river() -> Iterator[Series]:
    """Those that need no download and are one series: the others are records of many things at once."""
    rows = [(x["month"], float(y)) for x, y in datasets.AirlinePassengers()]
    yield Series("AirlinePassengers", [y for _, y in rows], [t for t, _ in rows], 12, False)
    rows = [(x["Time"], float(y)) for x, y in datasets.WaterFlow()]
    yield Series("WaterFlow", [y for _, y in rows], [t for t, _ in rows], 24, True)
    approval = list(datasets.TrumpApproval())
    days = [datetime.fromordinal(x["ordinal_date"]) for x, _ in approval]
    yield Series("TrumpApproval", [float(y) for _, y in approval], days, 7, False)
    if hasattr(datasets, "SP500Stocks"):  # deep-river wants an older River
        yield Series("SP500Stocks", [float(y) for _, y in datasets.SP500Stocks()], None, 1, True)


# -- synthetic --------------------------------------------------------------------------------------------------------


def synthetic() -> Iterator[Series]:
    """Each says in its name what there is to know of it. None but `hourly` has a time."""
    for name, season, held_out, make in SYNTHETIC:
        y = [float(v) for v in make(np.random.default_rng(len(name)))]
        hours = [START + timedelta(hours=i) for i in range(len(y))] if name.startswith("hourly") else None
        yield Series(name, y, hours, season, held_out)


def white_noise(rng: np.random.Generator, n: int = 3000) -> np.ndarray:
    return 5.0 + rng.normal(size=n)


def random_walk(rng: np.random.Generator, n: int = 3000) -> np.ndarray:
    return np.cumsum(rng.normal(size=n))


def autoregression(rng: np.random.Generator, n: int = 3000) -> np.ndarray:
    y = np.zeros(n)
    for t in range(2, n):
        y[t] = 1.6 * y[t - 1] - 0.8 * y[t - 2] + rng.normal()
    return y


def seasonal(rng: np.random.Generator, period: int, n: int = 3000, noise: float = 0.3) -> np.ndarray:
    shape = np.convolve(rng.normal(size=period), np.ones(3) / 3, "same")
    return 10.0 + 2.0 * np.tile(shape, n // period + 1)[:n] + noise * rng.normal(size=n) + 0.001 * np.arange(n)


def hourly_demand(rng: np.random.Generator, n: int = 3000) -> np.ndarray:
    t = np.arange(n)
    day = 1 + 0.4 * np.sin(2 * np.pi * t / 24) + 0.2 * np.sin(4 * np.pi * t / 24 + 1)
    week = np.where((t // 24) % 7 < 5, 1.0, 0.6)
    return np.asarray(100 * day * week * np.exp(0.0002 * t + 0.05 * rng.normal(size=n)))


def shifting_levels(rng: np.random.Generator, n: int = 3000) -> np.ndarray:
    return np.asarray(np.repeat(rng.normal(0, 4, n // 150 + 1), 150)[:n] + rng.normal(size=n))


def mackey_glass(_rng: np.random.Generator, n: int = 3000) -> np.ndarray:
    """dx/dt = 0.2 x(t - 17) / (1 + x(t - 17)^10) - 0.1 x(t), by Euler's steps of 1/10; each third time unit is kept."""
    x = [1.2] * 171
    for _ in range(30 * (n + 100)):
        x.append(x[-1] + 0.1 * (0.2 * x[-171] / (1 + x[-171] ** 10) - 0.1 * x[-1]))
    return np.array(x[171 + 3000 :: 30][:n])


def noisy_mackey_glass(rng: np.random.Generator) -> np.ndarray:
    y = mackey_glass(rng)
    return np.asarray(y + 0.02 * rng.normal(size=len(y)))


def thresholds(rng: np.random.Generator, n: int = 3000) -> np.ndarray:
    """A self-exciting threshold autoregression: two regimes, each linear."""
    y = np.zeros(n)
    for t in range(2, n):
        y[t] = (0.6 + 0.9 * y[t - 1] if y[t - 2] < 1 else -0.3 - 0.6 * y[t - 1] + 0.3 * y[t - 2]) + 0.4 * rng.normal()
    return y


SYNTHETIC: list[tuple[str, int, bool, Callable[[np.random.Generator], np.ndarray]]] = [
    ("white noise", 1, False, white_noise),
    ("random walk", 1, True, random_walk),
    ("autoregression", 1, False, autoregression),
    ("season of 37", 37, False, lambda rng: seasonal(rng, 37)),
    ("season of 60, no noise to speak of", 60, True, lambda rng: seasonal(rng, 60, noise=0.02)),
    ("hourly demand", 24, True, hourly_demand),
    ("shifting levels", 1, False, shifting_levels),
    ("Mackey-Glass", 1, True, mackey_glass),
    ("Mackey-Glass with noise", 1, False, noisy_mackey_glass),
    ("thresholds", 1, True, thresholds),
]

# -- NAB and SKAB -----------------------------------------------------------------------------------------------------

NAB = {  # file: season, held out
    "realKnownCause/nyc_taxi": (48, False),
    "realKnownCause/ambient_temperature_system_failure": (24, True),
    "realKnownCause/machine_temperature_system_failure": (288, False),
    "realKnownCause/ec2_request_latency_system_failure": (288, True),
    "realKnownCause/cpu_utilization_asg_misconfiguration": (288, False),
    "realAWSCloudwatch/elb_request_count_8c0756": (288, True),
    "realAWSCloudwatch/rds_cpu_utilization_e47b3b": (288, False),
    "realAWSCloudwatch/ec2_cpu_utilization_24ae8d": (288, True),
    "realAdExchange/exchange-2_cpc_results": (24, False),
    "realAdExchange/exchange-3_cpm_results": (24, True),
    "realTraffic/TravelTime_387": (1, False),
    "realTraffic/occupancy_6005": (1, True),
    "realTraffic/speed_t4013": (1, False),
    "realTweets/Twitter_volume_AAPL": (288, True),
    "realTweets/Twitter_volume_GOOG": (288, False),
    "artificialNoAnomaly/art_daily_small_noise": (288, True),
}
SKAB = {  # sensor: of which file, held out
    "Accelerometer1RMS": ("anomaly-free/anomaly-free", True),
    "Current": ("anomaly-free/anomaly-free", False),
    "Pressure": ("anomaly-free/anomaly-free", True),
    "Temperature": ("anomaly-free/anomaly-free", False),
    "Thermocouple": ("anomaly-free/anomaly-free", True),
    "Voltage": ("valve1/1", False),
    "Volume Flow RateRMS": ("valve2/1", True),
    "Accelerometer2RMS": ("valve1/1", False),
}


def of_nab(folder: Path) -> Iterator[Series]:
    for name, (season, held_out) in NAB.items():
        with (folder / "data" / f"{name}.csv").open(newline="") as file:
            rows = [(datetime.fromisoformat(row["timestamp"]), float(row["value"])) for row in csv.DictReader(file)]
        rows = rows[:LONGEST]
        yield Series(name.partition("/")[2], [y for _, y in rows], [t for t, _ in rows], season, held_out)


def of_skab(folder: Path) -> Iterator[Series]:
    """Sensors of a water circuit, a record a second: the others' future is not known, so each is alone."""
    for sensor, (name, held_out) in SKAB.items():
        with (folder / f"{name}.csv").open(newline="") as file:
            rows = list(csv.DictReader(file, delimiter=";"))[:LONGEST]
        times = [datetime.fromisoformat(row["datetime"]) for row in rows]
        yield Series(f"SKAB {sensor}", [float(row[sensor]) for row in rows], times, 1, held_out)


def all_series(data: Path | None) -> list[Series]:
    """Those of River and the synthetic ones; with a folder that holds `nab` and `skab`, theirs too."""
    series = [*of_river(), *synthetic()]
    if data is not None:
        series += [*of_nab(data / "nab"), *of_skab(data / "skab")]
    assert all(math.isfinite(y) for one in series for y in one.y)
    return series
