"""SCRNNRegressor: a number from a record and its past, with River's interface."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from river import base

from scrnn_stream.frames import labelled, like, records
from scrnn_stream.predictor import Predictor
from scrnn_stream.targets import Number


class SCRNNRegressor(base.MiniBatchRegressor):
    """Predicts a number from a record and from all records and numbers before it, where their order means something.

    A Structurally Constrained Recurrent Network[^1] takes the records in, and the last number beside each. Its hidden
    and context units, the record and the last number are the regressors of a recursive least squares, which tells the
    change of the number; the network learns from what it leaves. It scales all of this itself. Features may come and
    go: numbers, text (a column for each value) and datetimes (clocks of day, week and year), as
    :class:`~scrnn_stream.inputs.Inputs` reads them. A missing target moves time and no weight.

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
        Learning rate of the hidden and context units, which may be changed by `mutate`; the readout needs none.
    seed
        For the network's starting weights.

    Examples
    --------
    A tank follows its valve with a delay of 20 records, which no regressor sees that is shown one record at a time.

    >>> import math
    >>> from river import linear_model, metrics, preprocessing
    >>> from scrnn_stream import SCRNNRegressor
    >>> valve = [math.sin(t / 9) + math.sin(t / 23) for t in range(3000)]
    >>> models = {
    ...     "SCRNN": SCRNNRegressor(seed=1),
    ...     "line": preprocessing.StandardScaler() | linear_model.LinearRegression(),
    ... }
    >>> for name, model in models.items():
    ...     error = metrics.MAE()
    ...     for t in range(20, 3000):
    ...         x, y = {"valve": valve[t]}, 50 + 10 * valve[t - 20]
    ...         if t >= 1000:
    ...             error.update(y, model.predict_one(x))
    ...         model.learn_one(x, y)
    ...     print(name, error.get() < 0.5)
    SCRNN True
    line False

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
        lr: float = 0.001,
        seed: int | None = None,
    ) -> None:
        self.n_hidden = n_hidden
        self.n_context = n_context
        self.memory = memory
        self.truncation_length = truncation_length
        self.lr = lr
        self.seed = seed
        self._predictor = Predictor(
            Number(),
            n_hidden=n_hidden,
            n_context=n_context,
            memory=memory,
            truncation_length=truncation_length,
            lr=lr,
            seed=seed,
        )
        self._y_name: str | None = None

    @property
    def _mutable_attributes(self) -> set[str]:
        return {"lr"}

    def predict_one(self, x: dict[Hashable, Any]) -> float:
        """What is expected for a record that comes next. Changes nothing."""
        return float(self._predictor.predict(x))

    def learn_one(self, x: dict[Hashable, Any], y: Any) -> None:
        """Take a record in and learn its number; None or NaN is a missing one."""
        self._predictor.learn(x, y, self.lr)

    def predict_many(self, X: Any) -> Any:
        """What is expected for each row of a frame, should it come next: a series of the same library."""
        return like(X, [self.predict_one(x) for x in records(X)], self._y_name)

    def learn_many(self, X: Any, y: Any) -> None:
        """Take in the rows of a frame, one after the other, and learn their numbers, a series."""
        self._y_name = getattr(y, "name", None)
        for x, number in labelled(X, y):
            self.learn_one(x, number)

    def to_state(self) -> dict[str, Any]:
        """Everything learned, as plain data; the parameters are not part of it."""
        return self._predictor.to_state()

    def restore(self, state: dict[str, Any]) -> None:
        """Become the regressor whose `to_state` this is; it goes on identically."""
        self._predictor.restore(state)
