"""How the guides of a forecast are mixed: at each horizon by how well each has told values of late."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scrnn_stream.network import restore

Array = NDArray[Any]

# Chosen on the series that benchmarks.forecasting does not hold out, from 0.99 to 0.999, 10 to 40 and 0 to 2: the
# geometric mean of the errors moved by less than 0.4 %.
KEEP, SHARPNESS, DOUBT = 0.995, 20.0, 1.0
LARGEST = 1e300


class Mixture:
    """Weights of G guides at each of H horizons.

    A guide's error e is the mean of |y - told| over some two hundred values, newer ones counting more. Its weight is

        exp(-20 (e / e_best - 1))

    so a guide that is a tenth worse than the best has a seventh of its weight, and one half as bad again has none. A
    guide with few errors to judge by counts as worse than it seems, the last value (the first guide) apart.

    Parameters
    ----------
    n_horizons, n_guides
        H and G.
    """

    def __init__(self, n_horizons: int, n_guides: int) -> None:
        self._steps = np.arange(n_horizons)
        self.errors = np.zeros((n_horizons, n_guides))
        self.counts = np.zeros((n_horizons, n_guides))
        self.told = np.full((n_horizons, n_guides, n_horizons), np.nan)
        self.n = 0

    def learn(self, y: float) -> None:
        """Measure what was told of y, 1 to H values before."""
        error = np.abs(y - self.told[(self.n - 1 - self._steps) % len(self._steps), :, self._steps])
        is_told = error < LARGEST  # neither NaN nor infinite
        fading = 1.0 - (1.0 - KEEP) * is_told
        self.errors = fading * self.errors + np.where(is_told, error, 0.0)
        self.counts = fading * self.counts + is_told

    def keep(self, told: Array) -> None:
        """What the guides tell now, (G, H), to be measured later."""
        self.told[self.n % len(self._steps)] = told
        self.n += 1

    def weights(self, is_there: Array, step: int | None = None) -> Array:
        """Of each guide at each horizon, (H, G), of those that tell something; or at one horizon, for (n, G)."""
        at = slice(None) if step is None else slice(step, step + 1)
        counts, horizon = self.counts[at], self._steps[at, None] + 1
        with np.errstate(all="ignore"):
            error = self.errors[at] / counts
            error[:, 1:] *= 1.0 + DOUBT * horizon / (horizon + counts[:, 1:])
            error = np.where(is_there & (counts > 0), error, np.inf)
            best = error.min(1, keepdims=True)
            weights = np.where(error == best, 1.0, np.exp(-SHARPNESS * (error / best - 1.0)))
        unknown = np.isinf(best)[:, 0]
        weights[unknown] = 0.0
        weights[unknown, 0] = 1.0
        return np.asarray(weights / weights.sum(1, keepdims=True))

    def mixed(self, told: Array, step: int | None = None) -> Array:
        """The forecast (n,) of what the guides tell, (G, n): one for each horizon, or all weighed as at one of them."""
        is_there = np.abs(told.T) < LARGEST
        return np.asarray((self.weights(is_there, step) * np.where(is_there, told.T, 0.0)).sum(1))

    def to_state(self) -> dict[str, Any]:
        arrays = {"errors": self.errors.copy(), "counts": self.counts.copy()}
        return arrays | {"told": self.told.copy(), "n": self.n}

    def restore(self, state: Mapping[str, Any]) -> None:
        restore(self.errors, state, "errors")
        restore(self.counts, state, "counts")
        restore(self.told, state, "told", finite=False)
        self.n = int(state["n"])
