"""Watch one machine at several budgets at once: the detector does not know the budget, so its scores serve all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from time import thread_time
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scrnn_stream import SCRNNDetector, SCRNNDetectorFleet
from scrnn_stream.channels import CHANNELS
from scrnn_stream.episodes import AlertPolicy
from scrnn_stream.simulate import DAY

Array = NDArray[np.float64]

BLOCK = 1440  # records scored in one call


class Raised(NamedTuple):
    """An `anomaly` alert: seconds since the machine's first record, and the least probable channel if it is known."""

    since_start_s: float
    channel: str | None


class Unthrottled(AlertPolicy):
    """The same policy without its brake: what the calibration alone would raise."""

    @property
    def brake(self) -> float:
        return 0.0


class Watched(NamedTuple):
    """The alerts of one machine at each budget, how long it was watched, and what that took."""

    raised: list[list[Raised]]
    n_unthrottled: list[int]
    days: float
    n_records: int
    n_regimes: int
    score_s: float


def watch(times: Array, readings: Array, budgets: Sequence[float], by_channel: bool = False) -> Watched:
    """The alerts that a :class:`~scrnn_stream.monitor.Monitor` would raise on a machine's records, at each budget.

    Adopting a new regime ends an episode in the monitor; it does so here a few records later, for what has just been
    adopted is calm until it is calibrated.
    """
    policies = [AlertPolicy(budget) for budget in budgets]
    unthrottled = [Unthrottled(budget) for budget in budgets]
    raised: list[list[Raised]] = [[] for _ in budgets]
    is_learning = True  # until there is a tail to judge by
    scorer = ByChannel(readings.shape[1]) if by_channel else Scorer(readings.shape[1])
    for begin in range(0, len(times), BLOCK):
        block = slice(begin, begin + BLOCK)
        for time, (p, channel) in zip(times[block].tolist(), scorer.judge(times[block], readings[block]), strict=True):
            is_learning = is_learning and p == 1.0
            for policy, free, alerts in zip(policies, unthrottled, raised, strict=True):
                if is_learning:
                    free.skip(time)
                    policy.skip(time)
                    continue
                free.update(p, time)
                policy.update(p, time)
                if policy.n_raised > len(alerts):
                    alerts.append(Raised(time - float(times[0]), channel))
    days, n_unthrottled = float(times[-1] - times[0]) / DAY, [policy.n_raised for policy in unthrottled]
    return Watched(raised, n_unthrottled, days, len(times), scorer.n_regimes, scorer.seconds)


class Scorer:
    """The tail probabilities of one machine's records, by the compiled loop."""

    def __init__(self, n_sensors: int) -> None:
        self.seconds = 0.0
        self._fleet = SCRNNDetectorFleet(names(n_sensors), seed=0)

    def judge(self, times: Array, readings: Array) -> Iterator[tuple[float, str | None]]:
        """Learn a block; the p of each record before it was learned."""
        start = thread_time()
        _, p_of_tails = self._fleet.judge_learn_many(["machine"] * len(times), readings, times)
        self.seconds += thread_time() - start
        yield from ((p, None) for p in p_of_tails.tolist())

    @property
    def n_regimes(self) -> int:
        return self._fleet.detector("machine").n_regimes


class ByChannel:
    """The same, record by record, with the least probable channel of each."""

    def __init__(self, n_sensors: int) -> None:
        self.seconds = 0.0
        self._names = names(n_sensors)
        self._detector = SCRNNDetector(time_key="timestamp", seed=0)

    def judge(self, times: Array, readings: Array) -> Iterator[tuple[float, str | None]]:
        """Learn a block; the p and the channel of each record before it was learned."""
        for time, reading in zip(times.tolist(), readings.tolist(), strict=True):
            x = {"timestamp": time, **dict(zip(self._names, reading, strict=True))}
            start = thread_time()
            assessed = self._detector.assess_one(x)
            self._detector.learn_assessed(assessed, x)
            self.seconds += thread_time() - start
            yield assessed.p_of_tails, CHANNELS[assessed.channel_of_tails]

    @property
    def n_regimes(self) -> int:
        return self._detector.n_regimes


def names(n_sensors: int) -> list[str]:
    """Names whose order is that of the columns."""
    return [f"sensor_{i:03}" for i in range(n_sensors)]
