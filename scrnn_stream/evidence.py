"""The evidence against "calm": seven statistics of each record, fast and slow.

    error       fast   x_t - y_t, what the network did not expect
    bias        fast   its average: an expectation that is persistently wrong
    spread      fast   the average of sqrt|error|: noise that grew or died
    level       slow   the average of x: where the machine lives
    sensor      slow   the one sensor whose average disagrees most with what the others say
    range       slow   the average of x, outside the range ever seen in calm
    long_range  slow   a long average of x, likewise: low for longer than ever

The averages are context units of the network's kind, s_t = a s_(t-1) + (1 - a) x_t, one for each sensor (a unit row
of B), so that each one can be blamed. The first four are measured by Hotelling's T2 against their running mean and
covariance, per sensor used. What is learned has first stood in a queue of `N_QUEUED` records, and counts less the less
likely it was: a slow fault would otherwise teach its own beginning as normal.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from scrnn_stream._kernels import jit

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

CHANNELS = ("error", "bias", "spread", "level", "sensor", "range", "long_range")
ERROR, BIAS, SPREAD, LEVEL, SENSOR, RANGE, LONG_RANGE = range(7)
N_CHANNELS = len(CHANNELS)
N_DISTANCES = 4  # the channels measured by T2
FAST = (ERROR, BIAS, SPREAD)

HALF_LIFE = 5.0  # samples
LONG_HALF_LIFE = 70.0  # samples: a time constant of about a hundred
HALF_LIVES = np.array([0.0, *[HALF_LIFE] * 5, LONG_HALF_LIFE])
CLUSTER_LENGTHS = 1 + HALF_LIVES / np.log(2)  # samples: an average far out stays there for its time constant
SETTLED_AFTER = 10 * HALF_LIVES  # records learned before a channel is calibrated
N_QUEUED = 20  # records between the measurement of a value and its learning
N_SENSOR_KNOWN = 50  # readings before a sensor's mean and covariance are used
N_CHANGES_KNOWN = 10  # changes of value before a sensor is judged at all: a constant has no spread to measure by
ERROR_MEMORY = 1000.0  # samples, of the covariance of error, bias and spread, which shrink as the network learns
LEVEL_MEMORY = 4000.0
UNLIKELY = 0.05  # values of smaller probability count in proportion to it
LARGEST_JUMP = 10.0  # standard deviations that a learned value may lie off, at most
LARGEST_STATISTIC = 1e30  # what float32 holds with room to spare
CULPRIT = 25.0  # a sensor five standard deviations from what the others say has no say itself
RIDGE = 0.01  # of the correlation matrix
MOST_DENSE = 64  # sensors up to which all correlations are kept; beyond, each sensor is measured on its own


@jit
def averaged(out: Array, average: Array, n: Array, x: Array, e: Array, half_life: Array, dt: float) -> None:
    """out[k] = the channels' values after this record, (7, D): error, and the averages. NaN adds nothing."""
    K, D = out.shape
    for k in range(K):
        a = 0.5 ** (dt / half_life[k]) if half_life[k] > 0 else 0.0
        for j in range(D):
            value = x[j] if k >= 3 else e[j]
            if k == 2:
                value = np.sqrt(abs(value))
            if np.isnan(value):
                out[k, j] = average[k, j]
            else:
                started = min(a, n[j] / (n[j] + 1))  # a plain mean of the first few
                out[k, j] = started * average[k, j] + (1 - started) * value


@jit
def distance(v: Array, mean: Array, deviation: Array, precision: Array, used: Mask, dense: bool) -> float:
    """Hotelling's T2 of v over the used sensors, divided by their number."""
    D = len(v)
    total = 0.0
    n = 0
    for i in range(D):
        if used[i]:
            n += 1
            di = (v[i] - mean[i]) / deviation[i]
            if dense:
                for j in range(D):
                    if used[j]:
                        total += di * precision[i, j] * (v[j] - mean[j]) / deviation[j]
            else:
                total += di * di
    return total / n if n > 0 else 0.0


@jit
def outside(v: Array, low: Array, high: Array, used: Mask) -> float:
    """How far the farthest sensor is outside its range, in widths of that range; negative inside."""
    farthest = -1.0
    for j in range(len(v)):
        if used[j] and high[j] > low[j]:
            farthest = max(farthest, max(v[j] - high[j], low[j] - v[j]) / (high[j] - low[j]))
    return farthest


