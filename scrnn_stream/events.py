"""SCRNNEventDetector: improbable events in a log of alarms, messages or actions, with River's interface."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from typing import Any, NamedTuple

from river import base

from scrnn_stream import symbols
from scrnn_stream.calibration import to_score
from scrnn_stream.frames import records
from scrnn_stream.inputs import as_key, is_missing
from scrnn_stream.tally import Tally
from scrnn_stream.targets import plain

OTHERS = "(others)"  # all events that come when there is no room for more
N_INSTEAD = 5  # events that an explanation names


class Surprise(NamedTuple):
    """What came, how probable it was, and what was expected instead.

    `p` is the probability of the event; `p_value`, on which the score goes, that of all events no more probable, or how
    often one so improbable came so far, if that is more. `instead` holds the likeliest events and their probabilities,
    the likeliest first. Where the record has no event, `event` is None and both are NaN.
    """

    event: Any
    p: float
    p_value: float
    instead: dict[Any, float]


class SCRNNEventDetector(base.AnomalyDetector):
    """Learns what follows what in a log of events and scores each event by how improbable it was.

    Each record holds one event, a symbol such as an alarm's tag, in the feature `event`. A Structurally Constrained
    Recurrent Network[^1] tells the probability of every event that has come so far from all events before it: what
    directly follows what, and what went on tens and hundreds of events ago; a single cause is found some 50 back.
    Other features of a record, such as the time since the last event, help to tell its event; they are not judged. A
    record without an event moves time and scores 0; what was expected stands in its place in the past.

    The score is d / (3 + d), where d is -log10 of the probability of all events no more probable than the one that
    came: 0.5 means that one event in a thousand is so improbable, as with :class:`SCRNNDetector`. Where many events are
    about as likely, none of them scores. An event that never came before is as probable as new events are in this log:
    (1 + events that came only once) / (2 + all events)[^2]. The network may be too sure of itself: an event is believed
    to be no less probable than as often as one so improbable came, itself included. After n events no score is beyond
    that of 1 / (n + 1).

    Parameters
    ----------
    event
        The feature that holds the event: text, or anything that can be the key of a dict; a number is a symbol too.
    n_events
        Different events that are told apart; all that come later count as one.
    n_hidden
        Fast hidden units of the network.
    n_context
        Slow context units of the network.
    memory
        Shortest and longest time constant of the context units, in events.
    truncation_length
        Events that the error travels back through the hidden units.
    lr
        Learning rate at the start; it falls to a tenth by the square root of time. May be changed by `mutate`.
    seed
        For the network's starting weights.

    Examples
    --------
    >>> import random
    >>> from scrnn_stream import SCRNNEventDetector
    >>> random_ = random.Random(1)
    >>> detector = SCRNNEventDetector(seed=1)
    >>> for _ in range(600):
    ...     for event in ["start", random_.choice(["door", "light"]), "fill", "heat", "drain"]:
    ...         detector.learn_one({"event": event})
    >>> for event in ["start", "door", "fill"]:
    ...     print(event, detector.score_one({"event": event}) > 0.45)
    ...     detector.learn_one({"event": event})
    start False
    door False
    fill False
    >>> detector.score_one({"event": "drain"}) > 0.45
    True
    >>> next(iter(detector.explain_one({"event": "drain"}).instead))  # what was likeliest
    'heat'

    References
    ----------
    [^1]: Mikolov et al., Learning Longer Memory in Recurrent Neural Networks, 2014, arXiv:1412.7753.
    [^2]: Good, The population frequencies of species and the estimation of population parameters, Biometrika 40, 1953.
    """

    def __init__(
        self,
        event: Hashable = "event",
        n_events: int = 256,
        n_hidden: int = 32,
        n_context: int = 64,
        memory: tuple[float, float] = (2, 1000),
        truncation_length: int = 20,
        lr: float = 0.005,
        seed: int | None = None,
    ) -> None:
        if n_events < 1:
            raise ValueError(f"n_events must be at least 1, got {n_events}")
        self.event = event
        self.n_events = n_events
        self.n_hidden = n_hidden
        self.n_context = n_context
        self.memory = memory
        self.truncation_length = truncation_length
        self.lr = lr
        self.seed = seed
        self._counts: dict[Any, int] = {}
        self._n_seen = 0
        self._n_once = 0
        self._tally = Tally()
        self._predictor = symbols.predictor(
            n_events + 1,
            n_hidden=n_hidden,
            n_context=n_context,
            memory=memory,
            truncation_length=truncation_length,
            lr=lr,
            seed=seed,
        )

    @property
    def _mutable_attributes(self) -> set[str]:
        return {"lr"}

    # -- judging ------------------------------------------------------------------------------------------------------

    def score_one(self, x: dict[Hashable, Any]) -> float:
        """How improbable the record's event is, in [0, 1), if it comes next. Changes nothing."""
        p_value = self.explain_one(x).p_value
        return 0.0 if math.isnan(p_value) else to_score(p_value)

    def explain_one(self, x: dict[Hashable, Any]) -> Surprise:
        """The record's event, its probability, and what was likelier. Changes nothing."""
        return self._judged(x)[0]

    def _judged(self, x: Mapping[Hashable, Any]) -> tuple[Surprise, float]:
        """The same, and what the network alone says of all events no more probable."""
        event, others = self._parted(x)
        p_new = (1 + self._n_once) / (2 + self._n_seen)
        told = {known: (1 - p_new) * p for known, p in self._predictor.predict(others).items()}
        likeliest = dict(sorted(told.items(), key=lambda item: -item[1])[:N_INSTEAD])
        if event is None:
            return Surprise(None, math.nan, math.nan, likeliest), math.nan
        p = told.get(event, p_new)
        tail = min(1.0, sum(q for q in (*told.values(), p_new) if q <= p))
        return Surprise(event, p, max(tail, self._tally.probability(tail)), likeliest), tail

    def _parted(self, x: Mapping[Hashable, Any]) -> tuple[Any, dict[Hashable, Any]]:
        """The event, None if there is none, and the other features."""
        event = x.get(self.event)
        event = None if is_missing(event) or not isinstance(event, Hashable) else plain(event)
        has_room = event in self._counts or len(self._counts) < self.n_events
        others = {name: value for name, value in x.items() if name != self.event}
        return event if event is None or has_room else OTHERS, others

    # -- learning -----------------------------------------------------------------------------------------------------

    def learn_one(self, x: dict[Hashable, Any]) -> None:
        """Take the record in: the event becomes part of the past, and more probable where it came."""
        event, others = self._parted(x)
        if event is not None:
            self._tally.learn(self._judged(x)[1])
        self._predictor.learn(others, event, symbols.rate(self.lr, self._n_seen))
        if event is not None:
            self._count(event)

    def learn_many(self, X: Any) -> None:
        """Take in the rows of a frame, one after the other."""
        for x in records(X):
            self.learn_one(x)

    def _count(self, event: Any) -> None:
        n = self._counts.get(event, 0)
        self._counts[event] = n + 1
        self._n_seen += 1
        self._n_once += (n == 0) - (n == 1)

    # -- keeping ------------------------------------------------------------------------------------------------------

    def to_state(self) -> dict[str, Any]:
        """Everything learned, as plain data; the parameters are not part of it."""
        counts = [list(item) for item in self._counts.items()]
        return {"counts": counts, "tally": self._tally.to_state(), "predictor": self._predictor.to_state()}

    def restore(self, state: dict[str, Any]) -> None:
        """Become the detector whose `to_state` this is; it goes on identically."""
        counts = {as_key(event): int(n) for event, n in state["counts"]}
        if min(counts.values(), default=1) < 1:
            raise ValueError(f"counts must be at least 1, got {counts}")
        self._predictor.restore(state["predictor"])
        self._tally.restore(state["tally"])
        self._counts, self._n_seen = counts, sum(counts.values())
        self._n_once = sum(n == 1 for n in counts.values())
