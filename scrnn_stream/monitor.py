"""One machine under watch: from its records, by way of its model and its policy, to its alerts."""

from __future__ import annotations

import logging
import math
from collections.abc import Collection
from typing import Any, Literal, NamedTuple

import msgspec

from scrnn_stream import channels as ch
from scrnn_stream import messages as say
from scrnn_stream.alert import Alert
from scrnn_stream.anomaly import Array, Assessment, Cause, SCRNNDetector
from scrnn_stream.casebook import Casebook
from scrnn_stream.episodes import SEVERE_P, AlertPolicy, Budget
from scrnn_stream.joining import Frames
from scrnn_stream.records import Moment, Record
from scrnn_stream.sensor_watch import SensorWatch
from scrnn_stream.settings import Settings
from scrnn_stream.trail import Trail
from scrnn_stream.wording import lasting

logger = logging.getLogger(__name__)

TIME_KEY = "timestamp"  # never the name of a sensor
LEADING = 0.5  # a cause leads if it has at least this much of the largest share, and of the farthest departure


class Verdict(NamedTuple):
    """What came of one record: its score (NaN if it was refused), whether an episode is open, and the alerts raised."""

    score: float
    is_open: bool
    alerts: list[Alert]


class Monitor:
    """Watches one machine.

    Parameters
    ----------
    machine
        Its name.
    settings
        What the user set.
    """

    def __init__(self, machine: str, settings: Settings) -> None:
        self.machine = machine
        self.settings = settings
        self.limits = settings.limits.of(machine)
        self.detector = SCRNNDetector(accept_after=settings.accept_after, time_key=TIME_KEY, seed=settings.seed)
        self.policy = AlertPolicy(settings.budget_per_day)
        self.casebook = Casebook(machine, Trail(self.detector))
        self.sensors = SensorWatch(self.casebook, self.limits)
        self.frames = (
            Frames(settings.joining) if settings.joining is not None else None
        )  # readings that wait for others
        self.state: Literal["learning", "ready"] = "learning"
        self._first_sign: Moment | None = None  # when the records ceased to be all probable

    # -- what it knows ------------------------------------------------------------------------------------------------

    @property
    def is_open(self) -> bool:
        """Whether an episode of any kind is open."""
        return bool(self.casebook.episodes)

    @property
    def budget(self) -> Budget:
        """Alerts asked for and raised so far."""
        return self.policy.budget

    @property
    def known_sensors(self) -> tuple[Collection[str], ...]:
        """Those of its records, and those of readings on their way to one."""
        return (self.sensors.continuity.sensors, self.frames.heard if self.frames is not None else ())

    @property
    def n_records_to_ready(self) -> int:
        """Records that are still needed before an `anomaly` can be raised; 0 when ready."""
        return self.detector.n_records_to_ready

    @property
    def ready_in_s(self) -> float | None:
        """The time that these take at the usual interval; None for data without time."""
        interval = self.sensors.continuity.interval
        return self.n_records_to_ready * interval if interval > 0 else None

    # -- record -> alerts ---------------------------------------------------------------------------------------------

    def process(self, record: Record) -> Verdict:
        """Score the record, learn it, and say what that changes."""
        now = record.moment
        alerts = self.sensors.end_silence(record)
        x: dict[str, Any] = {**record.values, TIME_KEY: record.time}
        n_regimes = self.detector.n_regimes
        asks_for_causes = self.policy.may_open_next or "anomaly" in self.casebook.episodes
        taken = None if asks_for_causes else self.detector.take_one(x)
        assessed, course = taken or self._assess(x)
        self.casebook.trail.add(course, record.time, self.is_open)
        alerts += self._judge_anomaly(assessed, now)
        if taken is None:
            self.detector.learn_assessed(assessed, x)
        if self.detector.n_regimes > n_regimes:
            alerts += self._regime_changed(now)
        alerts += self.sensors.process(record)
        self._note_state()
        return Verdict(assessed.score, self.is_open, alerts)

    def _assess(self, x: dict[str, Any]) -> tuple[Assessment, Array]:
        assessed = self.detector.assess_one(x)
        return assessed, self.detector.course(assessed)

    def _note_state(self) -> None:
        """Log when the machine begins to learn, as soon as its interval is known, and when it is ready."""
        state = self.detector.state
        if state == "learning" and (self.state == "ready" or self.policy.n_records == 2):
            seconds = self.ready_in_s
            about = "" if seconds is None else f", in about {lasting(seconds)}"
            logger.info("%s is learning; ready after %d more records%s", self.machine, self.n_records_to_ready, about)
        elif state == "ready" and self.state == "learning":
            logger.info("%s is ready after %d records", self.machine, self.policy.n_records)
        self.state = state

    # -- anomaly ------------------------------------------------------------------------------------------------------

    def _judge_anomaly(self, assessed: Assessment, now: Moment) -> list[Alert]:
        was_open, was_calm = self.policy.is_open, self.policy.is_calm
        if self.state == "learning":
            self.policy.skip(now.time)
        else:
            self.policy.update(assessed.p_of_tails, now.time, lambda: self._matters(assessed))
        if was_calm:
            self._first_sign = now
        episode = self.casebook.episodes.get("anomaly")
        if episode is not None:
            episode.follow(assessed, self.detector)
        if self.policy.is_open and not was_open:
            return [self._open_anomaly(assessed, now)]
        return self._close_anomaly(now) if was_open and not self.policy.is_open else []

    def _open_anomaly(self, assessed: Assessment, now: Moment) -> Alert:
        causes = self.detector.explain_assessed(assessed, assessed.channel_of_tails)
        alert = self.casebook.open(
            "anomaly",
            self._first_sign or now,
            now.time,
            say.of_anomaly(causes),
            causes,
            p=assessed.p_of_tails,
            severity="critical" if assessed.p_of_tails < SEVERE_P else "warning",
            budget_used=self.budget.used,
        )
        episode = self.casebook.episodes["anomaly"]
        episode.channel = assessed.channel_of_tails
        episode.follow(assessed, self.detector)
        return alert

    def _close_anomaly(self, now: Moment) -> list[Alert]:
        return self.casebook.close("anomaly", now, self.budget.used)

    def _matters(self, assessed: Assessment) -> bool:
        """Whether a leading cause departs as far, and to the side, that the user's limits ask for."""
        if not self.limits:
            return True
        causes = _leading(self.detector.explain_assessed(assessed, assessed.channel_of_tails))
        return any(self._admits(sensor, cause, assessed.channel_of_tails) for sensor, cause in causes.items())

    def _admits(self, sensor: str, cause: Cause, channel: int) -> bool:
        if sensor not in self.limits:
            return True
        deviation = _deviation(cause, channel)
        side = self.casebook.trail.lean(sensor) if cause.quantity == "error" else deviation  # a size has no side
        return self.limits[sensor].admits(deviation, side)

    def _regime_changed(self, now: Moment) -> list[Alert]:
        """The detector has adopted a lasting new state: the episode ends, the change is told."""
        episode = self.casebook.episodes.get("anomaly")
        causes = episode.causes if episode is not None else {}
        self.policy.close()
        resolved = self._close_anomaly(now)
        message = say.of_regime(self.settings.accept_after)
        alert = self.casebook.open("regime_changed", now, now.time, message, causes)
        return [*resolved, alert, *self.casebook.close("regime_changed", now)]

    # -- state --------------------------------------------------------------------------------------------------------

    def to_state(self) -> dict[str, Any]:
        """All that the monitor knows, as plain data."""
        first_sign = self._first_sign
        return {
            "machine": self.machine,
            "detector": self.detector.to_state(),
            "policy": self.policy.to_state(),
            "sensors": self.sensors.to_state(),
            "trail": self.casebook.trail.to_state(),
            "episodes": self.casebook.to_state(),
            "first_sign": None if first_sign is None else first_sign.to_state(),
            "frames": None if self.frames is None else self.frames.to_state(),
        }

    @classmethod
    def from_state(cls, state: dict[str, Any], settings: Settings) -> Monitor:
        """The monitor whose `to_state` this is, under the settings of today."""
        monitor = cls(state["machine"], settings)
        monitor.detector.restore(state["detector"])
        policy = state["policy"] | {"alerts_per_day": settings.budget_per_day}
        monitor.policy = msgspec.convert(policy, AlertPolicy)
        monitor.sensors.restore(state["sensors"])
        monitor.casebook.trail.restore(state["trail"])
        monitor.casebook.restore(state["episodes"])
        monitor.state = monitor.detector.state
        if state["first_sign"] is not None:
            monitor._first_sign = Moment.from_state(state["first_sign"])
        if state.get("frames") is not None:
            monitor.frames = Frames.from_state(state["frames"], settings.joining)
        return monitor


