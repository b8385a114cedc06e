"""What anybody could write in an hour: rules that a detector has to beat to be worth its name."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np

from benchmarks.contender import Array, Contender, Reading

HALF_LIFE = 5  # records, of the averages of `AveragesT2`
RIDGE = 1e-6  # of each variance, for sensors that repeat each other


class AveragesT2(Contender):
    """Hotelling's T² of exponential averages of the sensors, by their running mean and covariance."""

    def __init__(self) -> None:
        self.n = 0

    def score(self, x: Reading) -> float:
        now = np.array(list(x.values()), float)
        if self.n == 0:
            self.average, self.mean, self.scatter = now, np.zeros(len(x)), np.zeros((len(x), len(x)))
        self.average = self.average + (1 - 0.5 ** (1 / HALF_LIFE)) * (now - self.average)
        if self.n <= len(x):
            return 0.0
        away, covariance = self.average - self.mean, self.scatter / (self.n - 1)
        variance = covariance.diagonal()
        covariance += np.diag(np.where(variance > 0, RIDGE * variance, 1.0))
        return float(away @ np.linalg.solve(covariance, away))

    def learn(self) -> None:
        self.n += 1
        away = self.average - self.mean
        self.mean = self.mean + away / self.n
        self.scatter += np.outer(away, self.average - self.mean)


class RangeRule(Contender):
    """How far outside the range it had so far a sensor is, in widths of that range; the sensor that is farthest."""

    def __init__(self) -> None:
        self.range: tuple[Array, Array] | None = None

    def score(self, x: Reading) -> float:
        self.now = np.array(list(x.values()), float)
        low, high = self.range or (self.now, self.now)
        outside = np.maximum(low - self.now, self.now - high)
        width = np.where(high > low, high - low, np.maximum(outside, 1e-300))
        return float((outside / width).max(initial=0.0))

    def learn(self) -> None:
        low, high = self.range or (self.now, self.now)
        self.range = np.minimum(low, self.now), np.maximum(high, self.now)


class LastValue(Contender):
    """How far a sensor is from its last value, in standard deviations of such steps; the sensor that is farthest."""

    def __init__(self) -> None:
        self.n = 0
        self.last: Array | None = None

    def score(self, x: Reading) -> float:
        now = np.array(list(x.values()), float)
        if self.last is None:
            self.squares = np.zeros(len(x))
        self.step = np.abs(now - (now if self.last is None else self.last))
        self.last = now
        deviation = np.sqrt(self.squares / max(1, self.n))
        return float((self.step / np.where(deviation > 0, deviation, np.inf)).max())

    def learn(self) -> None:
        self.n += 1
        self.squares += self.step**2


class Blind(Contender):
    """Tells a number without a look at the record."""

    def __init__(self, tell: Callable[[], float]) -> None:
        self.tell = tell

    def score(self, x: Reading) -> float:  # noqa: ARG002
        return self.tell()

    def learn(self) -> None:
        pass


def constant() -> Blind:
    return Blind(lambda: 0.0)


def chance(seed: int) -> Blind:
    return Blind(random.Random(seed).random)
