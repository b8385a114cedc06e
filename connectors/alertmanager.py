"""Open alerts as a Prometheus Alertmanager wants them: again and again while they last, and once at their end."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from scrnn_stream.alert import Alert
from scrnn_stream.records import Partition

from .alertmanager_client import AlertmanagerClient, postable
from .courier import Counts
from .rounds import FIRST_PAUSE_S, Rounds, Undelivered

logger = logging.getLogger(__name__)

RESEND_S = 60.0  # as Prometheus does
N_MISSED = 4  # an alert that was not told again for so many times ends by itself; as Prometheus has it, too
HOLD_S = 60.0  # an alert is firing for at least so long: what ends within Alertmanager's group_wait is told to nobody
GIVE_UP_S = 1800.0  # on what has come and gone while Alertmanager could not be reached
MOST_OPEN = 10_000
BATCH = 256

Key = tuple[Partition, str, str, str]  # with machine, kind, severity


@dataclass(eq=False)
class _Told:
    """An alert as Alertmanager is told of it."""

    alert: Alert
    starts: float  # Unix seconds
    is_new: bool = True  # Alertmanager does not know it as it is now
    posted_at: float = math.inf  # first, by the clock
    again_at: float = -math.inf
    ended_at: float = math.inf
    hold_s: float = HOLD_S

    @property
    def is_known(self) -> bool:
        """Whether Alertmanager has heard of it."""
        return self.posted_at < math.inf

    @property
    def over_at(self) -> float:
        return max(self.ended_at, self.posted_at + self.hold_s)

    def due(self) -> float:
        return -math.inf if self.is_new else min(self.again_at, self.over_at)


class Alertmanager:
    """Keeps one Alertmanager informed, from a thread of its own while the ``with`` block lasts.

    Each open alert is posted as soon as it is told, and again each minute, with an end four minutes ahead; so it ends
    by itself if nobody goes on with it. Alerts that cannot be posted are posted later, as they are by then.

    Parameters
    ----------
    url
        Such as ``http://127.0.0.1:9093``; may hold user and password for basic authentication.
    resend_s, hold_s
        Between two posts of an open alert; how long it is firing at least.
    clock, wall
        Monotonic seconds, and Unix seconds.

    Raises
    ------
    MessengerProblem
        If the URL is none.
    """

    def __init__(
        self,
        url: str,
        name: str = "alertmanager",
        *,
        resend_s: float = RESEND_S,
        hold_s: float = HOLD_S,
        most_open: int = MOST_OPEN,
        first_pause_s: float = FIRST_PAUSE_S,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.name, self.clock, self.wall = name, clock, wall
        self.resend_s, self.hold_s, self.most_open = resend_s, hold_s, most_open
        self.counts = Counts()
        self.client = AlertmanagerClient(url, name)
        self._lock = threading.Lock()
        self._told: dict[Key, _Told] = {}
        self._is_full = False
        self._hurries = False
        self._rounds = Rounds(f"notify {name}", self, first_pause_s, clock)

    def __enter__(self) -> Alertmanager:
        self._rounds.__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        self._rounds.__exit__()

    # -- from the thread that works -----------------------------------------------------------------------------------

    def tell(self, alerts: Sequence[Alert]) -> None:
        """Take alerts; returns at once."""
        with self._lock:
            for alert in alerts:
                self._begin(alert) if alert.state == "firing" else self._end(alert)
        self._rounds.call()

    def take_up(self, partition: Partition, still_open: Sequence[Alert]) -> None:
        """Go on with the alerts that are open in a partition, and with no other of it."""
        with self._lock:
            self._forget(partition)
            for alert in still_open:
                self._begin(alert)
        self._rounds.call()

    def give_up(self, partition: Partition) -> None:
        """Tell no more of it: its next owner does."""
        with self._lock:
            self._forget(partition)

    def _begin(self, alert: Alert) -> None:
        key = _key(alert)
        for other in self._of_episode(alert):
            if other != key:  # another severity is another alert there, and this one has taken its place
                self._told[other].ended_at, self._told[other].hold_s = self.clock(), 0.0
        before = self._told.get(key)
        if before is None and len(self._told) >= self.most_open:
            self.counts.n_dropped += 1
            if not self._is_full:
                logger.error("notify %s: more than %d alerts are open: others are not told", self.name, self.most_open)
            self._is_full = True
            return
        starts = alert.begin if alert.begin is not None and alert.begin <= self.wall() else self.wall()
        told = _Told(alert, starts, hold_s=self.hold_s)
        if before is not None and before.alert.id == alert.id:
            told.starts, told.posted_at = before.starts, before.posted_at
        self._told[key] = told

    def _end(self, alert: Alert) -> None:
        for key in self._of_episode(alert):
            told = self._told[key]
            told.ended_at = min(told.ended_at, self.clock())

    def _of_episode(self, alert: Alert) -> list[Key]:
        partition, machine, kind, _ = _key(alert)
        keys = [(partition, machine, kind, severity) for severity in ("warning", "critical")]
        return [key for key in keys if key in self._told]

    def _forget(self, partition: Partition) -> None:
        self._told = {key: told for key, told in self._told.items() if key[0] != partition}

    # -- from its own -------------------------------------------------------------------------------------------------

    def due(self) -> float:
        with self._lock:
            return math.inf if self._hurries and not self._news() else self._due()

    def _due(self) -> float:
        return min((told.due() for told in self._told.values()), default=math.inf)

    def _news(self) -> bool:
        return any(told.is_new for told in self._told.values())

    def hurry(self) -> None:
        """What is new is posted; what is open goes on by itself for a while, for whoever takes it up."""
        self._hurries = True

    def go(self) -> None:
        """Post all that is due."""
        now = self.clock()
        with self._lock:
            due = [told for told in self._told.values() if told.due() <= now]
        for begin in range(0, len(due), BATCH):
            self._post(due[begin : begin + BATCH], now)

    def failed(self, problem: Undelivered, n_in_a_row: int, pause_s: float) -> None:  # noqa: ARG002 - an errand's
        with self._lock:
            self.counts.n_failed += 1
            self._give_up_old()
        logger.warning("notify %s: %s; tried again in %g s", self.name, problem, pause_s)

    def _give_up_old(self) -> None:
        """What has ended, and would have ended there by itself, is no news any more."""
        now, lasts_s = self.clock(), N_MISSED * self.resend_s
        ended = {key: told for key, told in self._told.items() if told.ended_at < math.inf}
        old = [key for key, told in ended.items() if now > told.ended_at + (lasts_s if told.is_known else GIVE_UP_S)]
        never = [key for key in old if not ended[key].is_known]
        for key in old:
            del self._told[key]
        if never:
            self.counts.n_dropped += len(never)
            logger.error("notify %s: %d alerts began and ended while it could not be reached", self.name, len(never))

    def _post(self, batch: Sequence[_Told], now: float) -> None:
        over = {id(told) for told in batch if told.over_at <= now}
        alerts = [self._postable(told, id(told) in over) for told in batch]
        is_taken = self.client.post(alerts)
        with self._lock:
            for told in batch:
                self.counts.n_sent += is_taken and (told.is_new or id(told) in over)
                self.counts.n_dropped += not is_taken and told.is_new
                told.is_new, told.again_at = False, now + self.resend_s
                told.posted_at = min(told.posted_at, now)
            done = [key for key, told in self._told.items() if id(told) in over]
            for key in done:
                del self._told[key]
            self._is_full = self._is_full and len(self._told) >= self.most_open

    def _postable(self, told: _Told, is_over: bool) -> dict[str, Any]:
        return postable(told.alert, told.starts, self.wall() + (0.0 if is_over else N_MISSED * self.resend_s))


def _key(alert: Alert) -> Key:
    return alert.position.partition, alert.machine, alert.kind, alert.severity
