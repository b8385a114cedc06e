"""Where the numbers of a machine lie: three flat vectors, so that a fleet is three arrays and a machine a row of each.

    numbers  float64  its clock and fitted tails; a table with one column for each sensor; covariances and their
                      inverses; the queue of measurements that wait to be learned
    counts   int64    records, and values of each channel
    calm     float32  of each channel the ring of its calm values, then of each the places in it that its window holds,
                      in ascending order of their values: two places (uint16) in the room of one value

Beside them stand `work`, scratch space whose beginning is what was found out about the last record, and `moving`, for
windows. Views are cut out inside the kernels by the number of sensors D, once for each record; none is kept. Up to
MOST_DENSE sensors all correlations are held (E = D), beyond it only variances (E = 1).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scrnn_stream._compile import jit_or_python, view
from scrnn_stream.channels import N_CALIBRATED, N_CHANNELS, N_DISTANCES, N_EXTREMES, N_VALUES, SENSOR
from scrnn_stream.season import N_REGRESSORS

Array = NDArray[Any]

MOST_DENSE = 64  # sensors up to which all correlations are kept; beyond, each sensor is measured on its own

# numbers: the clock, the average evidence of the last records, what is known of each calibrated channel, the covariance
# of the season's regressors, then what has a column for each sensor
FIRST_TIME, TIME, INTERVAL, EVIDENCE, TAILS = range(5)
N_OF_TAIL = 5  # threshold, scale and shape; the least and the largest value
SEASON = TAILS + N_OF_TAIL * N_CALIBRATED
TABLE = SEASON + N_REGRESSORS**2

# lines of the table (N_LINES, D)
SCALE_MEAN, SCALE_VARIANCE, N_SCALED = 0, 1, 2
PREVIOUS = 3  # last known scaled reading: the network's input
AVERAGE = 4  # N_VALUES lines: each kind of value, averaged
N_AVERAGED = AVERAGE + N_VALUES
LAST, N_MISSING, USUAL_GAP = N_AVERAGED + 1, N_AVERAGED + 2, N_AVERAGED + 3  # last reading, records since, usually
N_SINCE = N_AVERAGED + 4  # readings since the sensor's last outage
WEIGHTS = N_AVERAGED + 5  # N_REGRESSORS lines: of the season
PICTURE = WEIGHTS + N_REGRESSORS  # from here on the picture of calm
MEAN = PICTURE  # N_DISTANCES lines
DEVIATION = MEAN + N_DISTANCES  # N_DISTANCES lines
LOW, HIGH = DEVIATION + N_DISTANCES, DEVIATION + N_DISTANCES + 2  # two lines each: average, long average
N_LEARNED = HIGH + 2
JOINED_AT, N_CHANGES, DISAGREEMENT, N_COMPARED, KNOWN = (N_LEARNED + i for i in range(1, 6))
MOVEMENT, SIZES = KNOWN + 1, KNOWN + 2  # of the sensor, lately; and four means that tell the size of its errors
N_LINES = SIZES + 4

# counts; those of the network follow
N_RECORDS, HEAD, N_WAITING, N_IMPROBABLE, N_REGIMES, N_UNSETTLED = range(6)
N_CALM, N_FITTED = 6, 6 + N_CALIBRATED  # values of each channel, and how many there were at its last fit
N_COUNTS = 6 + 2 * N_CALIBRATED

# of the extremes: values there were, their range, an average
N_SEEN, SEEN_LOW, SEEN_HIGH, SEEN_AVERAGE = range(4)
N_OF_EXTREME = 4

# a measurement: p of each channel, the statistics, then a table of N_MEASURED lines: first the values. On the desk
# those of the extremes follow, which do not wait to be learned
STATISTICS, OF_TAIL = N_CHANNELS, 2 * N_CHANNELS  # the latter of the calibrated ones: p by their tail alone
MEASURED = OF_TAIL + N_CALIBRATED
DISAGREES, USED, PRESENT = N_VALUES, N_VALUES + 1, N_VALUES + 2
RESIDUAL, RATIO = N_VALUES + 3, N_VALUES + 4  # the error given the others', and by how much it counts more than it is
N_MEASURED = N_VALUES + 5
N_JUDGED = N_MEASURED + N_EXTREMES
N_QUEUED = 20  # records between the measurement of a value and its learning
N_PLACES = N_QUEUED + 1

# work: the assessment (score, p, dt, p by the tails alone, the average evidence, the measurement, the readings), lines
# of D, squares of (E, D), weights, regressors
SCORE, P, STEP, P_OF_TAILS, AVERAGE_EVIDENCE, HEADER = range(6)
Z, CURVATURE, SLOPE, ERRORS, BLAME, EXPECTED, VARIANCE, SPARE_LINE, MASK, SCALED_X, RAW, MOVED, COUNTED = range(13)
N_SCRATCH = 13
N_SQUARES = 3
OF_ERRORS = N_DISTANCES + 1  # precision matrix: the first ones are those of the channels, then that of `sensor`

# calm
MEMORY = 2000  # calm values that a tail is judged by, at most; while there are few, the younger half of them
SENSOR_DELAY = 300  # values that the tail of `sensor` lags behind: gauges drift for days
REFIT_EVERY = 20  # values between two fits
SPARE = REFIT_EVERY + 4  # ring places beyond MEMORY, so that the window of the last fit is still there at the next one
DELAYS = np.array([SENSOR_DELAY if channel == SENSOR else 0 for channel in range(N_CALIBRATED)])
RINGS = np.concatenate([[0], np.cumsum(MEMORY + SPARE + DELAYS)])  # where each ring begins, and the last one ends
WINDOWS = int(RINGS[-1])
N_CALM_PLACES = WINDOWS + N_CALIBRATED * MEMORY // 2
N_MOVING = MEMORY // 2 + REFIT_EVERY  # room for what a window becomes, for what leaves it and what enters


@jit_or_python
def n_correlated(D: int) -> int:
    """E: rows of a matrix over the sensors."""
    return D if D <= MOST_DENSE else 1


@jit_or_python
def n_measurement(D: int) -> int:
    """Of one that waits."""
    return MEASURED + N_MEASURED * D


@jit_or_python
def n_assessment(D: int) -> int:
    return HEADER + MEASURED + N_JUDGED * D + D


@jit_or_python
def n_numbers(D: int) -> int:
    n_waiting = N_PLACES * n_measurement(D)
    return TABLE + (N_LINES + N_OF_EXTREME * N_EXTREMES + (2 * N_DISTANCES + 2) * n_correlated(D)) * D + n_waiting


@jit_or_python
def n_work(D: int) -> int:
    return n_assessment(D) + N_SCRATCH * D + N_SQUARES * n_correlated(D) * D + N_DISTANCES + 2 * N_REGRESSORS


@jit_or_python
def machine_of(numbers: Array, counts: Array, calm: Array, D: int) -> tuple[Array, ...]:
    """All there is of a machine: its three vectors, and these parts of its numbers.

    The table (N_LINES, D); the covariance of each channel measured by T2 (N_DISTANCES, E, D); precision matrices, of
    these, of the regression of each sensor on the others, and of errors (N_DISTANCES + 2, E, D); of what waits,
    probabilities and statistics (N_PLACES, MEASURED), tables (N_PLACES, N_MEASURED, D). Extremes and season have views
    of their own: `extremes_of` and `season_of`.
    """
    E = n_correlated(D)
    covariance = TABLE + N_LINES * D
    precision = covariance + N_DISTANCES * E * D
    heads = precision + (N_DISTANCES + 2) * E * D
    return (
        numbers,
        counts,
        calm,
        view(numbers, TABLE, (N_LINES, D)),
        view(numbers, covariance, (N_DISTANCES, E, D)),
        view(numbers, precision, (N_DISTANCES + 2, E, D)),
        view(numbers, heads, (N_PLACES, MEASURED)),
        view(numbers, heads + N_PLACES * MEASURED, (N_PLACES, N_MEASURED, D)),
    )


@jit_or_python
def desk_of(work: Array, moving: Array, D: int) -> tuple[Array, ...]:
    """Where a record is worked on: work and moving, and these parts of work.

    The measurement: probabilities and statistics (MEASURED), table (N_JUDGED, D); the readings (D); lines (N_SCRATCH,
    D) and squares (N_SQUARES, E, D) of scratch space.
    """
    measured = HEADER + MEASURED
    readings = measured + N_JUDGED * D
    scratch = readings + D
    squares = scratch + N_SCRATCH * D
    return (
        work,
        moving,
        view(work, HEADER, (MEASURED,)),
        view(work, measured, (N_JUDGED, D)),
        view(work, readings, (D,)),
        view(work, scratch, (N_SCRATCH, D)),
        view(work, squares, (N_SQUARES, n_correlated(D), D)),
    )


@jit_or_python
def weights_of(work: Array) -> Array:
    """(N_DISTANCES): how much a measurement counts."""
    return view(work, work.size - 2 * N_REGRESSORS - N_DISTANCES, (N_DISTANCES,))


@jit_or_python
def regressors_of(work: Array) -> Array:
    """(2, N_REGRESSORS): the season's regressors of the record on the desk, and their gains."""
    return view(work, work.size - 2 * N_REGRESSORS, (2, N_REGRESSORS))


