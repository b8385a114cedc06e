"""What several tests share: a plant with known faults, and data for River's own checks without a download."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import settings
from river import datasets
from river.datasets.base import BINARY_CLF, SyntheticDataset

from scrnn_stream.records import Partition, Position, Record
from scrnn_stream.rehearsal import prepare

settings.register_profile("house", derandomize=True, deadline=None)  # seeds are fixed, and timing is no test
settings.load_profile("house")


class CreditCard(SyntheticDataset):
    """Payments of 30 features. One in fifty is a fraud and lies far off in some of them.

    It has the names of River's dataset of that name, which is a download of 150 MB.
    """

    def __init__(self) -> None:
        super().__init__(n_features=30, task=BINARY_CLF)

    def __iter__(self) -> Iterator[tuple[dict[str, float], int]]:
        rng = np.random.default_rng(42)
        spreads = np.linspace(2.0, 0.3, 28)
        for second in itertools.count():
            fraud = rng.random() < 0.02
            components = rng.normal(0, spreads) + fraud * spreads * rng.choice([-6.0, 0.0, 6.0], 28)
            x = {"Time": float(second // 2)} | {f"V{k}": float(v) for k, v in enumerate(components, 1)}
            yield x | {"Amount": round(float(rng.lognormal(3 + fraud)), 2)}, int(fraud)


datasets.CreditCard = CreditCard  # before River collects its checks


@pytest.fixture(scope="session", autouse=True)
def kernels() -> None:
    """Compiled as a service has them compiled, by another process: then both calculate the same digits."""
    prepare(print)


N_MINUTES = 900
BEGIN, END = 600, 660  # minutes of the faults
FAULTY = {"mill": "a shift of flow", "pump": "a stuck pressure", "saw": "silence", "fan": "nothing"}


@pytest.fixture(scope="session")
def plant() -> list[Record]:
    """Four machines, a record a minute each, in time order; three have a fault of one hour, the fan has none."""
    rng = np.random.default_rng(3)
    records: list[Record] = []
    for minute in range(N_MINUTES):
        for machine in FAULTY:
            load = np.sin(minute / 20) + 0.3 * rng.normal()
            flow, pressure = (float(v) for v in (40, 6) + np.array([5, 1]) * (load + 0.3 * rng.normal(size=2)))
            if BEGIN <= minute < END:
                if machine == "saw":
                    continue
                flow += 60 * (machine == "mill")
                pressure = 6.25 if machine == "pump" else pressure
            position = Position(Partition("plant", 0), len(records))
            time = 1.7e9 + 60 * minute + len(machine)
            records.append(Record(position, machine, time, {"flow": flow, "pressure": pressure}, received=time + 1))
    return records
