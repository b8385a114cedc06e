"""SCRNNFeatures: the past of a stream as features of each record, for any model of River."""

from __future__ import annotations

import math
from collections.abc import Hashable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from river import base

from scrnn_stream.inputs import Inputs, Scale, as_key, checked_scale
from scrnn_stream.predictor import Predictor
from scrnn_stream.targets import Record

Array = NDArray[np.float64]

# Gradient descent on a squared error diverges where rate x squared length of the features is beyond 2: at River's rate
# of 0.01 these never are. Of 1, 4, 12 and 48 the last diverged; a logistic regression learned faster the longer.
FARTHEST = 3.0  # deviations
SQUARED_LENGTH = 12.0  # of all features, on average; at most nine times as much


class SCRNNFeatures(base.Transformer):
    """Turns a record into what a recurrent network makes of it and of all records before: for models without memory.

    A Structurally Constrained Recurrent Network[^1] learns to predict each record from those before; no target is
    needed. The features are its state after the record: `context_0`, ... are averages at time constants from short to
    long, `hidden_0`, ... what it makes of the last few records. They need no scaler: each is its deviation from its own
    running mean, and all together are of a length that gradient descent bears. The record itself is not among them;
    `SCRNNFeatures() + preprocessing.StandardScaler()` has both. Numbers, text and datetimes are read as by
    `SCRNNRegressor`.

    Only `learn_one` moves time. River transforms a record before it is learned, to predict, and once more afterwards,
    to learn. Both give the same: a record that equals the last one learned is taken to be that one.

    Parameters
    ----------
    n_hidden
        Fast hidden units of the network, and so many features.
    n_context
        Slow context units of the network, and so many features.
    memory
        Shortest and longest time constant of the context units, in records.
    truncation_length
        Records that the error travels back through the hidden units.
    lr
        Learning rate of the hidden and context units, which may be changed by `mutate`.
    seed
        For the network's starting weights.

    Examples
    --------
    Was there a pulse within the last 30 records? A logistic regression cannot know; with these features it can.

    >>> import random
    >>> from river import linear_model, metrics
    >>> from scrnn_stream import SCRNNFeatures
    >>> random_ = random.Random(7)
    >>> stream, since = [], 99
    >>> for t in range(4000):
    ...     since = 0 if random_.random() < 1 / 50 else since + 1
    ...     stream.append(({"pulse": float(since == 0), "noise": random_.gauss(0, 1)}, since < 30))
    >>> for model in (linear_model.LogisticRegression(), SCRNNFeatures(seed=1) | linear_model.LogisticRegression()):
    ...     accuracy = metrics.Accuracy()
    ...     for x, y in stream:
    ...         accuracy.update(y, model.predict_one(x))
    ...         model.learn_one(x, y)
    ...     print(f"{accuracy.get():.1f}")
    0.6
    0.9

    References
    ----------
    [^1]: Mikolov et al., Learning Longer Memory in Recurrent Neural Networks, 2014, arXiv:1412.7753.
    """

    def __init__(
        self,
        n_hidden: int = 32,
        n_context: int = 16,
        memory: tuple[float, float] = (2, 1000),
        truncation_length: int = 20,
        lr: float = 0.0003,
        seed: int | None = None,
    ) -> None:
        self.n_hidden = n_hidden
        self.n_context = n_context
        self.memory = memory
        self.truncation_length = truncation_length
        self.lr = lr
        self.seed = seed
        inputs = Inputs()
        self._predictor = Predictor(
            Record(inputs),
            inputs,
            recalls=False,
            n_hidden=n_hidden,
            n_context=n_context,
            memory=memory,
            truncation_length=truncation_length,
            lr=lr,
            seed=seed,
        )
        self._last: dict[Hashable, Any] | None = None  # learned as soon as its target, the next record, is there
        self._scale = Scale(n_context + n_hidden)
        self._unit = min(1.0, math.sqrt(SQUARED_LENGTH / max(1, n_context + n_hidden)))
        self._names = [f"context_{i}" for i in range(n_context)] + [f"hidden_{i}" for i in range(n_hidden)]

    @property
    def _mutable_attributes(self) -> set[str]:
        return {"lr"}

    def transform_one(self, x: dict[Hashable, Any]) -> dict[Hashable, Any]:
        """The state of the network after a record that comes next, or that was learned last. Changes nothing."""
        if self._last is None:
            state = self._state(x)
        else:
            state = self._state(self._last) if self._is_last(x) else self._state(self._last, x)
        features = np.clip(self._scale.scaled(state), -FARTHEST, FARTHEST) * self._unit
        return dict(zip(self._names, features.tolist(), strict=True))

    def learn_one(self, x: dict[Hashable, Any]) -> None:
        """Take a record in and learn to predict it."""
        if self._last is not None:
            self._predictor.learn(self._last, x, self.lr)
            self._scale.follow(self._state())
        self._last = dict(x)

    def _state(self, *xs: dict[Hashable, Any]) -> Array:
        hidden, context = self._predictor.state_features(*xs)
        return np.concatenate([context, hidden], dtype=np.float64)

    def _is_last(self, x: dict[Hashable, Any]) -> bool:
        raw = self._predictor.inputs.raw
        return self._last is not None and np.array_equal(raw(x), raw(self._last), equal_nan=True)

    def to_state(self) -> dict[str, Any]:
        """Everything learned, as plain data, if the records are; the parameters are not part of it."""
        last = None if self._last is None else [list(pair) for pair in self._last.items()]
        return {"last": last, "scale": self._scale.table.copy(), "predictor": self._predictor.to_state()}

    def restore(self, state: dict[str, Any]) -> None:
        """Become the transformer whose `to_state` this is; it goes on identically."""
        self._predictor.restore(state["predictor"])
        self._scale.table = checked_scale(state["scale"], len(self._names))
        last = state["last"]
        self._last = None if last is None else {as_key(name): value for name, value in last}
