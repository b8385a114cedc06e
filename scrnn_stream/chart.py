"""The chart of one sensor: readings, their recent average and its normal band over time, as inline SVG."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import accumulate, groupby, pairwise
from typing import NamedTuple

from scrnn_stream import wording as say
from scrnn_stream.alert import Alert, SensorEvidence

N_POINTS = 400
GAP = 5.0  # times the steps before and after: no line is drawn across
WIDTH, HEIGHT = 1000, 400
VALUE_STEPS = [digit * 10.0**power for power in range(-12, 300) for digit in (1, 2, 5)]
TIME_STEPS: list[float] = [1, 5, 15, 30, *(say.MINUTE * n for n in (1, 2, 5, 10, 15, 30))]
TIME_STEPS += [*(say.HOUR * n for n in (1, 2, 3, 6, 12)), *(say.DAY * n for n in VALUE_STEPS if n >= 1)]
CHANNELS = {"fast": " · sudden departure", "slow": " · slow departure", "none": ""}
LEGEND = [
    ("reading", "M0 5H26", "readings"),
    ("average", "M0 5H26", "their recent average"),
    ("outside", "M1 5H25", "average outside its normal band"),
    ("expected", "M0 5H26", "expected average"),
    ("band", "M0 0H26V10H0Z", "normal band (99.7% of calm averages)"),
    ("begin", "M13 0V10", "first sign"),
]


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


def _runs(marks: Iterable[bool], stretches: Sequence[int]) -> list[list[int]]:
    """The stretches of positions that are marked; none goes on from one of the `stretches` of time to the next."""
    runs = groupby(enumerate(zip(marks, stretches, strict=True)), key=lambda pair: pair[1])
    return [[i for i, _ in run] for (marked, _), run in runs if marked]


def _stretches(times: Sequence[float]) -> list[int]:
    """To each time the number of the stretch without a gap that it lies in."""
    steps = [0.0, *(b - a for a, b in pairwise(times)), 0.0]
    triples = zip(steps, steps[1:], steps[2:], strict=False)
    is_gap = [step > GAP * max(before, after) > 0 for before, step, after in triples]
    return list(accumulate([False, *is_gap]))


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


def _is_timed(evidence: SensorEvidence) -> bool:
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
    stretches = _stretches(trail.times)
    outside = [a < b or a > c for a, b, c in zip(trail.average, trail.low, trail.high, strict=True)]
    marks = [
        _band(_runs((b == b and c == c for b, c in zip(trail.low, trail.high, strict=True)), stretches), xs, low, high),
        _line("reading", _runs((a == a for a in trail.reading), stretches), xs, reading),
        _line("expected", _runs((e == e for e in trail.expected), stretches), xs, expected),
        _line("average", _runs((a == a for a in trail.average), stretches), xs, average),
        _line("outside", _runs(outside, stretches), xs, average),
    ]
    return x, y, "".join(marks)


def figure(evidence: SensorEvidence, alert: Alert) -> str:
    timed = alert.raised is not None and _is_timed(evidence)
    x, y, marks = _drawing(Trail.of(evidence, timed))
    size = say.resolution(evidence)
    value, expected, normal = say.number(evidence.actual, size), say.number(evidence.expected, size), say.band(evidence)
    band = band_name(alert).removesuffix(" band")
    words = f"{evidence.quantity} <b>{value}</b>, expected {expected}, {band} {normal}"
    weight = f"{say.percent(say.share(evidence))} of the evidence{CHANNELS[evidence.channel]}"
    spoken = f"{say.text(evidence.sensor)} {evidence.quantity} {value}, expected {expected}, {band} {normal}"
    axis = "time, UTC" if timed else "samples before the alert"
    y_ticks, (line, label) = y.ticks(VALUE_STEPS), _began(alert.begin, x) if timed else ("", "")
    step = y_ticks[1] - y_ticks[0] if len(y_ticks) > 1 else 1.0
    rows = [(1 - y.share(value), say.number(value, 20.01 * step)) for value in y_ticks]
    grid = "".join(f'<path class="grid" d="M0 {HEIGHT * top:.0f}H{WIDTH}"/>' for top, _ in rows)
    names = "".join(f'<span class="y" style="top:{top:.1%}">{text}</span>' for top, text in rows)
    names += "".join(f'<span class="x" style="left:{at:.1%}">{text}</span>' for at, text in _time_labels(x, timed))
    return (
        f'<figure><figcaption><span class="sensor">{say.name(evidence.sensor)}</span>{words} · {weight}</figcaption>'
        f'<div class="plot"><svg viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" role="img" '
        f'aria-label="{spoken}"><title>{spoken}</title>{grid}{marks}{line}</svg>{names}{label}'
        f'<span class="axis">{axis}</span></div></figure>'
    )


def band_name(alert: Alert) -> str:
    """What `low` and `high` of its sensors are."""
    return "limits" if alert.kind == "out_of_range" else "normal band"


def _began(begin: float | None, x: Axis) -> tuple[str, str]:
    """The vertical line at the first sign and its label; where it lies before the picture, the label alone."""
    if begin is None or not begin <= x.high:
        return "", ""
    at = x.share(begin)
    side = " early" if at < 0.12 else " late" if at > 0.88 else ""
    text = (
        f"first sign {say.when(begin, '%H:%M')}" if begin >= x.low else f"← first sign {say.when(begin, '%d %b %H:%M')}"
    )
    line = f'<path class="begin" d="M{WIDTH * at:.0f} 0V{HEIGHT}"/>' if begin >= x.low else ""
    return line, f'<span class="began{side}" style="left:{at:.1%}">{text}</span>'


def _time_labels(x: Axis, timed: bool) -> list[tuple[float, str]]:
    """Where the ticks stand and what they say: the clock, and the date where it changes."""
    if not timed:
        return [(x.share(tick), f"{tick:.0f}") for tick in x.ticks([step for step in VALUE_STEPS if step >= 1])]
    ticks = x.ticks(TIME_STEPS)
    step = ticks[1] - ticks[0] if len(ticks) > 1 else 1
    clock = "%d %b" if step >= say.DAY else "%H:%M" if step >= say.MINUTE else "%H:%M:%S"
    dates = [say.when(tick, "%a %d %b" if step < say.DAY else "%Y") for tick in ticks]
    new = [date if date != before else "" for before, date in zip(["", *dates], dates, strict=False)]
    return [(x.share(tick), f"{say.when(tick, clock)}<br>{date}") for tick, date in zip(ticks, new, strict=True)]


def sparkline(evidence: SensorEvidence) -> str:
    """The marks alone, without axes, for a list."""
    *_, marks = _drawing(Trail.of(evidence, _is_timed(evidence)))
    view = f'viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none"'
    return f'<svg {view} aria-hidden="true">{marks}</svg>'
