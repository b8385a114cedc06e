"""What the cost of learning depends on: networks, truncation length, sensors, length of the stream; and the start."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from itertools import product
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.timing import interleaved
from benchmarks.workload import MIDDLE, SHAPES, Shape, network, stream
from scrnn_stream.fleet import SCRNNFleet
from scrnn_stream.network import EARLY_STOP, SCRNN

Array = NDArray[Any]
Row = dict[str, Any]

FLEETS = (1, 100, 1_000, 10_000)
TRUNCATIONS = (1, 5, 20, 50, 100, 200)
SENSORS = (1, 10, 100, 1_000)
N_STREAM = 400_000
START = """
from time import perf_counter
start = perf_counter()
from scrnn_stream.network import SCRNN
imported = perf_counter()
network = SCRNN(8, 8, n_hidden=32, n_context=8, truncation_length=20, seed=1)
made = perf_counter()
network.learn([0.0] * 8, [0.0] * 8)
print(imported - start, made - imported, perf_counter() - made)
"""


def fleet_rows(effort: float) -> Iterator[Row]:
    """Microseconds per sample when each of n networks has one."""
    for shape, n in product(SHAPES[:2], FLEETS):
        D, H, C, K = shape
        n_rounds = max(2, 2_000 // n)
        xs, targets = (a.reshape(n_rounds, n, D) for a in stream(D, n_rounds * n))
        fleet = SCRNNFleet(n, D, D, n_hidden=H, n_context=C, truncation_length=K, seed=1)
        singles, which = [network(shape) for _ in range(n)], np.arange(n)
        calls = {
            "1 thread us": partial(_together, fleet, which, xs, targets, 1),
            "2 threads us": partial(_together, fleet, which, xs, targets, 2),
            "one by one us": partial(_one_by_one, singles, xs, targets),
        }
        for _ in range(max(2, K // n_rounds)):  # until the windows are full
            for call in calls.values():
                call()
        times = interleaved(calls, max(3, round(9 * effort)), perf_counter)
        us = {name: t / (n_rounds * n) * 1e6 for name, t in times.items()}
        yield {"D, H, C, K": str(shape), "networks": n, **us, "gain": us["one by one us"] / us["1 thread us"]}


def _together(fleet: SCRNNFleet, which: Array, xs: Array, targets: Array, threads: int) -> None:
    for x, target in zip(xs, targets, strict=True):
        fleet.learn(which, x, target, threads=threads)


def _one_by_one(networks: list[SCRNN], xs: Array, targets: Array) -> None:
    for x, target in zip(xs, targets, strict=True):
        for k, one in enumerate(networks):
            one.learn(x[k], target[k])


def truncation_rows(effort: float) -> Iterator[Row]:
    """Full window and early stop, for each truncation length."""
    shapes = [MIDDLE._replace(K=K) for K in TRUNCATIONS]
    for shape, us in zip(shapes, _full_and_early(shapes, effort), strict=True):
        yield {"D, H, C": f"{shape.D}, {shape.H}, {shape.C}", "K": shape.K, **us}


def sensor_rows(effort: float) -> Iterator[Row]:
    """Full window and early stop, for each number of inputs and outputs."""
    shapes = [MIDDLE._replace(D=D) for D in SENSORS]
    for shape, us in zip(shapes, _full_and_early(shapes, effort), strict=True):
        per_sensor = {"full window us per sensor": us["full window us"] / shape.D}
        yield {"H, C, K": f"{shape.H}, {shape.C}, {shape.K}", "D": shape.D, **us, **per_sensor}


def length_rows(effort: float) -> Iterator[Row]:
    """The first tenth of a stream against the last: one network at its beginning, one near its end, in turn."""
    n = round(N_STREAM * effort / 1_000) * 1_000
    xs, targets = stream(MIDDLE.D, n)
    pieces = [(xs[i : i + 500], targets[i : i + 500]) for i in range(0, n, 500)]
    n_pieces = len(pieces) // 10
    for work, early_stop in (("full window", 0.0), ("early stop", EARLY_STOP)):
        young, old = network(MIDDLE, early_stop), network(MIDDLE, early_stop)
        young.replay(*pieces[-1])
        for piece in pieces[:-n_pieces]:
            old.replay(*piece)
        first, last = iter(pieces[:n_pieces]), iter(pieces[-n_pieces:])
        calls = {"first": partial(_learn_next, young, first), "last": partial(_learn_next, old, last)}
        times = interleaved(calls, n_pieces)
        us = {f"{name} tenth us": t / 500 * 1e6 for name, t in times.items()}
        yield {
            "D, H, C, K": str(MIDDLE),
            "work": work,
            "samples": n,
            **us,
            "last / first": times["last"] / times["first"],
        }


def _learn_next(one: SCRNN, pieces: Iterator[tuple[Array, Array]]) -> None:
    one.replay(*next(pieces))


def start_rows(effort: float) -> Iterator[Row]:
    """Median over fresh processes; the first fills the cache and does not count."""
    runs = [_start() for _ in range(1 + max(3, round(7 * effort)))]
    imported, made, learned = (median(column) for column in zip(*runs[1:], strict=True))
    whole = imported + made + learned
    yield {"import s": imported, "make s": made, "first learn s": learned, "in all s": whole}


def _start() -> list[float]:
    done = subprocess.run([sys.executable, "-c", START], capture_output=True, text=True, check=True)
    return [float(word) for word in done.stdout.split()]


def _full_and_early(shapes: list[Shape], effort: float) -> list[dict[str, float]]:
    """Microseconds per sample for each shape, with a full window and with early stop, all measured in turn."""
    calls, lengths = {}, {}
    for shape in shapes:
        n = lengths[shape] = max(50, min(1_000, 10_000 // shape.K))
        xs, targets = stream(shape.D, n)
        for early_stop in (0.0, EARLY_STOP):
            one = network(shape, early_stop)
            calls[f"{shape} {early_stop}"] = partial(one.replay, xs, targets)
            for _ in range(1 + (2_000 + 2 * shape.K) // n):  # until the window is full and the errors are small
                one.replay(xs, targets)
    times = interleaved(calls, max(3, round(61 * effort)))
    return [
        {
            "full window us": times[f"{shape} 0.0"] / lengths[shape] * 1e6,
            "early stop us": times[f"{shape} {EARLY_STOP}"] / lengths[shape] * 1e6,
        }
        for shape in shapes
    ]
