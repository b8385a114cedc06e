"""Times of things to compare, on a machine that is shared."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from statistics import median
from time import thread_time

Clock = Callable[[], float]


def interleaved(
    calls: Mapping[str, Callable[[], object]], repetitions: int, clock: Clock = thread_time
) -> dict[str, float]:
    """Median seconds of each call, made in turn, A B A B: a slow moment of the machine falls on all of them.

    The processor's time of this thread, in which the work of other programs is not counted; give `time.perf_counter`
    for calls that use several threads.
    """
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repetitions):
        for name, call in calls.items():
            times[name].append(seconds(call, clock))
    return {name: median(values) for name, values in times.items()}


def seconds(call: Callable[[], object], clock: Clock = thread_time) -> float:
    """How long one call takes."""
    start = clock()
    call()
    return clock() - start
