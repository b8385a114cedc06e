"""From names to columns, from a dict to a vector, and the running scale that the network sees through."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterable, Mapping
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scrnn_stream._compile import jit
from scrnn_stream.places import N_SCALED, SCALE_MEAN, SCALE_VARIANCE

Vector = NDArray[np.float64]

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
        self._doubles = f"{len(self.names) + 1}d"
        self._pick: Callable[[Any], Iterable[Any]] | None = itemgetter(*self.names) if len(self.names) > 1 else None
        return bool(new)

    def read_whole(self, out: Vector, x: Mapping[Any, Any], time: float) -> bool:
        """Write readings and time, D + 1 numbers, at one go, if `x` has a number for each of our names; else False.

        False makes no promise of what is written. What is not finite, or too large for a reading, is written as it is.
        """
        try:
            readings = [x[name] for name in self.names] if self._pick is None else self._pick(x)
            struct.pack_into(self._doubles, out, 0, *readings, time)  # type: ignore[arg-type]
        except (KeyError, TypeError, ValueError, OverflowError, struct.error):
            return False
        return True

    def read(self, out: Vector, x: Mapping[Any, Any]) -> None:
        """The readings in column order; NaN where one is missing, infinite or no number. Unknown names are left out."""
        out[:] = math.nan
        for name, reading in x.items():
            column = self._column.get(name)
            if column is not None:
                out[column] = as_reading(reading)


def as_reading(value: Any) -> float:
    """A finite float, or NaN for everything that is none."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan
    return number if abs(number) <= LARGEST_READING else math.nan


@jit
def unit_of(table: Vector, j: int) -> float:
    """The deviation of sensor j; of one that has not moved 1, so that it stays at 0."""
    variance = table[SCALE_VARIANCE, j]
    return float(np.sqrt(variance)) if variance > 0 else 1.0


@jit
def scaled(z: Vector, table: Vector, x: Vector) -> None:
    """z = (x - mean) / deviation, (D): limited to what a network can digest. NaN stays NaN; without a scale z = 0."""
    for j in range(x.size):
        value = (x[j] - table[SCALE_MEAN, j]) / unit_of(table, j)
        if value > LARGEST_DEVIATION:
            value = LARGEST_DEVIATION
        elif value < -LARGEST_DEVIATION:
            value = -LARGEST_DEVIATION
        z[j] = 0.0 if table[N_SCALED, j] < 2 and np.isfinite(value) else value


@jit
def unscaled(z: float, table: Vector, j: int) -> float:
    """x = z deviation + mean of sensor j; NaN without a scale."""
    return float(z * unit_of(table, j) + table[SCALE_MEAN, j]) if table[N_SCALED, j] >= 2 else np.nan


@jit
def learn_scale(table: Vector, x: Vector) -> None:
    """mean += g d, variance = (1 - g) (variance + g d^2), with d = x - mean and the gain g = 3 / (n + 2).

    This is polynomial-decay averaging[^1]: early samples, taken while nothing was settled, fade. A wild reading counts
    as ten standard deviations once the scale is known.

    [^1]: Shamir, Zhang, Stochastic gradient descent for non-smooth optimization, 2013, arXiv:1212.1824.
    """
    for j in range(x.size):
        if not np.isfinite(x[j]):
            continue
        d, variance, n = x[j] - table[SCALE_MEAN, j], table[SCALE_VARIANCE, j], table[N_SCALED, j]
        if n >= 20 and variance > 0:
            limit = 10 * np.sqrt(variance)
            d = min(max(d, -limit), limit)
        gain = 3.0 / (min(n + 1, SCALE_MEMORY) + 2.0)
        table[N_SCALED, j] = n + 1
        table[SCALE_MEAN, j] += gain * d
        table[SCALE_VARIANCE, j] = (1 - gain) * (variance + gain * d * d)
