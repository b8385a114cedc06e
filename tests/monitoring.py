"""What tests of a monitor share: to watch records, to pick alerts, and streams with whatever can go wrong."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from scrnn_stream.alert import Alert
from scrnn_stream.monitor import Monitor
from scrnn_stream.records import Partition, Position, Record
from scrnn_stream.settings import Settings

LOG = Partition("log", 0)
START = 1.7e9


def watch(monitor: Monitor, records: Iterable[Record]) -> list[Alert]:
    return [alert for record in records for alert in monitor.process(record).alerts]


def made(machine: str, records: Iterable[Record], **settings: Any) -> tuple[Monitor, list[Alert]]:
    monitor = Monitor(machine, Settings(**settings))
    return monitor, watch(monitor, records)


def of(plant: list[Record], machine: str) -> list[Record]:
    return [record for record in plant if record.machine == machine]


def only(alerts: list[Alert], kind: str, state: str) -> Alert:
    (alert,) = [alert for alert in alerts if (alert.kind, alert.state) == (kind, state)]
    return alert


def minute(time: float | None) -> int:
    assert time is not None
    return int((time - START) // 60)


def readings(n: int, n_sensors: int = 3, seed: int = 0) -> np.ndarray:
    """A calm machine around 10: a load that wanders, a wave, and noise, mixed into each sensor; (n, n_sensors)."""
    rng = np.random.default_rng(seed)
    load = np.zeros(n)
    for t in range(1, n):
        load[t] = 0.9 * load[t - 1] + 0.4 * rng.normal()
    parts = np.column_stack([load, np.sin(np.arange(n) / 20)])
    return 10 + parts @ rng.normal(size=(2, n_sensors)) + 0.3 * rng.normal(size=(n, n_sensors))


def recorded(values: np.ndarray, times: Iterable[float | None] | None = None) -> list[Record]:
    """The rows as records of sensors s0, s1, ..., a minute apart unless `times` says otherwise."""
    stamps = [START + 60.0 * t for t in range(len(values))] if times is None else list(times)
    rows = [{f"s{j}": value for j, value in enumerate(row)} for row in values.tolist()]
    return [record(offset, stamps[offset], row) for offset, row in enumerate(rows)]


def record(offset: int, time: float | None, values: Mapping[str, float]) -> Record:
    return Record(Position(LOG, offset), "m", time, values)
