"""How good were the alerts? Known faults against the alerts that were raised.

A fault is *caught* by the first alert about its machine that is raised while it lasts. An alert is *true* if it begins
between a fault's beginning and AFTERMATH_S after its end, when the repair shows; every other alert is *false*.
`regime_changed` is news about the model and counts as neither.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from scrnn_stream.alert import Alert
from scrnn_stream.simulate import Fault

AFTERMATH_S = 12 * 3600.0
SLACK_S = 600.0  # the last record before a silence, the first of a run that froze: signs a moment before the fault


class Catch(NamedTuple):
    """A fault and the alert that caught it, or None."""

    fault: Fault
    alert: Alert | None

    @property
    def delay_s(self) -> float | None:
        """Seconds from the fault's beginning to the alert."""
        return None if self.alert is None or self.alert.raised is None else self.alert.raised - self.fault.begin

    @property
    def names_sensor(self) -> bool:
        """True if the leading sensor of the alert is one that the fault hit."""
        return (
            self.alert is not None and bool(self.alert.sensors) and self.alert.sensors[0].sensor in self.fault.sensors
        )


class Judgement(NamedTuple):
    """What was caught, and what was raised for nothing."""

    catches: list[Catch]
    false_alerts: list[Alert]

    @property
    def n_caught(self) -> int:
        return sum(catch.alert is not None for catch in self.catches)


def judge(faults: Sequence[Fault], alerts: Iterable[Alert]) -> Judgement:
    """Hold alerts, in the order they were raised, against the faults of the same machines."""
    firing = [a for a in alerts if a.state == "firing" and a.n_told == 1 and a.kind != "regime_changed"]
    catches = [Catch(fault, next((alert for alert in firing if _catches(alert, fault)), None)) for fault in faults]
    false = [alert for alert in firing if not any(_is_about(alert, fault) for fault in faults)]
    return Judgement(catches, false)


def _catches(alert: Alert, fault: Fault) -> bool:
    raised = alert.raised if alert.raised is not None else -1.0
    return _is_about(alert, fault) and fault.begin <= raised <= fault.end


def _is_about(alert: Alert, fault: Fault) -> bool:
    begin = alert.begin if alert.begin is not None else -1.0
    return alert.machine == fault.machine and fault.begin - SLACK_S <= begin <= fault.end + AFTERMATH_S
