"""Alert cards: one HTML page an alert with its evidence drawn, and an index. Nothing is loaded, nothing runs."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from hashlib import blake2s
from html import escape
from importlib.resources import files
from itertools import groupby, pairwise
from pathlib import Path
from typing import NamedTuple

import msgspec

from scrnn_stream.alert import Alert, SensorEvidence

N_CHARTS = 3
N_ROWS = 40
N_POINTS = 400
N_LETTERS = 120
WIDTH, HEIGHT = 1000, 400
MINUTE, HOUR, DAY = 60, 3600, 86400
VALUE_STEPS = [digit * 10.0**power for power in range(-12, 300) for digit in (1, 2, 5)]
TIME_STEPS: list[float] = [1, 5, 15, 30, *(MINUTE * n for n in (1, 2, 5, 10, 15, 30))]
TIME_STEPS += [*(HOUR * n for n in (1, 2, 3, 6, 12)), *(DAY * n for n in VALUE_STEPS if n >= 1)]
HEADLINES = {  # firing, resolved; {sensor} is the leading one
    "anomaly": ("{machine} is not behaving normally", "{machine} was not behaving normally"),
    "silent": ("{machine} has stopped sending data", "{machine} had stopped sending data"),
    "stuck": ("{sensor} of {machine} is frozen", "{sensor} of {machine} was frozen"),
    "regime_changed": ("{machine} has settled into a new normal", "{machine} has settled into a new normal"),
}
CHANNELS = {"fast": " · sudden departure", "slow": " · slow departure", "none": ""}
LEGEND = [
    ("reading", "M0 5H26", "readings"),
    ("average", "M0 5H26", "their recent average"),
    ("outside", "M1 5H25", "average outside its normal band"),
    ("expected", "M0 5H26", "expected average"),
    ("band", "M0 0H26V10H0Z", "normal band (99.7% of calm averages)"),
    ("begin", "M13 0V10", "first sign"),
]


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
    legend = "".join(f'<span><svg aria-hidden="true"><path class="{c}" d="{d}"/></svg>{t}</span>' for c, d, t in LEGEND)
    charts = "".join(_chart(evidence, alert) for evidence in drawn)
    body = [
        f"<header>{_tags(alert)}"
        f'<h1>{_headline(alert)}</h1><p class="lede">{_name(alert.message, 1000)}</p>{_facts(alert)}</header>',
        f'<section><h2>What was seen</h2><p class="legend">{legend}</p>{charts}</section>' if drawn else "",
        _table(sensors) if sensors else "<h2>Sensors</h2><p>This alert is about the machine as a whole.</p>",
        _small_print(alert),
    ]
    return _page(f"{_text(alert.machine)}: {alert.kind.replace('_', ' ')}, {alert.state}", "".join(body))


def write_report(alerts: Iterable[Alert], directory: Path, *, title: str) -> Path:
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
    index.write_text(_index(list(latest.values()), title), encoding="utf-8", errors="replace")
    return index


# ------------------------------------------------------------------------------------------------ words and numbers


def _text(text: str, n_letters: int = N_LETTERS) -> str:
    return escape(text if len(text) <= n_letters else text[: n_letters - 1] + "…")


def _name(text: str, n_letters: int = N_LETTERS) -> str:
    """The text, kept apart from what stands around it, with places where a long name may break."""
    breakable = re.sub(r"([_/])", r"\1<wbr>", _text(text, n_letters))
    return f"<bdi>{breakable}</bdi>"


def _headline(alert: Alert) -> str:
    leading = _name(_ranked(alert)[0].sensor) if alert.sensors else "A sensor"
    if alert.kind == "silent" and alert.sensors:  # a sensor of a machine that goes on talking
        words = ("{sensor} of {machine} has stopped sending data", "{sensor} of {machine} had stopped sending data")
    else:
        words = HEADLINES[alert.kind]
    return words[alert.state == "resolved"].format(machine=_name(alert.machine), sensor=leading)


def _percent(share: float) -> str:
    return "&lt;1%" if 0 < share < 0.01 else f"{share:.0%}"


def _ranked(alert: Alert) -> list[SensorEvidence]:
    return sorted(alert.sensors, key=lambda evidence: -_share(evidence))


def _share(evidence: SensorEvidence) -> float:
    return min(max(evidence.share, 0.0), 1.0) if math.isfinite(evidence.share) else 0.0


def _number(value: float, resolution: float) -> str:
    """The value with the decimals that tell apart steps of about a fiftieth of ``resolution``."""
    if math.isnan(value):
        return "missing"
    decimals = 1 - math.floor(math.log10(resolution / 2)) if 0 < resolution < math.inf else 3
    return f"{value:.{max(decimals, 0)}f}" if decimals <= 7 and abs(value) < 1e7 else f"{value:.5g}"


def _resolution(evidence: SensorEvidence) -> float:
    width = evidence.high - evidence.low
    return width if width > 0 and math.isfinite(width) else abs(evidence.expected)


def _band_words(evidence: SensorEvidence) -> str:
    size = _resolution(evidence)
    unknown = math.isnan(evidence.low) and math.isnan(evidence.high)
    return "missing" if unknown else f"{_number(evidence.low, size)} to {_number(evidence.high, size)}"


def _when(time: float | None, form: str = "%a %d %b %Y, %H:%M UTC") -> str:
    if time is None:
        return "not timed"
    try:
        return datetime.fromtimestamp(time, UTC).strftime(form)
    except (OverflowError, ValueError, OSError):
        return f"{time:g} s"


def _lasting(seconds: float) -> str:
    """Two units at most: 2 d 3 h, 3 h 20 min, 45 s."""
    for size, unit, smaller, name in ((DAY, "d", HOUR, "h"), (HOUR, "h", MINUTE, "min"), (MINUTE, "min", 1, "s")):
        if seconds >= size:
            rest = int(seconds % size // smaller)
            return f"{int(seconds // size)} {unit}" + (f" {rest} {name}" if rest else "")
    return f"{seconds:.0f} s"


def _rarity(p_value: float) -> str:
    if math.isnan(p_value):
        return "not judged by a probability"
    if p_value <= 0:
        return "rarer than any calm record"
    return (
        f"about once in {1 / p_value:,.0f} calm records"
        if p_value > 1e-9
        else "less than once in a billion calm records"
    )


def _span(alert: Alert) -> str:
    """For how long, as far as the alert knows."""
    if alert.state == "firing":
        return "not over yet"
    return "all clear" if alert.begin is None or alert.end is None else f"lasted {_lasting(alert.end - alert.begin)}"


def _facts(alert: Alert) -> str:
    later = (
        ""
        if alert.begin is None or alert.raised is None
        else f"{_lasting(alert.raised - alert.begin)} after the first sign"
    )
    facts = [
        ("First sign", _when(alert.begin), ""),
        ("Alert raised", _when(alert.raised), later),
        (
            "All-clear",
            "not yet" if alert.state == "firing" else _when(alert.end),
            _span(alert) if alert.end is not None else "",
        ),
    ]
    items = "".join(f"<div><dt>{term}</dt><dd>{value}<small>{note}</small></dd></div>" for term, value, note in facts)
    return f"<dl>{items}</dl>"


def _small_print(alert: Alert) -> str:
    used = alert.budget_used
    budget = "spends no alert budget" if used is None else f"{used:.0%} of the alert budget used so far"
    return (
        f'<h2>Small print</h2><p class="small">Score {alert.score:.4f} of 1: {_rarity(alert.p_value)}. '
        f"{budget.capitalize()}. Read at {_name(str(alert.position))}. Alert {_name(alert.id)}. Times are UTC.</p>"
    )


# ------------------------------------------------------------------------------------------------------------ charts


class Axis(NamedTuple):
    low: float
    high: float

    def share(self, value: float) -> float:
        return min(max((value - self.low) / (self.high - self.low), 0.0), 1.0)

    @classmethod
    def around(cls, values: Iterable[float], flat: float) -> Axis:
        """Holds all finite values; ``flat`` is the room to each side where they are all the same."""
        finite = [value for value in values if abs(value) < 1e300] or [0.0]
        low, high = min(finite), max(finite)
        room = max(flat, abs(low) * 1e-9)
        return cls(low, high) if high > low else cls(low - room, high + room)

    def ticks(self, steps: Sequence[float]) -> list[float]:
        step = next(step for step in steps if (self.high - self.low) / step <= 5)
        first, last = math.ceil(self.low / step), math.floor(self.high / step)
        return [step * k for k in range(first, last + 1)]


def _runs(marks: Iterable[bool]) -> list[list[int]]:
    """The stretches of positions that are marked."""
    return [[i for i, _ in run] for marked, run in groupby(enumerate(marks), key=lambda pair: pair[1]) if marked]


def _points(run: Iterable[int], xs: Sequence[float], ys: Sequence[float]) -> str:
    return "L".join(f"{xs[i]:.0f} {ys[i]:.0f}" for i in run)


def _line(name: str, runs: list[list[int]], xs: Sequence[float], ys: Sequence[float]) -> str:
    """A line with gaps; a lone point is a line of no length, which round caps make a dot."""
    line = "".join("M" + _points(run, xs, ys) for run in runs if len(run) > 1)
    dots = "".join("M" + _points(run, xs, ys) + "h0" for run in runs if len(run) == 1)
    drawn = ((name, line), (f"{name} dot", dots))
    return "".join(f'<path class="{kind}" d="{path}"/>' for kind, path in drawn if path)


def _band(runs: list[list[int]], xs: Sequence[float], lows: Sequence[float], highs: Sequence[float]) -> str:
    path = "".join(
        f"M{_points(run, xs, highs)}L{_points(run[::-1], xs, lows)}Z"
        if len(run) > 1
        else f"M{xs[run[0]] - 4:.0f} {highs[run[0]]:.0f}h8V{lows[run[0]]:.0f}h-8Z"
        for run in runs
    )
    return f'<path class="band" d="{path}"/>' if path else ""


class Trail(NamedTuple):
    """A sensor's trail, thinned to what can be seen: of each stretch the point farthest from what was expected."""

    times: list[float]
    reading: list[float]
    average: list[float]
    expected: list[float]
    low: list[float]
    high: list[float]

    @classmethod
    def of(cls, e: SensorEvidence, timed: bool) -> Trail:
        n = len(e.trail_reading)
        times = e.trail_time if timed else tuple(float(i - n + 1) for i in range(n))
        columns = (times, e.trail_reading, e.trail_average, e.trail_expected, e.trail_low, e.trail_high)
        rows = list(zip(*(column if len(column) == n else (math.nan,) * n for column in columns), strict=True))
        bounds = [k * n // N_POINTS for k in range(N_POINTS + 1)] if n > N_POINTS else range(n + 1)
        chosen = [max(rows[a:b], key=_distance) for a, b in pairwise(bounds)]
        return cls(*(list(column) for column in zip(*chosen, strict=True)))


def _timed(evidence: SensorEvidence) -> bool:
    times = evidence.trail_time
    return len(times) == len(evidence.trail_reading) and all(map(math.isfinite, times))


def _distance(row: tuple[float, ...]) -> float:
    """Of reading or average, whichever is farther, from what was expected."""
    _, reading, average, expected, *_ = row
    return max(
        (abs(value - expected) for value in (reading, average) if not math.isnan(value - expected)), default=-1.0
    )


def _drawing(trail: Trail) -> tuple[Axis, Axis, str]:
    """The axes and the marks of one trail: band, readings, expected, average, average outside the band."""
    room = abs(next((value for value in trail.reading if math.isfinite(value)), 0.0)) * 0.05 or 1.0
    x = Axis.around(trail.times, flat=1.0)
    y = Axis.around((value for series in trail[1:] for value in series), flat=room)
    y = Axis(y.low - 0.04 * (y.high - y.low), y.high + 0.04 * (y.high - y.low))
    xs = [WIDTH * x.share(value) for value in trail.times]
    reading, average, expected, low, high = ([HEIGHT * (1 - y.share(v)) for v in series] for series in trail[1:])
    outside = [a < b or a > c for a, b, c in zip(trail.average, trail.low, trail.high, strict=True)]
    marks = [
        _band(_runs(b == b and c == c for b, c in zip(trail.low, trail.high, strict=True)), xs, low, high),
        _line("reading", _runs(a == a for a in trail.reading), xs, reading),
        _line("expected", _runs(e == e for e in trail.expected), xs, expected),
        _line("average", _runs(a == a for a in trail.average), xs, average),
        _line("outside", _runs(outside), xs, average),
    ]
    return x, y, "".join(marks)


def _chart(evidence: SensorEvidence, alert: Alert) -> str:
    timed = alert.raised is not None and _timed(evidence)
    x, y, marks = _drawing(Trail.of(evidence, timed))
    size = _resolution(evidence)
    value, expected, normal = _number(evidence.actual, size), _number(evidence.expected, size), _band_words(evidence)
    words = f"{evidence.quantity} <b>{value}</b>, expected {expected}, normal {normal}"
    weight = f"{_percent(_share(evidence))} of the evidence{CHANNELS[evidence.channel]}"
    spoken = f"{_text(evidence.sensor)} {evidence.quantity} {value}, expected {expected}, normal {normal}"
    axis = "time, UTC" if timed else "samples before the alert"
    y_ticks, (line, label) = y.ticks(VALUE_STEPS), _began(alert.begin, x) if timed else ("", "")
    step = y_ticks[1] - y_ticks[0] if len(y_ticks) > 1 else 1.0
    rows = [(1 - y.share(value), _number(value, 20.01 * step)) for value in y_ticks]
    grid = "".join(f'<path class="grid" d="M0 {HEIGHT * top:.0f}H{WIDTH}"/>' for top, _ in rows)
    names = "".join(f'<span class="y" style="top:{top:.1%}">{text}</span>' for top, text in rows)
    names += "".join(f'<span class="x" style="left:{at:.1%}">{text}</span>' for at, text in _time_labels(x, timed))
    return (
        f'<figure><figcaption><span class="sensor">{_name(evidence.sensor)}</span>{words} · {weight}</figcaption>'
        f'<div class="plot"><svg viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" role="img" '
        f'aria-label="{spoken}"><title>{spoken}</title>{grid}{marks}{line}</svg>{names}{label}'
        f'<span class="axis">{axis}</span></div></figure>'
    )


def _began(begin: float | None, x: Axis) -> tuple[str, str]:
    """The vertical line at the first sign and its label; where it lies before the picture, the label alone."""
    if begin is None or not begin <= x.high:
        return "", ""
    at = x.share(begin)
    side = " early" if at < 0.12 else " late" if at > 0.88 else ""
    text = f"first sign {_when(begin, '%H:%M')}" if begin >= x.low else f"← first sign {_when(begin, '%d %b %H:%M')}"
    line = f'<path class="begin" d="M{WIDTH * at:.0f} 0V{HEIGHT}"/>' if begin >= x.low else ""
    return line, f'<span class="began{side}" style="left:{at:.1%}">{text}</span>'


def _time_labels(x: Axis, timed: bool) -> list[tuple[float, str]]:
    """Where the ticks stand and what they say: the clock, and the date where it changes."""
    if not timed:
        return [(x.share(tick), f"{tick:.0f}") for tick in x.ticks([step for step in VALUE_STEPS if step >= 1])]
    ticks = x.ticks(TIME_STEPS)
    step = ticks[1] - ticks[0] if len(ticks) > 1 else 1
    clock = "%d %b" if step >= DAY else "%H:%M" if step >= MINUTE else "%H:%M:%S"
    dates = [_when(tick, "%a %d %b" if step < DAY else "%Y") for tick in ticks]
    new = [date if date != before else "" for before, date in zip(["", *dates], dates, strict=False)]
    return [(x.share(tick), f"{_when(tick, clock)}<br>{date}") for tick, date in zip(ticks, new, strict=True)]


# ------------------------------------------------------------------------------------------------- tables and pages


def _row(evidence: SensorEvidence) -> str:
    size, share = _resolution(evidence), _share(evidence)
    outside = evidence.actual > evidence.high or evidence.actual < evidence.low
    arrow = (" ▲" if evidence.actual > evidence.high else " ▼") if outside else ""
    cells = "".join(
        f'<td class="number{" off" if mark else ""}">{text}</td>'
        for text, mark in (
            (_number(evidence.actual, size) + arrow, outside),
            (_number(evidence.expected, size), False),
            (_band_words(evidence), False),
        )
    )
    bar = f'<svg aria-hidden="true"><rect width="{share:.1%}" height="100%"/></svg>'
    return f'<tr><th scope="row">{_name(evidence.sensor)}</th><td class="share">{bar}{_percent(share)}</td>{cells}</tr>'


def _table(sensors: list[SensorEvidence]) -> str:
    more = sensors[N_ROWS:]
    rest = (
        f"<p>{len(more)} more sensors hold {_percent(sum(map(_share, more)))} of the evidence together.</p>"
        if more
        else ""
    )
    judged = sensors[0].quantity.capitalize()
    heads = "".join(f'<th scope="col">{head}</th>' for head in (judged, "Expected", "Normal band"))
    return (
        f'<section><h2>All sensors</h2><div class="scroll"><table><thead><tr><th scope="col">Sensor</th>'
        f'<th scope="col" class="left">Share</th>{heads}</tr></thead>'
        f"<tbody>{''.join(map(_row, sensors[:N_ROWS]))}</tbody></table></div>{rest}</section>"
    )


def _sparkline(alert: Alert) -> str:
    drawn = [evidence for evidence in _ranked(alert) if evidence.trail_reading][:1]
    view = f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" aria-hidden="true">'
    return "".join(f"{view}{_drawing(Trail.of(evidence, _timed(evidence)))[2]}</svg>" for evidence in drawn)


def _file_name(alert: Alert) -> str:
    """Readable, safe on every file system, and different for different ids."""
    readable = re.sub(r"[^A-Za-z0-9]+", "-", alert.id)[:60].strip("-").lower()
    return f"{readable or 'alert'}-{blake2s(alert.id.encode(errors='replace'), digest_size=6).hexdigest()}.html"


def _tags(alert: Alert) -> str:
    return "".join(f'<span class="tag {word}">{word.capitalize()}</span>' for word in (alert.severity, alert.state))


def _entry(alert: Alert) -> str:
    """One line of the index."""
    leading = [evidence for evidence in _ranked(alert) if _share(evidence) >= 0.1][:2]
    names = "".join(f" · {_name(evidence.sensor)} {_percent(_share(evidence))}" for evidence in leading)
    about = f'<span class="small">{_when(alert.begin)} · {_span(alert)}{names}</span>'
    return (
        f'<tr><td><a href="{_file_name(alert)}">{_headline(alert)}</a><br>{about}</td>'
        f'<td class="tags">{_tags(alert)}</td><td class="spark">{_sparkline(alert)}</td></tr>'
    )


def _index(alerts: list[Alert], title: str) -> str:
    def order(alert: Alert) -> tuple[str, float, int]:
        return alert.machine, math.inf if alert.begin is None else alert.begin, alert.position.offset

    body = [f"<h1>{_name(title)}</h1>"]
    firing = sum(alert.state == "firing" for alert in alerts)
    counts = f"{len(alerts)} alert{'s' * (len(alerts) != 1)}, {firing} of them still firing. Times are UTC."
    body.append(f'<p class="lede">{counts if alerts else "No alerts: every machine behaved normally."}</p>')
    for machine, group in groupby(sorted(alerts, key=order), key=lambda alert: alert.machine):
        rows = "".join(map(_entry, group))
        body.append(f'<section><h2>{_name(machine)}</h2><table class="list"><tbody>{rows}</tbody></table></section>')
    return _page(_text(title), "".join(body))


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
