"""The picture of calm: where each channel's values live while a machine is well.

For each of the first four of the :mod:`~scrnn_stream.channels` a running mean and covariance over the sensors, by
which a value is measured with Hotelling's T2; for the averages of the readings also the range ever seen, and how much
each sensor usually disagrees with what the others say.

A sensor that is missing is left out: the others are judged by their own covariance.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from scrnn_stream._compile import jit
from scrnn_stream.channels import LEVEL, N_DISTANCES, RANGE, SENSOR

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

N_SENSOR_KNOWN = 50  # readings before a sensor's mean and covariance are used
N_NEWCOMER_KNOWN = 400  # the same for one that joins a machine long known: what is usual of the others is known well
N_COMPARED = 50  # records before it is known how much a sensor usually disagrees with the others
N_CHANGES_KNOWN = 10  # changes of value before a sensor is judged at all: a constant has no spread to measure by
LARGEST_JUMP = 10.0  # standard deviations that a learned value may lie off, at most
MOST_DENSE = 64  # sensors up to which all correlations are kept; beyond, each sensor is measured on its own
CULPRIT = 25.0  # a sensor five standard deviations from what the others say has no say itself

# What is added to the spectrum of a correlation matrix before it is inverted. For T2 a floor of noise that no sensor
# is below, and more of it while few independent values are known. For what the others say of one sensor, a regression,
# only as much as one observation weighs: sensors that move together are told apart by what little they differ.
RIDGE, RIDGE_OF_REGRESSION = 0.01, 1e-5
ALIKE = 45.0  # records of an average that weigh as one independent value, ample: nine half-lives

MEMORY = (1000.0, 1000.0, 1000.0, 4000.0)  # samples, by channel; errors are forgotten sooner: the network improves


@jit
def absorb(
    mean: Array, covariance: Array, n: Array, v: Array, present: Mask, memory: float, weight: float, dense: bool
) -> None:
    """Move mean and covariance of one channel towards v, with the gain 3 / (n + 3) until the memory is full."""
    D = len(v)
    gain = np.zeros(D)
    d = np.zeros(D)
    for j in range(D):
        if present[j]:
            gain[j] = max(3.0 / (n[j] + 3.0), 1.0 / memory) * weight if n[j] > 0 else 1.0
            if n[j] == 0:
                mean[j] = v[j]
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


def scaled_to(t2: float, m: int, n: int) -> float:
    """T2 per sensor over m sensors, as improbable as it would be over n.

    By the normal deviate of a chi-squared variable's cube root[^1].

    [^1]: Wilson, Hilferty, The distribution of chi-square, PNAS 17, 1931.
    """
    if m == n:
        return t2
    a, b = 2 / (9 * m), 2 / (9 * n)
    z = (t2 ** (1 / 3) - (1 - a)) / a**0.5
    return float(max(0.0, 1 - b + z * b**0.5) ** 3)


class Projection(NamedTuple):
    """One channel as the others see it: by sensor, (D,) each.

    Its part of T2; what is expected of it given the others; the variance of that.
    """

    blame: Array
    expected: Array
    variance: Array


class Picture:
    """Mean, covariance and range of the channels in calm.

    Parameters
    ----------
    n_sensors
        Number of sensors D.
    """

    _PER_SENSOR = ("mean", "n_learned", "joined_at", "n_changes", "low", "high", "disagreement", "n_compared")
    _DERIVED = ("precision", "deviation", "known")

    def __init__(self, n_sensors: int) -> None:
        D = n_sensors
        self.n_sensors = D
        self.dense = D <= MOST_DENSE
        self.mean = np.zeros((N_DISTANCES, D))
        self.covariance = np.zeros((N_DISTANCES, D if self.dense else 1, D))
        self.n_learned = np.zeros(D)
        self.joined_at = np.zeros(D)  # records learned before its first
        self.n_changes = np.zeros(D)
        self.low = np.full((2, D), np.inf)
        self.high = np.full((2, D), -np.inf)
        self.disagreement = np.zeros(D)  # usual
        self.n_compared = np.zeros(D)  # records that it was learned from
        self.n_records = 0  # learned
        self._refresh()

    # -- measuring ----------------------------------------------------------------------------------------------------

    def distance(self, k: int, v: Array, used: Mask) -> float:
        """Hotelling's T2 of channel k over the used sensors, divided by the number of all; NaN without any."""
        if not used.any():
            return float("nan")
        z, _ = self._standardised(k, v, used)
        slope = self.precision[k] @ z if self.dense else z
        n_used = int(used.sum())
        return scaled_to(max(0.0, float(z @ slope)) / n_used, n_used, int(self.known.sum()))

    def project(self, k: int, v: Array, used: Mask) -> Projection:
        """Channel k of each sensor against what the other used ones say. `SENSOR` is a regression of `LEVEL`.

        The blame is the reconstruction-based contribution[^1]: the part of T2 that goes away when this one sensor is
        set to what the others say. With one faulty sensor it is provably the largest.

        [^1]: Alcala, Qin, Reconstruction-based contribution for process monitoring, Automatica 45, 2009.
        """
        row, z, curvature = min(k, LEVEL), *self._standardised(k, v, used)
        slope = np.where(used, self.precision[k] @ z if self.dense else z, 0.0)
        expected = self.mean[row] + self.deviation[row] * (z - slope / curvature)
        return Projection(slope**2 / curvature, expected, self.deviation[row] ** 2 / curvature)

    def relative(self, disagreement: Array) -> Array:
        """Disagreement of each sensor with the others as a multiple of what is usual; 0 until that is known."""
        return np.where(self.n_compared >= N_COMPARED, disagreement / self._usual, 0.0)

    def explain(self, k: int, v: Array, used: Mask) -> Projection:
        """The same, but a sensor that is clearly wrong has no say on the others; a regression by its usual error."""
        usual = self._usual if k == SENSOR else np.ones(self.n_sensors)
        blame, expected, variance = self.project(k, v, used)
        if self.dense and (blame / usual > CULPRIT).any():
            culprit = int((blame / usual).argmax())
            _, expected, variance = self.project(k, v, used & (np.arange(self.n_sensors) != culprit))
        return Projection(blame / usual, expected, variance * usual)

    def excess(self, k: int, v: Array, used: Mask) -> Array:
        """How far each sensor is outside its range in channel k, in widths of that range; negative inside."""
        low, high = self.low[k - RANGE], self.high[k - RANGE]
        ranged = used & (high > low)
        return np.where(ranged, np.maximum(v - high, low - v) / np.where(ranged, high - low, 1.0), -1.0)

    def limited(self, x: Array) -> Array:
        """A wild reading counts as a hundred standard deviations of the average: no glitch must ruin the averages."""
        reach = np.where(self.n_learned >= 20, 100 * self.deviation[LEVEL], np.inf)
        reach = np.where(self._variances()[LEVEL] > 0, reach, np.inf)
        return np.clip(x, self.mean[LEVEL] - reach, self.mean[LEVEL] + reach)

    @property
    def _usual(self) -> Array:
        return np.where(self.disagreement > 0, self.disagreement, 1.0)

    def _standardised(self, k: int, v: Array, used: Mask) -> tuple[Array, Array]:
        """Values in standard deviations, and the curvature (1 / variance given the others).

        A missing sensor is what the others lead to expect, z_M = -inv(P_MM) P_MU z_U: this marginalises it.
        """
        row = min(k, LEVEL)
        z = np.where(used, (v - self.mean[row]) / self.deviation[row], 0.0)
        if not self.dense:
            return z, np.ones_like(z)
        precision = self.precision[k]
        curvature = np.diag(precision).copy()
        missing = self.known & ~used
        if missing.any():
            across = precision[missing]
            block = np.linalg.inv(across[:, missing])
            z[missing] = -block @ (across @ z)
            curvature[used] -= np.einsum("mu,mn,nu->u", across[:, used], block, across[:, used])
            curvature[missing] = 1 / np.diag(block)
        return z, np.maximum(curvature, 1e-12)

    # -- learning -----------------------------------------------------------------------------------------------------

    def learn(self, values: Array, disagreement: Array, used: Mask, present: Mask, settled: Mask, w: Array) -> None:
        """Take the channels' values, (7, D), in with weights w in [0, 1], (4,); ranges grow by settled averages."""
        self.joined_at[present & (self.n_learned == 0)] = self.n_records
        self.n_records += 1
        for k in range(N_DISTANCES):
            self._absorb(k, values[k], used, present, w[k])
        seen = present & settled
        self.low[:, seen] = np.minimum(self.low, values[RANGE:])[:, seen]
        self.high[:, seen] = np.maximum(self.high, values[RANGE:])[:, seen]
        gain = w[LEVEL] * np.maximum(3.0 / (self.n_compared + 3.0), 1.0 / MEMORY[LEVEL])
        wildest = np.where(self.disagreement > 0, LARGEST_JUMP**2 * self.disagreement, np.inf)
        surprise = np.minimum(disagreement, wildest) - self.disagreement
        compared = used & present if used.sum() > 1 else np.zeros_like(used)
        self.disagreement += np.where(compared, gain * surprise, 0.0)
        self.n_compared[compared] += 1
        self.n_learned[present] += 1
        if self.n_records % 10 == 0 or self.n_records < N_SENSOR_KNOWN:
            self._refresh()

    def _absorb(self, k: int, v: Array, used: Mask, present: Mask, weight: float) -> None:
        """Learn one channel. A sensor that is gone counts as what the others lead to expect of it, and as uncertain.

        This is an online step of expectation-maximisation[^1]. Without it the correlations of a sensor that returns
        would come from other times than the variances.

        [^1]: Dempster, Laird, Rubin, Maximum likelihood from incomplete data via the EM algorithm, 1977.
        """
        mean, covariance, n = self.mean[k], self.covariance[k], self.n_learned
        gone = self.known & ~used & ~present
        if not (self.dense and gone.any() and used.any()):
            absorb(mean, covariance, n, v, present, MEMORY[k], weight, self.dense)
            return
        _, expected, variance = self.project(SENSOR if k == LEVEL else k, v, used)
        n = np.where(gone, n.max(), n)
        absorb(mean, covariance, n, np.where(gone, expected, v), present | gone, MEMORY[k], weight, self.dense)
        gain = weight * np.maximum(3.0 / (n + 3.0), 1.0 / MEMORY[k])
        covariance[gone, gone] += (gain * variance)[gone]

    def note_changes(self, changed: Mask) -> None:
        """Count changes of value. A constant that begins to move is a newcomer: all that was learned of it is moot."""
        moving = changed & (self.n_changes == 1) & (self.n_learned > N_SENSOR_KNOWN)  # the first reading counts as one
        self.n_learned[moving] = 0
        self.joined_at[moving] = self.n_records
        self.n_changes[changed] += 1

    def _variances(self) -> Array:
        return np.diagonal(self.covariance, axis1=1, axis2=2) if self.dense else self.covariance[:, 0]

    def _refresh(self) -> None:
        """Deviations and precision matrices from the covariances."""
        D = self.n_sensors
        variance = self._variances()
        self.deviation = np.where(variance > 0, np.sqrt(variance), 1.0)
        n_needed = np.clip(N_SENSOR_KNOWN + self.joined_at / 4, None, N_NEWCOMER_KNOWN)
        self.known: Mask = (self.n_learned >= n_needed) & (self.n_changes >= N_CHANGES_KNOWN) & (variance[LEVEL] > 0)
        self.precision = np.zeros((N_DISTANCES + 1, D if self.dense else 1, D))
        if not self.dense or D == 0:
            return
        scarcity = 1 / max(1, self.n_records)
        ridge = RIDGE + np.array([0, *[ALIKE] * 3]) * scarcity
        for k in range(N_DISTANCES):
            correlation = self.covariance[k] / np.outer(self.deviation[k], self.deviation[k])
            correlation = np.where(np.outer(self.known, self.known), correlation, 0.0)
            spectrum, axes = np.linalg.eigh(correlation)  # readings that miss each other can leave it indefinite
            spectrum = np.maximum(spectrum, 0.0)
            self.precision[k] = (axes / (spectrum + ridge[k])) @ axes.T
            if k == LEVEL:
                self.precision[SENSOR] = (axes / (spectrum + RIDGE_OF_REGRESSION + scarcity)) @ axes.T

    # -- keeping ------------------------------------------------------------------------------------------------------

    def grown(self, n_sensors: int) -> Picture:
        """The same with room for new sensors."""
        new, D = Picture(n_sensors), self.n_sensors
        for name in self._PER_SENSOR:
            getattr(new, name)[..., :D] = getattr(self, name)
        if new.dense:
            new.covariance[:, :D, :D] = self.covariance
        else:
            new.covariance[:, 0, :D] = self._variances()
        new.n_records = self.n_records
        new._refresh()
        return new

    def to_state(self) -> dict[str, Any]:
        arrays = {name: getattr(self, name).copy() for name in (*self._PER_SENSOR, "covariance", *self._DERIVED)}
        return arrays | {"n_sensors": self.n_sensors, "n_records": self.n_records}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Picture:
        picture = cls(state["n_sensors"])
        for name in (*cls._PER_SENSOR, "covariance", *cls._DERIVED):
            getattr(picture, name)[...] = state[name]
        picture.n_records = state["n_records"]
        return picture
