"""What the hour of the day and of the week lead to expect of each sensor, and of nothing else.

A forecast from the last record follows a shift at once; this expectation does not, and tells it from the daily round.
It is recursive least squares on sines and cosines of day and week, with a memory in time.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scrnn_stream._compile import jit
from scrnn_stream.least_squares import correct, expectation, take_in

Array = NDArray[Any]

DAY_S = 86400.0
WEEK_S = 7 * DAY_S
N_DAILY = 3  # harmonics of the day
N_REGRESSORS = 1 + 2 * N_DAILY + 2
MEMORY_S = 11.6 * DAY_S  # of the weights
LARGEST_VARIANCE = 1e5  # of a weight


@jit
def regressors(out: Array, time: float, age_s: float) -> None:
    """1; sines and cosines of the day, once one has passed; of the week, once one has. NaN without a time."""
    daily, weekly = 2 * math.pi * time / DAY_S, 2 * math.pi * time / WEEK_S
    out[0] = 1.0 if np.isfinite(time) else np.nan
    for k in range(N_DAILY):
        out[1 + 2 * k] = math.sin((k + 1) * daily) if age_s >= DAY_S else 0.0
        out[2 + 2 * k] = math.cos((k + 1) * daily) if age_s >= DAY_S else 0.0
    out[N_REGRESSORS - 2] = math.sin(weekly) if age_s >= WEEK_S else 0.0
    out[N_REGRESSORS - 1] = math.cos(weekly) if age_s >= WEEK_S else 0.0


@jit
def learn_season(weights: Array, covariance: Array, gain: Array, f: Array, x: Array, dt: float) -> None:
    """Take readings (D) in, `dt` seconds after the last ones; their memory is one of time.

    The first reading of a sensor is its first expectation: none is NaN.
    """
    keep = math.exp(-min(max(dt, 0.0), MEMORY_S) / MEMORY_S)
    spread = take_in(covariance, gain, f, keep, LARGEST_VARIANCE)
    for j in range(x.size):
        if not np.isfinite(x[j]):
            continue
        if np.isnan(weights[0, j]):
            weights[:, j] = 0.0
            weights[0, j] = x[j]
        else:
            correct(weights, gain, spread, x[j] - expectation(f, weights, j), j)
