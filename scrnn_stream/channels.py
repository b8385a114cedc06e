"""The channels of evidence against "calm": seven statistics of each record, fast and slow.

    error       fast   x_t - y_t, what the network did not expect
    bias        fast   its average: an expectation that is persistently wrong
    spread      fast   the average of sqrt|error|: noise that grew or died
    level       slow   the average of x: where the machine lives
    sensor      slow   the one sensor whose average disagrees most with what the others say
    range       slow   the average of x, outside the range ever seen in calm
    long_range  slow   a long average of x, likewise: low for longer than ever

The averages are context units of the network's kind, s_t = a s_(t-1) + (1 - a) x_t, one for each sensor (a unit row
of B), so that each one can be blamed.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

CHANNELS = ("error", "bias", "spread", "level", "sensor", "range", "long_range")
ERROR, BIAS, SPREAD, LEVEL, SENSOR, RANGE, LONG_RANGE = range(7)
N_CHANNELS = len(CHANNELS)
N_DISTANCES = 4  # the first ones, measured by T2
FAST = (ERROR, BIAS, SPREAD)
VALUES = ("error", "average error", "average sqrt|error|", "average", "long average")  # what the channels look at
N_VALUES = len(VALUES)
VALUE_OF = (0, 1, 2, 3, 3, 3, 4)  # which of them each channel does
Quantity = Literal["reading", "average", "long average", "error"]
JUDGED: tuple[Quantity, ...] = ("reading", "average", "error", "average", "average", "average", "long average")

HALF_LIFE = 5.0  # samples
LONG_HALF_LIFE = 70.0  # samples: a time constant of about a hundred
HALF_LIVES = np.array([0.0, *[HALF_LIFE] * 5, LONG_HALF_LIFE])
VALUE_HALF_LIVES = np.array([0.0, HALF_LIFE, HALF_LIFE, HALF_LIFE, LONG_HALF_LIFE])
CLUSTER_LENGTHS = 1 + HALF_LIVES / np.log(2)  # samples: an average far out stays there for its time constant
SETTLED_AFTER = 10 * HALF_LIVES  # records learned before a channel is calibrated
