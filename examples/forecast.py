"""Forecast two years of air travel from the ten before, with intervals, and draw both beside what came."""

import sys
from pathlib import Path

from river import datasets

from scrnn_stream import SCRNNForecaster

N_LEARNED, HORIZON = 120, 24
WIDTH, HEIGHT, MARGIN, MOST = 880, 360, 44, 750


def point(month: float, passengers: float) -> str:
    x = MARGIN + month / (N_LEARNED + HORIZON - 1) * (WIDTH - 2 * MARGIN)
    return f"{x:.1f},{HEIGHT - MARGIN - passengers / MOST * (HEIGHT - 1.5 * MARGIN):.1f}"


def line(first: int, values: list[float], style: str) -> str:
    return f'<polyline points="{" ".join(point(first + i, y) for i, y in enumerate(values))}" fill="none" {style}/>'


def picture(actual: list[float], told: list[float], intervals: list[tuple[float, float]]) -> str:
    lows, highs = zip(*intervals, strict=True)
    corners = [point(N_LEARNED + i, y) for i, y in enumerate(highs)]
    corners += [point(N_LEARNED + i, y) for i, y in reversed([*enumerate(lows)])]
    grid = []
    for y in range(0, MOST, 100):
        (x0, height), (x1, _) = (point(month, y).split(",") for month in (0, N_LEARNED + HORIZON - 1))
        grid.append(f'<line x1="{x0}" x2="{x1}" y1="{height}" y2="{height}" stroke="#e4e4e4"/>')
        grid.append(f'<text x="{MARGIN - 8}" y="{float(height) + 4}" text-anchor="end">{y}</text>')
    for year in range(1949, 1961, 2):
        x = point(12 * (year - 1949), 0).split(",")[0]
        grid.append(f'<text x="{x}" y="{HEIGHT - MARGIN + 20}" text-anchor="middle">{year}</text>')
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/><g font-family="sans-serif">',
        *grid,
        f'<polygon points="{" ".join(corners)}" fill="#9ecae1" opacity="0.6"/>',
        line(0, actual, 'stroke="#333" stroke-width="1.5"'),
        line(N_LEARNED, told, 'stroke="#08519c" stroke-width="2"'),
        f'<text x="{MARGIN}" y="18">Thousand passengers a month: what came (black), the forecast of December 1958',
        "two years ahead (blue), and its 90 % interval</text>",
        "</g></svg>\n",
    ])  # fmt: skip


forecaster = SCRNNForecaster(seed=1)
series = list(datasets.AirlinePassengers())
for x, y in series[:N_LEARNED]:
    forecaster.learn_one(y, x)  # the month in x tells the season
told, intervals = forecaster.forecast(HORIZON), forecaster.forecast_interval(HORIZON, level=0.9)
actual = [float(y) for _, y in series]
n_within = sum(low <= y <= high for y, (low, high) in zip(actual[N_LEARNED:], intervals, strict=True))
error = sum(abs(y - f) / y for y, f in zip(actual[N_LEARNED:], told, strict=True)) / HORIZON
print(f"{n_within} of {HORIZON} months lie in their 90 % interval; the forecast is off by {error:.1%} on average")
if len(sys.argv) > 1:
    Path(sys.argv[1]).write_text(picture(actual, told, intervals))
