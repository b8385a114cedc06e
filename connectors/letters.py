"""What a person is told of alerts: a title and a few lines of plain text, whatever the names from the wire hold."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from scrnn_stream.alert import Alert, SensorEvidence

from .times import format_time

MOST_TOLD = 20  # alerts in one letter
MOST_SENSORS = 3
MOST_CHARS = 500  # of one text from the wire
MOST_TITLE_CHARS = 120
NO_MENTION = "@\u2060"  # a word joiner: looks like @, and calls nobody in a chat


class Letter(NamedTuple):
    """A message to a person. ``level`` is ``critical``, ``warning`` or ``resolved``: the worst that it tells of."""

    title: str
    body: str
    level: str


def compose(alerts: Sequence[Alert], n_lost: int = 0) -> Letter:
    """One letter about some alerts, in the order in which they were told.

    Parameters
    ----------
    alerts
        At least one.
    n_lost
        Alerts before them of which nobody will be told here.
    """
    ended = {alert.id for alert in alerts if alert.state == "resolved"}
    begun = {alert.id for alert in alerts if alert.state == "firing"}
    told = [alert for alert in alerts if alert.state == "resolved" or alert.id not in ended]
    parts = [_paragraph(alert, alert.id in begun) for alert in told[:MOST_TOLD]]
    if len(told) > MOST_TOLD:
        parts.append(f"And {len(told) - MOST_TOLD} more: see the topic of alerts.")
    if n_lost:
        parts.append(f"{n_lost} alerts before these are not told here: see the topic of alerts.")
    return Letter(_title(told, begun), "\n\n".join(parts), _level(told, begun))


def plain(text: str, most: int = MOST_CHARS) -> str:
    r"""Text from the wire as one line that shows all of it: what moves a cursor, hides or turns is written as ``\x1b``.

    >>> plain("flow\x1b[2J\nfine")
    'flow\\x1b[2J\\x0afine'
    """
    shown = "".join(_shown(character) for character in text[: most + 1])
    return shown if len(shown) <= most else shown[: most - 3] + "..."


def values(alert: Alert, n_most: int = MOST_SENSORS) -> list[str]:
    """A line for each of the leading sensors: what was found, and what is expected of it."""
    leading = sorted(alert.sensors, key=lambda evidence: evidence.share, reverse=True)
    return [_value(evidence) for evidence in leading[:n_most]]


def since(alert: Alert) -> str:
    """From when to when, as far as that is known; empty for data without time."""
    if alert.begin is None:
        return ""
    return f"since {format_time(alert.begin)}" + (f" until {format_time(alert.end)}" if alert.end is not None else "")


def _title(alerts: Sequence[Alert], begun: set[str]) -> str:
    if len(alerts) == 1:
        (alert,) = alerts
        return _defused(plain(f"[{_state(alert, begun)}] {alert.machine}: {_words(alert.kind)}", MOST_TITLE_CHARS))
    states = Counter(_state(alert, begun) for alert in alerts)
    machines = len({alert.machine for alert in alerts})
    told = ", ".join(f"{n} {state}" for state, n in sorted(states.items()))
    return f"{len(alerts)} alerts of {machines} machine{'s' if machines > 1 else ''}: {told}"


def _level(alerts: Sequence[Alert], begun: set[str]) -> str:
    states = {_state(alert, begun) for alert in alerts}
    return next((level for level in ("critical", "warning") if level in states), "resolved")


def _state(alert: Alert, begun: set[str]) -> str:
    """What came and went between two letters is told by how bad it was."""
    return "resolved" if alert.state == "resolved" and alert.id not in begun else alert.severity


def _paragraph(alert: Alert, has_begun: bool) -> str:
    state = alert.state if alert.state == "firing" or not has_begun else "over already"
    head = f"[{alert.severity}, {state}] {plain(alert.message)}"
    about = ", ".join(part for part in (since(alert), f"id {alert.id}") if part)
    return _defused("\n".join([head, *(f"  {line}" for line in values(alert)), f"  {about}"]))


def _value(evidence: SensorEvidence) -> str:
    actual = "is missing" if math.isnan(evidence.actual) else f"{evidence.actual:.4g}"
    known = not (math.isnan(evidence.low) or math.isnan(evidence.high))
    normal = f", {evidence.low:.4g} to {evidence.high:.4g} is normal" if known else ""
    return f"{plain(evidence.sensor)}: {evidence.quantity} {actual}{normal} ({100 * evidence.share:.0f}%)"


def _words(kind: str) -> str:
    return kind.replace("_", " ")


def _shown(character: str) -> str:
    """Not printable are controls, what turns the direction of writing, surrogates, line breaks, and odd spaces."""
    if character.isprintable():
        return character
    number = ord(character)
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def _defused(text: str) -> str:
    """A sensor of the name @everyone calls nobody, and <!channel> is no command of a chat."""
    return text.replace("@", NO_MENTION).replace("<!", "<\u2060!").replace("<@", "<\u2060@")
