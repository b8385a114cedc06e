"""A record judged and learned, start to end, on plain arrays: forecast, errors, evidence, probability, score.

    assess    what the record says, given the network's forecast; changes nothing but scratch space
    learn     takes the assessed record in
    process   both, with the network in between, for the records of many machines in their order

The arrays of a machine are those of the :mod:`~scrnn_stream.places`, with one row of weights and state of its network.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scrnn_stream import places as at
from scrnn_stream import readout
from scrnn_stream._compile import jit, view
from scrnn_stream._layout import N_COUNTS as N_NETWORK_COUNTS
from scrnn_stream._layout import Shape
from scrnn_stream.absorbing import learn_picture, refresh, variance_of
from scrnn_stream.calibration import (
    LOG_CLUSTER_LENGTHS,
    belief,
    believed,
    cluster_probability,
    forget_tails,
    is_due,
    learn_value,
    least_credible,
    n_missing,
    probability,
    to_score,
    widen,
)
from scrnn_stream.channels import (
    LEVEL,
    LONG_HALF_LIFE,
    N_CALIBRATED,
    N_CHANNELS,
    N_DISTANCES,
    SENSOR,
    SETTLED_AFTER,
    X_READING,
)
from scrnn_stream.evidence import advance, measure
from scrnn_stream.extremes import SMALLEST_P, see_nothing
from scrnn_stream.features import LARGEST_READING, learn_scale, scaled, unit_of, unscaled
from scrnn_stream.picture import limited
from scrnn_stream.season import learn_season
from scrnn_stream.surprise import forget_errors, judge_errors, learn_sizes, move

Array = NDArray[Any]
Machine = tuple[Array, ...]  # as `machine_of` and `desk_of` lay them out
Desk = tuple[Array, ...]

UNLIKELY = 0.05  # values of smaller probability count in proportion to it
PROTECTION_P = 1e-5  # a record less probable than this does not enter the picture of calm, whatever the budget
LONGEST_UNSETTLED = 50  # records that forecasts need to be told again after a gap, at most
LONGEST_GAP = 1e6  # usual intervals
KEEP_EVIDENCE = 0.5 ** (1 / LONG_HALF_LIFE)


# ------------------------------------------------------------------------------------------------------------- to judge


@jit
def steps_since(numbers: Array, time: float) -> float:
    """Time since the last record in usual intervals; 1 for all that is not a gap."""
    last, interval = numbers[at.TIME], numbers[at.INTERVAL]
    if np.isnan(time) or np.isnan(last) or interval <= 0:
        return 1.0
    ratio = (time - last) / interval
    return float(min(ratio, LONGEST_GAP)) if ratio > 1.5 else 1.0


@jit
def look(head: Array, numbers: Array, counts: Array, calm: Array, n_sensors: int) -> tuple[float, float]:
    """The p of each channel, before their statistics; and the least one with the price of each look.

    Returned again by the tails alone, which dare to say more: what is to be learned, and when to alert, goes by them.
    """
    n_looking, least, n_of_tails, least_of_tails = 0, 1.0, 0, 1.0
    head[at.OF_TAIL :] = 1.0
    for k in range(N_CHANNELS):
        p, statistic = 1.0, head[at.STATISTICS + k]
        if np.isfinite(statistic) and (k >= N_CALIBRATED or n_missing(counts, k) == 0):
            p = statistic
            if k < N_CALIBRATED:
                p = cluster_probability(probability(numbers, counts, calm, k, statistic), LOG_CLUSTER_LENGTHS[k])
                head[at.OF_TAIL + k] = p
                least_of_tails = min(least_of_tails, p)
                p = believed(p, least_credible(numbers, counts, k, statistic), belief(k, n_sensors))
                n_of_tails += 1
            n_looking += 1
        head[k] = p
        least = min(least, p)
    least, least_of_tails = max(least, SMALLEST_P), max(least_of_tails, SMALLEST_P)
    return min(1.0, max(1, n_looking) * least), min(1.0, max(1, n_of_tails) * least_of_tails)


@jit
def read(x: Array, record: Array) -> None:
    """x = the readings of a record; NaN for those that are none."""
    for j in range(x.size):
        x[j] = record[j] if abs(record[j]) <= LARGEST_READING else np.nan


@jit
def assess(forecast: Array, time: float, step: float, machine: Machine, desk: Desk) -> None:
    """Assess the readings on the desk; `forecast` (D) is what the network expected of them, in scaled units.

    A record counts no less than the average of the last ones, -log10 p with half-life 70: many unlikely records in a
    row are at least as unlikely as each of them.
    """
    numbers, counts, calm, table, covariance, precision, _, _ = machine
    work, _, head, measured, x, scratch, _ = desk
    for j in range(x.size):
        reading, unit = limited(x[j], table, variance_of(covariance[LEVEL], j), j), unit_of(table, j)
        error = (reading - unscaled(forecast[j], table, j)) / unit
        # across a gap nothing was expected, and after it the slow context units do not know yet what they missed
        scratch[at.RAW, j] = np.nan if step > 1 or counts[at.N_UNSETTLED] > 0 else error
    judge_errors(measured, table, precision[at.OF_ERRORS], scratch)
    for j in range(x.size):
        scratch[at.ERRORS, j] *= unit_of(table, j)
    measure(time, machine, desk)
    p, work[at.P_OF_TAILS] = look(head, numbers, counts, calm, x.size)
    work[at.AVERAGE_EVIDENCE] = KEEP_EVIDENCE * (numbers[at.EVIDENCE] + math.log10(p)) - math.log10(p)
    work[at.P] = min(p, 10.0 ** -work[at.AVERAGE_EVIDENCE])
    work[at.SCORE] = to_score(work[at.P])
    work[at.STEP] = step


# ------------------------------------------------------------------------------------------------------------- to learn


@jit
def move_clock(numbers: Array, time: float) -> None:
    """The usual interval follows the gaps between records; a long one counts as three."""
    last, interval = numbers[at.TIME], numbers[at.INTERVAL]
    if np.isnan(time) or time <= last:
        return
    if np.isnan(last):
        numbers[at.FIRST_TIME] = time
    else:
        gap = time - last
        numbers[at.INTERVAL] += 0.02 * (min(gap, 3 * interval) - interval) if interval > 0 else gap
    numbers[at.TIME] = time


@jit
def learn_oldest(grace_period: int, machine: Machine, desk: Desk) -> None:
    """Learn the measurement that has waited longest.

    It counts less the less likely it was: a slow fault would otherwise teach its own beginning as normal.
    """
    numbers, counts, calm, _, _, _, heads, tables = machine
    head, measured, weights = heads[counts[at.HEAD]], tables[counts[at.HEAD]], at.weights_of(desk[0])
    counts[at.HEAD] = (counts[at.HEAD] + 1) % at.N_PLACES
    counts[at.N_WAITING] -= 1
    if counts[at.N_RECORDS] >= grace_period:
        for k in range(N_CALIBRATED):
            statistic = head[at.STATISTICS + k]
            if counts[at.N_RECORDS] >= SETTLED_AFTER[k] and np.isfinite(statistic) and is_due(counts, k):
                learn_value(numbers, counts, calm, desk[1], k, statistic)
    for k in range(N_DISTANCES):
        weights[k] = min(1.0, head[at.OF_TAIL + k] / UNLIKELY)
    weights[LEVEL] = min(weights[LEVEL], head[at.OF_TAIL + SENSOR] / UNLIKELY)
    learn_picture(measured, weights, machine, desk)


@jit
def wait(machine: Machine, desk: Desk) -> None:
    """Put the measurement on the desk at the end of the queue."""
    _, counts, _, _, _, _, heads, tables = machine
    _, _, head, measured, _, _, _ = desk
    place = (counts[at.HEAD] + counts[at.N_WAITING]) % at.N_PLACES
    counts[at.N_WAITING] += 1
    for i in range(head.size):
        heads[place, i] = head[i]
    for i in range(at.N_MEASURED):
        for j in range(measured.shape[1]):
            tables[place, i, j] = measured[i, j]


@jit
def see_fast(numbers: Array, counts: Array, head: Array, grace_period: int) -> None:
    """What a fast channel has shown once, calm or not, is no news again."""
    for k in range(LEVEL):
        if counts[at.N_RECORDS] >= grace_period and np.isfinite(head[at.STATISTICS + k]):
            widen(at.tail_of(numbers, k), head[at.STATISTICS + k])


@jit
def learn(time: float, grace_period: int, accept_after: int, machine: Machine, desk: Desk) -> None:
    """Take the record in that is assessed on the desk, with its scaled readings. Time moves."""
    numbers, counts, _, table, _, precision, _, _ = machine
    work, _, head, measured, x, scratch, _ = desk
    is_calm = work[at.P_OF_TAILS] >= PROTECTION_P
    move(table, scratch)
    counts[at.N_UNSETTLED] = max(0, counts[at.N_UNSETTLED] - 1)
    if work[at.STEP] > 1:
        counts[at.N_UNSETTLED] = int(min(work[at.STEP] - 1, LONGEST_UNSETTLED))
    if is_calm:
        learn_sizes(table, precision[at.OF_ERRORS], measured[at.RESIDUAL], scratch)
        learn_scale(table, x)
        if np.isfinite(time):
            f, last = at.regressors_of(work), numbers[at.TIME]
            learn_season(
                table[at.WEIGHTS : at.PICTURE],
                at.season_of(numbers),
                f[1],
                f[0],
                measured[at.N_MEASURED + X_READING],
                time - last if time > last else 0.0,
            )
    for j in range(x.size):
        if np.isfinite(scratch[at.SCALED_X, j]):
            table[at.PREVIOUS, j] = scratch[at.SCALED_X, j]
    numbers[at.EVIDENCE] = work[at.AVERAGE_EVIDENCE]
    see_fast(numbers, counts, head, grace_period)
    advance(machine, desk)
    move_clock(numbers, time)
    if is_calm:
        counts[at.N_IMPROBABLE] = 0
        wait(machine, desk)
        n_held = at.N_QUEUED if counts[at.N_RECORDS] >= grace_period else 0
        while counts[at.N_WAITING] > n_held:
            learn_oldest(grace_period, machine, desk)
        return
    counts[at.N_WAITING] = 0  # what led up to an episode is suspect
    counts[at.N_IMPROBABLE] += 1
    if counts[at.N_IMPROBABLE] >= accept_after:
        adopt(machine, desk)


@jit
def forget(machine: Machine, desk: Desk) -> None:
    """Start the picture of calm and the tails anew; the averages go on."""
    numbers, counts, _, table, covariance, precision, _, _ = machine
    table[at.PICTURE :] = 0.0
    forget_errors(precision[at.OF_ERRORS])
    table[at.LOW : at.LOW + 2] = np.inf
    table[at.HIGH : at.HIGH + 2] = -np.inf
    covariance[:] = 0.0
    counts[at.N_RECORDS] = 0
    forget_tails(numbers, counts)
    refresh(machine, desk)


@jit
def adopt(machine: Machine, desk: Desk) -> None:
    """Adopt a lasting new state: scale, picture, tails and extremes start anew, the network keeps its weights."""
    numbers, counts, _, table, _, _, _, _ = machine
    numbers[at.EVIDENCE] = 0.0
    see_nothing(at.extremes_of(numbers, table.shape[1]))
    counts[at.N_IMPROBABLE] = 0
    counts[at.N_REGIMES] += 1
    table[at.SCALE_MEAN : at.N_SCALED + 1] = 0.0
    forget(machine, desk)


# ------------------------------------------------------------------------------------------------------------------ all


@jit
def rooms_of(work: Array, work32: Array, D: int) -> tuple[Array, Array, Desk]:
    """The network's scratch space, room for its forecast (D), and the desk."""
    n = work32.size - at.N_UPPER - D
    upper, forecast = view(work32, n, (2, at.MEMORY)), view(work32, n + at.N_UPPER, (D,))
    return view(work32, 0, (n,)), forecast, at.desk_of(work, upper, D)


