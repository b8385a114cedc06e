"""What a detector has to offer to take part in the benchmarks of quality, and ours as one of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from time import thread_time
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Reading = dict[str, Any]  # sensors, and for whom reads it the time


class Peer(Protocol):
    """A detector that is fresh for each file."""

    def score_learn(self, x: Reading) -> float:
        """How anomalous x is by what was learned before it; then learns it."""


class Entry(NamedTuple):
    """A detector under the name it has in the tables, and how a fresh one is made from a seed."""

    name: str
    make: Callable[[int], Peer]
    draws_numbers: bool = False  # a seed makes a difference
    reads_time: bool = False  # asks for a datetime beside the sensors


class Ours:
    """SCRNNDetector in the defaults."""

    def __init__(self, seed: int) -> None:
        from scrnn_stream import SCRNNDetector

        self.detector = SCRNNDetector(time_key="timestamp", seed=seed)

    def score_learn(self, x: Reading) -> float:
        score = self.detector.score_one(x)
        self.detector.learn_one(x)
        return score


OURS = Entry("scrnn-stream", Ours, draws_numbers=True, reads_time=True)


class Scored(NamedTuple):
    """A score for each record, and the processor's seconds for all of them, learning included."""

    scores: Array
    seconds: float


def scored(peer: Peer, xs: Iterable[Reading]) -> Scored:
    """Every record scored before it is learned."""
    xs = list(xs)
    begin = thread_time()
    scores = [peer.score_learn(x) for x in xs]
    seconds = thread_time() - begin
    return Scored(np.array(scores, float), seconds)
