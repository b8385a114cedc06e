"""Alerts, and how far the watching has come, as lines of text for people."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from rich.markup import escape

from scrnn_stream.alert import Alert
from scrnn_stream.episodes import Budget
from scrnn_stream.masking import on_one_line
from scrnn_stream.monitor import Monitor
from scrnn_stream.register import Outline
from scrnn_stream.wording import lasting

COLOURS = {"anomaly": "red", "stuck": "magenta", "silent": "yellow", "out_of_range": "red", "regime_changed": "cyan"}


def alert_line(alert: Alert) -> str:
    """One line with rich's markup: time, state, kind, message. What came from the wire is escaped."""
    when = alert.raised if alert.state == "firing" else alert.end
    kind = alert.kind.replace("_", " ")
    colour = COLOURS[alert.kind] if alert.state == "firing" else "green"
    severity = " critical" if alert.severity == "critical" and alert.state == "firing" else ""
    message = alert.message if alert.state == "firing" else alert.machine
    return f"[dim]{clock(when)}[/dim]  [{colour}]{alert.state:8} {kind}{severity}[/{colour}]  {_clean(message)}"


def clock(time: float | None) -> str:
    """Minutes in UTC; a dash for data without time."""
    if time is None:
        return "-" * 16
    try:
        return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d %H:%M")
    except (OverflowError, ValueError, OSError):
        return f"{time:g} s"


def _clean(text: str) -> str:
    """No control characters reach the terminal, no markup is obeyed."""
    return escape("".join(c if c.isprintable() else "?" for c in text))


def budget_line(budget: Budget) -> str:
    """Asked and achieved in one sentence."""
    asked = f"budget: {budget.asked_per_day:.3g} a day asked of each machine"
    achieved = f"{budget.n_raised} raised in {budget.days:.3g} machine-days, {budget.achieved_per_day:.3g} a day"
    return f"{asked}; {achieved}; {budget.used:.0%} of it used"


def learning_line(monitors: Iterable[Monitor | Outline]) -> str:
    """How many machines are still learning, and when the last of them is expected to be ready; empty if none is."""
    learning = [monitor for monitor in monitors if monitor.state == "learning"]
    if not learning:
        return ""
    last = max(learning, key=lambda monitor: (monitor.ready_in_s or 0.0, monitor.n_records_to_ready))
    seconds = last.ready_in_s
    about = "" if seconds is None else f", about {lasting(seconds)} of its time"
    ready = f"{on_one_line(last.machine)} is ready after {last.n_records_to_ready} more records{about}"
    return f"{len(learning)} still learning, without `anomaly` alerts so far: {ready}"
