"""One machine under watch: its model, its policy, its open episodes, and the alerts that come of them."""

from __future__ import annotations

import hashlib
import math
from collections import deque
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from scrnn_stream import channels as ch
from scrnn_stream.alert import Alert, Kind, SensorEvidence, Severity
from scrnn_stream.anomaly import Assessment, Cause, Course, SCRNNDetector
from scrnn_stream.calibration import to_score
from scrnn_stream.channels import Quantity
from scrnn_stream.continuity import Continuity
from scrnn_stream.episodes import ON_DELAY, SEVERE_P, AlertPolicy
from scrnn_stream.records import Moment, Position, Record

Array = NDArray[np.float64]

TIME_KEY = "timestamp"  # never the name of a sensor
N_TRAIL = 150  # records kept to draw the way into an alert; twice as many points while one is open
VERBS: dict[Quantity, str] = {
    "reading": "reads",
    "average": "averages",
    "long average": "averages, in the long run,",
    "error": "misses its forecast by",
}
N_DRAWN = 3  # sensors whose trail an alert carries


@dataclass(frozen=True, slots=True)
class Settings:
    """What a user sets; the same for every machine.

    Parameters
    ----------
    alerts_per_day
        Budget of `anomaly` alerts for each machine while nothing is wrong with it.
    accept_after
        Improbable records in a row after which a lasting new state becomes the new normal.
    seed
        For the starting weights of the networks.
    """

    alerts_per_day: float = 1.0
    accept_after: int = 500
    seed: int = 0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.alerts_per_day) and self.alerts_per_day > 0):
            raise ValueError(f"alerts_per_day must be a number above 0, got {self.alerts_per_day}")
        if self.accept_after < 1:
            raise ValueError(f"accept_after must be at least 1, got {self.accept_after}")
        if self.seed < 0:
            raise ValueError(f"seed must be at least 0, got {self.seed}")

    @classmethod
    def names(cls) -> tuple[str, ...]:
        return tuple(f.name for f in fields(cls))


class Verdict(NamedTuple):
    """What came of one record: its score (NaN if it was refused), whether an episode is open, and the alerts raised."""

    score: float
    is_open: bool
    alerts: list[Alert]


