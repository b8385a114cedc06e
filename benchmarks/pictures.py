"""The pictures of the examples: what an example has found, drawn as lines.

    python -m benchmarks.pictures [NAME ...]

Runs examples/NAME.py and writes docs/NAME.svg; all of DRAWINGS, if none is named.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import math
import runpy
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[1]
WIDTH, HEIGHT = 900, 360
LEFT, RIGHT, TOP, BOTTOM = 64, 20, 54, 44
INK, FAINT, PAPER = "#3d4b59", "#d7dde3", "#ffffff"
BLUE, ORANGE, GREY = "#1769aa", "#c77700", "#8a98a6"


class Line(NamedTuple):
    """Points (x, y) in one colour."""

    title: str
    points: Sequence[tuple[float, float]]
    colour: str
    dashes: str = ""
    width: float = 2


class Drawing(NamedTuple):
    """Lines over a common x, and a stretch of it that is shaded."""

    title: str
    x_title: str
    lines: Sequence[Line]
    y_range: tuple[float, float]
    shaded: tuple[float, float, str] | None = None

    def svg(self) -> str:
        xs = [x for line in self.lines for x, _ in line.points]
        across = Axis(min(xs), max(xs), LEFT, WIDTH - RIGHT)
        up = Axis(*self.y_range, HEIGHT - BOTTOM, TOP)
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
            f'font-family="Helvetica, Arial, sans-serif" font-size="13" aria-label="{escape(self.title)}">',
            f'<rect width="{WIDTH}" height="{HEIGHT}" fill="{PAPER}"/>',
            f'<clipPath id="frame"><rect x="{LEFT}" y="{TOP}" width="{WIDTH - LEFT - RIGHT}" '
            f'height="{HEIGHT - TOP - BOTTOM}"/></clipPath>',
            *self._shade(across),
            *self._grid(across, up),
            *(path(line, across, up) for line in self.lines),
            *self._legend(),
            "</svg>",
        ]
        return "\n".join(parts) + "\n"

    def _shade(self, across: Axis) -> list[str]:
        if self.shaded is None:
            return []
        begin, end = (across.place(x) for x in self.shaded[:2])
        place = f'x="{begin:.1f}" y="{TOP}" width="{end - begin:.1f}" height="{HEIGHT - TOP - BOTTOM}"'
        return [
            f'<rect {place} fill="#fbf0e4"/>',
            text(begin + 6, HEIGHT - BOTTOM - 8, self.shaded[2]),
        ]

    def _grid(self, across: Axis, up: Axis) -> list[str]:
        parts = [text(LEFT, 20, self.title, "start", "bold"), text(WIDTH - RIGHT, HEIGHT - 8, self.x_title, "end")]
        for y in up.ticks():
            place = up.place(y)
            parts.append(f'<path d="M{LEFT} {place:.1f}H{WIDTH - RIGHT}" stroke="{FAINT}"/>')
            parts.append(text(LEFT - 8, place + 4, f"{y:g}", "end"))
        parts += [text(across.place(x), HEIGHT - BOTTOM + 18, f"{x:g}", "middle") for x in across.ticks()]
        return parts

    def _legend(self) -> list[str]:
        parts, place = [], float(WIDTH - RIGHT)
        for line in reversed(self.lines):
            place -= 6.2 * len(line.title) + 14
            parts.append(text(place + 4, TOP - 12, line.title))
            place -= 30
            stroke = f'stroke="{line.colour}" stroke-width="{line.width}" stroke-dasharray="{line.dashes}"'
            parts.append(f'<path d="M{place:.1f} {TOP - 16}h26" {stroke}/>')
        return parts


class Axis(NamedTuple):
    low: float
    high: float
    begin: float
    end: float

    def place(self, value: float) -> float:
        return self.begin + (self.end - self.begin) * (value - self.low) / (self.high - self.low)

    def ticks(self) -> list[float]:
        rough = (self.high - self.low) / 6
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(digit * power for digit in (1, 2, 5, 10) if digit * power >= rough)
        return [step * k for k in range(math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9) + 1)]


def path(line: Line, across: Axis, up: Axis) -> str:
    steps = " ".join(f"{across.place(x):.1f},{up.place(y):.1f}" for x, y in line.points)
    stroke = f'stroke="{line.colour}" stroke-width="{line.width}" stroke-dasharray="{line.dashes}"'
    return f'<polyline points="{steps}" fill="none" {stroke} clip-path="url(#frame)"/>'


def text(x: float, y: float, words: str, anchor: str = "start", weight: str = "normal") -> str:
    style = f'text-anchor="{anchor}" font-weight="{weight}" fill="{INK}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {style}>{escape(words)}</text>'


def of_regression(found: dict[str, Any]) -> Drawing:
    first, fails = 3450, found["FAILS"]
    return Drawing(
        "A soft sensor: the thermometer of a tank fails, and the regressor goes on telling (°C)",
        "record",
        [
            Line("true temperature", list(enumerate(found["truth"]))[first:], GREY, width=3),
            Line("a line", list(enumerate(found["told_by_line"]))[fails:], ORANGE, "4 3"),
            Line("SCRNNRegressor", list(enumerate(found["told"]))[first:], BLUE, width=1.6),
        ],
        (0, 80),
        (fails, found["N_RECORDS"], "without a thermometer"),
    )


def of_features(found: dict[str, Any]) -> Drawing:
    looks = ((ORANGE, ""), (ORANGE, "4 3"), (BLUE, ""), (BLUE, "4 3"))
    return Drawing(
        "Was the door open within the last 40 records? Right answers among the last 500 (%)",
        "record",
        [
            Line(name.replace("features |", "SCRNNFeatures |"), [(t, 100 * share) for t, share in points], *look)
            for (name, points), look in zip(found["history"].items(), looks, strict=True)
        ],
        (40, 100),
    )


DRAWINGS: dict[str, Callable[[dict[str, Any]], Drawing]] = {"regression": of_regression, "features": of_features}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", choices=[*DRAWINGS, []], metavar="NAME")
    for name in parser.parse_args().names or DRAWINGS:
        with contextlib.redirect_stdout(io.StringIO()):
            found = runpy.run_path(str(ROOT / "examples" / f"{name}.py"))
        file = ROOT / "docs" / f"{name}.svg"
        file.write_text(DRAWINGS[name](found).svg())
        print(file)


if __name__ == "__main__":
    main()
