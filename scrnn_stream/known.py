"""What features say of a value: of those that come with it, and of those that came before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scrnn_stream.inputs import Inputs, Scale, checked_scale
from scrnn_stream.mixing import DOUBT, KEEP, SHARPNESS
from scrnn_stream.network import restore

Array = NDArray[Any]

MOST = 16  # columns of features that count: the cost grows with the square of their number
# An effect is taken off the series only where it makes the error clearly smaller: smooth features that go with a smooth
# series explain it as well as its own past does, and to no profit.
MARGIN = 1.2
FADING, VARIANCE = 0.999, 0.1  # of the least squares: what is kept at each value, and the doubt of a weight
LARGEST_ERROR = 4.0  # deviations of the series: a larger one counts as that


class Correction:
    """For each of H horizons a recursive least squares of forecasts' errors, heeded as far as it makes them smaller."""

    def __init__(self, n_horizons: int) -> None:
        self.weights, self.covariance = np.zeros((n_horizons, 1)), np.full((n_horizons, 1, 1), VARIANCE)
        self.heeded = np.zeros((n_horizons, n_horizons, 1))  # weights by origin, as far as they were heeded
        self.errors = np.zeros((n_horizons, 2))  # without and with it
        self.count = 0.0

    def make_room(self, n_regressors: int) -> None:
        H, k = self.weights.shape
        weights, covariance = np.zeros((H, n_regressors)), np.tile(VARIANCE * np.eye(n_regressors), (H, 1, 1))
        weights[:, :k], covariance[:, :k, :k] = self.weights, self.covariance
        heeded = np.zeros((H, H, n_regressors))
        heeded[:, :, :k] = self.heeded
        self.weights, self.covariance, self.heeded = weights, covariance, heeded

    def trust(self, margin: float = 1.0) -> Array:
        """How far it is heeded at each horizon, from 0 to 1, (H,): by its errors, as the mixture weighs its guides.

        Half where the errors with it are 1 / `margin` of those without.
        """
        horizon = np.arange(len(self.errors)) + 1
        with np.errstate(all="ignore"):
            ratio = margin * self.errors[:, 1] / self.errors[:, 0] * (1.0 + DOUBT * horizon / (horizon + self.count))
        return np.asarray(1.0 / (1.0 + np.exp(np.clip(SHARPNESS * (np.nan_to_num(ratio, nan=9.0) - 1.0), -50, 50))))

    def told(self, f: Array, at: Array) -> Array:
        """What regressors f (n, F) add to forecasts of the horizons `at` (n,), as far as it is heeded."""
        return np.asarray(self.trust()[at] * (self.weights[at] * f).sum(1))

    def keep(self, origin: int) -> None:
        """What is told from now on, to be measured later."""
        self.heeded[origin] = self.trust()[:, None] * self.weights

    def learn(self, f: Array, error: Array, is_there: Array) -> None:
        """f (H, F) and the error of each horizon's forecast, where there was one."""
        left = error - (self.weights * f).sum(1)
        spread = np.einsum("hij,hj->hi", self.covariance, f)
        gain = spread / (FADING + (f * spread).sum(1))[:, None]
        step = np.where(is_there, np.clip(left, -LARGEST_ERROR, LARGEST_ERROR), 0.0)
        self.weights = self.weights + gain * step[:, None]
        new = (self.covariance - gain[:, :, None] * spread[:, None, :]) / FADING
        new = (new + new.transpose(0, 2, 1)) / 2
        limit = np.sqrt(np.minimum(1.0, VARIANCE / np.maximum(np.einsum("hii->hi", new), 1e-12)))
        new *= limit[:, :, None] * limit[:, None, :]
        self.covariance = np.where(is_there[:, None, None], new, self.covariance)
        sizes = np.abs(np.stack([error, left], axis=1))
        self.errors = np.where(is_there[:, None], KEEP * self.errors + sizes, self.errors)
        self.count = KEEP * self.count + 1.0

    def to_state(self) -> dict[str, Any]:
        arrays = {name: getattr(self, name) for name in ("weights", "covariance", "errors")}
        return arrays | {"heeded": self.heeded.copy(), "count": self.count}

    def restore(self, state: Mapping[str, Any], n_regressors: int) -> None:
        self.make_room(n_regressors)
        for name in ("weights", "covariance", "errors", "heeded"):
            restore(getattr(self, name), state, name)
        self.count = float(state["count"])


