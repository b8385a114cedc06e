"""What flows out: the alert, with the evidence that makes it believable."""

from __future__ import annotations

from typing import Literal

import msgspec

from scrnn_stream.channels import Quantity
from scrnn_stream.records import Position

Kind = Literal["anomaly", "silent", "stuck", "out_of_range", "regime_changed"]
State = Literal["firing", "resolved"]
Severity = Literal["warning", "critical"]


class SensorEvidence(msgspec.Struct, frozen=True, kw_only=True):
    """What one sensor contributes to an alert.

    ``share`` lies in [0, 1]; the shares of all sensors add to 1. ``actual`` is what was found improbable, ``quantity``
    what that is: the last ``reading``, the ``average`` of the last few, the ``long average`` of the last hundred, or
    the size of the ``error`` against the forecast. ``expected``, ``low`` and ``high`` are what the other sensors and
    its own past lead to expect of it, and the band that holds 99.7% of calm values. All are in the sensor's own unit.
    ``trail_*`` are equally long and lead up to the alert: time (Unix seconds; NaN for data without time), reading,
    average, and the band of the average; they are empty for sensors that contribute little. NaN stands for "missing".
    """

    sensor: str
    share: float
    actual: float
    expected: float
    low: float
    high: float
    quantity: Quantity = "reading"
    channel: Literal["fast", "slow", "none"] = "none"
    trail_time: tuple[float, ...] = ()
    trail_reading: tuple[float, ...] = ()
    trail_average: tuple[float, ...] = ()
    trail_expected: tuple[float, ...] = ()
    trail_low: tuple[float, ...] = ()
    trail_high: tuple[float, ...] = ()


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """One message about one episode: ``firing`` when it is raised, ``resolved`` at the all-clear, under the same id.

    A machine has at most one open episode of a kind. Where more sensors freeze, fall silent or leave their range while
    one is open, it is told again, ``firing`` with all of them: ``n_told`` counts these messages.

    Times are Unix seconds of event time, or None for data without time. ``begin`` is the first sign, ``raised`` the
    record that made it an alert, ``end`` the all-clear. ``score`` is the detector's calibrated score in [0, 1] and
    ``p_value`` the tail probability behind it. ``budget_used`` is the share of the alert budget spent so far
    (1 means: exactly as many alerts as asked for); None for kinds that spend none.
    """

    id: str
    machine: str
    kind: Kind
    state: State
    severity: Severity
    begin: float | None
    raised: float | None
    end: float | None = None
    position: Position
    score: float
    p_value: float
    budget_used: float | None = None
    n_told: int = 1
    message: str
    sensors: tuple[SensorEvidence, ...] = ()


def without_trails(alert: Alert) -> Alert:
    """The same alert, as it is told where nobody draws it."""
    return msgspec.structs.replace(alert, sensors=tuple(_without_trail(evidence) for evidence in alert.sensors))


def _without_trail(evidence: SensorEvidence) -> SensorEvidence:
    return msgspec.structs.replace(evidence, **dict.fromkeys(_TRAILS, ()))


_TRAILS = [name for name in SensorEvidence.__struct_fields__ if name.startswith("trail_")]
