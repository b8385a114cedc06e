"""What tells the next event of a log in `benchmarks.events`: each gives a probability to every event of the log."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from benchmarks.ngrams import NGram
from scrnn_stream import SCRNNClassifier
from scrnn_stream.symbols import predictor, rate

Array = NDArray[Any]


class Teller(Protocol):
    def told(self) -> Array | dict[Any, float]:
        """Probabilities of the next event: (V,) of all, or by their numbers of those that came so far."""

    def learn(self, event: int) -> None:
        """What it was."""


class Counting:
    """An n-gram with back-off."""

    def __init__(self, n_events: int, order: int) -> None:
        self._counts, self._order, self._before = NGram(n_events, order), order, list[int]()

    def told(self) -> Array:
        return self._counts.probabilities(self._before)

    def learn(self, event: int) -> None:
        self._counts.learn(self._before, event)
        self._before = [*self._before, event][-self._order :]


class NaiveBayes:
    """River's `naive_bayes.MultinomialNB` of the last events, each with how long ago it was; on arrays, for speed.

    p(w | events) ~ n(w) prod over lags l of (n(l, e_l, w) + 1) / (L n(w) + number of different (l, e))
    """

    def __init__(self, n_events: int, n_lags: int) -> None:
        self._counts, self._n = np.zeros((n_lags, n_events, n_events)), np.zeros(n_events)
        self._n_lags, self._before, self._features = n_lags, list[int](), set[tuple[int, int]]()

    def told(self) -> dict[Any, float]:
        known = np.flatnonzero(self._n)
        if not len(known):
            return {}
        log_p = np.log(self._n[known]) - self._n_lags * np.log(self._n_lags * self._n[known] + len(self._features))
        for lag, event in enumerate(self._before):
            log_p += np.log(self._counts[lag, event, known] + 1)
        p = np.exp(log_p - log_p.max())
        return dict(zip(known.tolist(), (p / p.sum()).tolist(), strict=True))

    def learn(self, event: int) -> None:
        if len(self._before) == self._n_lags:
            self._n[event] += 1
            self._counts[np.arange(self._n_lags), self._before, event] += 1
            self._features.update(enumerate(self._before))
        self._before = [*self._before, event][-self._n_lags :]


class Network:
    """SCRNNClassifier, to which the next label is told by the labels before."""

    def __init__(self, seed: int, **arguments: Any) -> None:
        self._model = SCRNNClassifier(seed=seed, **arguments)

    def told(self) -> dict[Any, float]:
        return self._model.predict_proba_one({})

    def learn(self, event: int) -> None:
        self._model.learn_one({}, event)


class Blind:
    """The same network, which is not shown the causes: what it knows, it knows from what they led to."""

    def __init__(self, seed: int, causes: range) -> None:
        ours = SCRNNClassifier()
        sizes = {"n_hidden": ours.n_hidden, "n_context": ours.n_context, "memory": ours.memory}
        self._predictor = predictor(recalls=False, lr=ours.lr, seed=seed, **sizes)
        self._lr, self._causes, self._n, self._x = ours.lr, causes, 0, dict[str, str]()

    def told(self) -> dict[Any, float]:
        told: dict[Any, float] = self._predictor.predict(self._x)
        return told

    def learn(self, event: int) -> None:
        self._predictor.learn(self._x, event, rate(self._lr, self._n))
        self._n += 1
        self._x = {"event": "cause" if event in self._causes else str(event)}


class Model(NamedTuple):
    """A row of the tables."""

    name: str
    title: str
    make: Callable[[int, range, int], Teller]  # number of events, those that are causes, seed


MODELS = {
    model.name: model
    for model in (
        *(
            Model(f"{n}-gram", f"{n}-gram with back-off", lambda n_events, _causes, _seed, n=n: Counting(n_events, n))
            for n in (2, 3, 4)
        ),
        *(
            Model(
                f"bayes-{n}",
                f"naive Bayes, {n} lag{'s' * (n > 1)}",
                lambda n_events, _causes, _seed, n=n: NaiveBayes(n_events, n),
            )
            for n in (1, 2, 3)
        ),
        Model("no-context", "SCRNN without context", lambda _n, _causes, seed: Network(seed, n_context=0)),
        Model("blind", "SCRNN, blind to causes", lambda _n, causes, seed: Blind(seed, causes)),
        Model("scrnn", "SCRNN", lambda _n, _causes, seed: Network(seed)),
    )
}


def all_told(teller: Teller, events: Array, n_events: int) -> Array:
    """Probabilities (n, V) of every event, each row told before its event is learned.

    Events that have not come yet share what Good and Turing leave for them: (1 + came once) / (2 + all).
    """
    out, counts = np.empty((len(events), n_events), np.float32), np.zeros(n_events, np.int64)
    for t, event in enumerate(events.tolist()):
        told = teller.told()
        out[t] = told if isinstance(told, np.ndarray) else _with_unseen(told, counts, t)
        teller.learn(event)
        counts[event] += 1
    return out


def _with_unseen(told: dict[Any, float], counts: Array, n: int) -> Array:
    unseen = counts == 0
    left = (1 + np.count_nonzero(counts == 1)) / (2 + n) if unseen.any() else 0.0
    p = np.where(unseen, left / max(1, np.count_nonzero(unseen)), 0.0)
    if not told:
        return np.full(len(counts), 1 / len(counts))
    p[list(told)] = (1 - left) * np.fromiter(told.values(), np.float64, len(told))
    return np.maximum(p, 1e-12)
