"""Tally: how often something so improbable came before."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

N_BINS, PER_DECADE = 200, 20  # down to 1e-10


class Tally:
    """Counts of probabilities by their size: a model that is too sure of itself is measured by its own past.

    A p-value that is honest is below 0.01 once in a hundred times. `probability` is how often one so small came so far.

    Examples
    --------
    >>> tally = Tally()
    >>> for p in [0.5, 0.01, 0.9, 0.3, 0.02, 0.8, 0.4, 0.7, 0.6]:
    ...     tally.learn(p)
    >>> [tally.probability(p) for p in (0.02, 0.001)]  # two of nine came, and this one; this one alone
    [0.3, 0.1]
    """

    def __init__(self) -> None:
        self._counts = np.zeros(N_BINS, np.int64)

    @property
    def n(self) -> int:
        return int(self._counts.sum())

    def probability(self, p: float) -> float:
        """(1 + values so small) / (1 + all)."""
        return (1 + int(self._counts[_bin(p) :].sum())) / (1 + self.n)

    def learn(self, p: float) -> None:
        self._counts[_bin(p)] += 1

    def to_state(self) -> dict[str, Any]:
        return {"counts": self._counts.copy()}

    def restore(self, state: Mapping[str, Any]) -> None:
        counts = np.array(state["counts"], np.int64)
        if counts.shape != (N_BINS,) or (counts < 0).any():
            raise ValueError(f"counts must be {N_BINS} and at least 0, got {counts.shape}")
        self._counts = counts


def _bin(p: float) -> int:
    return min(N_BINS - 1, int(-PER_DECADE * math.log10(min(1.0, max(p, 1e-300)))))
