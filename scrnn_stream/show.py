"""Alerts as lines of text for people."""

from __future__ import annotations

from datetime import UTC, datetime

from rich.markup import escape

from scrnn_stream.alert import Alert

COLOURS = {"anomaly": "red", "stuck": "magenta", "silent": "yellow", "regime_changed": "cyan"}


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