@dataclass
class Episode:
    """An open episode: its alert, the least p so far, and where the channel that raised it was least probable."""

    alert: Alert
    least_p: float = 1.0
    channel: int = ch.LEVEL
    least_p_of_channel: float = 1.0
    causes: dict[str, Cause] = field(default_factory=dict)

    def follow(self, assessed: Assessment, detector: SCRNNDetector) -> None:
        """The worst moment explains best. One channel alone counts: a repair is as sudden as a fault, and as rare."""
        self.least_p = min(self.least_p, assessed.p)
        p = float(assessed.p_channels[self.channel])
        if p < self.least_p_of_channel:
            self.least_p_of_channel, self.causes = p, detector.explain_assessed(assessed, self.channel)


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
        self.detector = SCRNNDetector(accept_after=settings.accept_after, time_key=TIME_KEY, seed=settings.seed)
        self.policy = AlertPolicy(settings.alerts_per_day)
        self.continuity = Continuity()
        self.episodes: dict[Kind, Episode] = {}
        self.last: Record | None = None
        self.heard_at = math.inf  # stream time when the last record came; set by who knows the stream
        self._recent: deque[Moment] = deque(maxlen=ON_DELAY)
        self._trail: list[tuple[float, Course]] = []

    # -- record -> alerts ---------------------------------------------------------------------------------------------

    def process(self, record: Record) -> Verdict:
        """Score the record, learn it, and say what that changes."""
        now = record.moment
        alerts = self._silence_ended(record)
        x: dict[str, Any] = {**record.values, TIME_KEY: record.time}
        assessed = self.detector.assess_one(x)
        self._recent.append(now)
        self._remember(assessed, record.time)
        alerts += self._judge_anomaly(assessed, now)
        n_regimes = self.detector.n_regimes
        self.detector.learn_assessed(assessed, x)
        if self.detector.n_regimes > n_regimes:
            alerts += self._regime_changed(now)
        alerts += self._judge_continuity(record, now)
        self.last = record
        return Verdict(assessed.score, bool(self.episodes), alerts)

    def check_silence(self, stream_time: float) -> list[Alert]:
        """The machine's own silence, when the stream has gone on to `stream_time` without it."""
        if self.last is None or "silent" in self.episodes:
            return []
        return self._judge_silence(stream_time - self.heard_at, stream_time)

    @property
    def silence_limit(self) -> float:
        """Seconds of stream time after which the machine counts as silent; infinite until its own past is known."""
        return self.continuity.silence_limit

    # -- kinds --------------------------------------------------------------------------------------------------------

    def _judge_anomaly(self, assessed: Assessment, now: Moment) -> list[Alert]:
        was_open = self.policy.is_open
        self.policy.update(assessed.p, now.time)
        episode = self.episodes.get("anomaly")
        if episode is not None:
            episode.follow(assessed, self.detector)
        if self.policy.is_open and not was_open:
            causes = self.detector.explain_assessed(assessed)
            message = f"{self.machine}: {_in_words(causes)}"
            alert = self._open("anomaly", self._recent[0], now.time, message, assessed.p, causes)
            self.episodes["anomaly"] = Episode(alert, channel=assessed.channel, causes=causes)
            self.episodes["anomaly"].follow(assessed, self.detector)
            return [alert]
        if was_open and not self.policy.is_open:
            return self._close("anomaly", now)
        return []

    def _regime_changed(self, now: Moment) -> list[Alert]:
        """The detector has adopted a lasting new state: the episode ends, the change is told."""
        episode = self.episodes.get("anomaly")
        causes = episode.causes if episode is not None else {}
        n = self.settings.accept_after
        message = f"{self.machine}: the new state has lasted for {n} records and is now taken as normal"
        self.policy.is_open = False
        alert = self._open("regime_changed", now, now.time, message, causes=causes)
        return [*self._close("anomaly", now), alert, *self._close("regime_changed", now)]

    def _judge_continuity(self, record: Record, now: Moment) -> list[Alert]:
        previous = self.last.time if self.last is not None else None
        gap = record.time - previous if record.time is not None and previous is not None else None
        self.continuity.update(record.values, now, gap)
        return [
            *self._follow("stuck", self.continuity.stuck, now, "has repeated one reading"),
            *self._follow("silent", self.continuity.silent, now, "has sent no reading"),
        ]

    def _follow(self, kind: Kind, sensors: list[str], now: Moment, what: str) -> list[Alert]:
        if kind in self.episodes:
            return [] if sensors else self._close(kind, now)
        if not sensors:
            return []
        runs = {s: getattr(self.continuity.sensors[s], "equal" if kind == "stuck" else "missing") for s in sensors}
        first, run = max(runs.items(), key=lambda item: item[1].length)
        message = f"{self.machine}: {first} {what} for {run.length:.0f} records"
        message += f"; never before for more than {run.longest:.0f}"
        causes = {sensor: self._cause_now(sensor, 1 / len(sensors)) for sensor in sensors}
        return [self._open(kind, run.since or now, now.time, message, causes=causes)]

    def _judge_silence(self, quiet: float, raised: float) -> list[Alert]:
        if self.last is None or quiet <= self.silence_limit:
            return []
        message = f"{self.machine}: no data for {_span(quiet)}; usually every {_span(self.continuity.interval)}"
        return [self._open("silent", self.last.moment, raised, message)]

    def _silence_ended(self, record: Record) -> list[Alert]:
        """The first record after a silence: raise the alert if nothing else did, and resolve it."""
        if self.last is None or self.last.time is None or record.time is None:
            return []
        alerts = [] if "silent" in self.episodes else self._judge_silence(record.time - self.last.time, record.time)
        if "silent" in self.episodes and not self.continuity.silent:
            alerts += self._close("silent", record.moment)
        return alerts

    # -- alerts -------------------------------------------------------------------------------------------------------

    def _open(
        self,
        kind: Kind,
        begin: Moment,
        raised: float | None,
        message: str,
        p: float = 1.0,
        causes: dict[str, Cause] | None = None,
    ) -> Alert:
        severity: Severity = "critical" if p < SEVERE_P else "warning"
        alert = Alert(
            id=_alert_id(self.machine, kind, begin.position),
            machine=self.machine,
            kind=kind,
            state="firing",
            severity=severity,
            begin=begin.time,
            raised=raised,
            position=begin.position,
            score=to_score(p),
            p_value=p,
            budget_used=self.policy.budget_used if kind == "anomaly" else None,
            message=message,
            sensors=self._evidence(causes or {}),
        )
        self.episodes[kind] = Episode(alert)
        return alert

    def _close(self, kind: Kind, now: Moment) -> list[Alert]:
        episode = self.episodes.pop(kind, None)
        if episode is None:
            return []
        alert = episode.alert
        p = min(alert.p_value, episode.least_p) if kind == "anomaly" else alert.p_value
        changes: dict[str, Any] = {"state": "resolved", "end": now.time}
        if kind == "anomaly":
            changes |= {
                "severity": "critical" if p < SEVERE_P else alert.severity,
                "p_value": p,
                "score": to_score(p),
                "budget_used": self.policy.budget_used,
                "sensors": self._evidence(episode.causes),
            }
        return [msgspec.structs.replace(alert, **changes)]

    # -- evidence -----------------------------------------------------------------------------------------------------

    def _remember(self, assessed: Assessment, time: float | None) -> None:
        self._trail.append((math.nan if time is None else time, self.detector.course(assessed)))
        if self.episodes and len(self._trail) > 2 * N_TRAIL:
            del self._trail[1:-1:2]  # a long episode keeps its beginning in sight, at half the resolution
        elif not self.episodes:
            del self._trail[:-N_TRAIL]

    def _cause_now(self, sensor: str, share: float) -> Cause:
        column = self.detector.sensors.index(sensor)
        course = self._trail[-1][1]
        if column >= len(course.reading):
            return Cause(share, math.nan, math.nan, math.nan, math.nan, "reading", "none")
        reading, _, expected, low, high = (float(part[column]) for part in course)
        return Cause(share, reading, expected, low, high, "reading", "none")

    def _evidence(self, causes: dict[str, Cause]) -> tuple[SensorEvidence, ...]:
        ranked = sorted(causes.items(), key=lambda item: (-item[1].share, item[0]))
        evidence = [SensorEvidence(sensor=sensor, **cause._asdict()) for sensor, cause in ranked]
        drawn = [msgspec.structs.replace(e, **self._trail_of(e.sensor)) for e in evidence[:N_DRAWN]]
        return (*drawn, *evidence[N_DRAWN:])

    def _trail_of(self, sensor: str) -> dict[str, tuple[float, ...]]:
        column = self.detector.sensors.index(sensor)
        points = [(time, *(float(part[column]) for part in c)) for time, c in self._trail if column < len(c.reading)]
        names = ("time", *Course._fields)
        return {f"trail_{name}": series for name, series in zip(names, zip(*points, strict=True), strict=True)}

    # -- state --------------------------------------------------------------------------------------------------------

    def to_state(self) -> dict[str, Any]:
        """All that the monitor knows, as plain data."""
        last = self.last
        return {
            "machine": self.machine,
            "detector": self.detector.to_state(),
            "policy": self.policy.to_state(),
            "continuity": self.continuity.to_state(),
            "episodes": {
                kind: [
                    msgspec.to_builtins(episode.alert),
                    episode.least_p,
                    episode.channel,
                    episode.least_p_of_channel,
                    {s: list(c) for s, c in episode.causes.items()},
                ]
                for kind, episode in self.episodes.items()
            },
            "last": None if last is None else [last.moment.to_state(), dict(last.values)],
            "heard_at": self.heard_at,
            "recent": [moment.to_state() for moment in self._recent],
            "trail": [[time, *(part.copy() for part in course)] for time, course in self._trail],
        }

    @classmethod
    def from_state(cls, state: dict[str, Any], settings: Settings) -> Monitor:
        """The monitor whose `to_state` this is, under the settings of today."""
        monitor = cls(state["machine"], settings)
        monitor.detector.restore(state["detector"])
        monitor.policy = AlertPolicy(**state["policy"] | {"alerts_per_day": settings.alerts_per_day})
        monitor.continuity = Continuity.from_state(state["continuity"])
        for kind, (alert, least_p, channel, least_p_of_channel, causes) in state["episodes"].items():
            causes = {sensor: Cause(*cause) for sensor, cause in causes.items()}
            monitor.episodes[kind] = Episode(
                msgspec.convert(alert, Alert), least_p, channel, least_p_of_channel, causes
            )
        if state["last"] is not None:
            (time, position), values = Moment.from_state(state["last"][0]), state["last"][1]
            monitor.last = Record(position, monitor.machine, time, values)
        monitor.heard_at = state["heard_at"]
        monitor._recent.extend(Moment.from_state(moment) for moment in state["recent"])
        monitor._trail.extend((time, Course(*parts)) for time, *parts in state["trail"])
        return monitor


