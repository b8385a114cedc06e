"""Values, times and names in words for people, as HTML: escaped, rounded to what can be told apart, in UTC."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from html import escape

from scrnn_stream.alert import SensorEvidence

N_LETTERS = 120
MINUTE, HOUR, DAY = 60, 3600, 86400


def text(words: str, n_letters: int = N_LETTERS) -> str:
    return escape(words if len(words) <= n_letters else words[: n_letters - 1] + "…")


def name(words: str, n_letters: int = N_LETTERS) -> str:
    """The text, kept apart from what stands around it, with places where a long name may break."""
    breakable = re.sub(r"([_/])", r"\1<wbr>", text(words, n_letters))
    return f"<bdi>{breakable}</bdi>"


def percent(share: float) -> str:
    return "&lt;1%" if 0 < share < 0.01 else f"{share:.0%}"


def share(evidence: SensorEvidence) -> float:
    return min(max(evidence.share, 0.0), 1.0) if math.isfinite(evidence.share) else 0.0


def number(value: float, resolution: float) -> str:
    """The value with the decimals that tell apart steps of about a fiftieth of ``resolution``."""
    if math.isnan(value):
        return "missing"
    decimals = 1 - math.floor(math.log10(resolution / 2)) if 0 < resolution < math.inf else 3
    return f"{value:.{max(decimals, 0)}f}" if decimals <= 7 and abs(value) < 1e7 else f"{value:.5g}"


def resolution(evidence: SensorEvidence) -> float:
    width = evidence.high - evidence.low
    return width if width > 0 and math.isfinite(width) else abs(evidence.expected)


def band(evidence: SensorEvidence) -> str:
    size = resolution(evidence)
    low, high = (None if math.isnan(end) else number(end, size) for end in (evidence.low, evidence.high))
    if low is None or high is None:
        return f"at least {low}" if low else f"at most {high}" if high else "missing"
    return f"{low} to {high}"


def when(time: float | None, form: str = "%a %d %b %Y, %H:%M UTC") -> str:
    if time is None:
        return "not timed"
    try:
        return datetime.fromtimestamp(time, UTC).strftime(form)
    except (OverflowError, ValueError, OSError):
        return f"{time:g} s"


def lasting(seconds: float) -> str:
    """Two units at most: 2 d 3 h, 3 h 20 min, 45 s."""
    for size, unit, smaller, finer in ((DAY, "d", HOUR, "h"), (HOUR, "h", MINUTE, "min"), (MINUTE, "min", 1, "s")):
        if seconds >= size:
            rest = int(seconds % size // smaller)
            return f"{int(seconds // size)} {unit}" + (f" {rest} {finer}" if rest else "")
    return f"{seconds:.3g} s"


def rarity(p_value: float) -> str:
    if math.isnan(p_value):
        return "not judged by a probability"
    if p_value <= 0:
        return "rarer than any calm record"
    return (
        f"about once in {1 / p_value:,.0f} calm records"
        if p_value > 1e-9
        else "less than once in a billion calm records"
    )
