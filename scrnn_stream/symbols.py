"""What networks of labels and events share: rare values that stand out, and a rate that falls."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scrnn_stream.inputs import CATEGORY, OTHER, Inputs
from scrnn_stream.predictor import Predictor
from scrnn_stream.targets import Labels

Array = NDArray[np.float64]

N_VALUES = 256  # columns that the values of a category get: alarm systems have hundreds of tags
# A context unit that remembers 500 records shows a single event by 1/500. As 0 and 1, a cause that came 50 events ago
# was not found in 100,000 events; by 1/sqrt(frequency) within 50,000. Limited to 8 it took twice as long.
MOST_WEIGHT = 20.0
# Of a softmax with many labels the gradients of rare ones are long. Clipped at 1, as numbers want it, they count too
# little: perplexity 6.8 in place of 6.4 on a simulated log. Momentum helps: RMSprop had 7.0.
TRAINING: dict[str, Any] = {"optimizer": "adam", "clip_gradient": 100.0, "learn_decay": False}
SETTLES_AFTER, LEAST_RATE = 2000, 0.1  # records until the rate falls, and the share of it that stays


class Symbols(Inputs):
    """Inputs in which a value of a category shows by 1 / sqrt(how often it comes), so that rare ones stand out.

    Examples
    --------
    >>> inputs = Symbols()
    >>> for event in ["run", "run", "run", "trip"]:
    ...     inputs.learn({"event": event})
    >>> inputs.read({"event": "trip"}).round(1).tolist(), inputs.read({"event": "run"}).round(1).tolist()
    ([0.0, 1.8], [1.2, 0.0])
    """

    def __init__(self, n_values: int = N_VALUES) -> None:
        super().__init__(n_values)
        self._n_records = 0
        self._seen = np.zeros(0)

    def scaled(self, raw: Array) -> Array:
        z = super().scaled(raw)
        n = len(self._seen)  # a column that was never followed has no weight yet
        often = (self._seen + 0.5) / (self._n_records + 1.0)
        weights = np.minimum(1.0 / np.sqrt(often), MOST_WEIGHT)
        z[:n] = np.where(self._is_category()[:n], z[:n] * weights, z[:n])
        return z

    def follow(self, raw: Array) -> None:
        super().follow(raw)
        self._seen = np.concatenate([self._seen, np.zeros(raw.size - len(self._seen))])
        self._seen += np.where(self._is_category(), raw, 0.0)
        self._n_records += 1

    def _is_category(self) -> Array:
        return np.array([column.kind in (CATEGORY, OTHER) for column in self.columns], bool)

    def to_state(self) -> dict[str, Any]:
        return super().to_state() | {"n_records": self._n_records, "seen": self._seen.copy()}

    def restore(self, state: Mapping[str, Any]) -> None:
        seen, n_records = np.array(state["seen"], np.float64), int(state["n_records"])
        n = len(state["columns"])
        if seen.shape != (n,) or not (seen >= 0).all() or not (seen <= n_records).all():
            raise ValueError(f"seen must be {n} counts up to {n_records}, got {seen}")
        super().restore(state)
        self._seen, self._n_records = seen, n_records


def predictor(n_values: int = N_VALUES, **sizes: Any) -> Predictor:
    """A predictor of labels, with what was found to suit them."""
    return Predictor(Labels(), Symbols(n_values), **TRAINING, **sizes)


def rate(lr: float, n_learned: int) -> float:
    """The learning rate after so many records: it falls by their square root, to a tenth.

    At a rate that stays weights tremble: of 100,000 events perplexity was 6.4 in place of 5.6.
    """
    return lr * max(LEAST_RATE, 1.0 / math.sqrt(1.0 + n_learned / SETTLES_AFTER))
