"""Intervals around a forecast that hold their level while the stream runs: adaptive conformal inference, by horizon."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scrnn_stream.network import restore

Array = NDArray[Any]

TAILS = np.array([0.25, 0.1, 0.05, 0.025, 0.01, 0.005])  # shares of the values that shall lie beyond one side
# The step of a quantile, in usual errors, falls from STEPS[0] by the root of the number of errors to STEPS[1]. On the
# series that benchmarks.forecasting does not hold out 0.02 to 0.2 kept 92 to 96 % of the rows within 88 and 92 %; the
# intervals were 0.8 % better in score at 0.02 and 5 % worse at 0.2.
STEPS = (0.2, 0.05)
KEEP_SCALE = 0.98
LARGEST = 1e300


class Intervals:
    """How far values may lie above and below a forecast, at each of H horizons.

    For each side and each of some tail probabilities a, a quantile q is tracked in units of the usual error s_h, a
    running mean of |y - forecast|. Each value moves it, a step up if it lay beyond, else a little down:

        q += step ((1 if beyond else 0) - a)

    If q never leaves its range, the share of values beyond it tends to a, whatever the series does[^1]: the sum of the
    moves is bounded. Other levels are interpolated in log a.

    [^1]: Gibbs, Candès, Adaptive conformal inference under distribution shift, 2021, arXiv:2106.00170; with a quantile
    that is tracked itself: Angelopoulos, Candès, Tibshirani, Conformal PID control for time series prediction, 2023,
    arXiv:2307.16895.
    """

    def __init__(self, n_horizons: int) -> None:
        self._steps = np.arange(n_horizons)
        laplace = -np.log(2 * TAILS)  # quantiles where the mean of |error| is 1
        self.quantiles = np.tile(laplace[None, :, None], (n_horizons, 1, 2))
        self.scale = np.zeros(n_horizons)
        self.counts = np.zeros(n_horizons)
        self.reached = np.full((n_horizons, n_horizons, len(TAILS), 2), np.nan)  # by origin and horizon
        self.n = 0

    def learn(self, residuals: Array) -> None:
        """y - forecast of 1 to H values before, (H,); NaN where there was none."""
        is_there = np.abs(residuals) < LARGEST
        sides = np.where(is_there, residuals, 0.0)[:, None, None] * np.array([-1.0, 1.0])
        reached = self.reached[(self.n - 1 - self._steps) % len(self._steps), self._steps]
        counts = self.counts + is_there
        step = np.maximum(STEPS[1], STEPS[0] / np.sqrt(np.maximum(counts, 1.0)))[:, None, None]
        move = step * ((sides > reached) - TAILS[:, None])
        self.quantiles = self.quantiles + np.where(is_there[:, None, None] & ~np.isnan(reached), move, 0.0)
        gain = np.maximum(1.0 - KEEP_SCALE, 1.0 / np.maximum(counts, 1.0))
        self.scale = self.scale + np.where(is_there, gain * (np.abs(sides[:, 0, 1]) - self.scale), 0.0)
        self.counts = counts

    def keep(self) -> None:
        """The reach of the forecasts that are made now, to be measured later."""
        reach = np.maximum(self.quantiles, 0.0) * self.scale[:, None, None]
        reach[self.counts == 0] = np.nan
        self.reached[self.n % len(self._steps)] = reach
        self.n += 1

    def reach(self, level: float, horizon: int) -> Array:
        """How far an interval of that level reaches below and above the forecast, (horizon, 2); 0 while unknown.

        Beyond H it grows on by the power of the horizon by which it grew over the second half of H.
        """
        log_tail = math.log((1.0 - level) / 2.0)
        places = np.append(-math.log(0.5), -np.log(TAILS))
        quantiles = np.maximum.accumulate(np.maximum(self.quantiles, 0.0), axis=1)
        quantiles = np.concatenate([np.zeros_like(quantiles[:, :1]), quantiles], axis=1)
        k = min(max(int(np.searchsorted(places, -log_tail)), 1), len(TAILS))
        share = (-log_tail - places[k - 1]) / (places[k] - places[k - 1])
        at = quantiles[:, k - 1] + share * (quantiles[:, k] - quantiles[:, k - 1])
        within = at * self.scale[:, None]
        n, half = len(within), (len(within) + 1) // 2
        grown = self.scale[-1] / self.scale[half - 1] if self.scale[half - 1] > 0 and n > half else 1.0
        power = min(max(math.log(max(grown, 1e-9)) / math.log(n / half), 0.0), 1.0) if n > half else 0.0
        further = within[-1] * (np.arange(n + 1, max(horizon, n) + 1)[:, None] / n) ** power
        return np.concatenate([within, further])[:horizon]

    def to_state(self) -> dict[str, Any]:
        arrays = {"quantiles": self.quantiles, "scale": self.scale, "counts": self.counts}
        return arrays | {"reached": self.reached.copy(), "n": self.n}

    def restore(self, state: Mapping[str, Any]) -> None:
        for name in ("quantiles", "scale", "counts"):
            restore(getattr(self, name), state, name)
        restore(self.reached, state, "reached", finite=False)
        self.n = int(state["n"])
