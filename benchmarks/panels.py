"""The panels of a Grafana dashboard, asked of a Prometheus and drawn plainly: it is not Grafana."""

from __future__ import annotations

import json
import math
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

COLOURS = ("#3471c9", "#e0752d", "#5a9e4b", "#a85ac2", "#c2a22d", "#777777")
WIDTH, HEIGHT, LEFT, TOP, BASE = 400, 196, 60, 34, 44
N_COLUMNS, GAP = 3, 12
STEP_S = 1


class Series(NamedTuple):
    """A line: its legend, and times and values."""

    name: str
    points: list[tuple[float, float]]


class Panel(NamedTuple):
    """A panel and what was answered to its queries."""

    title: str
    unit: str
    queries: list[str]
    series: list[Series]


def ask(prometheus: str, dashboard: Path, begin: float, end: float) -> Iterator[Panel]:
    """Each panel, over a span of Unix time; what Grafana puts in place of its variables stands for all workers."""
    for panel in json.loads(dashboard.read_text())["panels"]:
        queries = [target["expr"].replace("$instance", ".*") for target in panel["targets"]]
        legends = [target["legendFormat"] for target in panel["targets"]]
        series: list[Series] = []
        for query, legend in zip(queries, legends, strict=True):
            series += _answer(prometheus, query, legend, begin, end)
        yield Panel(panel["title"], panel["fieldConfig"]["defaults"].get("unit", ""), queries, series)


def get(url: str, **parameters: Any) -> Any:
    """JSON from there."""
    with urllib.request.urlopen(f"{url}?{urllib.parse.urlencode(parameters)}", timeout=30) as answer:  # noqa: S310
        return json.load(answer)


def _answer(prometheus: str, query: str, legend: str, begin: float, end: float) -> Iterator[Series]:
    told = get(f"{prometheus}/api/v1/query_range", query=query, start=begin, end=end, step=STEP_S)
    for result in told["data"]["result"]:
        name = legend
        for label, value in result["metric"].items():
            name = name.replace(f"{{{{{label}}}}}", value)
        points = [(float(at), float(value)) for at, value in result["values"] if math.isfinite(float(value))]
        if points:
            yield Series(name, points)


def drawn(panels: Sequence[Panel]) -> str:
    """All of them as one SVG."""
    n_rows = -(-len(panels) // N_COLUMNS)
    width, height = N_COLUMNS * (WIDTH + GAP) + GAP, n_rows * (HEIGHT + GAP) + GAP
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}"',
        ' font-family="sans-serif" font-size="10">',
        f'<rect width="{width}" height="{height}" fill="#f4f5f5"/>',
    ]
    for number, panel in enumerate(panels):
        row, column = divmod(number, N_COLUMNS)
        x, y = GAP + column * (WIDTH + GAP), GAP + row * (HEIGHT + GAP)
        parts.append(f'<g transform="translate({x} {y})">{"".join(_panel(panel))}</g>')
    return "\n".join([*parts, "</svg>\n"])


def _panel(panel: Panel) -> Iterator[str]:
    yield f'<rect width="{WIDTH}" height="{HEIGHT}" rx="3" fill="white" stroke="#d8d9da"/>'
    yield f'<text x="12" y="20" font-size="13" font-weight="bold">{escape(panel.title)}</text>'
    points = [point for series in panel.series for point in series.points]
    if not points:
        yield f'<text x="{WIDTH / 2}" y="{HEIGHT / 2}" text-anchor="middle" fill="#777">no data</text>'
        return
    first, last = min(at for at, _ in points), max(at for at, _ in points)
    highest = max(value for _, value in points) * 1.05 or 1.0
    for part in (0.0, 0.5, 1.0):
        y = HEIGHT - BASE - part * (HEIGHT - BASE - TOP)
        yield f'<path d="M{LEFT} {y:.0f}H{WIDTH - 12}" stroke="#e8e8e8"/>'
        shown = _shown(part * highest, panel.unit)
        yield f'<text x="{LEFT - 6}" y="{y + 3:.0f}" text-anchor="end" fill="#666">{shown}</text>'
    for number, series in enumerate(panel.series[: len(COLOURS)]):
        path = " ".join(
            f"{LEFT + (at - first) / max(last - first, 1) * (WIDTH - 12 - LEFT):.1f},"
            f"{HEIGHT - BASE - value / highest * (HEIGHT - BASE - TOP):.1f}"
            for at, value in series.points
        )
        yield f'<polyline points="{path}" fill="none" stroke="{COLOURS[number]}" stroke-width="1.5"/>'
    yield from _legend(panel.series)


def _legend(series: Sequence[Series]) -> Iterator[str]:
    x, y = 12.0, HEIGHT - 26
    for number, one in enumerate(series[: len(COLOURS)]):
        long = 18 + 5.6 * len(one.name)
        if x + long > WIDTH:
            x, y = 12.0, y + 14
        yield f'<rect x="{x:.0f}" y="{y - 6}" width="10" height="3" fill="{COLOURS[number]}"/>'
        yield f'<text x="{x + 14:.0f}" y="{y}">{escape(one.name)}</text>'
        x += long + 6


def _shown(value: float, unit: str) -> str:
    """As Grafana's units have it."""
    if unit == "percentunit":
        return f"{100 * value:.3g}%"
    if unit == "s":
        return f"{value:.3g} s" if value >= 1 else f"{1e3 * value:.3g} ms" if value >= 1e-3 else f"{1e6 * value:.3g} µs"
    if unit == "bytes":
        return f"{value / 1e6:.3g} MB"
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"
