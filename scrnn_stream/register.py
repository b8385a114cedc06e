"""The machines of a partition: those in memory, and what is known of those that are in the store alone."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import msgspec

from scrnn_stream.alert import Alert, without_trails
from scrnn_stream.episodes import Budget
from scrnn_stream.monitor import Monitor
from scrnn_stream.segments import Place


class Outline(NamedTuple):
    """What must be known of a machine while its monitor is not in memory; names as in `Monitor`."""

    machine: str
    heard_at: float
    silence_limit: float
    is_silent: bool
    n_raised: int
    days: float
    n_records_to_ready: int
    ready_in_s: float | None
    still_open: tuple[Alert, ...] = ()  # the alerts of its open episodes, as they were last told, without trails

    @classmethod
    def from_state(cls, machine: str, outline: list[Any]) -> Outline:
        """Of `Entry.outline`; those of before knew no alerts."""
        n = len(cls._fields) - 2
        still_open = msgspec.convert(outline[n] if len(outline) > n else (), tuple[Alert, ...])
        return cls(machine, *[*outline[:n], still_open])

    @classmethod
    def of(cls, monitor: Monitor) -> Outline:
        sensors, budget = monitor.sensors, monitor.budget
        silence = (sensors.heard_at, sensors.silence_limit, sensors.is_silent)
        learning = (monitor.n_records_to_ready, monitor.ready_in_s)
        still_open = tuple(without_trails(episode.alert) for episode in monitor.casebook.episodes.values())
        return cls(monitor.machine, *silence, budget.n_raised, budget.days, *learning, still_open)

    @property
    def state(self) -> Literal["learning", "ready"]:
        return "learning" if self.n_records_to_ready > 0 else "ready"

    def budget(self, asked_per_day: float) -> Budget:
        """Alerts asked for and raised so far."""
        return Budget(asked_per_day, self.n_raised, self.days)


class Entry:
    """One machine.

    Attributes
    ----------
    monitor
        None while the machine is evicted: its state is in the store alone.
    place
        Where its state lies in the store; None if it has changed since, or was never written.
    used
        The greater, the later it was heard.
    """

    __slots__ = ("_outline", "machine", "monitor", "place", "used")

    def __init__(self, machine: str, monitor: Monitor | None, place: Place | None, outline: Outline | None) -> None:
        self.machine, self.monitor, self.place, self._outline = machine, monitor, place, outline
        self.used = 0

    @property
    def known(self) -> Outline:
        """What is known of it, evicted or not."""
        if self.monitor is not None:
            return Outline.of(self.monitor)
        assert self._outline is not None
        return self._outline

    def evict(self) -> None:
        """Let its monitor go; its state must be in the store."""
        self._outline, self.monitor = self.known, None

    def may_be_silent(self, time: float) -> bool:
        """Whether its silence would be told now. Only the monitor can tell it."""
        known = self.known
        return not known.is_silent and time - known.heard_at > known.silence_limit

    # -- as a checkpoint sees it --------------------------------------------------------------------------------------

    def outline(self) -> list[Any]:
        """All but the name of what is known, as plain data."""
        *numbers, still_open = self.known[1:]
        return [*numbers, msgspec.to_builtins(still_open)]

    def to_state(self) -> dict[str, Any] | None:
        """The monitor's state; None while it is evicted."""
        return None if self.monitor is None else self.monitor.to_state()
