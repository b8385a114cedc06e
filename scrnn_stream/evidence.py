"""The evidence against "calm" that one record brings: each channel's values after it, and one statistic of each."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scrnn_stream import places as at
from scrnn_stream._compile import jit
from scrnn_stream.absorbing import N_CHANGES_KNOWN, note_change, variance_of
from scrnn_stream.channels import (
    BIAS,
    CHANGE_HALF_LIFE,
    ERROR,
    LEVEL,
    LONG_HALF_LIFE,
    LONG_RANGE,
    N_CALIBRATED,
    N_DISTANCES,
    N_EXTREMES,
    N_VALUES,
    RANGE,
    SENSOR,
    SPREAD,
    VALUE_HALF_LIVES,
    VALUE_OF,
    X_ADJUSTED,
    X_AVERAGE,
    X_AVERAGE_ADJUSTED,
    X_CHANGE,
    X_ERROR,
    X_LONG,
    X_LONG_ADJUSTED,
    X_READING,
    X_SPREAD,
)
from scrnn_stream.extremes import is_judged, least_probable, probability_of, take_in
from scrnn_stream.features import unit_of
from scrnn_stream.least_squares import expectation
from scrnn_stream.picture import N_COMPARED, count, distance, excess, explain, limited, project, usual
from scrnn_stream.season import DAY_S, regressors

Array = NDArray[Any]
Machine = tuple[Array, ...]  # as `machine_of` and `desk_of` lay them out
Desk = tuple[Array, ...]

BAND = 3.0  # standard deviations to each side
LARGEST_STATISTIC = 1e30  # what float32 holds with room to spare
KEEP = np.array([0.5 ** (1 / half_life) if half_life > 0 else 0.0 for half_life in VALUE_HALF_LIVES])

KEEP_CHANGE, KEEP_LONG = 0.5 ** (1 / CHANGE_HALF_LIFE), 0.5 ** (1 / LONG_HALF_LIFE)
SETTLING = 100  # readings before the errors of a network that has only just begun to learn are a measure
OUTAGE = 10  # records of others without a reading: an average across them would mix two states
RARE = 50  # readings between two outages, at least: what comes more often is a habit, and averages bridge it
N_NEW_AVERAGE = 15  # readings of an average that has begun anew before it is judged: three half-lives

JUDGED, EXPECTED, LOW, HIGH = 1, 2, 3, 4  # lines of a contribution; the blame is line 0
N_CONTRIBUTED = 5


@jit
def n_since_outage(table: Array, j: int) -> float:
    """Readings of sensor j since its last outage, before the record on the desk."""
    n, n_missing = table[at.N_SINCE, j], table[at.N_MISSING, j]
    is_away = n_missing >= OUTAGE and n_missing > 3 * table[at.USUAL_GAP, j]
    return 0.0 if is_away and n >= RARE else float(n)


@jit
def begun_anew(a: float, n: float) -> float:
    """What an average of n values keeps of itself that weighs them as one would that had never begun."""
    return float(a * (1 - a**n) / (1 - a ** (n + 1)))


@jit
def averaged(out: Array, table: Array, x: Array, e: Array) -> None:
    """out[i] = a average[i] + (1 - a) of e, e, sqrt|e|, x, x: the values after this record, (5, D). NaN adds nothing.

    Across a gap in time the averages do not fade: an average of one reading would be no average. But that of a single
    sensor begins anew after an outage: the others have moved on, and what it averages across it fits neither time. Its
    long average is compared with nobody's.
    """
    average, recent = table[at.AVERAGE : at.AVERAGE + N_VALUES], VALUE_OF[LEVEL]
    for j in range(x.size):
        n = table[at.N_AVERAGED, j]
        for i in range(N_VALUES):
            value = x[j] if i >= 3 else (e[j] if i < 2 else np.sqrt(abs(e[j])))
            a = min(KEEP[i], n / (n + 1))  # of the first few a plain mean
            if i == recent:
                a = min(a, begun_anew(KEEP[i], n_since_outage(table, j)))
            out[i, j] = average[i, j] if np.isnan(value) else a * average[i, j] + (1 - a) * value


@jit
def measure(time: float, machine: Machine, desk: Desk) -> None:
    """The channels' values after the readings and errors on the desk; their statistics, NaN if nothing can be said.

    The statistic of a new extreme is its probability.
    """
    numbers, _, _, table, covariance, precision, _, _ = machine
    work, _, head, measured, x, scratch, squares = desk
    statistics, used, e = head[at.STATISTICS :], measured[at.USED], scratch[at.ERRORS]
    limits, mask = scratch[at.SPARE_LINE], scratch[at.MASK]
    for j in range(x.size):
        present = np.isfinite(x[j])
        fresh = present or table[at.N_MISSING, j] + 1 <= 3 * table[at.USUAL_GAP, j]
        fresh = fresh and n_since_outage(table, j) + 1 >= N_NEW_AVERAGE
        measured[at.PRESENT, j] = 1.0 if present else 0.0
        used[j] = 1.0 if fresh and table[at.KNOWN, j] > 0 else 0.0
        mask[j] = used[j] if np.isfinite(e[j]) else 0.0
        limits[j] = limited(x[j], table, variance_of(covariance[LEVEL], j), j)
    averaged(measured[:N_VALUES], table, limits, e)
    for k in range(N_DISTANCES):
        v = measured[VALUE_OF[k]]
        statistics[k] = distance(scratch, k, v, mask if k == ERROR else used, table, precision[k], squares)
    project(scratch, SENSOR, measured[VALUE_OF[SENSOR]], used, table, precision[SENSOR], squares)
    for j in range(x.size):
        measured[at.DISAGREES, j] = scratch[at.BLAME, j]
    n_used = count(used)
    statistics[SENSOR] = relative(measured[at.DISAGREES], table) if n_used > 1 else np.nan
    for k in (RANGE, LONG_RANGE):
        low, high = table[at.LOW + k - RANGE], table[at.HIGH + k - RANGE]
        farthest = excess(limits, low, high, measured[VALUE_OF[k]], used)
        statistics[k] = farthest if n_used > 0 else np.nan
    for k in range(N_CALIBRATED):
        if statistics[k] > LARGEST_STATISTIC:
            statistics[k] = LARGEST_STATISTIC
    values, extremes = measured[at.N_MEASURED :], at.extremes_of(numbers, x.size)
    regressors(at.regressors_of(work)[0], time, time - numbers[at.FIRST_TIME])
    for j in range(x.size):
        imagine(values, j, time - numbers[at.FIRST_TIME] >= DAY_S, extremes, machine, desk)
    for kind in range(N_EXTREMES):
        statistics[N_CALIBRATED + kind] = least_probable(values, extremes, kind)


@jit
def imagine(values: Array, j: int, has_season: bool, extremes: Array, machine: Machine, desk: Desk) -> None:
    """What may be a new extreme of sensor j, (N_EXTREMES, D); NaN if it is missing or nothing can be said yet."""
    _, _, _, table, covariance, _, _, _ = machine
    work, _, _, measured, x, scratch, _ = desk
    values[:, j] = np.nan
    if not measured[at.PRESENT, j] > 0 or table[at.N_CHANGES, j] < N_CHANGES_KNOWN:
        return
    reading = limited(x[j], table, variance_of(covariance[LEVEL], j), j)
    values[X_READING, j] = reading
    values[X_LONG, j], n_since = measured[VALUE_OF[LONG_RANGE], j], n_since_outage(table, j)
    if n_since + 1 >= N_NEW_AVERAGE:
        values[X_AVERAGE, j] = measured[VALUE_OF[LEVEL], j]
    last = limited(table[at.LAST, j], table, variance_of(covariance[LEVEL], j), j)
    if np.isfinite(last) and n_since > 0:
        fade(values, X_CHANGE, j, abs(reading - last), KEEP_CHANGE, extremes)
    if table[at.N_AVERAGED, j] >= SETTLING and np.isfinite(scratch[at.RAW, j]):
        values[X_ERROR, j] = scratch[at.RAW, j] * unit_of(table, j)
        values[X_SPREAD, j] = measured[VALUE_OF[SPREAD], j]
    if has_season:
        values[X_ADJUSTED, j] = reading - expectation(at.regressors_of(work)[0], table[at.WEIGHTS : at.PICTURE], j)
        fade(values, X_AVERAGE_ADJUSTED, j, values[X_ADJUSTED, j], KEEP_CHANGE, extremes)
        fade(values, X_LONG_ADJUSTED, j, values[X_ADJUSTED, j], KEEP_LONG, extremes)


@jit
def fade(values: Array, kind: int, j: int, value: float, keep: float, extremes: Array) -> None:
    """An average of its own after this value; of the first few a plain mean."""
    n = extremes[at.N_SEEN, kind, j]
    a = min(keep, n / (n + 1))
    values[kind, j] = a * extremes[at.SEEN_AVERAGE, kind, j] + (1 - a) * value


@jit
def relative(disagreement: Array, table: Array) -> float:
    """The largest disagreement with the others as a multiple of what is usual of that sensor; 0 until that is known."""
    largest = 0.0
    for j in range(disagreement.size):
        if table[at.N_COMPARED, j] >= N_COMPARED:
            largest = max(largest, disagreement[j] / usual(table, j))
    return largest


@jit
def advance(machine: Machine, desk: Desk) -> None:
    """Move time: the averages take the record on the desk in."""
    numbers, counts, _, table, _, _, _, _ = machine
    _, _, _, measured, x, _, _ = desk
    values, extremes = measured[at.N_MEASURED :], at.extremes_of(numbers, x.size)
    take_in(extremes, values)
    for j in range(x.size):
        for kind in (X_CHANGE, X_AVERAGE_ADJUSTED, X_LONG_ADJUSTED):
            if np.isfinite(values[kind, j]):
                extremes[at.SEEN_AVERAGE, kind, j] = values[kind, j]
        for i in range(N_VALUES):
            if np.isfinite(measured[i, j]):
                table[at.AVERAGE + i, j] = measured[i, j]
        last = table[at.LAST, j]
        if not measured[at.PRESENT, j] > 0:
            table[at.N_MISSING, j] += 1
            continue
        table[at.N_AVERAGED, j] += 1
        table[at.N_SINCE, j] = n_since_outage(table, j) + 1
        if np.isfinite(last):
            gap = table[at.USUAL_GAP, j]
            lasted = min(table[at.N_MISSING, j], 3 * gap + 1)  # one long outage is no habit
            table[at.USUAL_GAP, j] += 0.05 * (lasted - gap)
        table[at.N_MISSING, j] = 0.0
        if x[j] != last:
            note_change(table, counts, j)
        table[at.LAST, j] = x[j]


@jit
def contributions(out: Array, channel: int, machine: Machine, desk: Desk) -> None:
    """Who is to blame in `channel`, and what it judged: a reading, an average of it, or the size of its error.

    The lines of out (5, D): how much a sensor adds to the channel's statistic; what was judged, in the sensor's unit;
    what was expected of it; and the band that holds about 99.7% of its calm values, or for a range all of them.
    """
    _, _, _, table, covariance, precision, _, _ = machine
    _, _, _, measured, x, scratch, squares = desk
    used = measured[at.USED]
    if channel >= N_CALIBRATED:
        for j in range(x.size):
            of_extreme(out, channel - N_CALIBRATED, j, machine, desk)
        return
    v, average = measured[VALUE_OF[channel]], measured[VALUE_OF[LEVEL]]
    out[JUDGED] = v
    if channel >= RANGE:
        beyond_range(out, table[at.LOW + channel - RANGE], table[at.HIGH + channel - RANGE], v, used)
        return
    judged = scratch[at.ERRORS]
    for j in range(x.size):
        judged[j] = used[j] if channel != ERROR or measured[at.PRESENT, j] > 0 else 0.0
    if channel <= SPREAD:
        alone(scratch, channel, v, judged, table)
    else:
        explain(scratch, channel, v, judged, table, precision[channel], squares)
    out[0] = scratch[at.BLAME]
    for j in range(x.size):
        reach, expected = BAND * np.sqrt(scratch[at.VARIANCE, j]), scratch[at.EXPECTED, j]
        out[EXPECTED, j], out[LOW, j], out[HIGH, j] = expected, expected - reach, expected + reach
        shift = 0.0
        if channel == ERROR:  # an error is told by the reading, and by what the past and the others led to expect
            shift = average[j]
            if measured[at.PRESENT, j] > 0:
                for line in range(EXPECTED, N_CONTRIBUTED):
                    out[line, j] /= measured[at.RATIO, j]
                error = measured[at.RESIDUAL, j] * unit_of(table, j)
                shift = limited(x[j], table, variance_of(covariance[LEVEL], j), j) - error
        elif channel == BIAS:
            shift = average[j] - v[j]
        for line in range(JUDGED, N_CONTRIBUTED):
            out[line, j] = max(out[line, j], 0.0) ** 2 if channel == SPREAD else out[line, j] + shift
        if channel == ERROR:
            out[JUDGED, j] = x[j]


@jit
def alone(scratch: Array, k: int, v: Array, judged: Array, table: Array) -> None:
    """Blame, what is expected, and its variance, of errors: what the others say has been taken off them already."""
    for j in range(v.size):
        deviation = table[at.DEVIATION + k, j]
        z = (v[j] - table[at.MEAN + k, j]) / deviation if judged[j] > 0 else 0.0
        if k == SPREAD and table[at.MEAN + k, j] > 0:  # in multiples: roots of sizes deviate less than they grow
            z *= deviation / table[at.MEAN + k, j]
        scratch[at.BLAME, j], scratch[at.EXPECTED, j] = z * z, table[at.MEAN + k, j]
        scratch[at.VARIANCE, j] = deviation * deviation


@jit
def beyond_range(out: Array, low: Array, high: Array, v: Array, used: Array) -> None:
    """The contributions to a range: those outside of it, or else the one that is nearest to its end."""
    blame = out[0]
    farthest = excess(blame, low, high, v, used)
    blamed = farthest > 0 or count(used) == 0
    for j in range(v.size):
        blame[j], is_farthest = max(blame[j], 0.0), blame[j] == farthest
        if is_farthest and not blamed:  # near the end of its range, and that is rare enough
            blame[j], blamed = 1.0, True
        out[LOW, j] = low[j] if np.isfinite(low[j]) else np.nan  # not averaged for long enough to have a range
        out[HIGH, j] = high[j] if np.isfinite(high[j]) else np.nan
        out[EXPECTED, j] = 0.5 * (out[LOW, j] + out[HIGH, j])


@jit
def of_extreme(out: Array, kind: int, j: int, machine: Machine, desk: Desk) -> None:
    """The contribution of sensor j to a new extreme: the decades of its probability, and the range of its past."""
    numbers, _, _, _, _, _, _, _ = machine
    _, _, _, measured, x, _, _ = desk
    values, extremes = measured[at.N_MEASURED :], at.extremes_of(numbers, x.size)
    value, low, high = values[kind, j], extremes[at.SEEN_LOW, kind, j], extremes[at.SEEN_HIGH, kind, j]
    out[0, j] = 0.0
    if is_judged(values, extremes, kind, j):
        out[0, j] = -np.log10(probability_of(values, extremes, kind, j))
    if not low <= high:
        low = high = np.nan
    shift = 0.0
    if kind == X_ERROR:  # told by the reading, and by what was forecast
        shift = values[X_READING, j] - value
    elif kind == X_SPREAD:
        value, low, high = value * value, max(low, 0.0) ** 2, high * high
    elif kind >= X_ADJUSTED:
        shift = values[X_READING, j] - values[X_ADJUSTED, j]
    out[JUDGED, j], out[LOW, j], out[HIGH, j] = value + shift, low + shift, high + shift
    out[EXPECTED, j] = shift if kind == X_ERROR or kind >= X_ADJUSTED else 0.5 * (low + high)
    if kind in (X_READING, X_ERROR, X_ADJUSTED):
        out[JUDGED, j] = x[j]  # as it came: its averages know it limited
