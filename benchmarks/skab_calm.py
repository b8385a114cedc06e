"""SKAB's anomaly-free file: 9,405 records of a test rig's 8 sensors, one a second."""

from __future__ import annotations

import csv
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

FILE = "anomaly-free/anomaly-free.csv"


class SkabCalm(NamedTuple):
    """Names of the sensors, times (n,) and readings (n, D)."""

    sensors: list[str]
    times: Array
    readings: Array


def read_calm(data: Path) -> SkabCalm:
    """The file in SKAB's `data` folder."""
    with (data / FILE).open(newline="") as file:
        header, *rows = csv.reader(file, delimiter=";")
    times = [datetime.fromisoformat(row[0]).replace(tzinfo=UTC).timestamp() for row in rows]
    return SkabCalm(header[1:], np.array(times), np.array([row[1:] for row in rows], np.float64))
