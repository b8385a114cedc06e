"""Alert cards: one HTML page an alert with its evidence drawn, and an index. Nothing is loaded, nothing runs."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from hashlib import blake2s
from importlib.resources import files
from itertools import groupby
from pathlib import Path

import msgspec

from scrnn_stream import chart
from scrnn_stream import wording as say
from scrnn_stream.alert import Alert, SensorEvidence

N_CHARTS = 3
N_ROWS = 40
HEADLINES = {  # firing, resolved; {sensor} is the leading one
    "anomaly": ("{machine} is not behaving normally", "{machine} was not behaving normally"),
    "silent": ("{machine} has stopped sending data", "{machine} had stopped sending data"),
    "stuck": ("{sensor} of {machine} is frozen", "{sensor} of {machine} was frozen"),
    "out_of_range": ("{sensor} of {machine} is out of range", "{sensor} of {machine} was out of range"),
    "regime_changed": ("{machine} has settled into a new normal", "{machine} has settled into a new normal"),
}

WHOLE = "<h2>Sensors</h2><p>This alert is about the machine as a whole.</p>"
PLURALS = ((" is ", " are "), (" was ", " were "), (" has ", " have "))


def render_card(alert: Alert) -> str:
    """One self-contained page for one alert, to send, to print or to open without a network.

    Parameters
    ----------
    alert
        The alert; its names and its message are escaped, whatever they contain. Times are shown in UTC.

    Returns
    -------
    The HTML, below 200 kB however long the trails and however many the sensors.
    """
    sensors = _ranked(alert)
    drawn = [evidence for evidence in sensors if evidence.trail_reading][:N_CHARTS]
    legend = "".join(
        f'<span><svg aria-hidden="true"><path class="{c}" d="{d}"/></svg>{t}</span>' for c, d, t in chart.LEGEND
    )
    charts = "".join(chart.figure(evidence, alert) for evidence in drawn)
    body = [
        f"<header>{_tags(alert)}"
        f'<h1>{_headline(alert)}</h1><p class="lede">{say.name(alert.message, 1000)}</p>{_facts(alert)}</header>',
        f'<section><h2>What was seen</h2><p class="legend">{legend}</p>{charts}</section>' if drawn else "",
        _table(sensors, chart.band_name(alert))
        if sensors
        else "<h2>Sensors</h2><p>This alert is about the machine as a whole.</p>",
        _small_print(alert),
    ]
    return _page(f"{say.text(alert.machine)}: {alert.kind.replace('_', ' ')}, {alert.state}", "".join(body))


def write_report(alerts: Iterable[Alert], directory: Path, *, title: str, note: str = "") -> Path:
    """Write a card for each alert and an ``index.html`` that lists them by machine and time.

    Parameters
    ----------
    alerts
        In the order they were sent. The last message under an id counts; `firing` never undoes `resolved`, and a last
        message without evidence keeps the evidence of the one before.
    directory
        Created where it does not exist. Files of the same names are overwritten.
    title
        The heading of the index.
    note
        A line below it: what was asked and what was achieved.

    Returns
    -------
    The path of the index.
    """
    latest: dict[str, Alert] = {}
    for alert in alerts:
        before = latest.get(alert.id, alert)
        if not (before.state == "resolved" and alert.state == "firing"):
            latest[alert.id] = msgspec.structs.replace(alert, sensors=alert.sensors or before.sensors)
    directory.mkdir(parents=True, exist_ok=True)
    for alert in latest.values():
        (directory / _file_name(alert)).write_text(render_card(alert), encoding="utf-8", errors="replace")
    index = directory / "index.html"
    index.write_text(_index(list(latest.values()), title, note), encoding="utf-8", errors="replace")
    return index


def _headline(alert: Alert) -> str:
    leading = say.name(_ranked(alert)[0].sensor) if alert.sensors else "A sensor"
    if alert.kind == "silent" and alert.sensors:  # a sensor of a machine that goes on talking
        words = ("{sensor} of {machine} has stopped sending data", "{sensor} of {machine} had stopped sending data")
    else:
        words = HEADLINES[alert.kind]
    headline = words[alert.state == "resolved"]
    if "{sensor}" in headline and len(alert.sensors) > 1:
        leading += f" and {len(alert.sensors) - 1} more"
        for one, many in PLURALS:
            headline = headline.replace(one, many)
    return headline.format(machine=say.name(alert.machine), sensor=leading)


def _ranked(alert: Alert) -> list[SensorEvidence]:
    return sorted(alert.sensors, key=lambda evidence: -say.share(evidence))


def _span(alert: Alert) -> str:
    """For how long, as far as the alert knows."""
    if alert.state == "firing":
        return "not over yet"
    return "all clear" if alert.begin is None or alert.end is None else f"lasted {say.lasting(alert.end - alert.begin)}"


def _facts(alert: Alert) -> str:
    later = (
        ""
        if alert.begin is None or alert.raised is None
        else f"{say.lasting(alert.raised - alert.begin)} after the first sign"
    )
    facts = [
        ("First sign", say.when(alert.begin), ""),
        ("Alert raised", say.when(alert.raised), later),
        (
            "All-clear",
            "not yet" if alert.state == "firing" else say.when(alert.end),
            _span(alert) if alert.end is not None else "",
        ),
    ]
    items = "".join(f"<div><dt>{term}</dt><dd>{value}<small>{note}</small></dd></div>" for term, value, note in facts)
    return f"<dl>{items}</dl>"


def _small_print(alert: Alert) -> str:
    used = alert.budget_used
    budget = "spends no alert budget" if used is None else f"{used:.0%} of the alert budget used so far"
    rarity = say.rarity(alert.p_value if alert.kind == "anomaly" else math.nan)
    return (
        f'<h2>Small print</h2><p class="small">Score {alert.score:.4f} of 1: {rarity}. '
        f"{budget.capitalize()}. Read at {say.name(str(alert.position))}. Alert {say.name(alert.id)}. "
        "Times are UTC.</p>"
    )


def _row(evidence: SensorEvidence) -> str:
    size, share = say.resolution(evidence), say.share(evidence)
    outside = evidence.actual > evidence.high or evidence.actual < evidence.low
    arrow = (" ▲" if evidence.actual > evidence.high else " ▼") if outside else ""
    cells = "".join(
        f'<td class="number{" off" if mark else ""}">{text}</td>'
        for text, mark in (
            (say.number(evidence.actual, size) + arrow, outside),
            (say.number(evidence.expected, size), False),
            (say.band(evidence), False),
        )
    )
    bar = f'<svg aria-hidden="true"><rect width="{share:.1%}" height="100%"/></svg>'
    sensor = f'<th scope="row">{say.name(evidence.sensor)}</th>'
    return f'<tr>{sensor}<td class="share">{bar}{say.percent(share)}</td>{cells}</tr>'


def _table(sensors: list[SensorEvidence], band: str) -> str:
    more = sensors[N_ROWS:]
    rest = (
        f"<p>{len(more)} more sensors hold {say.percent(sum(map(say.share, more)))} of the evidence together.</p>"
        if more
        else ""
    )
    judged = sensors[0].quantity.capitalize()
    heads = "".join(f'<th scope="col">{head}</th>' for head in (judged, "Expected", band.capitalize()))
    return (
        f'<section><h2>All sensors</h2><div class="scroll"><table><thead><tr><th scope="col">Sensor</th>'
        f'<th scope="col" class="left">Share</th>{heads}</tr></thead>'
        f"<tbody>{''.join(map(_row, sensors[:N_ROWS]))}</tbody></table></div>{rest}</section>"
    )


def _sparkline(alert: Alert) -> str:
    drawn = [evidence for evidence in _ranked(alert) if evidence.trail_reading][:1]
    return "".join(map(chart.sparkline, drawn))


def _file_name(alert: Alert) -> str:
    """Readable, safe on every file system, and different for different ids."""
    readable = re.sub(r"[^A-Za-z0-9]+", "-", alert.id)[:60].strip("-").lower()
    return f"{readable or 'alert'}-{blake2s(alert.id.encode(errors='replace'), digest_size=6).hexdigest()}.html"


def _tags(alert: Alert) -> str:
    return "".join(f'<span class="tag {word}">{word.capitalize()}</span>' for word in (alert.severity, alert.state))


def _entry(alert: Alert) -> str:
    """One line of the index."""
    leading = [evidence for evidence in _ranked(alert) if say.share(evidence) >= 0.1][:2]
    names = "".join(f" · {say.name(evidence.sensor)} {say.percent(say.share(evidence))}" for evidence in leading)
    about = f'<span class="small">{say.when(alert.begin)} · {_span(alert)}{names}</span>'
    return (
        f'<tr><td><a href="{_file_name(alert)}">{_headline(alert)}</a><br>{about}</td>'
        f'<td class="tags">{_tags(alert)}</td><td class="spark">{_sparkline(alert)}</td></tr>'
    )


def _index(alerts: list[Alert], title: str, note: str) -> str:
    def order(alert: Alert) -> tuple[str, float, int]:
        return alert.machine, math.inf if alert.begin is None else alert.begin, alert.position.offset

    body = [f"<h1>{say.name(title)}</h1>"]
    firing = sum(alert.state == "firing" for alert in alerts)
    counts = f"{len(alerts)} alert{'s' * (len(alerts) != 1)}, {firing} of them still firing. Times are UTC."
    body.append(f'<p class="lede">{counts if alerts else "No alerts: every machine behaved normally."}</p>')
    if note:
        body.append(f"<p>{say.text(note, 1000)}</p>")
    for machine, group in groupby(sorted(alerts, key=order), key=lambda alert: alert.machine):
        rows = "".join(map(_entry, group))
        body.append(f'<section><h2>{say.name(machine)}</h2><table class="list"><tbody>{rows}</tbody></table></section>')
    return _page(say.text(title), "".join(body))


def _page(title: str, body: str) -> str:
    """A document that may use its own style and nothing else."""
    style = files("scrnn_stream").joinpath("report.css").read_text(encoding="utf-8")
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{style}</style></head>'
        f"<body><main>{body}</main></body></html>\n"
    )