@jit
def shape_of(sizes: Array) -> Shape:
    return (sizes[2], sizes[3], sizes[4], sizes[5], sizes[6], sizes[7], sizes[8])


@jit
def judge(
    forecast: Array,
    scratch: Array,
    work64: Array,
    record: Array,
    machine: Machine,
    own: Array,
    regression: Array,
    desk: Desk,
    sizes: Array,
    rates: Array,
    is_learning: bool,
) -> None:
    """Assess a record (D + 1) on the desk. If it is to learn, the network and its readout, `regression`, already do."""
    numbers, counts, _, table, _, _, _, _ = machine
    x, z = desk[4], desk[5][at.SCALED_X]
    D, time, previous = x.size, float(record[x.size]), table[at.PREVIOUS]
    shape, kind, pace = shape_of(sizes), (sizes[9], sizes[10], sizes[11], sizes[12]), (rates[0], rates[1], rates[2])
    step, own_counts = steps_since(numbers, time), view(counts, at.N_COUNTS, (N_NETWORK_COUNTS,))
    read(x, record)
    scaled(z, table, x)
    if D > 0 and is_learning:
        readout.learn(forecast, work64, scratch, regression, own, own_counts, previous, z, step, shape, kind, pace)
    elif D > 0:
        readout.expect(forecast, work64, scratch, regression, own, own_counts, previous, step, shape, kind)
    assess(forecast, time, step, machine, desk)


