"""Recursive least squares[^1]: linear regression on a stream, the past fading, without a learning rate.

All that is predicted from the same regressors f (F) shares their covariance P (F, F), the uncertainty of its weights;
the weights w (F, D) are its own.

[^1]: Haykin, Adaptive filter theory, 2002, chapter 9.
"""

from __future__ import annotations

import math
from typing import Any

from numpy.typing import NDArray

from scrnn_stream._compile import jit

Array = NDArray[Any]

MOST_SPREAD = 1e12


@jit
def expectation(f: Array, weights: Array, j: int) -> float:
    """f'w of column j."""
    total = 0.0
    for k in range(f.size):
        total += f[k] * weights[k, j]
    return total


@jit
def begin_anew(covariance: Array, variance: float) -> None:
    """Nothing is certain: what is seen next is learned fast."""
    covariance[:] = 0.0
    for i in range(covariance.shape[0]):
        covariance[i, i] = variance


@jit
def take_in(covariance: Array, gain: Array, f: Array, keep: float, largest: float) -> float:
    """gain = P f; P = (P - P f f'P / (q + f'P f)) / q, with q = `keep`. Returns q + f'P f.

    Regressors that never move would let the variance of their weights grow without end: it stays below `largest`. If P
    is no covariance any more, by rounding, it begins anew and this record says nothing.
    """
    spread, q = keep, 1.0 / keep
    for i in range(f.size):
        total = 0.0
        for k in range(f.size):
            total += covariance[i, k] * f[k]
        gain[i] = total
        spread += f[i] * total
    if not 0.999 * keep <= spread < MOST_SPREAD:
        begin_anew(covariance, min(largest, 1.0))
        gain[:] = 0.0
        return 1.0
    for i in range(f.size):
        part = gain[i] / spread
        for k in range(i + 1):  # one half, mirrored: rounding would let the halves part by a factor of 1 / q a record
            covariance[i, k] = q * (covariance[i, k] - part * gain[k])
            covariance[k, i] = covariance[i, k]
    for i in range(f.size):  # scaling a row and its column keeps the others, and the matrix positive
        if covariance[i, i] > largest:
            scale = math.sqrt(largest / covariance[i, i])
            for k in range(f.size):
                covariance[i, k] *= scale
                covariance[k, i] *= scale
    return spread


@jit
def correct(weights: Array, gain: Array, spread: float, error: float, j: int) -> None:
    """w += gain error / spread, of column j."""
    step = error / spread
    for k in range(gain.size):
        weights[k, j] += gain[k] * step


@jit
def correct_all(weights: Array, gain: Array, spread: float, errors: Array) -> None:
    """The same of all columns; an error of 0 where there is none."""
    for k in range(gain.size):
        step = gain[k] / spread
        for j in range(errors.size):
            weights[k, j] += step * errors[j]
