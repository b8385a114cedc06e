"""What a detector has to offer to take part in the benchmarks of quality, and ours as one of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from time import thread_time
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Reading = dict[str, Any]  # sensors, and for whom reads it the time


class Contender(ABC):
    """A detector, fresh for each file."""

    @abstractmethod
    def score(self, x: Reading) -> float:
        """How anomalous x is by what was learned. Memory of the last records may move on; what is normal stays."""

    @abstractmethod
    def learn(self) -> None:
        """Learn from the record that was scored last."""

    def score_learn(self, x: Reading) -> float:
        score = self.score(x)
        self.learn()
        return score


class Entry(NamedTuple):
    """A detector under the name it has in the tables, and how a fresh one is made from a seed."""

    name: str
    make: Callable[[int], Contender]
    draws_numbers: bool = False  # a seed makes a difference
    can_freeze: bool = True  # scores mean something while nothing is learned
    reads_time: bool = False  # asks for a datetime beside the sensors
    needs: str = ""  # the module to import, where that is no dependency of this project


class Ours(Contender):
    """SCRNNDetector in its defaults."""

    def __init__(self, seed: int) -> None:
        from scrnn_stream import SCRNNDetector

        self.detector = SCRNNDetector(time_key="timestamp", seed=seed)

    def score(self, x: Reading) -> float:
        self.x = x
        score = self.detector.score_one(x)
        return 3 * score / (1 - score)  # decades of the probability: a scale on which a fifth more means something

    def learn(self) -> None:
        self.detector.learn_one(self.x)


OURS = Entry("scrnn-stream", Ours, draws_numbers=True, can_freeze=False, reads_time=True)


class Scored(NamedTuple):
    """A score for each record, and the processor's seconds that a record took, scored and learned."""

    scores: Array
    seconds: float


def scored(contender: Contender, xs: Iterable[Reading], n_learned: int | None = None) -> Scored:
    """Every record scored before it is learned; those after the first `n_learned` are only scored."""
    xs = list(xs)
    begin = thread_time()
    scores = [contender.score_learn(x) for x in xs[:n_learned]]
    seconds = (thread_time() - begin) / max(1, len(scores))
    scores += [contender.score(x) for x in xs[len(scores) :]]
    return Scored(np.array(scores, float), seconds)
