"""From names to columns, from a dict to a vector, and the running scale that the network sees through."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

LARGEST_READING = 1e100  # beyond it squares overflow: such a reading is missing, as an infinity is
SCALE_MEMORY = 5000  # samples; the scale follows a machine that ages
LARGEST_DEVIATION = 8.0  # standard deviations the network is shown at most


class Columns:
    """Sensor names and their columns. New names get the next free columns, in alphabetical order."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        self.names: list[str] = []
        self._column: dict[str, int] = {}
        self.add(names)

    def __len__(self) -> int:
        return len(self.names)

    def add(self, names: Iterable[str]) -> bool:
        """Give each unknown name a column; True if there was one."""
        new = sorted({name for name in names if name not in self._column}, key=str)
        for name in new:
            self._column[name] = len(self.names)
            self.names.append(name)
        return bool(new)

    def vector(self, x: Mapping[Any, Any]) -> Array:
        """The readings in column order; NaN where one is missing, infinite or no number. Unknown names are left out."""
        values = np.full(len(self.names), np.nan)
        for name, reading in x.items():
            column = self._column.get(name)
            if column is not None:
                values[column] = as_reading(reading)
        return values


def as_reading(value: Any) -> float:
    """A finite float, or NaN for everything that is none."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan
    return number if abs(number) <= LARGEST_READING else math.nan


class Scale(NamedTuple):
    """Running mean and variance of each sensor, recent samples first.

    The gain 3 / (n + 2) is polynomial-decay averaging[^1]: early samples, taken while nothing was settled, fade.

    [^1]: Shamir, Zhang, Stochastic gradient descent for non-smooth optimization, 2013, arXiv:1212.1824.
    """

    mean: Array
    variance: Array
    n: Array

    @classmethod
    def of_size(cls, n_sensors: int) -> Scale:
        return cls(np.zeros(n_sensors), np.zeros(n_sensors), np.zeros(n_sensors))

    def grow(self, n_sensors: int) -> Scale:
        return Scale(*(np.concatenate([old, np.zeros(n_sensors - len(old))]) for old in self))

    @property
    def deviation(self) -> Array:
        """Standard deviation; 1 for a sensor that has not moved, so that it stays at 0."""
        return np.where(self.variance > 0, np.sqrt(self.variance), 1.0)

    def apply(self, values: Array) -> Array:
        """Centred, scaled and limited to what a network can digest; NaN stays NaN."""
        z: Array = np.clip((values - self.mean) / self.deviation, -LARGEST_DEVIATION, LARGEST_DEVIATION)
        return np.where((self.n < 2) & np.isfinite(z), 0.0, z)

    def invert(self, z: Array) -> Array:
        return z * self.deviation + self.mean

    def learn(self, values: Array) -> None:
        """Take a vector in; a wild reading counts as ten standard deviations once the scale is known."""
        present = np.isfinite(values)
        difference = np.where(present, values - self.mean, 0.0)
        limit = np.where((self.n >= 20) & (self.variance > 0), 10 * np.sqrt(self.variance), np.inf)
        difference = np.clip(difference, -limit, limit)
        self.n[present] += 1
        gain = np.where(present, 3.0 / (np.minimum(self.n, SCALE_MEMORY) + 2.0), 0.0)
        self.mean[:] += gain * difference
        self.variance[:] = (1 - gain) * (self.variance + gain * difference**2)
