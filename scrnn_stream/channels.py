"""The channels of evidence against "calm": what is measured of each record, fast and slow.

Measured against the picture of calm, which is protected: a fault does not enter it.

    error       fast   x_t - y_t, what the network did not expect
    bias        fast   its average: an expectation that is persistently wrong
    spread      fast   the average of sqrt|error|: noise that grew or died
    level       slow   the average of x: where the machine lives
    sensor      slow   the one sensor whose average disagrees most with what the others say
    range       slow   the average of x, outside the range ever seen in calm
    long_range  slow   a long average of x, likewise: low for longer than ever

Measured against all that ever was, calm or not: a new extreme, of one sensor,

    new_reading, new_average, new_long_average        of x
    new_change                                        of the average of |x_t - x_(t-1)|
    new_error, new_spread                             of the network's error
    new_adjusted, new_average_adjusted, new_long_adjusted   of x, seasonally adjusted: less what day and week explain

The averages are context units of the network's kind, s_t = a s_(t-1) + (1 - a) x_t, one for each sensor (a unit row
of B), so that each one can be blamed.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

CALIBRATED = ("error", "bias", "spread", "level", "sensor", "range", "long_range")
EXTREMES = (
    *("reading", "average", "long_average", "change", "error", "spread"),
    *("adjusted", "average_adjusted", "long_adjusted"),
)
CHANNELS = (*CALIBRATED, *(f"new_{name}" for name in EXTREMES))
ERROR, BIAS, SPREAD, LEVEL, SENSOR, RANGE, LONG_RANGE = range(7)
N_CALIBRATED, N_EXTREMES, N_CHANNELS = len(CALIBRATED), len(EXTREMES), len(CHANNELS)
N_DISTANCES = 4  # the first ones, measured by T2
VALUES = ("error", "average error", "average sqrt|error|", "average", "long average")  # what the channels look at
N_VALUES = len(VALUES)
VALUE_OF = (0, 1, 2, 3, 3, 3, 4)  # which of them each calibrated channel does
X_READING, X_AVERAGE, X_LONG, X_CHANGE, X_ERROR, X_SPREAD, X_ADJUSTED, X_AVERAGE_ADJUSTED, X_LONG_ADJUSTED = range(
    N_EXTREMES
)
FAST = (ERROR, BIAS, SPREAD, *(N_CALIBRATED + i for i in (X_READING, X_CHANGE, X_ERROR, X_SPREAD, X_ADJUSTED)))

Quantity = Literal["reading", "average", "long average", "change", "error"]
JUDGED: tuple[Quantity, ...] = (
    *("reading", "average", "error", "average", "average", "average", "long average"),
    *("reading", "average", "long average", "change", "reading", "error", "reading", "average", "long average"),
)

HALF_LIFE = 5.0  # samples
CHANGE_HALF_LIFE = 12.0
LONG_HALF_LIFE = 70.0  # samples: a time constant of about a hundred
HALF_LIVES = np.array([0.0, *[HALF_LIFE] * 5, LONG_HALF_LIFE])
VALUE_HALF_LIVES = np.array([0.0, HALF_LIFE, HALF_LIFE, HALF_LIFE, LONG_HALF_LIFE])
CLUSTER_LENGTHS = 1 + HALF_LIVES / np.log(2)  # samples: an average far out stays there for its time constant
SETTLED_AFTER = 10 * HALF_LIVES  # records learned before a channel is calibrated
