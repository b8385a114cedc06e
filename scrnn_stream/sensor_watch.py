"""What is told without a model: sensors that are stuck, silent or out of range, and a machine that says nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from scrnn_stream import messages as say
from scrnn_stream.alert import Alert, Kind, Severity
from scrnn_stream.anomaly import Cause
from scrnn_stream.casebook import RETELL_AFTER, Casebook, Episode
from scrnn_stream.continuity import Continuity
from scrnn_stream.limits import SensorLimits
from scrnn_stream.ranges import Ranges
from scrnn_stream.records import Moment, Record


class SensorWatch:
    """Opens, retells and closes the episodes `stuck`, `silent` and `out_of_range` of one machine.

    Parameters
    ----------
    casebook
        Where its episodes are kept.
    limits
        What the user knows of its sensors.
    """

    def __init__(self, casebook: Casebook, limits: Mapping[str, SensorLimits]) -> None:
        self.casebook = casebook
        self.limits = limits
        self.continuity = Continuity()
        self.ranges = Ranges(limits)
        self.last: Record | None = None
        self.heard_at = math.inf  # stream time when the last record came; set by who knows the stream

    def process(self, record: Record) -> list[Alert]:
        """Take a record whose trail the casebook has."""
        now = record.moment
        previous = self.last.time if self.last is not None else None
        gap = record.time - previous if record.time is not None and previous is not None else None
        self.continuity.update(record.values, now, gap)
        self.ranges.update(record.values, now)
        self.last = record
        return [
            *self._follow("stuck", self.continuity.stuck, now),
            *self._follow("silent", self.continuity.silent, now),
            *self._follow("out_of_range", self.ranges.out, now),
        ]

    # -- sensors ------------------------------------------------------------------------------------------------------

    def _follow(self, kind: Kind, sensors: list[str], now: Moment) -> list[Alert]:
        """`sensors` are those that are stuck, silent or out of range now."""
        episode = self.casebook.episodes.get(kind)
        if episode is None:
            return [self._open(kind, sensors, now)] if sensors else []
        if not sensors:
            return self.casebook.close(kind, now)
        changed = [s for s in sensors if s not in episode.causes or kind == "out_of_range"]
        episode.causes |= {sensor: self._cause(kind, sensor) for sensor in changed}
        episode.n_since_told += 1
        told = {evidence.sensor for evidence in episode.alert.sensors}
        fresh = [sensor for sensor in sensors if sensor not in told]
        if not fresh or episode.n_since_told < RETELL_AFTER:
            return []
        return [self.casebook.retell(kind, now.time, self._message(kind, fresh, sorted(told)), episode.causes)]

    def _open(self, kind: Kind, sensors: list[str], now: Moment) -> Alert:
        causes = {sensor: self._cause(kind, sensor) for sensor in sensors}
        begin = self._since(kind, self._first(kind, sensors)) or now
        severity: Severity = "critical" if kind == "out_of_range" else "warning"  # a limit that was given is no guess
        return self.casebook.open(kind, begin, now.time, self._message(kind, sensors), causes, severity=severity)

    def _cause(self, kind: Kind, sensor: str) -> Cause:
        """The reading in its normal band, or where it went farthest beyond its limits."""
        cause = self.casebook.trail.cause(sensor)
        if kind != "out_of_range":
            return cause
        low, high = (end if math.isfinite(end) else math.nan for end in self.limits[sensor].ends)
        return cause._replace(actual=self.ranges.sensors[sensor].farthest, low=low, high=high)

    def _first(self, kind: Kind, sensors: list[str]) -> str:
        """The one to name: for which it has lasted longest."""
        if kind == "out_of_range":
            return max(sensors, key=lambda sensor: self.ranges.sensors[sensor].n_records)
        return max(sensors, key=lambda sensor: self.continuity.sensors[sensor].run(kind).length)

    def _since(self, kind: Kind, sensor: str) -> Moment | None:
        if kind == "out_of_range":
            return self.ranges.sensors[sensor].since
        return self.continuity.sensors[sensor].run(kind).since

    def _message(self, kind: Kind, sensors: list[str], before: Sequence[str] = ()) -> str:
        """About the first of these sensors, with the others and those that were told `before`."""
        first = self._first(kind, sensors)
        others = say.as_well([*(sensor for sensor in sensors if sensor != first), *before])
        if kind == "out_of_range":
            return say.of_range(first, self.ranges.sensors[first]) + others
        return say.of_run(first, kind, self.continuity.sensors[first].run(kind)) + others

    # -- the machine --------------------------------------------------------------------------------------------------

    @property
    def is_silent(self) -> bool:
        """Whether the silence of the machine as a whole has been told, and it has not come back."""
        episode = self._silence
        return episode is not None and not episode.alert.sensors

    @property
    def _silence(self) -> Episode | None:
        return self.casebook.episodes.get("silent")

    @property
    def silence_limit(self) -> float:
        """Seconds of stream time after which the machine counts as silent; infinite until its own past is known."""
        return self.continuity.silence_limit

    def may_be_silent(self, stream_time: float) -> bool:
        """Whether its silence would be told now."""
        return stream_time - self.heard_at > self.silence_limit and not self.is_silent

    def check_silence(self, stream_time: float) -> list[Alert]:
        """The machine's own silence, when the stream has gone on to `stream_time` without it."""
        return self._judge_silence(stream_time - self.heard_at, stream_time)

    def end_silence(self, record: Record) -> list[Alert]:
        """The first record after a silence: tell of it if nobody has, and give the all-clear."""
        if self.last is None or self.last.time is None or record.time is None:
            return []
        alerts = self._judge_silence(record.time - self.last.time, record.time)
        if self._silence is not None and self.is_silent:
            alerts += self._machine_returned(self._silence, record.moment)
        return alerts

    def _judge_silence(self, quiet_s: float, now: float) -> list[Alert]:
        if self.last is None or quiet_s <= self.silence_limit or self.is_silent:
            return []
        message = say.of_silence(quiet_s, self.continuity.interval)
        if self._silence is not None:  # of some of its sensors, until now
            return [self.casebook.retell("silent", now, message, {})]
        return [self.casebook.open("silent", self.last.moment, now, message, {})]

    def _machine_returned(self, episode: Episode, now: Moment) -> list[Alert]:
        """All is well, or as it was before: sensors are missing."""
        if not episode.causes:
            return self.casebook.close("silent", now)
        self.casebook.resume(episode)
        return []

    # -- state --------------------------------------------------------------------------------------------------------

    def to_state(self) -> dict[str, Any]:
        """All that is known of them, as plain data."""
        last = self.last
        return {
            "continuity": self.continuity.to_state(),
            "ranges": self.ranges.to_state(),
            "last": None if last is None else [last.machine, last.moment.to_state(), dict(last.values)],
            "heard_at": self.heard_at,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Become the watch whose `to_state` this is, under the limits of today."""
        self.continuity = Continuity.from_state(state["continuity"])
        self.ranges.restore(state["ranges"])
        if state["last"] is not None:
            machine, moment, values = msgspec.convert(state["last"], tuple[str, list[Any], dict[str, float]])
            time, position = Moment.from_state(moment)
            self.last = Record(position, machine, time, values)
        self.heard_at = msgspec.convert(state["heard_at"], float)
