"""What is known of the future: how features of a record that is still to come change its forecast."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scrnn_stream.inputs import Inputs
from scrnn_stream.mixing import DOUBT, KEEP, SHARPNESS
from scrnn_stream.network import restore

Array = NDArray[Any]

MOST = 16  # columns of features that count: the cost grows with the square of their number
FADING, VARIANCE = 0.999, 0.1  # of the least squares: what is kept at each value, and the doubt of a weight
LARGEST_ERROR = 4.0  # usual errors: a larger one counts as that


class Known:
    """For each of H horizons a regression of what the guides got wrong on the features of the value that was told.

        y_(t+h) - forecast = s_h w_h' (1, z_(t+h), z_t)

    z are the features in deviations, then and when it was told; s_h is the usual error. It is learned by recursive
    least squares from what the features turned out to be, and heeded as far as it has made the error smaller.
    """

    def __init__(self, n_horizons: int) -> None:
        self.inputs = Inputs()
        self._steps = np.arange(n_horizons)
        self.seen = np.zeros((n_horizons, MOST))
        self.errors = np.zeros((n_horizons, 2))
        self.count = 0.0
        self.n = 0
        self.weights, self.covariance = np.zeros((n_horizons, 1)), np.full((n_horizons, 1, 1), VARIANCE)

    @property
    def n_columns(self) -> int:
        return min(len(self.inputs), MOST)

    def _make_room(self, n_regressors: int) -> None:
        H, k = self.weights.shape
        weights, covariance = np.zeros((H, n_regressors)), np.tile(VARIANCE * np.eye(n_regressors), (H, 1, 1))
        weights[:, :k], covariance[:, :k, :k] = self.weights, self.covariance
        self.weights, self.covariance = weights, covariance

    def _read(self, x: Mapping[Any, Any]) -> Array:
        z = np.zeros(MOST)
        z[: self.n_columns] = np.nan_to_num(self.inputs.read(x))[:MOST]
        return z

    def _regressors(self, then: Array, when_told: Array) -> Array:
        """(n, F) of features (n, MOST) of the values told and of when they were told."""
        pairs = np.stack(np.broadcast_arrays(then, when_told), axis=-1)[:, : self.n_columns]
        return np.concatenate([np.ones((len(pairs), 1)), pairs.reshape(len(pairs), -1)], axis=1)

    def trust(self) -> Array:
        """How far it is heeded at each horizon, from 0 to 1, (H,)."""
        horizon = self._steps + 1
        with np.errstate(all="ignore"):
            ratio = self.errors[:, 1] / self.errors[:, 0] * (1.0 + DOUBT * horizon / (horizon + self.count))
        return np.asarray(1.0 / (1.0 + np.exp(np.clip(SHARPNESS * (np.nan_to_num(ratio, nan=9.0) - 1.0), -50, 50))))

    def corrections(self, xs: Sequence[Mapping[Any, Any]], scale: Array) -> Array:
        """What the features of the next values add to their forecasts, (len(xs),). Changes nothing."""
        n, H = len(xs), len(self._steps)
        at = np.minimum(np.arange(n), H - 1)
        f = self._regressors(np.array([self._read(x) for x in xs]).reshape(n, MOST), self.seen[(self.n - 1) % H])
        return np.asarray(self.trust()[at] * scale[at] * (self.weights[at] * f).sum(1))

    def learn(self, x: Mapping[Any, Any], residuals: Array, scale: Array) -> Array:
        """Learn from the forecasts' residuals of a record that has come, (H,); returns what is left of them."""
        if not self.n_columns:
            return residuals
        f = self._regressors(self._read(x)[None], self.seen[(self.n - 1 - self._steps) % len(self._steps)])
        is_there = np.isfinite(residuals) & (scale > 0)
        unit = np.where(is_there, scale, 1.0)
        error = np.where(is_there, residuals, 0.0) / unit
        told = (self.weights * f).sum(1)
        left = residuals - self.trust() * told * unit
        self._correct(f, np.where(is_there, np.clip(error - told, -LARGEST_ERROR, LARGEST_ERROR), 0.0), is_there)
        sizes = np.abs(np.stack([error, error - told], axis=1))
        self.errors = np.where(is_there[:, None], KEEP * self.errors + sizes, self.errors)
        self.count = KEEP * self.count + 1.0
        return np.asarray(left)

    def _correct(self, f: Array, error: Array, is_there: Array) -> None:
        spread = np.einsum("hij,hj->hi", self.covariance, f)
        gain = spread / (FADING + (f * spread).sum(1))[:, None]
        self.weights = self.weights + gain * error[:, None]
        new = (self.covariance - gain[:, :, None] * spread[:, None, :]) / FADING
        new = (new + new.transpose(0, 2, 1)) / 2
        variance = np.einsum("hii->hi", new)
        limit = np.sqrt(np.minimum(1.0, VARIANCE / np.maximum(variance, 1e-12)))
        self.covariance = np.where(
            is_there[:, None, None], new * limit[:, :, None] * limit[:, None, :], self.covariance
        )

    def keep(self, x: Mapping[Any, Any]) -> None:
        """The record from which is told now; its features move the scales."""
        if not x and not self.n_columns:
            return
        self.inputs.learn(x)
        if 1 + 2 * self.n_columns > self.weights.shape[1]:
            self._make_room(1 + 2 * self.n_columns)
        self.seen[self.n % len(self._steps)] = self._read(x)
        self.n += 1

    def to_state(self) -> dict[str, Any]:
        arrays = {"weights": self.weights, "covariance": self.covariance, "errors": self.errors}
        return arrays | {"seen": self.seen.copy(), "count": self.count, "n": self.n, "inputs": self.inputs.to_state()}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.inputs.restore(state["inputs"])
        self._make_room(1 + 2 * self.n_columns)
        for name in ("weights", "covariance", "errors", "seen"):
            restore(getattr(self, name), state, name)
        self.count, self.n = float(state["count"]), int(state["n"])
