"""Microseconds a record costs the detector: one at a time, and in batches of many machines.

    python -m benchmarks.detector [--json FILE]

One at a time is score_one and learn_one; "outside kernels" is what reading the dict and calling the kernels take of it:
the difference to the same work inside one call. A batch holds the records of all machines in turn, 8 sensors each. The
repetitions of all rows are interleaved; each figure is the median of its own.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
from rich.console import Console
from rich.table import Table

from scrnn_stream import SCRNNDetector, SCRNNDetectorFleet

N_SENSORS = (1, 8, 38)
N_MACHINES = (1, 100, 1000)
WARM_UP, N_TIMED, N_REPETITIONS = 1500, 1000, 9  # records before the clock starts, and between two looks at it


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    rows = {f"{n} sensors, one record at a time": one_at_a_time(n) for n in N_SENSORS}
    rows |= {f"{n} machines, in batches": in_batches(n) for n in N_MACHINES}
    seen: dict[str, list[dict[str, float]]] = {name: [] for name in rows}
    for _ in range(N_REPETITIONS):
        for name, measure in rows.items():
            seen[name].append(measure())
    figures = {name: {what: median(run[what] for run in runs) for what in runs[0]} for name, runs in seen.items()}
    table = Table("", "us a record", "outside kernels")
    for name, figure in figures.items():
        outside = f"{figure['outside']:.1f}" if "outside" in figure else ""
        table.add_row(name, f"{figure['record']:.1f}", outside)
    Console().print(table)
    if options.json is not None:
        options.json.write_text(json.dumps(figures, indent=1))


def readings(n: int, n_sensors: int) -> np.ndarray:
    """Sensors that follow one load, each with noise of its own."""
    rng = np.random.default_rng(n_sensors)
    load = np.sin(np.arange(n) / 30) + np.convolve(rng.normal(size=n + 19), np.ones(20) / 8, "valid")
    return load[:, None] * rng.uniform(0.5, 2, n_sensors) + 0.3 * rng.normal(size=(n, n_sensors))


def timed(work: Callable[[], object], n: int) -> float:
    begin = time.perf_counter()
    work()
    return (time.perf_counter() - begin) / n * 1e6


def one_at_a_time(n_sensors: int) -> Callable[[], dict[str, float]]:
    """A measurement of score_one and learn_one, and of the same records scored and learned inside the kernels."""
    detector, X = SCRNNDetector(seed=1), readings(WARM_UP + N_TIMED, n_sensors)
    records = [{f"s{j:02}": value for j, value in enumerate(row)} for row in X.tolist()]
    for x in records[:WARM_UP]:
        detector.learn_one(x)
    machines, scores, p_of_tails = np.zeros(N_TIMED, np.int64), np.zeros(N_TIMED), np.zeros(N_TIMED)
    rows = np.column_stack([X[WARM_UP:], np.full(N_TIMED, np.nan)])

    def singly() -> None:
        for x in records[WARM_UP:]:
            detector.score_one(x)
            detector.learn_one(x)

    def inside() -> None:
        for is_learning in (False, True):
            detector._machine.process(scores, p_of_tails, rows, machines, is_learning)

    def measure() -> dict[str, float]:
        record = timed(singly, N_TIMED)
        return {"record": record, "outside": record - timed(inside, N_TIMED)}

    return measure


def in_batches(n_machines: int, n_sensors: int = 8) -> Callable[[], dict[str, float]]:
    """A measurement of batches that hold at least N_TIMED records, of all machines in turn."""
    n_rounds = max(1, N_TIMED // n_machines)
    X, fleet = readings(WARM_UP, n_sensors), SCRNNDetectorFleet([f"s{j}" for j in range(n_sensors)], seed=1)
    keys = list(range(n_machines)) * n_rounds
    starts = itertools.count(0, n_rounds)

    def batch() -> np.ndarray:
        start = next(starts)
        return np.repeat(X[np.arange(start, start + n_rounds) % WARM_UP], n_machines, axis=0)

    for _ in range(0, WARM_UP, n_rounds):
        fleet.score_learn_many(keys, batch())

    def measure() -> dict[str, float]:
        records = batch()
        return {"record": timed(lambda: fleet.score_learn_many(keys, records), len(keys))}

    return measure


if __name__ == "__main__":
    main()
