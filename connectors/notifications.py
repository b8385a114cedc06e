"""Whom to tell of alerts beside their topic: messengers and Alertmanagers, each on its own and never waited for."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Protocol

from scrnn_stream.alert import Alert
from scrnn_stream.records import Partition

from .courier import Counts

SEVERITIES = ("warning", "critical")  # rising
MOST_EPISODES = 100_000


class Channel(Protocol):
    """One place where alerts are told; opened with ``with``. Every method returns at once."""

    name: str
    counts: Counts

    def __enter__(self) -> Channel: ...

    def __exit__(self, *exc: object) -> None: ...

    def tell(self, alerts: Sequence[Alert]) -> None: ...

    def take_up(self, partition: Partition, still_open: Sequence[Alert]) -> None: ...

    def give_up(self, partition: Partition) -> None: ...


@dataclass
class Interest:
    """Which alerts are told.

    An episode that was told when it began is told when it ends. One that was not is told at its end if it became as
    severe as that meanwhile.

    Parameters
    ----------
    min_severity
        ``warning`` or ``critical``.
    machines
        Patterns such as ``pump-*``; empty: all.
    kinds
        Such as ``anomaly``; empty: all.
    """

    min_severity: str = "warning"
    machines: Sequence[str] = ()
    kinds: Sequence[str] = ()
    _told: dict[str, None] = field(default_factory=dict, repr=False)  # ids of open episodes, oldest first

    def admits(self, alert: Alert) -> bool:
        """Whether to tell of it. Asked once for each message."""
        matters = self._matters(alert)
        if alert.state == "resolved":
            was_told = alert.id in self._told
            self._told.pop(alert.id, None)
            return was_told or matters
        if matters:
            self._told[alert.id] = None
            if len(self._told) > MOST_EPISODES:
                del self._told[next(iter(self._told))]
        return matters

    def _matters(self, alert: Alert) -> bool:
        return (
            SEVERITIES.index(alert.severity) >= SEVERITIES.index(self.min_severity)
            and (not self.kinds or alert.kind in self.kinds)
            and (not self.machines or any(fnmatchcase(alert.machine, pattern) for pattern in self.machines))
        )


class Notifications:
    """Tells all channels of the alerts that count, while the ``with`` block lasts. No method waits for anybody.

    Parameters
    ----------
    channels
        Couriers and Alertmanagers, not yet open.
    interest
        Which alerts they are told of.
    """

    def __init__(self, channels: Sequence[Channel], interest: Interest | None = None) -> None:
        self.channels = channels
        self.interest = interest or Interest()

    def __enter__(self) -> Notifications:
        for channel in self.channels:
            channel.__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        """Each has a few seconds for what waits, all of them the same ones."""
        threads = [threading.Thread(target=channel.__exit__, args=exc) for channel in self.channels]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    @property
    def counts(self) -> Mapping[str, Counts]:
        """By the name of the channel."""
        return {channel.name: channel.counts for channel in self.channels}

    def tell(self, alerts: Sequence[Alert]) -> None:
        """Tell of alerts that count."""
        if admitted := [alert for alert in alerts if self.interest.admits(alert)]:
            for channel in self.channels:
                channel.tell(admitted)

    def take_up(self, partition: Partition, still_open: Sequence[Alert]) -> None:
        """Go on with a partition in which these episodes are open."""
        admitted = [alert for alert in still_open if self.interest.admits(alert)]
        for channel in self.channels:
            channel.take_up(partition, admitted)

    def give_up(self, partition: Partition) -> None:
        """Another worker goes on with it."""
        for channel in self.channels:
            channel.give_up(partition)
