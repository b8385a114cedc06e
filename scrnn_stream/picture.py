"""The picture of calm: where each channel's values live while a machine is well.

For each of the first four of the :mod:`~scrnn_stream.channels` a running mean and covariance over the sensors, by
which a value is measured with Hotelling's T2; for the averages of the readings also the range ever seen, and how much
each sensor usually disagrees with what the others say.

A sensor that is missing is left out: the others are judged by their own covariance.

Here stands how it measures; how it learns stands in :mod:`~scrnn_stream.absorbing`. `table` and the `precision` of one
channel are those of the :mod:`~scrnn_stream.places`, `scratch` and `squares` its scratch space; a mask such as `used`
holds numbers, above 0 for true.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scrnn_stream import places as at
from scrnn_stream._compile import jit
from scrnn_stream.channels import LEVEL, SENSOR
from scrnn_stream.precision import invert

Array = NDArray[Any]

N_COMPARED = 50  # records before it is known how much a sensor usually disagrees with the others
CULPRIT = 25.0  # a sensor five standard deviations from what the others say has no say itself
WILD = 100.0  # standard deviations of the average that a reading counts as, at most


@jit
def count(mask: Array) -> int:
    n = 0
    for j in range(mask.size):
        n += 1 if mask[j] > 0 else 0
    return n


@jit
def usual(table: Array, j: int) -> float:
    """How much sensor j usually disagrees with the others; 1 while that is not known."""
    disagreement = table[at.DISAGREEMENT, j]
    return float(disagreement) if disagreement > 0 else 1.0


@jit
def scaled_to(t2: float, m: int, n: int) -> float:
    """T2 per sensor over m sensors, as improbable as it would be over n.

    By the normal deviate of a chi-squared variable's cube root[^1].

    [^1]: Wilson, Hilferty, The distribution of chi-square, PNAS 17, 1931.
    """
    if m == n:
        return t2
    a, b = 2 / (9 * m), 2 / (9 * n)
    z = (t2 ** (1 / 3) - (1 - a)) / np.sqrt(a)
    return float(max(0.0, 1 - b + z * np.sqrt(b)) ** 3)


@jit
def standardise(z: Array, curvature: Array, k: int, v: Array, used: Array, table: Array) -> bool:
    """z = (v - mean) / deviation of the used sensors, 0 of the others; True if all known ones are used."""
    whole = True
    for j in range(v.size):
        z[j] = 0.0
        curvature[j] = 1.0
        if used[j] > 0:
            z[j] = (v[j] - table[at.MEAN + k, j]) / table[at.DEVIATION + k, j]
        elif table[at.KNOWN, j] > 0:
            whole = False
    return whole


@jit
def marginalise(z: Array, curvature: Array, precision: Array, used: Array, known: Array, squares: Array) -> None:
    """z_M = -inv(P_MM) P_MU z_U: a missing sensor is what the others lead to expect; and the curvature of the rest.

    The first lines of squares[1] hold P_M, and of squares[2] inv(P_MM).
    """
    D, m = z.size, 0
    across, block = squares[1], squares[2]
    for i in range(D):
        if known[i] > 0 and not used[i] > 0:
            across[m] = precision[i]
            m += 1
    n = 0
    for j in range(D):
        if known[j] > 0 and not used[j] > 0:
            for i in range(m):
                block[i, n] = across[i, j]
            n += 1
    invert(block, m)  # a block of a positive definite matrix is one
    for i in range(m):  # squares[0] = inv(P_MM) P_M
        squares[0, i] = 0.0
        for k in range(m):
            for j in range(D):
                squares[0, i, j] += block[i, k] * across[k, j]
    n = 0
    for j in range(D):
        if used[j] > 0:
            for i in range(m):
                curvature[j] -= across[i, j] * squares[0, i, j]
        elif known[j] > 0:
            curvature[j] = 1.0 / block[n, n]
            for u in range(D):
                z[j] -= squares[0, n, u] * z[u] if used[u] > 0 else 0.0
            n += 1


@jit
def see(scratch: Array, k: int, v: Array, used: Array, table: Array, precision: Array, squares: Array) -> None:
    """z, the curvature (1 / variance given the others) and the slope P z of channel k: three lines of scratch."""
    z, curvature, slope = scratch[at.Z], scratch[at.CURVATURE], scratch[at.SLOPE]
    D = v.size
    whole = standardise(z, curvature, min(k, LEVEL), v, used, table)
    if D > at.MOST_DENSE:
        slope[:] = z
        return
    for j in range(D):
        curvature[j] = precision[j, j]
    if not whole:
        marginalise(z, curvature, precision, used, table[at.KNOWN], squares)
    for i in range(D):
        curvature[i] = max(curvature[i], 1e-12)
        total = 0.0
        for j in range(D):
            total += precision[i, j] * z[j]
        slope[i] = total


@jit
def distance(scratch: Array, k: int, v: Array, used: Array, table: Array, precision: Array, squares: Array) -> float:
    """Hotelling's T2 of channel k over the used sensors, divided by the number of all; NaN without any."""
    n_used = count(used)
    if n_used == 0:
        return np.nan
    see(scratch, k, v, used, table, precision, squares)
    t2 = 0.0
    for j in range(v.size):
        t2 += scratch[at.Z, j] * scratch[at.SLOPE, j]
    return scaled_to(max(0.0, t2) / n_used, n_used, count(table[at.KNOWN]))


