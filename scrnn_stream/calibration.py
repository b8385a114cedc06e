"""From a raw statistic to a tail probability: by rank among recent calm values, and by a Pareto tail beyond them.

Tails differ wildly between streams, so each stream and each channel has its own. Beyond the 90% quantile u of the
recent calm values the excess follows a generalised Pareto distribution[^1], P(excess > z) = (1 + shape z / scale)^(-1 /
shape). Shape and scale come from probability-weighted moments[^2]. What is independent in a stream are not values but
*clusters* of excesses: where they are few, the shape is drawn to a prior, and made heavier by what they leave open.

[^1]: Pickands, Statistical inference using extreme order statistics, Annals of Statistics 3, 1975.
[^2]: Hosking, Wallis, Parameter and quantile estimation for the generalized Pareto distribution, 1987.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scrnn_stream._compile import jit

Array = NDArray[np.float64]

MEMORY = 2000  # calm values that a tail is judged by, at most; while there are few, the younger half of them
N_NEEDED = 200  # values before a channel is calibrated, at least
REFIT_EVERY = 20  # values between two fits
SPARE = 24  # ring places beyond MEMORY, so that the window of the last fit can be found again after a restart
TAIL_QUANTILE = 0.9
PRIOR_SHAPE = 0.1  # moderately heavy: between an exponential tail (0) and Student's t with 5 degrees of freedom (0.2)
UNCERTAINTY = 0.2  # added to the shape, divided by the root of the number of clusters
PRIOR_WEIGHT = 30  # clusters of excesses that weigh as much as the prior
SMALLEST_P = 1e-300


@jit
def fit_tail(window: Array, gap: int) -> tuple[float, float, float]:
    """Threshold u, scale and shape of the tail of the values in `window`, which is in order of time.

    Excesses at most `gap` samples apart are one cluster.
    """
    ordered = np.sort(window)
    n = len(ordered)
    first = int(TAIL_QUANTILE * (n - 1))
    u = ordered[first]
    while first < n and ordered[first] <= u:
        first += 1
    m = n - first
    if m < 5:  # a flat stream: fall back on the size of u itself
        return u, max(abs(u), 1e-9), PRIOR_SHAPE
    mean = 0.0
    weighted = 0.0
    for k in range(m):
        excess = ordered[first + k] - u
        mean += excess / m
        weighted += excess * (m - 1 - k) / (m - 1) / m
    spread = mean - 2 * weighted
    shape = 2 - mean / spread if spread != 0 else 0.0
    shape = min(max(shape, -0.5), 0.9)
    n_clusters = 0
    last = -gap - 1
    for t in range(n):
        if window[t] > u:
            if t - last > gap:
                n_clusters += 1
            last = t
    shape = max((n_clusters * shape + PRIOR_WEIGHT * PRIOR_SHAPE) / (n_clusters + PRIOR_WEIGHT), 1e-3)
    shape = min(0.9, shape + UNCERTAINTY / np.sqrt(1.0 + n_clusters))
    return u, max(mean * (1 - shape), 1e-12), shape


@jit
def tail_probability(value: float, ordered: Array, tail: Array) -> float:
    """P(a calm value >= value), by rank below the threshold and by the Pareto tail above it."""
    if value > tail[0]:
        p = (1 - TAIL_QUANTILE) * (1 + tail[2] * (value - tail[0]) / tail[1]) ** (-1 / tail[2])
        return float(max(p, SMALLEST_P))
    n = len(ordered)
    return float((1.0 + n - np.searchsorted(ordered, value)) / (n + 1))


class TailCalibration:
    """The tail of one channel's calm values.

    Parameters
    ----------
    gap
        Samples without an excess after which the next one starts a new cluster; a few time constants of the channel.
    n_needed
        Values before the channel is calibrated.
    delay
        Values that the tail lags behind, once it is ten times as old: a slow fault must not widen its own tail.
    """

    def __init__(self, gap: int, n_needed: int = N_NEEDED, delay: int = 0) -> None:
        self.gap = gap
        self.n_needed = n_needed
        self.delay = delay
        self._ring = np.zeros(MEMORY + delay + SPARE, np.float32)
        self._n = 0
        self._n_fitted = 0
        self._ordered: Array = np.zeros(0)
        self._tail: Array = np.zeros(3)

    @property
    def n_missing(self) -> int:
        """Values still needed before the channel is calibrated."""
        return max(0, self.n_needed - self._n)

    def learn(self, value: float) -> None:
        self._ring[self._n % len(self._ring)] = value
        self._n += 1
        if self._n >= self.n_needed and self._n - self._n_fitted >= REFIT_EVERY:
            self._n_fitted = self._n
            self._fit()

    def probability(self, value: float) -> float:
        """Tail probability of a value; 1 for NaN, and while the channel is not calibrated."""
        if self._n_fitted == 0 or np.isnan(value):
            return 1.0
        return float(tail_probability(float(np.float32(value)), self._ordered, self._tail))  # as the ring keeps it

    def _fit(self) -> None:
        end = max(self.n_needed, self._n_fitted - min(self.delay, self._n_fitted // 10))
        n_window = max(self.n_needed, min(MEMORY, end // 2))
        window = self._ring[np.arange(end - n_window, end) % len(self._ring)].astype(np.float64)
        self._tail[:] = fit_tail(window, self.gap)
        self._ordered = np.sort(window)

    def to_state(self) -> dict[str, Any]:
        return {
            "gap": self.gap,
            "n_needed": self.n_needed,
            "delay": self.delay,
            "ring": self._ring.copy(),
            "n": self._n,
            "n_fitted": self._n_fitted,
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> TailCalibration:
        calibration = cls(state["gap"], state["n_needed"], state["delay"])
        calibration._ring[:] = state["ring"]
        calibration._n, calibration._n_fitted = state["n"], state["n_fitted"]
        if calibration._n_fitted:
            calibration._fit()
        return calibration


def cluster_probability(p: Array, cluster_length: Array) -> Array:
    """Probability that a *cluster* of values this improbable begins at a record.

    An average that is far out stays there for about its time constant, so that many records share one event: the
    extremal index[^1] is 1 / cluster_length. The whole division applies from p = 0.01 down: the bulk has no clusters.

    [^1]: Leadbetter, Extremes and local dependence in stationary sequences, 1983.
    """
    in_tail = np.minimum(1.0, -np.log10(np.maximum(p, SMALLEST_P)) / 2)
    result: Array = p / cluster_length**in_tail
    return result


def to_score(p: float) -> float:
    """Anomaly score in [0, 1) of a tail probability: d / (3 + d), where d = -log10 p counts the zeros.

    0.5 is one calm sample in a thousand, 2/3 one in a million, 0.8 one in 10^12: the same on every stream.
    """
    decades = max(0.0, -float(np.log10(max(p, SMALLEST_P))))
    return decades / (3.0 + decades)


def to_probability(score: float) -> float:
    """The tail probability behind a score; the inverse of :func:`to_score`."""
    return float(10 ** (-3.0 * score / (1.0 - score)))
