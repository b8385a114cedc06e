"""How the picture of calm learns: means, covariances, ranges and usual disagreements, each a step towards a record."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scrnn_stream import places as at
from scrnn_stream._compile import jit
from scrnn_stream.channels import LEVEL, N_DISTANCES, RANGE, SENSOR, VALUE_OF
from scrnn_stream.picture import count, project
from scrnn_stream.precision import ridged_inverse

Array = NDArray[Any]
Machine = tuple[Array, ...]  # as `machine_of` and `desk_of` lay them out
Desk = tuple[Array, ...]

N_SENSOR_KNOWN = 50  # readings before a sensor's mean and covariance are used
N_NEWCOMER_KNOWN = 400  # the same for one that joins a machine long known: what is usual of the others is known well
N_CHANGES_KNOWN = 10  # changes of value before a sensor is judged at all: a constant has no spread to measure by
N_STARTING = 20  # readings of a sensor before its averages count for the range
LARGEST_JUMP = 10.0  # standard deviations that a learned value may lie off, at most
REFRESH_EVERY = 10  # records between two inversions

# What is added to the spectrum of a correlation matrix before it is inverted. For T2 a floor of noise that no sensor
# is below, and more of it while few independent values are known. For what the others say of one sensor, a regression,
# only as much as one observation weighs: sensors that move together are told apart by what little they differ.
RIDGE, RIDGE_OF_REGRESSION = 0.01, 1e-5
ALIKE = 45.0  # records of an average that weigh as one independent value, ample: nine half-lives

MEMORIES = (1000.0, 1000.0, 1000.0, 4000.0)  # samples, by channel; errors are forgotten sooner: the network improves


@jit
def gain_of(n: float, memory: float) -> float:
    """3 / (n + 3) until the memory is full."""
    return max(3.0 / (n + 3.0), 1.0 / memory)


@jit
def variance_of(covariance: Array, j: int) -> float:
    return float(covariance[j, j] if covariance.shape[0] == covariance.shape[1] else covariance[0, j])


@jit
def absorb(
    mean: Array,
    covariance: Array,
    gain: Array,
    d: Array,
    n: Array,
    v: Array,
    present: Array,
    memory: float,
    weight: float,
) -> None:
    """mean += g d, covariance = (1 - g) (covariance + g d d'), with d = v - mean; a pair moves by its lesser gain g."""
    D = v.size
    for j in range(D):
        gain[j] = d[j] = 0.0
        if present[j] > 0:
            gain[j] = gain_of(n[j], memory) * weight if n[j] > 0 else 1.0
            if n[j] == 0:
                mean[j] = v[j]
            d[j] = v[j] - mean[j]
            variance = variance_of(covariance, j)
            if n[j] >= 20 and variance > 0 and d[j] * d[j] > LARGEST_JUMP**2 * variance:
                d[j] = np.copysign(LARGEST_JUMP * np.sqrt(variance), d[j])
            mean[j] += gain[j] * d[j]
    if covariance.shape[0] != D:
        for j in range(D):
            covariance[0, j] = (1 - gain[j]) * (covariance[0, j] + gain[j] * d[j] * d[j])
        return
    for i in range(D):  # a gain of 0 leaves a pair as it is
        row, gi, di = covariance[i], gain[i], d[i]
        for j in range(D):
            g = min(gi, gain[j])
            row[j] = (1 - g) * (row[j] + g * di * d[j])


@jit
def absorb_channel(k: int, weight: float, measured: Array, machine: Machine, desk: Desk) -> None:
    """Learn one channel. A sensor that is gone counts as what the others lead to expect of it, and as uncertain.

    This is an online step of expectation-maximisation[^1]. Without it the correlations of a sensor that returns would
    come from other times than the variances.

    [^1]: Dempster, Laird, Rubin, Maximum likelihood from incomplete data via the EM algorithm, 1977.
    """
    _, _, _, table, covariances, precision, _, _ = machine
    _, _, _, _, _, scratch, squares = desk
    v, used, present, covariance = measured[VALUE_OF[k]], measured[at.USED], measured[at.PRESENT], covariances[k]
    mean, n, known = table[at.MEAN + k], table[at.N_LEARNED], table[at.KNOWN]
    gain, d, learned = scratch[at.Z], scratch[at.CURVATURE], scratch[at.COUNTED]
    n_gone, oldest = 0, 0.0
    for j in range(v.size):
        n_gone += 1 if known[j] > 0 and not (used[j] > 0 or present[j] > 0) else 0
        oldest = max(oldest, n[j])
    if v.size > at.MOST_DENSE or n_gone == 0 or count(used) == 0:
        absorb(mean, covariance, gain, d, n, v, learned, MEMORIES[k], weight)
        return
    which = SENSOR if k == LEVEL else k
    project(scratch, which, v, used, table, precision[which], squares)
    counted, completed, there = scratch[at.SLOPE], scratch[at.SPARE_LINE], scratch[at.MASK]
    for j in range(v.size):
        gone = known[j] > 0 and not (used[j] > 0 or present[j] > 0)
        counted[j] = oldest if gone else n[j]
        completed[j] = scratch[at.EXPECTED, j] if gone else v[j]
        there[j] = 1.0 if gone else learned[j]
    absorb(mean, covariance, gain, d, counted, completed, there, MEMORIES[k], weight)
    for j in range(v.size):
        if there[j] > 0 and not present[j] > 0:
            covariance[j, j] += weight * gain_of(oldest, MEMORIES[k]) * scratch[at.VARIANCE, j]


@jit
def learn_picture(measured: Array, weights: Array, machine: Machine, desk: Desk) -> None:
    """Take a measurement into the picture of calm; `weights` (4,) in [0, 1] by channel."""
    _, counts, _, table, _, _, _, _ = machine
    used, present, learned = measured[at.USED], measured[at.PRESENT], desk[5][at.COUNTED]
    for j in range(used.size):
        known = table[at.KNOWN, j] > 0
        learned[j] = 1.0 if present[j] > 0 and (used[j] > 0 or not known) else 0.0  # known and unused: back, no average
        if present[j] > 0 and table[at.N_LEARNED, j] == 0:
            table[at.JOINED_AT, j] = counts[at.N_RECORDS]
    counts[at.N_RECORDS] += 1
    for k in range(N_DISTANCES):
        absorb_channel(k, weights[k], measured, machine, desk)
    alone = count(used) < 2
    for j in range(used.size):
        if learned[j] > 0 and table[at.N_AVERAGED, j] > N_STARTING:
            for r in range(2):
                value = measured[VALUE_OF[RANGE] + r, j]
                table[at.LOW + r, j] = min(table[at.LOW + r, j], value)
                table[at.HIGH + r, j] = max(table[at.HIGH + r, j], value)
        if present[j] > 0 and used[j] > 0 and not alone:
            learn_disagreement(table, measured[at.DISAGREES, j], weights[LEVEL], j)
        table[at.N_LEARNED, j] += 1.0 if present[j] > 0 else 0.0
    if counts[at.N_RECORDS] % REFRESH_EVERY == 0 or counts[at.N_RECORDS] < N_SENSOR_KNOWN:
        refresh(machine, desk)


@jit
def learn_disagreement(table: Array, disagreement: float, weight: float, j: int) -> None:
    """Move sensor j's usual disagreement with the others towards this one."""
    known = table[at.DISAGREEMENT, j]
    if known > 0:
        disagreement = min(disagreement, LARGEST_JUMP**2 * known)
    table[at.DISAGREEMENT, j] += weight * gain_of(table[at.N_COMPARED, j], MEMORIES[LEVEL]) * (disagreement - known)
    table[at.N_COMPARED, j] += 1


@jit
def note_change(table: Array, counts: Array, j: int) -> None:
    """Count a change of value. A constant that begins to move is a newcomer: all that was learned of it is moot."""
    if table[at.N_CHANGES, j] == 1 and table[at.N_LEARNED, j] > N_SENSOR_KNOWN:  # the first reading counts as one
        table[at.N_LEARNED, j] = 0.0
        table[at.JOINED_AT, j] = counts[at.N_RECORDS]
    table[at.N_CHANGES, j] += 1


@jit
def refresh(machine: Machine, desk: Desk) -> None:
    """Deviations, who is known, and precision matrices, from the covariances."""
    _, counts, _, table, covariance, precision, _, _ = machine
    _, _, _, _, x, _, squares = desk
    for j in range(x.size):
        for k in range(N_DISTANCES):
            variance = variance_of(covariance[k], j)
            table[at.DEVIATION + k, j] = np.sqrt(variance) if variance > 0 else 1.0
        n_needed = min(N_SENSOR_KNOWN + table[at.JOINED_AT, j] / 4, N_NEWCOMER_KNOWN)
        experienced = table[at.N_LEARNED, j] >= n_needed and table[at.N_CHANGES, j] >= N_CHANGES_KNOWN
        table[at.KNOWN, j] = 1.0 if experienced and variance_of(covariance[LEVEL], j) > 0 else 0.0
    if x.size > at.MOST_DENSE:
        return
    scarcity = 1 / max(1, counts[at.N_RECORDS])
    for k in range(N_DISTANCES):
        correlate(squares[0], covariance[k], table[at.DEVIATION + k], table[at.KNOWN])
        ridged_inverse(precision[k], squares[1], squares[0], RIDGE + (ALIKE * scarcity if k > 0 else 0.0))
        if k == LEVEL:
            ridged_inverse(precision[SENSOR], squares[1], squares[0], RIDGE_OF_REGRESSION + scarcity)


@jit
def correlate(out: Array, covariance: Array, deviation: Array, known: Array) -> None:
    """out = the correlation matrix of the known sensors; 0 for the others."""
    for i in range(known.size):
        for j in range(known.size):
            out[i, j] = covariance[i, j] / (deviation[i] * deviation[j]) if known[i] > 0 and known[j] > 0 else 0.0
