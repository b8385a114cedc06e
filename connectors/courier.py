"""Alerts to one messenger: gathered into letters, retried, and never waited for."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from scrnn_stream.alert import Alert
from scrnn_stream.records import Partition

from .letters import Letter, compose
from .rounds import FIRST_PAUSE_S, Rounds, Undelivered

logger = logging.getLogger(__name__)

GROUP_S = 10.0
PER_HOUR = 60
MOST_WAITING = 1_000
N_TRIES = 12  # with their pauses, about half an hour
HOUR_S = 3600.0
LOG_EVERY_S = 60.0


@dataclass
class Counts:
    """Alerts that were sent and dropped, and attempts that failed."""

    n_sent: int = 0
    n_failed: int = 0
    n_dropped: int = 0


class Courier:
    """Carries alerts to one messenger, from a thread of its own while the ``with`` block lasts.

    Alerts that come close to each other go in one letter, and so do those that come while the messenger cannot be
    reached or has had its letters of the hour. What waits is bounded: the oldest go first.

    Parameters
    ----------
    name
        In the log and in metrics.
    deliver
        Hands one letter over; raises Undelivered.
    group_s
        How long the first alert waits for others.
    per_hour
        Letters in any hour.
    n_tries
        After so many the letter is given up.
    """

    def __init__(
        self,
        name: str,
        deliver: Callable[[Letter], None],
        *,
        group_s: float = GROUP_S,
        per_hour: int = PER_HOUR,
        most_waiting: int = MOST_WAITING,
        n_tries: int = N_TRIES,
        first_pause_s: float = FIRST_PAUSE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name, self.deliver, self.clock = name, deliver, clock
        self.group_s, self.per_hour, self.most_waiting, self.n_tries = group_s, per_hour, most_waiting, n_tries
        self.counts = Counts()
        self._lock = threading.Lock()
        self._waiting: deque[Alert] = deque()
        self._begin = math.inf  # when the first of them came
        self._in_hand: list[Alert] = []  # of the letter that is tried
        self._n_lost = 0  # since the last letter
        self._times: deque[float] = deque(maxlen=per_hour)  # of the last letters
        self._hurries = False
        self._silent_until, self._n_untold = -math.inf, 0
        self._rounds = Rounds(f"notify {name}", self, first_pause_s, clock)

    def __enter__(self) -> Courier:
        self._rounds.__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        self._rounds.__exit__()
        with self._lock:
            self._drop(len(self._in_hand) + len(self._waiting), "it ends here")
            self._in_hand, self._waiting = [], deque()

    # -- from the thread that works -----------------------------------------------------------------------------------

    def tell(self, alerts: Sequence[Alert]) -> None:
        """Take alerts; returns at once."""
        with self._lock:
            if not self._waiting:
                self._begin = self.clock()
            self._waiting.extend(alerts)
            n_beyond = max(0, len(self._waiting) - self.most_waiting)
            for _ in range(n_beyond):
                self._waiting.popleft()
            self._drop(n_beyond, "too many wait")
        self._rounds.call()

    def take_up(self, partition: Partition, still_open: Sequence[Alert]) -> None:
        """People were told when these began."""

    def give_up(self, partition: Partition) -> None:
        """What counts is told, whoever goes on with the partition."""

    # -- from its own -------------------------------------------------------------------------------------------------

    def due(self) -> float:
        with self._lock:
            if self._in_hand or (self._waiting and self._hurries):
                return -math.inf
            if not self._waiting:
                return math.inf
            allowed = self._times[0] + HOUR_S if len(self._times) == self.per_hour else -math.inf
            return max(self._begin + self.group_s, allowed)

    def hurry(self) -> None:
        self._hurries = True

    def go(self) -> None:
        """Deliver the letter in hand, or one about all that waits."""
        with self._lock:
            if not self._in_hand:
                self._in_hand, self._waiting = list(self._waiting), deque()
            alerts, n_lost = self._in_hand, self._n_lost
        if not alerts:
            return
        self.deliver(compose(alerts, n_lost))
        with self._lock:
            self._in_hand = []
            self._n_lost -= n_lost
            self.counts.n_sent += len(alerts)
            self._times.append(self.clock())

    def failed(self, problem: Undelivered, n_in_a_row: int, pause_s: float) -> None:
        with self._lock:
            self.counts.n_failed += 1
            gives_up = n_in_a_row % self.n_tries == 0
            if gives_up:
                self._drop(len(self._in_hand), f"{self.n_tries} attempts failed, the last with: {problem}")
                self._in_hand = []
        if not gives_up:
            logger.warning("notify %s: %s; tried again in %g s", self.name, problem, pause_s)

    def _drop(self, n: int, reason: str) -> None:
        """Count them, and log at most once a minute: a flood of alerts makes none of the log."""
        self._n_lost += n
        self.counts.n_dropped += n
        self._n_untold += n
        if self._n_untold and (now := self.clock()) >= self._silent_until:
            logger.error("notify %s: %d alerts are not told there: %s", self.name, self._n_untold, reason)
            self._silent_until, self._n_untold = now + LOG_EVERY_S, 0
