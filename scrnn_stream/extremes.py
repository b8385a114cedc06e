"""New extremes: values that a sensor has never shown, of nine kinds, and how improbable they are.

Records calibrate themselves[^1]: of n exchangeable values the last is the largest or the least with probability 2 / n,
whatever their distribution. How far it leaves the range seen so far makes it less probable still. Everything enters the
range, calm or not: what has happened once is not new.

`extremes` (N_OF_EXTREME, N_EXTREMES, D) holds of each kind and sensor how many values there were, their range and an
average.

[^1]: Arnold, Balakrishnan, Nagaraja, Records, 1998.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scrnn_stream import places as at
from scrnn_stream._compile import jit

Array = NDArray[Any]

N_LEAST = 150  # values before a new one is judged
FLOOR = 0.02  # of the range: the scale of an excess
UNCERTAIN = 50.0  # values at which that scale is twice as large
NOTHING, SOMETHING = 3.0, 3.6  # decades: of many kinds and sensors one is always a little new; from here on it counts
SMALLEST_P = 1e-300
SHAPE = 0.3  # of the Pareto tail of an excess: heavier than that of Student's t with 4 degrees of freedom


@jit
def tail_beyond(value: float, low: float, high: float, n: float, floor: float) -> float:
    """P(a value as far outside | it is outside the range of n values) = (1 + shape z)^(-1 / shape); 1 if it is not.

    z is the excess in widths of the range, divided by its scale. Of a range without width nothing is known.
    """
    excess = max(value - high, low - value)
    if not (excess > 0 and high > low):
        return 1.0
    z = excess / ((high - low) * floor * (1 + UNCERTAIN / n))
    return float((1 + SHAPE * z) ** (-1 / SHAPE))


@jit
def is_judged(values: Array, extremes: Array, kind: int, j: int) -> bool:
    return bool(extremes[at.N_SEEN, kind, j] >= N_LEAST and np.isfinite(values[kind, j]))


@jit
def probability_of(values: Array, extremes: Array, kind: int, j: int) -> float:
    """How improbable a value of sensor j is if it is a new extreme of its kind; 1 if it is none."""
    n, low, high = extremes[at.N_SEEN, kind, j], extremes[at.SEEN_LOW, kind, j], extremes[at.SEEN_HIGH, kind, j]
    beyond = tail_beyond(values[kind, j], low, high, n, FLOOR)
    return max(2 * beyond / (n + 1), SMALLEST_P) if beyond < 1 else 1.0


@jit
def least_probable(values: Array, extremes: Array, kind: int) -> float:
    """The least p of one kind over the sensors, with the price of looking at each; NaN if none can be judged."""
    n, least = 0, 1.0
    for j in range(values.shape[1]):
        if is_judged(values, extremes, kind, j):
            n += 1
            least = min(least, probability_of(values, extremes, kind, j))
    if n == 0:
        return np.nan
    decades = -np.log10(n * least)
    return float((n * least) ** min(max((decades - NOTHING) / (SOMETHING - NOTHING), 0.0), 1.0))


@jit
def take_in(extremes: Array, values: Array) -> None:
    """The range of each kind and sensor takes a value in."""
    for kind in range(values.shape[0]):
        for j in range(values.shape[1]):
            value = values[kind, j]
            if np.isfinite(value):
                extremes[at.N_SEEN, kind, j] += 1
                extremes[at.SEEN_LOW, kind, j] = min(extremes[at.SEEN_LOW, kind, j], value)
                extremes[at.SEEN_HIGH, kind, j] = max(extremes[at.SEEN_HIGH, kind, j], value)


@jit
def see_nothing(extremes: Array) -> None:
    """No value was seen yet."""
    extremes[:] = 0.0
    extremes[at.SEEN_LOW], extremes[at.SEEN_HIGH] = np.inf, -np.inf
