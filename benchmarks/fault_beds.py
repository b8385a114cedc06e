"""Calm streams to put faults into, and calm streams to set thresholds by: never the same records.

pumps   healthy pumps of the simulator, a record every five minutes. Thresholds are set by other pumps.
driven  machines that are driven (benchmarks/driven.py), a record every ten seconds. Besides the bank's faults they
        have such as change their dynamics. Thresholds are set by other machines.
skab    SKAB's anomaly-free file, a record a second. Faults lie in its second third; thresholds are set by its last.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks import driven
from benchmarks.fault_bank import FAULTS, Fault
from benchmarks.skab_calm import read_calm
from scrnn_stream.simulate import MONDAY, SENSORS, simulate_fleet

Array = NDArray[np.float64]

PUMP_DAYS, PUMP_INTERVAL_S = 28.0, 300.0
N_CALM_PUMPS = 10  # that set the thresholds; as many driven machines
N_DRIVEN = 8000  # records of a driven machine
N_SKAB_FAULTS = 20
BEDS = ("pumps", "driven", "skab")
AFTER_FAULT = 150  # records from a place for faults to those that thresholds are set by


class Machine(NamedTuple):
    """Calm records of one machine, the rows at which faults may begin, and the faults."""

    times: Array
    readings: Array
    begins: tuple[int, ...]
    faults: tuple[Fault, ...] = FAULTS


class Calm(NamedTuple):
    """Calm records of one machine, and the pieces of them that thresholds are set by."""

    times: Array
    readings: Array
    pieces: tuple[slice, ...]


class Bed(NamedTuple):
    """Machines with the same sensors: some for faults, some for thresholds."""

    name: str
    sensors: list[str]
    machines: list[Machine]
    calm: list[Calm]


def pumps(n: int, first_seed: int) -> Bed:
    """That many pumps, with two faults each, one in the third and one in the fourth week."""
    n_rows = int(PUMP_DAYS * 86400 / PUMP_INTERVAL_S)
    rng = np.random.default_rng(first_seed)
    machines = []
    for times, readings in _fleet(n, first_seed):
        begins = rng.integers(0, n_rows // 4 - 300, 2) + np.array([2, 3]) * n_rows // 4
        machines.append(Machine(times, readings, tuple(begins.tolist())))
    calm = [
        Calm(times, readings, (slice(n_rows // 4, None),)) for times, readings in _fleet(N_CALM_PUMPS, first_seed + 1)
    ]
    return Bed("pumps", list(SENSORS), machines, calm)


def _fleet(n: int, seed: int) -> list[tuple[Array, Array]]:
    """Times and readings of each pump of a healthy fleet."""
    records = simulate_fleet(n_pumps=n, days=PUMP_DAYS, interval_s=PUMP_INTERVAL_S, seed=seed, kinds=()).records
    times = np.unique([record.time or 0.0 for record in records])
    readings = {f"pump-{i + 1}": np.full((len(times), len(SENSORS)), np.nan) for i in range(n)}
    for record in records:
        row = round(((record.time or 0.0) - MONDAY) / PUMP_INTERVAL_S)
        readings[record.machine][row] = [record.values.get(name, np.nan) for name in SENSORS]
    return [(times, table) for table in readings.values()]


def driven_machines(n: int, first_seed: int) -> Bed:
    """That many machines, with four faults each, one in each eighth of the second half."""
    rng = np.random.default_rng(first_seed)
    machines = [_driven(first_seed + i, rng.integers(0, N_DRIVEN // 8 - 300, 4)) for i in range(n)]
    calm = [_driven(first_seed + 1000 + i) for i in range(N_CALM_PUMPS)]
    pieces = (slice(N_DRIVEN // 4, None),)
    return Bed("driven", list(driven.SENSORS), machines, [Calm(m.times, m.readings, pieces) for m in calm])


def _driven(seed: int, places: NDArray[np.int64] | None = None) -> Machine:
    begins = [] if places is None else (places + np.arange(4, 8) * N_DRIVEN // 8).tolist()
    times, make = MONDAY + driven.INTERVAL_S * np.arange(N_DRIVEN), partial(driven.simulate, N_DRIVEN, seed)
    changes = tuple(
        Fault(
            change.kind, change.size, twin=partial(make, change), shown=tuple(map(driven.SENSORS.index, change.sensors))
        )
        for change in driven.CHANGES
    )
    return Machine(times, make(), tuple(begins), (*FAULTS, *changes))


def skab(data: Path) -> Bed:
    """The file as one machine: at each place first the records that a fault may hit, then calm ones."""
    sensors, times, readings = read_calm(data)
    places = np.linspace(len(times) // 3, len(times), N_SKAB_FAULTS + 1).astype(int).tolist()
    pieces = tuple(slice(a + AFTER_FAULT, b) for a, b in itertools.pairwise(places))
    return Bed("SKAB", sensors, [Machine(times, readings, tuple(places[:-1]))], [Calm(times, readings, pieces)])


def add_beds(parser: argparse.ArgumentParser) -> None:
    """The options that `beds_of` wants."""
    parser.add_argument("--data", type=Path, metavar="SKAB_DIR")
    parser.add_argument("--beds", nargs="+", choices=BEDS, default=BEDS)
    parser.add_argument(
        "--pumps", type=int, default=10, help="each meets every fault twice; and driven machines, four times"
    )
    parser.add_argument("--first", type=int, default=7000, help="seed of the pumps and driven machines")


def beds_of(names: Sequence[str], n: int, first_seed: int, data: Path | None) -> list[Bed]:
    """The beds of these names; SKAB's only with its data."""
    makers = {"pumps": partial(pumps, n, first_seed), "driven": partial(driven_machines, n, first_seed)}
    made = [make() for name, make in makers.items() if name in names]
    return [*made, skab(data)] if data and "skab" in names else made