@jit
def absorb(
    mean: Array, covariance: Array, n: Array, v: Array, present: Mask, memory: float, weight: float, dense: bool
) -> None:
    """Move mean and covariance of one channel towards v, with the gain 3 / (n + 2) until the memory is full."""
    D = len(v)
    gain = np.zeros(D)
    d = np.zeros(D)
    for j in range(D):
        if present[j]:
            gain[j] = max(3.0 / (n[j] + 3.0), 1.0 / memory) * weight
            d[j] = v[j] - mean[j]
            variance = covariance[j, j] if dense else covariance[0, j]
            if n[j] >= 20 and variance > 0:
                limit = LARGEST_JUMP * np.sqrt(variance)
                d[j] = min(max(d[j], -limit), limit)
            mean[j] += gain[j] * d[j]
    for i in range(D):
        if not dense:
            covariance[0, i] = (1 - gain[i]) * (covariance[0, i] + gain[i] * d[i] * d[i])
        elif present[i]:
            for j in range(D):
                if present[j]:
                    g = min(gain[i], gain[j]) if i != j else gain[i]
                    covariance[i, j] = (1 - g) * (covariance[i, j] + g * d[i] * d[j])


class Measurement(NamedTuple):
    """What a record shows.

    The channels' values after it, (7, D); the seven statistics; by how much each sensor's average disagrees with the
    others, (D,); which sensors were used and present.
    """

    values: Array
    statistics: Array
    disagreement: Array
    used: Mask
    present: Mask


class Contribution(NamedTuple):
    """By sensor: how much it adds to a channel's distance, and what the level channel expects of it, (D,) each."""

    blame: Array
    expected: Array
    deviation: Array