@jit
def learn_judged(time: float, machine: Machine, regression: Array, desk: Desk, sizes: Array) -> None:
    """Take the record in that was judged; after a new state was adopted the readout starts to learn fast again."""
    counts, D = machine[1], desk[4].size
    n_regimes = counts[at.N_REGIMES]
    learn(time, sizes[0], sizes[1], machine, desk)
    if D > 0 and counts[at.N_REGIMES] > n_regimes:  # the scale starts anew
        readout.doubt(regression, shape_of(sizes))


@jit
def process(
    scores: Array,
    p_of_tails: Array,
    records: Array,
    machines: Array,
    numbers: Array,
    counts: Array,
    calm: Array,
    networks: Array,
    readouts: Array,
    work: Array,
    work32: Array,
    work64: Array,
    sizes: Array,
    rates: Array,
    is_learning: bool,
) -> float:
    """Score each record and, if it is to learn, learn it, before the next. Returns the last score.

    `scores` and `p_of_tails` (M); `records` (M, D + 1) are readings and time, NaN without; `machines` (M) the row of
    each record's machine in the next five. `sizes` are grace_period, accept_after, and what the network's kernels call
    shape and kind; `rates` go to them too.
    """
    D = records.shape[1] - 1
    scratch, forecast, desk = rooms_of(work, work32, D)
    for t in range(scores.size):
        i = machines[t]
        machine = at.machine_of(numbers[i], counts[i], calm[i], D)
        judge(forecast, scratch, work64, records[t], machine, networks[i], readouts[i], desk, sizes, rates, is_learning)
        scores[t], p_of_tails[t] = work[at.SCORE], work[at.P_OF_TAILS]
        if is_learning:
            learn_judged(records[t, D], machine, readouts[i], desk, sizes)
    return float(work[at.SCORE])
