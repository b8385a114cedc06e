"""A thread that does what is due, and tries again after ever longer pauses where that fails."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Protocol

logger = logging.getLogger(__name__)

FIRST_PAUSE_S = 2.0
LONGEST_PAUSE_S = 300.0
LAST_S = 5.0  # at the end, for what is still to be done
_LOOK_EVERY_S = 3600.0


class Undelivered(Exception):
    """What was to be told did not arrive; the message is one line without secrets."""


class Errand(Protocol):
    """What a thread is for. Everything but `go` returns at once."""

    def due(self) -> float:
        """When to go, in seconds of the clock; infinite while there is nothing to do."""
        ...

    def go(self) -> None:
        """Do what is due; Undelivered if it has to be tried again."""
        ...

    def failed(self, problem: Undelivered, n_in_a_row: int, pause_s: float) -> None:
        """It will be tried again after so long."""
        ...

    def hurry(self) -> None:
        """From now on whatever waits is due: the end is near."""
        ...


class Rounds:
    """Goes on one errand from a thread of its own while the ``with`` block lasts, and once more at its end.

    Parameters
    ----------
    name
        Of the thread.
    errand
        What it does.
    first_pause_s
        After a failure; each further one in a row doubles it, up to five minutes.
    clock
        Monotonic seconds.
    """

    def __init__(
        self,
        name: str,
        errand: Errand,
        first_pause_s: float = FIRST_PAUSE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name, self.errand, self.first_pause_s, self.clock = name, errand, first_pause_s, clock
        self._changed = threading.Condition()
        self._calls = False  # somebody has, since the thread last looked
        self._ends = False
        self._n_failed = 0  # in a row
        self._not_before = 0.0
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def __enter__(self) -> Rounds:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.errand.hurry()
        with self._changed:
            self._ends, self._n_failed = True, 0
            self._changed.notify_all()
        self._thread.join(LAST_S)  # it may hang in somebody's network: it is a daemon, and left behind then

    def call(self) -> None:
        """There may be something to do now; returns at once."""
        with self._changed:
            self._calls = True
            self._changed.notify_all()

    def _run(self) -> None:
        while self._wait():
            try:
                self.errand.go()
            except Undelivered as problem:
                self._put_off(problem)
            except Exception as error:  # of a library of somebody's: the thread goes on
                logger.exception("%s: failed in a way that was not foreseen", self.name)
                self._put_off(Undelivered(type(error).__name__))
            else:
                self._n_failed, self._not_before = 0, 0.0

    def _wait(self) -> bool:
        """Until it is time to go; False at the end, once nothing is left or a last attempt has failed."""
        with self._changed:
            while True:
                due = self.errand.due()
                if self._ends:
                    return due <= self.clock() and self._n_failed == 0
                wait_s = max(due, self._not_before) - self.clock()
                if wait_s <= 0:
                    return True
                if not self._calls:
                    self._changed.wait(min(wait_s, _LOOK_EVERY_S))
                self._calls = False

    def _put_off(self, problem: Undelivered) -> None:
        self._n_failed += 1
        pause_s = min(LONGEST_PAUSE_S, self.first_pause_s * 2.0 ** min(self._n_failed - 1, 30))
        self._not_before = self.clock() + pause_s
        self.errand.failed(problem, self._n_failed, pause_s)