class Evidence:
    """Averages, and where they live in calm: all that the seven channels remember.

    Parameters
    ----------
    n_sensors
        Number of sensors D.
    """

    _PER_SENSOR = (
        "average",
        "n_averaged",
        "mean",
        "n_learned",
        "n_changes",
        "low",
        "high",
        "disagreement",
        "last",
        "n_missing",
        "usual_gap",
    )

    def __init__(self, n_sensors: int) -> None:
        D = n_sensors
        self.n_sensors = D
        self.dense = D <= MOST_DENSE
        self.average = np.zeros((N_CHANNELS, D))
        self.n_averaged = np.zeros(D)
        self.mean = np.zeros((N_DISTANCES, D))
        self.covariance = np.zeros((N_DISTANCES, D if self.dense else 1, D))
        self.n_learned = np.zeros(D)
        self.n_changes = np.zeros(D)
        self.low = np.full((2, D), np.inf)
        self.high = np.full((2, D), -np.inf)
        self.disagreement = np.zeros(D)  # usual
        self.last = np.full(D, np.nan)  # last reading
        self.n_missing = np.zeros(D)  # records since it
        self.usual_gap = np.zeros(D)  # records that the sensor usually misses between two readings
        self.n_records = 0  # learned
        self._memory = np.array([ERROR_MEMORY, ERROR_MEMORY, ERROR_MEMORY, LEVEL_MEMORY])
        self._refresh()

    # -- measuring ----------------------------------------------------------------------------------------------------

    def measure(self, x: Array, e: Array, dt: float) -> Measurement:
        """The channels after readings x and errors e, both (D,), dt samples after the last ones. Changes nothing."""
        values = np.empty((N_CHANNELS, self.n_sensors))
        averaged(values, self.average, self.n_averaged, self.limited(x), e, HALF_LIVES, dt)
        present = np.isfinite(x)
        fresh = present | (self.n_missing + 1 <= 3 * self.usual_gap)
        used = fresh & self._known
        statistics = np.empty(N_CHANNELS)
        for k in range(N_DISTANCES):
            seen = (used & np.isfinite(e)) if k == ERROR else used
            statistics[k] = distance(values[k], self.mean[k], self._deviation[k], self._precision[k], seen, self.dense)
        disagreement = self._project(values, used, LEVEL)[0]
        statistics[SENSOR] = np.max(disagreement / self._usual_disagreement, initial=0.0) if used.sum() > 1 else 0.0
        for k in (RANGE, LONG_RANGE):
            statistics[k] = outside(values[k], self.low[k - RANGE], self.high[k - RANGE], used)
        return Measurement(values, np.minimum(statistics, LARGEST_STATISTIC), disagreement, used, present)

    def advance(self, x: Array, measured: Measurement) -> None:
        """Move time: the averages take the record in."""
        self.average[:] = np.where(np.isfinite(measured.values), measured.values, self.average)
        self.n_averaged[measured.present] += 1
        gap = measured.present & np.isfinite(self.last)
        self.usual_gap[gap] += 0.05 * (self.n_missing[gap] - self.usual_gap[gap])
        self.n_missing += 1
        self.n_missing[measured.present] = 0
        self.n_changes[measured.present & (x != self.last)] += 1
        self.last[measured.present] = x[measured.present]

    def learn(self, measured: Measurement, weights: Array) -> None:
        """Take a measurement into means, covariances and ranges; `weights` (4,) in [0, 1] by channel."""
        self.n_records += 1
        present = measured.present
        for k in range(N_DISTANCES):
            absorb(
                self.mean[k], self.covariance[k], self.n_learned, measured.values[k], present,
                self._memory[k], weights[k], self.dense,
            )  # fmt: skip
        seen = present & (self.n_averaged > N_QUEUED)
        averages = measured.values[RANGE:]
        self.low[:, seen] = np.minimum(self.low, averages)[:, seen]
        self.high[:, seen] = np.maximum(self.high, averages)[:, seen]
        gain = weights[LEVEL] * np.maximum(3.0 / (self.n_learned + 3.0), 1.0 / LEVEL_MEMORY)
        wildest = np.where(self.disagreement > 0, LARGEST_JUMP**2 * self.disagreement, np.inf)
        surprise = np.minimum(measured.disagreement, wildest) - self.disagreement
        self.disagreement += np.where(measured.used & present, gain * surprise, 0.0)
        self.n_learned[present] += 1
        if self.n_records % 10 == 0 or self.n_records < N_SENSOR_KNOWN:
            self._refresh()

    # -- explaining ---------------------------------------------------------------------------------------------------

    def contributions(self, measured: Measurement, channel: int) -> Contribution:
        """Who is to blame in `channel`, and what the level channel expects given the other sensors.

        The blame is the reconstruction-based contribution[^1]: the part of T2 that goes away when this one sensor is
        set to what the others say. With one faulty sensor it is provably the largest.

        [^1]: Alcala, Qin, Reconstruction-based contribution for process monitoring, Automatica 45, 2009.
        """
        if channel == SENSOR:
            blame = measured.disagreement / self._usual_disagreement
        elif channel < N_DISTANCES:
            blame = self._project(measured.values, measured.used, channel)[0]
        else:
            blame = self._excess(measured, channel)
        shift, curvature = self._without_the_culprit(measured)
        deviation = np.sqrt(self._deviation[LEVEL] ** 2 / curvature + self._deviation[ERROR] ** 2)
        return Contribution(blame, measured.values[LEVEL] - shift, deviation)

    def _without_the_culprit(self, measured: Measurement) -> tuple[Array, Array]:
        """How far each level is from what the others say, and the curvature; a faulty sensor has no say on others."""
        blame, shift, curvature = self._project(measured.values, measured.used, LEVEL)
        if not self.dense or not (blame > CULPRIT).any():
            return shift, curvature
        culprit = int(blame.argmax())
        precision = self._precision[LEVEL]
        others = precision - np.outer(precision[:, culprit], precision[culprit]) / precision[culprit, culprit]
        d = np.where(measured.used, (measured.values[LEVEL] - self.mean[LEVEL]) / self._deviation[LEVEL], 0.0)
        rest = np.arange(self.n_sensors) != culprit
        curvature = np.where(rest, np.maximum(np.diag(others), 1e-12), curvature)
        shift = np.where(rest, self._deviation[LEVEL] * (others @ d) / curvature, shift)
        return shift, curvature

    def _excess(self, measured: Measurement, k: int) -> Array:
        v, low, high = measured.values[k], self.low[k - RANGE], self.high[k - RANGE]
        width = np.where(high > low, high - low, 1.0)
        excess = np.maximum(np.maximum(v - high, low - v), 0.0) / width
        return np.where(measured.used & (high > low), excess, 0.0)

    def _project(self, values: Array, used: Mask, k: int) -> tuple[Array, Array, Array]:
        """By sensor: its part of T2, how far it is from what the others say, and the curvature (1 / its variance)."""
        d = np.where(used, (values[k] - self.mean[k]) / self._deviation[k], 0.0)
        slope = self._precision[k] @ d if self.dense else d
        curvature = np.diag(self._precision[k]) if self.dense else np.ones_like(d)
        return np.where(used, slope**2 / curvature, 0.0), self._deviation[k] * slope / curvature, curvature

    @property
    def _usual_disagreement(self) -> Array:
        return np.where(self.disagreement > 0, self.disagreement, 1.0)

    # -- keeping ------------------------------------------------------------------------------------------------------

    @property
    def known(self) -> Mask:
        """Sensors seen often enough to be judged, (D,)."""
        return self._known

    def limited(self, x: Array) -> Array:
        """A wild reading counts as a hundred standard deviations: one glitch must not ruin the averages."""
        reach = np.where(self.n_learned >= 20, 100 * self._deviation[LEVEL], np.inf)
        reach = np.where(self._variance(LEVEL) > 0, reach, np.inf)
        return np.clip(x, self.mean[LEVEL] - reach, self.mean[LEVEL] + reach)

    def _variance(self, k: int) -> Array:
        variance: Array = np.diag(self.covariance[k]) if self.dense else self.covariance[k, 0]
        return variance

    def _refresh(self) -> None:
        """Deviations and precision matrices from the covariances."""
        D = self.n_sensors
        variance = np.array([self._variance(k) for k in range(N_DISTANCES)]).reshape(N_DISTANCES, D)
        self._deviation = np.where(variance > 0, np.sqrt(variance), 1.0)
        self._known: Mask = (
            (self.n_learned >= N_SENSOR_KNOWN) & (self.n_changes >= N_CHANGES_KNOWN) & (variance[LEVEL] > 0)
        )
        self._precision = np.zeros((N_DISTANCES, D if self.dense else 1, D))
        if not self.dense or D == 0:
            return
        # neighbouring values of an average are alike: few records are fewer independent ones, so shrink more
        shrink = RIDGE + np.array([0.0, 1.0, 1.0, 1.0]) * 9 * HALF_LIFE / max(1, self.n_records)
        for k in range(N_DISTANCES):
            correlation = self.covariance[k] / np.outer(self._deviation[k], self._deviation[k])
            correlation = np.where(np.outer(self._known, self._known), correlation, 0.0)
            spectrum, axes = np.linalg.eigh(correlation)  # readings that miss each other can leave it indefinite
            self._precision[k] = (axes / (np.maximum(spectrum, 0.0) + shrink[k])) @ axes.T

    def forget(self) -> None:
        """Start the picture of calm anew; the averages go on."""
        fresh = Evidence(self.n_sensors)
        for name in ("mean", "covariance", "n_learned", "n_changes", "low", "high", "disagreement", "n_records"):
            setattr(self, name, getattr(fresh, name))
        self._refresh()

    def grow(self, n_sensors: int) -> None:
        """Make room for new sensors, keeping what is known of the old ones."""
        old, D = self.to_state(), self.n_sensors
        self.__init__(n_sensors)  # type: ignore[misc]
        for name in self._PER_SENSOR:
            getattr(self, name)[..., :D] = old[name]
        variances = np.array([np.diag(c) for c in old["covariance"]]) if D <= MOST_DENSE else old["covariance"][:, 0]
        if self.dense:
            self.covariance[:, :D, :D] = old["covariance"]
        else:
            self.covariance[:, 0, :D] = variances.reshape(N_DISTANCES, D)
        self.n_records = old["n_records"]
        self._refresh()

    def to_state(self) -> dict[str, Any]:
        state: dict[str, Any] = {name: getattr(self, name).copy() for name in (*self._PER_SENSOR, "covariance")}
        state |= {"precision": self._precision.copy(), "deviation": self._deviation.copy(), "known": self._known.copy()}
        return state | {"n_sensors": self.n_sensors, "n_records": self.n_records}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Evidence:
        evidence = cls(state["n_sensors"])
        for name in (*cls._PER_SENSOR, "covariance"):
            getattr(evidence, name)[...] = state[name]
        evidence.n_records = state["n_records"]
        evidence._precision = np.array(state["precision"])
        evidence._deviation = np.array(state["deviation"])
        evidence._known = np.array(state["known"])
        return evidence
