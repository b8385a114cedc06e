"""When checkpoints are written, and what is said while they cannot be: a worker works on, for Kafka is the record."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from scrnn_stream.checkpoint import CheckpointStore, Keepable
from scrnn_stream.records import Partition
from scrnn_stream.segments import Place
from scrnn_stream.store import StoreProblem

logger = logging.getLogger(__name__)

WARN_EVERY_S = 600.0
PATIENCE_S = 5.0  # a store that failed after longer is not tried again for the other partitions
MOST_OF_TIME = 10.0  # a store that fails slowly holds up the work for at most one part in so many
WAITS_S = (0.2, 1.0, 5.0, 15.0)  # between the attempts to read the state of one machine
FETCH_PATIENCE_S = 90.0  # none is begun later: Kafka gives a worker up that does not poll for five minutes

ToKeep = tuple[dict[str, Any], Mapping[str, Keepable]]  # of a partition: its own numbers, and its machines


class Keeper:
    """Writes checkpoints at intervals; a failure is told, at first and then now and then, and tried again.

    Parameters
    ----------
    store
        Where they go; None keeps none.
    every_s
        Seconds from one round of checkpoints to the next.
    clock
        Monotonic seconds.
    sleep
        Waits so many of them.
    """

    def __init__(
        self,
        store: CheckpointStore | None,
        every_s: float,
        clock: Callable[[], float],
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.store = store
        self.every_s = every_s
        self.clock = clock
        self.sleep = sleep
        self.kept: dict[Partition, float] = {}  # when the last checkpoint of this process was written
        self.n_failed = 0
        self._due = clock() + every_s
        self._failing_since: float | None = None
        self._warned_at = -math.inf

    @property
    def is_due(self) -> bool:
        """Whether it is time for another round."""
        return self.clock() >= self._due

    def keep(self, states: Iterable[tuple[Partition, int, ToKeep]]) -> bool:
        """One round: for each partition what is known after everything before an offset. True if all was written."""
        if self.store is None:
            return False
        begin, problem, n_written = self.clock(), None, 0
        self._due = begin + self.every_s
        for partition, offset, (stream, machines) in states:
            try:
                self.store.save(partition, offset, stream, machines)
            except StoreProblem as failure:
                problem = problem or failure
                if self.clock() - begin > PATIENCE_S:
                    break
            else:
                self.kept[partition] = self.clock()
                n_written += 1
        if problem is not None:
            self.n_failed += 1
            self._due = max(self._due, self.clock() + (MOST_OF_TIME - 1) * (self.clock() - begin))
            self._warn(problem)
        elif n_written and self._failing_since is not None:
            logger.warning("checkpoints are written again, after %.0f s without", self.clock() - self._failing_since)
            self._failing_since = None
        return problem is None and n_written > 0

    def fetch(self, machine: str, place: Place) -> dict[str, Any]:
        """The state of an evicted machine. Tried a few times: without it the work cannot go on.

        Raises
        ------
        StoreProblem
            If it cannot be read; to learn the machine anew instead would be another result.
        """
        assert self.store is not None
        begin = self.clock()
        for wait_s in (*WAITS_S, math.inf):
            try:
                return self.store.fetch(place)
            except StoreProblem as problem:
                told = f"the state of {machine} cannot be read: {problem}"
                if wait_s == math.inf or self.clock() - begin > FETCH_PATIENCE_S:
                    raise StoreProblem(f"{told}; nothing is lost: start again when it can be") from None
                logger.warning("%s; trying again in %g s", told, wait_s)
                self.sleep(wait_s)
        raise AssertionError  # the last attempt has returned or raised

    def _warn(self, problem: StoreProblem) -> None:
        now = self.clock()
        if self._failing_since is None:
            self._failing_since = now
        if now - self._warned_at >= WARN_EVERY_S:
            self._warned_at = now
            logger.warning("a checkpoint could not be written: %s; alerts go on, it will be tried again", problem)
