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
CHOSEN, SEEN, HELD_OUT = "chosen on", "seen", "held out"
START = datetime(2024, 1, 1, tzinfo=UTC)


class Series(NamedTuple):
    """A series: its values, their times where it has any, and the season that rivals are told (1: none).

    The constants of ours were chosen on the series that are `chosen on`; those that are `seen` were held out at first,
    and looked at once before the last change (how far back a period is sought); `held out` are those never looked at.
    """

    name: str
    y: list[float]
    times: list[datetime] | None
    season: int
    group: str

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
    yield Series("AirlinePassengers", [y for _, y in rows], [t for t, _ in rows], 12, CHOSEN)
    rows = [(x["Time"], float(y)) for x, y in datasets.WaterFlow()]
    yield Series("WaterFlow", [y for _, y in rows], [t for t, _ in rows], 24, SEEN)
    approval = list(datasets.TrumpApproval())
    days = [datetime.fromordinal(x["ordinal_date"]) for x, _ in approval]
    yield Series("TrumpApproval", [float(y) for _, y in approval], days, 7, CHOSEN)
    if hasattr(datasets, "SP500Stocks"):  # deep-river wants an older River
        yield Series("SP500Stocks", [float(y) for _, y in datasets.SP500Stocks()], None, 1, SEEN)


# -- synthetic --------------------------------------------------------------------------------------------------------


def synthetic() -> Iterator[Series]:
    """Each says in its name what there is to know of it. None but `hourly` has a time."""
    for name, season, group, make in SYNTHETIC:
        y = [float(v) for v in make(np.random.default_rng(len(name)))]
        hours = [START + timedelta(hours=i) for i in range(len(y))] if name.startswith("hourly") else None
        yield Series(name, y, hours, season, group)


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


SYNTHETIC: list[tuple[str, int, str, Callable[[np.random.Generator], np.ndarray]]] = [
    ("white noise", 1, CHOSEN, white_noise),
    ("random walk", 1, SEEN, random_walk),
    ("autoregression", 1, CHOSEN, autoregression),
    ("season of 37", 37, CHOSEN, lambda rng: seasonal(rng, 37)),
    ("season of 60, no noise to speak of", 60, SEEN, lambda rng: seasonal(rng, 60, noise=0.02)),
    ("hourly demand", 24, SEEN, hourly_demand),
    ("shifting levels", 1, CHOSEN, shifting_levels),
    ("Mackey-Glass", 1, SEEN, mackey_glass),
    ("Mackey-Glass with noise", 1, CHOSEN, noisy_mackey_glass),
    ("thresholds", 1, SEEN, thresholds),
]

# -- NAB and SKAB -----------------------------------------------------------------------------------------------------

NAB = {  # file: season, group
    "realKnownCause/nyc_taxi": (48, CHOSEN),
    "realKnownCause/ambient_temperature_system_failure": (24, SEEN),
    "realKnownCause/machine_temperature_system_failure": (288, CHOSEN),
    "realKnownCause/ec2_request_latency_system_failure": (288, SEEN),
    "realKnownCause/cpu_utilization_asg_misconfiguration": (288, CHOSEN),
    "realAWSCloudwatch/elb_request_count_8c0756": (288, SEEN),
    "realAWSCloudwatch/rds_cpu_utilization_e47b3b": (288, CHOSEN),
    "realAWSCloudwatch/ec2_cpu_utilization_24ae8d": (288, SEEN),
    "realAdExchange/exchange-2_cpc_results": (24, CHOSEN),
    "realAdExchange/exchange-3_cpm_results": (24, SEEN),
    "realTraffic/TravelTime_387": (1, CHOSEN),
    "realTraffic/occupancy_6005": (1, SEEN),
    "realTraffic/speed_t4013": (1, CHOSEN),
    "realTweets/Twitter_volume_AAPL": (288, SEEN),
    "realTweets/Twitter_volume_GOOG": (288, CHOSEN),
    "artificialNoAnomaly/art_daily_small_noise": (288, SEEN),
    "realAWSCloudwatch/iio_us-east-1_i-a2eb1cd9_NetworkIn": (288, HELD_OUT),
    "realAWSCloudwatch/grok_asg_anomaly": (288, HELD_OUT),
    "realAWSCloudwatch/ec2_network_in_257a54": (288, HELD_OUT),
    "realAWSCloudwatch/rds_cpu_utilization_cc0c53": (288, HELD_OUT),
    "realAdExchange/exchange-4_cpc_results": (24, HELD_OUT),
    "realTraffic/TravelTime_451": (1, HELD_OUT),
    "realTraffic/occupancy_t4013": (1, HELD_OUT),
    "realTraffic/speed_7578": (1, HELD_OUT),
    "realTweets/Twitter_volume_AMZN": (288, HELD_OUT),
}
SKAB = {  # sensor and file: group
    ("Accelerometer1RMS", "anomaly-free/anomaly-free"): SEEN,
    ("Current", "anomaly-free/anomaly-free"): CHOSEN,
    ("Pressure", "anomaly-free/anomaly-free"): SEEN,
    ("Temperature", "anomaly-free/anomaly-free"): CHOSEN,
    ("Thermocouple", "anomaly-free/anomaly-free"): SEEN,
    ("Voltage", "valve1/1"): CHOSEN,
    ("Volume Flow RateRMS", "valve2/1"): SEEN,
    ("Accelerometer2RMS", "valve1/1"): CHOSEN,
    ("Temperature", "other/5"): HELD_OUT,
    ("Current", "other/9"): HELD_OUT,
    ("Volume Flow RateRMS", "valve1/5"): HELD_OUT,
    ("Accelerometer2RMS", "other/14"): HELD_OUT,
}


def of_nab(folder: Path) -> Iterator[Series]:
    for name, (season, group) in NAB.items():
        with (folder / "data" / f"{name}.csv").open(newline="") as file:
            rows = [(datetime.fromisoformat(row["timestamp"]), float(row["value"])) for row in csv.DictReader(file)]
        rows = rows[:LONGEST]
        yield Series(name.partition("/")[2], [y for _, y in rows], [t for t, _ in rows], season, group)


def of_skab(folder: Path) -> Iterator[Series]:
    """Sensors of a water circuit, a record a second: the others' future is not known, so each is alone."""
    for (sensor, name), group in SKAB.items():
        with (folder / f"{name}.csv").open(newline="") as file:
            rows = list(csv.DictReader(file, delimiter=";"))[:LONGEST]
        times = [datetime.fromisoformat(row["datetime"]) for row in rows]
        yield Series(f"SKAB {sensor} {name}", [float(row[sensor]) for row in rows], times, 1, group)


def all_series(data: Path | None) -> list[Series]:
    """Those of River and the synthetic ones; with a folder that holds `nab` and `skab`, theirs too."""
    series = [*of_river(), *synthetic()]
    if data is not None:
        series += [*of_nab(data / "nab"), *of_skab(data / "skab")]
    assert all(math.isfinite(y) for one in series for y in one.y)
    return series