def _alert_id(machine: str, kind: str, position: Position) -> str:
    """Derived from content: the same episode has the same id in every run."""
    content = "\0".join((machine, kind, position.partition.topic, str(position.partition.number), str(position.offset)))
    return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _in_words(causes: dict[str, Cause]) -> str:
    """The leading sensor in a sentence a person can check."""
    if not causes:
        return "departs from its normal behaviour"
    sensor, cause = max(causes.items(), key=lambda item: item[1].share)
    share = f"{100 * cause.share:.0f}% of the evidence"
    if math.isnan(cause.actual):
        return f"{sensor} is missing ({share})"
    verb = VERBS[cause.quantity]
    if math.isnan(cause.low):
        return f"{sensor} {verb} {cause.actual:.4g} ({share})"
    normal = f"{cause.low:.4g} to {cause.high:.4g} is normal"
    if cause.low <= cause.actual <= cause.high:
        return f"an unusual state; most of all {sensor} {verb} {cause.actual:.4g} ({share})"
    return f"{sensor} {verb} {cause.actual:.4g} where {normal} ({share})"


def _span(seconds: float) -> str:
    """A duration for people: the two leading units."""
    for unit, size, smaller, part in (("d", 86400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1)):
        if seconds >= size:
            rest = int(seconds % size // part)
            return f"{int(seconds // size)} {unit} {rest} {smaller}" if rest else f"{int(seconds // size)} {unit}"
    return f"{seconds:.3g} s"