@jit
def project(scratch: Array, k: int, v: Array, used: Array, table: Array, precision: Array, squares: Array) -> None:
    """Channel k of each sensor against what the other used ones say. `SENSOR` is a regression of `LEVEL`.

    Three lines of scratch: its part of T2 (the blame), what is expected of it given the others, the variance of that.
    The blame is the reconstruction-based contribution[^1]: the part of T2 that goes away when this one sensor is set to
    what the others say. With one faulty sensor it is provably the largest.

    [^1]: Alcala, Qin, Reconstruction-based contribution for process monitoring, Automatica 45, 2009.
    """
    see(scratch, k, v, used, table, precision, squares)
    row = min(k, LEVEL)
    for j in range(v.size):
        slope = scratch[at.SLOPE, j] if used[j] > 0 else 0.0
        curvature, deviation = scratch[at.CURVATURE, j], table[at.DEVIATION + row, j]
        scratch[at.BLAME, j] = slope * slope / curvature
        scratch[at.EXPECTED, j] = table[at.MEAN + row, j] + deviation * (scratch[at.Z, j] - slope / curvature)
        scratch[at.VARIANCE, j] = deviation * deviation / curvature


@jit
def explain(scratch: Array, k: int, v: Array, used: Array, table: Array, precision: Array, squares: Array) -> None:
    """The same, but a sensor that is clearly wrong has no say on the others; a regression by its usual error."""
    project(scratch, k, v, used, table, precision, squares)
    blame, others = scratch[at.SPARE_LINE], scratch[at.MASK]
    culprit = 0
    for j in range(v.size):
        blame[j] = scratch[at.BLAME, j] / (usual(table, j) if k == SENSOR else 1.0)
        culprit = j if blame[j] > blame[culprit] else culprit
    if v.size <= at.MOST_DENSE and v.size > 0 and blame[culprit] > CULPRIT:
        others[:] = used
        others[culprit] = 0.0
        project(scratch, k, v, others, table, precision, squares)
    for j in range(v.size):
        scratch[at.BLAME, j] = blame[j]
        scratch[at.VARIANCE, j] *= usual(table, j) if k == SENSOR else 1.0


@jit
def excess(out: Array, low: Array, high: Array, v: Array, used: Array) -> float:
    """How far each sensor is outside its range, in widths of that range; negative inside. Returns the largest."""
    largest = -1.0
    for j in range(v.size):
        out[j] = -1.0
        if used[j] > 0 and high[j] > low[j]:
            out[j] = max(v[j] - high[j], low[j] - v[j]) / (high[j] - low[j])
        largest = max(largest, out[j])
    return largest


@jit
def limited(x: float, table: Array, variance: float, j: int) -> float:
    """A wild reading counts as a hundred standard deviations of the average: no glitch must ruin the averages."""
    if not (table[at.N_LEARNED, j] >= 20 and variance > 0):
        return x
    mean, reach = table[at.MEAN + LEVEL, j], WILD * table[at.DEVIATION + LEVEL, j]
    if x > mean + reach:
        return float(mean + reach)
    return float(mean - reach) if x < mean - reach else x
