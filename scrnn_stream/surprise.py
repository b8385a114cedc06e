"""How large an error is for what the machine is doing: given the others' errors, and given how much the others move.

When a machine is driven elsewhere, nothing foretells the moment, and all that follows is foretold less well than rest
is. A fault of the size of the noise would drown in that twice: in the tail of all errors, and in their covariance.

    r_j = (P e)_j / P_jj             the error of one sensor, less what the errors of the others lead to expect
    v_j = r_j q_j / (w_j + w'_j m_j) the same as if the others moved as they do on average

e are the errors in scaled units, P is the inverse of their covariance, m_j how much the other sensors moved lately; the
size that is to be expected of r_j is linear in it, and q_j on average. If some v_j is beyond 10 q_j, all shrink until
it is there: a set-point or a valve moves of itself, and such errors are rare and huge. Beyond MOST_DENSE sensors there
are no correlations, so r = e.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scrnn_stream import places as at
from scrnn_stream._compile import jit
from scrnn_stream.least_squares import begin_anew, take_in

Array = NDArray[Any]

FADE = 0.7  # of a movement, a record
MOST_MOVED = 50.0  # scaled units: more explains no larger an error
MEMORY = 2000.0  # records
N_KNOWN = 50  # records before errors are judged by movements
N_LIMITED = 200  # records from which on one error counts as WILD times its expected size, at most
WILD = 5.0
LEAST_AT_REST = 0.1  # of the mean size, is expected
LARGEST_SURPRISE = 10.0  # usual sizes, that an error counts as
LARGEST_PRECISION = 1e6  # of scaled errors


@jit
def judge_errors(measured: Array, table: Array, precision: Array, scratch: Array) -> None:
    """From scaled errors, `scratch[RAW]`, and scaled readings: r, movements, the ratio of v to r, and v."""
    e, moved = scratch[at.RAW], scratch[at.MOVED]
    r, ratio, v = measured[at.RESIDUAL], measured[at.RATIO], scratch[at.ERRORS]
    D, total, largest = e.size, 0.0, LARGEST_SURPRISE
    for j in range(D):
        change = abs(scratch[at.SCALED_X, j] - table[at.PREVIOUS, j])
        faded = FADE * table[at.MOVEMENT, j]
        moved[j] = max(faded, change) if np.isfinite(change) else faded
        total += moved[j]
    given_others(r, e, precision)
    for j in range(D):
        usual = table[at.SIZES, j]
        expected = expected_size(table, min(total - moved[j], MOST_MOVED), j)
        known = table[at.N_LEARNED, j] >= N_KNOWN and usual > 0
        ratio[j] = usual / expected if known else 1.0
        v[j] = r[j] * ratio[j]
        if known and abs(v[j]) > largest * usual:
            largest = abs(v[j]) / usual
    for j in range(D):  # together, so that it stays in sight whose error is the largest
        v[j] *= LARGEST_SURPRISE / largest


@jit
def given_others(r: Array, e: Array, precision: Array) -> None:
    """r_j = (P e)_j / P_jj; of a missing sensor the error is 0, and r is NaN."""
    for i in range(e.size):
        r[i] = e[i]
        if precision.shape[0] == e.size and np.isfinite(e[i]):
            total = 0.0
            for j in range(e.size):
                total += precision[i, j] * (e[j] if np.isfinite(e[j]) else 0.0)
            r[i] = total / precision[i, i]


@jit
def expected_size(table: Array, moved: float, j: int) -> float:
    """w + w' m of sensor j, by least squares on means: |r|, then m, |r| m and m^2."""
    size, mean, product, square = (
        table[at.SIZES, j],
        table[at.SIZES + 1, j],
        table[at.SIZES + 2, j],
        table[at.SIZES + 3, j],
    )
    slope = max(0.0, (product - size * mean) / max(square - mean * mean, 1e-12))
    return float(max(size - slope * mean, LEAST_AT_REST * size) + slope * moved)


@jit
def learn_sizes(table: Array, precision: Array, r: Array, scratch: Array) -> None:
    """Take the errors of a calm record in."""
    e, moved, f, gain = scratch[at.RAW], scratch[at.MOVED], scratch[at.SPARE_LINE], scratch[at.BLAME]
    total, n_heard = 0.0, 0
    for j in range(e.size):
        total += moved[j]
        f[j] = e[j] if np.isfinite(e[j]) else 0.0
        n_heard += 1 if np.isfinite(e[j]) else 0
    for j in range(e.size):
        if not np.isfinite(r[j]):
            continue
        n, m, size = table[at.N_LEARNED, j], min(total - moved[j], MOST_MOVED), abs(r[j])
        if n >= N_LIMITED:
            size = min(size, WILD * expected_size(table, m, j))
        g = max(3 / (n + 3), 1 / MEMORY)
        table[at.SIZES, j] += g * (size - table[at.SIZES, j])
        table[at.SIZES + 1, j] += g * (m - table[at.SIZES + 1, j])
        table[at.SIZES + 2, j] += g * (size * m - table[at.SIZES + 2, j])
        table[at.SIZES + 3, j] += g * (m * m - table[at.SIZES + 3, j])
    if n_heard > 0 and precision.shape[0] == e.size:
        take_in(precision, gain, f, 1 - 1 / MEMORY, LARGEST_PRECISION)


@jit
def forget_errors(precision: Array) -> None:
    """As if the errors so far had been one of each sensor, of one scaled unit."""
    begin_anew(precision, 1.0)


@jit
def move(table: Array, scratch: Array) -> None:
    """Time moves: what moved fades."""
    for j in range(table.shape[1]):
        table[at.MOVEMENT, j] = scratch[at.MOVED, j]
