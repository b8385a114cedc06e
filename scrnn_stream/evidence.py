"""The evidence against "calm" that one record brings: each channel's values after it, and one statistic of each.

What is learned has first stood in the detector's queue, and counts less the less likely it was: a slow fault would
otherwise teach its own beginning as normal.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from scrnn_stream._compile import jit
from scrnn_stream.channels import (
    BIAS,
    ERROR,
    HALF_LIVES,
    LEVEL,
    LONG_RANGE,
    N_CHANNELS,
    N_DISTANCES,
    RANGE,
    SENSOR,
    SPREAD,
)
from scrnn_stream.picture import Picture

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

N_STARTING = 20  # readings of a sensor before its averages count for the range
BAND = 3.0  # standard deviations to each side
LARGEST_STATISTIC = 1e30  # what float32 holds with room to spare


@jit
def averaged(out: Array, average: Array, n: Array, x: Array, e: Array, half_life: Array) -> None:
    """out[k] = the channels' values after this record, (7, D): error, and the averages. NaN adds nothing.

    Across a gap in time the averages do not fade: an average of one reading would be no average.
    """
    K, D = out.shape
    for k in range(K):
        a = 0.5 ** (1 / half_life[k]) if half_life[k] > 0 else 0.0
        for j in range(D):
            value = x[j] if k >= 3 else e[j]
            if k == 2:
                value = np.sqrt(abs(value))
            if np.isnan(value):
                out[k, j] = average[k, j]
            else:
                started = min(a, n[j] / (n[j] + 1))  # a plain mean of the first few
                out[k, j] = started * average[k, j] + (1 - started) * value


class Measurement(NamedTuple):
    """What a record shows.

    The channels' values after it, (7, D); the seven statistics, NaN where nothing can be said; by how much each
    sensor's average disagrees with the others, (D,); which sensors were used and present.
    """

    values: Array
    statistics: Array
    disagreement: Array
    used: Mask
    present: Mask


class Contribution(NamedTuple):
    """By sensor, (D,) each: how much it adds to a channel's statistic; what was judged, in the sensor's unit, what was
    expected of it, and the band that holds about 99.7% of its calm values, or for a range all of them.
    """

    blame: Array
    judged: Array
    expected: Array
    low: Array
    high: Array


class Evidence:
    """The averages of a machine's readings and errors, and the picture of calm that they are held against.

    Parameters
    ----------
    n_sensors
        Number of sensors D.
    """

    _PER_SENSOR = ("average", "n_averaged", "last", "n_missing", "usual_gap")

    def __init__(self, n_sensors: int) -> None:
        D = n_sensors
        self.n_sensors = D
        self.picture = Picture(D)
        self.average = np.zeros((N_CHANNELS, D))
        self.n_averaged = np.zeros(D)
        self.last = np.full(D, np.nan)  # last reading
        self.n_missing = np.zeros(D)  # records since it
        self.usual_gap = np.zeros(D)  # records that the sensor usually misses between two readings

    def measure(self, x: Array, e: Array) -> Measurement:
        """The channels after readings x and errors e, both (D,). Changes nothing."""
        values = np.empty((N_CHANNELS, self.n_sensors))
        averaged(values, self.average, self.n_averaged, self.picture.limited(x), e, HALF_LIVES)
        present = np.isfinite(x)
        fresh = present | (self.n_missing + 1 <= 3 * self.usual_gap)
        used = fresh & self.picture.known
        statistics = np.empty(N_CHANNELS)
        for k in range(N_DISTANCES):
            statistics[k] = self.picture.distance(k, values[k], (used & np.isfinite(e)) if k == ERROR else used)
        disagreement = self.picture.project(SENSOR, values[SENSOR], used).blame
        statistics[SENSOR] = self.picture.relative(disagreement).max() if used.sum() > 1 else np.nan
        for k in (RANGE, LONG_RANGE):
            statistics[k] = self.picture.excess(k, values[k], used).max() if used.any() else np.nan
        return Measurement(values, np.minimum(statistics, LARGEST_STATISTIC), disagreement, used, present)

    def advance(self, x: Array, measured: Measurement) -> None:
        """Move time: the averages take the record in."""
        self.average[:] = np.where(np.isfinite(measured.values), measured.values, self.average)
        self.n_averaged[measured.present] += 1
        gap = measured.present & np.isfinite(self.last)
        lasted = np.minimum(self.n_missing, 3 * self.usual_gap + 1)  # one long outage is no habit
        self.usual_gap[gap] += 0.05 * (lasted - self.usual_gap)[gap]
        self.n_missing += 1
        self.n_missing[measured.present] = 0
        self.picture.note_changes(measured.present & (x != self.last))
        self.last[measured.present] = x[measured.present]

    def learn(self, measured: Measurement, weights: Array) -> None:
        """Take a measurement into the picture of calm; `weights` (4,) in [0, 1] by channel."""
        values, _, disagreement, used, present = measured
        self.picture.learn(values, disagreement, used, present, self.n_averaged > N_STARTING, weights)

    def contributions(self, x: Array, measured: Measurement, channel: int) -> Contribution:
        """Who is to blame in `channel`, and what it judged: a reading, an average of it, or the size of its error."""
        values, used = measured.values, measured.used
        v = values[channel]
        if channel in (RANGE, LONG_RANGE):
            excess = self.picture.excess(channel, v, used)
            blame = np.maximum(excess, 0.0)
            if used.any() and not blame.any():  # near the end of its range, and that is rare enough
                blame[excess.argmax()] = 1.0
            bounds = np.stack([self.picture.low[channel - RANGE], self.picture.high[channel - RANGE]])
            bounds = np.where(np.isfinite(bounds), bounds, np.nan)  # not averaged for long enough to have a range
            return Contribution(blame, v, bounds.mean(0), *bounds)
        if channel == ERROR:
            used = used & measured.present
        blame, expected, variance = self.picture.explain(channel, v, used)
        reach = BAND * np.sqrt(variance)
        bounds = np.stack([v, expected, expected - reach, expected + reach])
        if channel == ERROR:  # an error is told by the reading, and by what was forecast
            bounds += np.where(measured.present, self.picture.limited(x) - v, values[LEVEL])
            bounds[0] = x
        elif channel == BIAS:
            bounds += values[LEVEL] - v
        elif channel == SPREAD:
            bounds = np.maximum(bounds, 0.0) ** 2
        return Contribution(blame, *bounds)

    def forget(self) -> None:
        """Start the picture of calm anew; the averages go on."""
        self.picture = Picture(self.n_sensors)

    def grow(self, n_sensors: int) -> None:
        """Make room for new sensors, keeping what is known of the old ones."""
        new, D = Evidence(n_sensors), self.n_sensors
        for name in self._PER_SENSOR:
            getattr(new, name)[..., :D] = getattr(self, name)
            setattr(self, name, getattr(new, name))
        self.picture = self.picture.grown(n_sensors)
        self.n_sensors = n_sensors

    def to_state(self) -> dict[str, Any]:
        arrays = {name: getattr(self, name).copy() for name in self._PER_SENSOR}
        return arrays | {"n_sensors": self.n_sensors, "picture": self.picture.to_state()}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Evidence:
        evidence = cls(state["n_sensors"])
        for name in cls._PER_SENSOR:
            getattr(evidence, name)[...] = state[name]
        evidence.picture = Picture.from_state(state["picture"])
        return evidence
