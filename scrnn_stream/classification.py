"""SCRNNClassifier: a label from a record and its past, with River's interface."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from river import base

from scrnn_stream import symbols
from scrnn_stream.frames import labelled, like, records, table_like


class SCRNNClassifier(base.MiniBatchClassifier):
    """Predicts the label of a record from the record and all records and labels before it.

    For streams in which the order means something: the next event of a log, the state of a machine, what a customer
    does next. A Structurally Constrained Recurrent Network[^1] takes the records in, and the last label beside each; a
    softmax tells the labels. A new label may appear at any time and gets an output of its own. Features may come and
    go: numbers, which it scales itself, datetimes (clocks), and text, a column for each value, which shows the more the
    rarer it is. A missing label moves time and no weight. Where all there is are the labels, let the record be empty.

    A prediction is one of the record that would follow the last one learned, and changes nothing. Of a frame, the rows
    of `predict_many` are alternative next records, those of `learn_many` come one after the other.

    Parameters
    ----------
    n_hidden
        Fast hidden units of the network.
    n_context
        Slow context units of the network.
    memory
        Shortest and longest time constant of the context units, in records.
    truncation_length
        Records that the error travels back through the hidden units.
    lr
        Learning rate at the start; it falls to a tenth by the square root of time. May be changed by `mutate`.
    seed
        For the network's starting weights.

    Examples
    --------
    A batch of product A ends in alarm A, one of product B in alarm B, and 40 events lie in between.

    >>> import random
    >>> from scrnn_stream import SCRNNClassifier
    >>> choose = random.Random(1).choice
    >>> log = []
    >>> for _ in range(400):
    ...     product = choose("AB")
    ...     log += [f"product {product}", *(choose(["pump", "valve", "door"]) for _ in range(40)), f"alarm {product}"]
    >>> model, right = SCRNNClassifier(seed=1), []
    >>> for event, after in zip(log, log[1:]):
    ...     if after in ("alarm A", "alarm B"):
    ...         p = model.predict_proba_one({"event": event})
    ...         right.append(after == max("alarm A", "alarm B", key=lambda alarm: p.get(alarm, 0)))
    ...     model.learn_one({"event": event}, after)
    >>> sum(right[-100:]) > 90
    True

    References
    ----------
    [^1]: Mikolov et al., Learning Longer Memory in Recurrent Neural Networks, 2014, arXiv:1412.7753.
    """

    def __init__(
        self,
        n_hidden: int = 32,
        n_context: int = 64,
        memory: tuple[float, float] = (2, 1000),
        truncation_length: int = 20,
        lr: float = 0.005,
        seed: int | None = None,
    ) -> None:
        self.n_hidden = n_hidden
        self.n_context = n_context
        self.memory = memory
        self.truncation_length = truncation_length
        self.lr = lr
        self.seed = seed
        self._predictor = symbols.predictor(
            n_hidden=n_hidden,
            n_context=n_context,
            memory=memory,
            truncation_length=truncation_length,
            lr=lr,
            seed=seed,
        )

    @property
    def _multiclass(self) -> bool:
        return True

    @property
    def _mutable_attributes(self) -> set[str]:
        return {"lr"}

    def predict_proba_one(self, x: dict[Hashable, Any], **kwargs: Any) -> dict[Any, float]:  # noqa: ARG002
        """The probability of each label seen so far, for a record that comes next. Changes nothing."""
        told: dict[Any, float] = self._predictor.predict(x)
        return told

    def learn_one(self, x: dict[Hashable, Any], y: Any) -> None:
        """Take a record in and learn its label; None or NaN is a missing one."""
        network = self._predictor.network
        self._predictor.learn(x, y, symbols.rate(self.lr, 0 if network is None else network.n_learned))

    def predict_proba_many(self, X: Any) -> Any:
        """The probabilities for each row of a frame, should it come next: a frame of the same library."""
        told = [self.predict_proba_one(x) for x in records(X)]
        return table_like(X, {label: [p[label] for p in told] for label in self._predictor.predict({})})

    def predict_many(self, X: Any) -> Any:
        """The likeliest label for each row of a frame, should it come next: a series of the same library."""
        return like(X, [self.predict_one(x) for x in records(X)], None)

    def learn_many(self, X: Any, y: Any) -> None:
        """Take in the rows of a frame, one after the other, and learn their labels, a series."""
        for x, label in labelled(X, y):
            self.learn_one(x, label)

    def to_state(self) -> dict[str, Any]:
        """Everything learned, as plain data; the parameters are not part of it."""
        return self._predictor.to_state()

    def restore(self, state: dict[str, Any]) -> None:
        """Become the classifier whose `to_state` this is; it goes on identically."""
        self._predictor.restore(state)