@jit_or_python
def season_of(numbers: Array) -> Array:
    """(N_REGRESSORS, N_REGRESSORS): the covariance of the season's regressors."""
    return view(numbers, SEASON, (N_REGRESSORS, N_REGRESSORS))


@jit_or_python
def extremes_of(numbers: Array, D: int) -> Array:
    """(N_OF_EXTREME, N_EXTREMES, D), the last part of the numbers."""
    n = N_OF_EXTREME * N_EXTREMES * D
    return view(numbers, numbers.size - n, (N_OF_EXTREME, N_EXTREMES, D))


@jit_or_python
def tail_of(numbers: Array, channel: int) -> Array:
    """(N_OF_TAIL): threshold, scale and shape, then the least and the largest value there was."""
    return view(numbers, TAILS + N_OF_TAIL * channel, (N_OF_TAIL,))


@jit_or_python
def ring_of(calm: Array, channel: int) -> Array:
    return view(calm, RINGS[channel], (RINGS[channel + 1] - RINGS[channel],))


@jit_or_python
def window_of(calm: Array, channel: int) -> Array:
    """(MEMORY) places in the channel's ring: as many as the last fit had, in ascending order of their values."""
    return view(calm, WINDOWS + channel * MEMORY // 2, (MEMORY // 2,)).view(np.uint16)
