"""The open episodes of one machine, at most one of each kind, and the alerts that tell of them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Annotated, Any

import msgspec

from scrnn_stream import channels as ch
from scrnn_stream.alert import Alert, Kind, Severity
from scrnn_stream.anomaly import Assessment, Cause, SCRNNDetector
from scrnn_stream.calibration import to_score
from scrnn_stream.episodes import SEVERE_P
from scrnn_stream.records import Moment
from scrnn_stream.trail import Trail

RETELL_AFTER = 10  # records between two messages of one episode: a machine that freezes bit by bit makes no flood


@dataclass
class Episode:
    """An open episode: its alert as it was last told, the least p so far, and the sensors to blame.

    Those are, of an `anomaly`, where the channel that raised it was least probable, and of the other kinds each sensor
    since it joined.
    """

    alert: Alert
    causes: dict[str, Cause]
    n_since_told: int = 0  # records
    least_p: float = 1.0
    channel: int = ch.LEVEL
    least_p_of_channel: float = 1.0

    def follow(self, assessed: Assessment, detector: SCRNNDetector) -> None:
        """The worst moment explains best. One channel alone counts: a repair is as sudden as a fault, and as rare."""
        self.least_p = min(self.least_p, assessed.p_of_tails)
        p = float(assessed.p_of_tail[self.channel])
        if p < self.least_p_of_channel:
            self.least_p_of_channel, self.causes = p, detector.explain_assessed(assessed, self.channel)


_Channel = Annotated[int, msgspec.Meta(ge=0, lt=ch.N_CHANNELS)]
EpisodeState = tuple[Alert, dict[str, Cause], int, float, _Channel, float]  # as in Episode


@dataclass
class Casebook:
    """Opens, retells and closes the episodes of one machine.

    Parameters
    ----------
    machine
        Its name.
    trail
        Its last records, which evidence is drawn from.
    """

    machine: str
    trail: Trail
    episodes: dict[Kind, Episode] = field(default_factory=dict)

    def open(
        self,
        kind: Kind,
        begin: Moment,
        raised: float | None,
        message: str,
        causes: dict[str, Cause],
        *,
        p: float = 1.0,
        severity: Severity = "warning",
        budget_used: float | None = None,
    ) -> Alert:
        """Open an episode whose first sign was at `begin`."""
        sensors = self.trail.evidence(causes)
        alert = Alert(
            id=_alert_id(self.machine, kind, begin, sensors[0].sensor if sensors else ""),
            machine=self.machine,
            kind=kind,
            state="firing",
            severity=severity,
            begin=begin.time,
            raised=raised,
            position=begin.position,
            score=to_score(p),
            p_value=p,
            budget_used=budget_used,
            message=f"{self.machine}: {message}",
            sensors=sensors,
        )
        self.episodes[kind] = Episode(alert, causes)
        return alert

    def retell(self, kind: Kind, raised: float | None, message: str, causes: dict[str, Cause]) -> Alert:
        """Tell of an open episode again, now with these causes."""
        episode = self.episodes[kind]
        episode.alert = msgspec.structs.replace(
            episode.alert,
            raised=raised,
            message=f"{self.machine}: {message}",
            n_told=episode.alert.n_told + 1,
            sensors=self.trail.evidence(causes),
        )
        episode.n_since_told = 0
        return episode.alert

    def resume(self, episode: Episode) -> None:
        """The machine as a whole is back, its sensors that were missing before are not."""
        episode.alert = msgspec.structs.replace(episode.alert, sensors=self.trail.evidence(episode.causes))

    def close(self, kind: Kind, now: Moment, budget_used: float | None = None) -> list[Alert]:
        """The all-clear of an episode, with its worst evidence; nothing if none is open."""
        episode = self.episodes.pop(kind, None)
        if episode is None:
            return []
        alert = episode.alert
        p = min(alert.p_value, episode.least_p)
        resolved = msgspec.structs.replace(
            alert,
            state="resolved",
            end=now.time,
            severity="critical" if p < SEVERE_P else alert.severity,
            p_value=p,
            score=to_score(p),
            budget_used=budget_used,
            sensors=self.trail.evidence(episode.causes),
        )
        return [resolved]

    # -- state --------------------------------------------------------------------------------------------------------

    def to_state(self) -> dict[str, Any]:
        """The open episodes as plain data."""
        return {
            kind: [
                msgspec.to_builtins(episode.alert),
                {sensor: list(cause) for sensor, cause in episode.causes.items()},
                episode.n_since_told,
                episode.least_p,
                episode.channel,
                episode.least_p_of_channel,
            ]
            for kind, episode in self.episodes.items()
        }

    def restore(self, state: dict[Any, Any]) -> None:
        """Go on with the episodes of `to_state`."""
        for kind, episode in msgspec.convert(state, dict[Kind, EpisodeState]).items():
            self.episodes[kind] = Episode(*episode)


def _alert_id(machine: str, kind: str, begin: Moment, leading: str) -> str:
    """Derived from content: the same episode has the same id in every run.

    Two sensors can freeze at one record and be told in two episodes, so the leading one is part of it; and one message
    can hold several records, so the time is.
    """
    (topic, number), offset = begin.position
    content = "\0".join((machine, kind, topic, str(number), str(offset), leading, repr(begin.time)))
    return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()[:16]
