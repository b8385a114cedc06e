"""The files of SKAB: runs of a pump, a record each second, with the rows in which something is wrong."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.contender import Reading

Array = NDArray[Any]

GROUPS = ("valve1", "valve2", "other")
LABELS = ("anomaly", "changepoint")
TIME = "datetime"
N_TRAINING = 400  # rows at the begin of a file that do not count


class File(NamedTuple):
    """One run of the pump."""

    name: str
    path: Path
    times: list[str]
    readings: list[dict[str, float]]
    faulty: Array

    def xs(self, with_time: bool) -> list[Reading]:
        if not with_time:
            return self.readings
        return [x | {"timestamp": datetime.fromisoformat(t)} for x, t in zip(self.readings, self.times, strict=True)]


def read(data: Path) -> Iterator[File]:
    """The files with faults."""
    for path in sorted(path for group in GROUPS for path in (data / group).glob("*.csv")):
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file, delimiter=";"))
        sensors = [name for name in rows[0] if name not in (TIME, *LABELS)]
        readings = [{name: float(row[name]) for name in sensors} for row in rows]
        faulty = np.array([float(row["anomaly"]) > 0 for row in rows])
        yield File("/".join(path.parts[-2:]), path, [row[TIME] for row in rows], readings, faulty)
