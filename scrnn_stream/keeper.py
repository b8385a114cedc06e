"""When checkpoints are written, and what is said while they cannot be: a worker works on, for Kafka is the record."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable
from typing import Any

from scrnn_stream.checkpoint import CheckpointStore, StoreProblem
from scrnn_stream.records import Partition

logger = logging.getLogger(__name__)

WARN_EVERY_S = 600.0
PATIENCE_S = 5.0  # a store that failed after longer is not tried again for the other partitions
MOST_OF_TIME = 10.0  # a store that fails slowly holds up the work for at most one part in so many


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
    """

    def __init__(self, store: CheckpointStore | None, every_s: float, clock: Callable[[], float]) -> None:
        self.store = store
        self.every_s = every_s
        self.clock = clock
        self.kept: set[Partition] = set()  # of which there is a checkpoint of this process
        self._due = clock() + every_s
        self._failing_since: float | None = None
        self._warned_at = -math.inf

    @property
    def is_due(self) -> bool:
        """Whether it is time for another round."""
        return self.clock() >= self._due

    def keep(self, states: Iterable[tuple[Partition, int, dict[str, Any]]]) -> None:
        """One round: for each partition the state after everything before an offset."""
        if self.store is None:
            return
        begin, problem, n_written = self.clock(), None, 0
        self._due = begin + self.every_s
        for partition, offset, state in states:
            try:
                self.store.save(partition, offset, state)
            except StoreProblem as failure:
                problem = problem or failure
                if self.clock() - begin > PATIENCE_S:
                    break
            else:
                self.kept.add(partition)
                n_written += 1
        if problem is not None:
            self._due = max(self._due, self.clock() + (MOST_OF_TIME - 1) * (self.clock() - begin))
            self._warn(problem)
        elif n_written and self._failing_since is not None:
            logger.warning("checkpoints are written again, after %.0f s without", self.clock() - self._failing_since)
            self._failing_since = None

    def _warn(self, problem: StoreProblem) -> None:
        now = self.clock()
        if self._failing_since is None:
            self._failing_since = now
        if now - self._warned_at >= WARN_EVERY_S:
            self._warned_at = now
            logger.warning("a checkpoint could not be written: %s; alerts go on, it will be tried again", problem)