def _leading(causes: dict[str, Cause]) -> dict[str, Cause]:
    """The causes with large shares that are far off for their normal band; what is missing or unknown leads too.

    Shares alone do not tell: blame spreads to sensors that are as they should be, because the one that is not makes
    others be expected of them.
    """
    least = LEADING * max(cause.share for cause in causes.values())
    large = {sensor: cause for sensor, cause in causes.items() if cause.share >= least}
    off = {sensor: _bands_off(cause) for sensor, cause in large.items()}
    far = LEADING * max(off.values())
    return {sensor: cause for sensor, cause in large.items() if off[sensor] >= far}


def _bands_off(cause: Cause) -> float:
    """How far what was judged lies from what is expected, in widths of its normal band; infinite if that is unknown."""
    width = cause.high - cause.low
    off = abs(cause.actual - cause.expected) / width if width > 0 else math.nan
    return math.inf if math.isnan(off) else off


def _deviation(cause: Cause, channel: int) -> float:
    """How far what was judged lies from what is expected, with its sign; from its range, where that is judged."""
    if channel not in (ch.RANGE, ch.LONG_RANGE):
        return cause.actual - cause.expected
    if cause.low <= cause.actual <= cause.high:
        return 0.0
    return cause.actual - (cause.high if cause.actual > cause.high else cause.low)