class Known:
    """How the features z of records change the forecasts of a series that the guides see without their effect.

        y_(t+h) - forecast = sigma w_h' (1, z_(t+h), z_t)     if the features to come are given,
                           = sigma v_h' (1, z_t)              if they are not

    z are features less their means, in deviations if they are numbers; sigma is the deviation of the series. What the
    features of a value do to it, by the first of these at h = 1, is taken off before the guides see it: the past of a
    series with promotions would tell promotions.
    """

    def __init__(self, n_horizons: int) -> None:
        self.inputs = Inputs()
        self._steps = np.arange(n_horizons)
        self.given, self.blind = Correction(n_horizons), Correction(n_horizons)
        self.seen = np.zeros((n_horizons, MOST))  # features, by origin
        self.means = np.zeros(MOST)
        self.scale = Scale()  # of the series; that of the errors would shrink as they do, and all weights with it
        self.n = 0

    @property
    def n_columns(self) -> int:
        return min(len(self.inputs), MOST)

    def _read(self, x: Mapping[Any, Any]) -> Array:
        z = np.zeros(MOST)
        read = self.inputs.read(x)[:MOST]
        z[: len(read)] = np.where(np.isnan(read), 0.0, read - self.means[: len(read)])
        return z

    def _regressors(self, *features: Array) -> Array:
        """(n, F): 1 and, column by column, each of some features (n, MOST)."""
        parts = np.stack(np.broadcast_arrays(*features), axis=-1)[:, : self.n_columns]
        return np.concatenate([np.ones((len(parts), 1)), parts.reshape(len(parts), -1)], axis=1)

    # -- telling ------------------------------------------------------------------------------------------------------

    def with_features(self, xs: Sequence[Mapping[Any, Any]]) -> Array:
        """What the features of the next values add to their forecasts, (len(xs),)."""
        at = np.minimum(np.arange(len(xs)), len(self._steps) - 1)
        f = self._regressors(np.array([self._read(x) for x in xs]).reshape(-1, MOST), self._newest)
        return self._sigma * self.given.told(f, at)

    def without_features(self, n: int) -> Array:
        """What the features of the last value add to forecasts of the next ones, (n,)."""
        at = np.minimum(np.arange(n), len(self._steps) - 1)
        return self._sigma * self.blind.told(self._regressors(self._newest[None]), at)

    def effect(self, x: Mapping[Any, Any]) -> float:
        """What the features of a record do to the value that comes with it."""
        if not self.n_columns:
            return 0.0
        weights = self.given.weights[0, 1 : 1 + 2 * self.n_columns : 2]
        return float(self._sigma * self.given.trust(MARGIN)[0] * weights @ self._read(x)[: self.n_columns])

    @property
    def _sigma(self) -> float:
        return self.scale.unscaled(1.0) - self.scale.unscaled(0.0)

    @property
    def _newest(self) -> Array:
        return np.asarray(self.seen[(self.n - 1) % len(self._steps)])

    # -- learning -----------------------------------------------------------------------------------------------------

    def learn(self, x: Mapping[Any, Any], y: float, residuals: Array) -> tuple[Array, Array]:
        """Learn from the residuals (H,) of what was told of y; returns what is left, with features and without."""
        sigma = self._sigma
        self.scale.follow(np.array([y]))
        if not self.n_columns:
            return residuals, residuals
        origins = (self.n - 1 - self._steps) % len(self._steps)
        before = self.seen[origins]
        is_there = np.isfinite(residuals)
        error = np.where(is_there, residuals, 0.0) / sigma
        left = []
        for correction, f in (
            (self.given, self._regressors(self._read(x)[None], before)),
            (self.blind, self._regressors(before)),
        ):
            left.append(residuals - sigma * (correction.heeded[origins, self._steps] * f).sum(1))
            correction.learn(f, error, is_there)
        return left[0], left[1]

    def keep(self, x: Mapping[Any, Any]) -> None:
        """The record from which is told now; its features move the scales."""
        if not x and not self.n_columns:
            return
        self.inputs.learn(x)
        read = self.inputs.read(x)[:MOST]
        gain = max(1.0 - FADING, 1.0 / (self.n + 1))
        self.means[: len(read)] += np.where(np.isnan(read), 0.0, gain * (read - self.means[: len(read)]))
        if 1 + self.n_columns > self.blind.weights.shape[1]:
            self.given.make_room(1 + 2 * self.n_columns)
            self.blind.make_room(1 + self.n_columns)
        origin = self.n % len(self._steps)
        self.seen[origin] = self._read(x)
        self.given.keep(origin)
        self.blind.keep(origin)
        self.n += 1

    def to_state(self) -> dict[str, Any]:
        return {
            "inputs": self.inputs.to_state(),
            "given": self.given.to_state(),
            "blind": self.blind.to_state(),
            "seen": self.seen.copy(),
            "means": self.means.copy(),
            "scale": self.scale.table.copy(),
            "n": self.n,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        self.inputs.restore(state["inputs"])
        self.given.restore(state["given"], 1 + 2 * self.n_columns)
        self.blind.restore(state["blind"], 1 + self.n_columns)
        restore(self.seen, state, "seen")
        restore(self.means, state, "means")
        self.scale.table = checked_scale(state["scale"], 1)
        self.n = int(state["n"])
