"""The scores of the Numenta Anomaly Benchmark v1.1: what each alarm is worth, and the best threshold on the labels.

A window counts once, by its earliest alarm: the earlier inside it, the more. Each alarm outside costs, little shortly
after a window and all of its weight far from one[^1]. The first 15% of a file, at most 750 rows, are not judged.

References
----------
[^1]: Lavin and Ahmad, Evaluating Real-time Anomaly Detection Algorithms, 2015, arXiv:1510.03336.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

OUTSIDE = -1


class Profile(NamedTuple):
    """What a false alarm and a missed window cost, where a window found at its begin brings 1."""

    name: str
    false_alarm: float
    miss: float


PROFILES = (Profile("standard", 0.11, 1.0), Profile("low FP", 0.22, 1.0), Profile("low FN", 0.11, 2.0))


class Ground(NamedTuple):
    """The judged rows of one file or of many: what an alarm there is worth, and its window's number or OUTSIDE."""

    worth: Array
    window: Array
    n_windows: int


class Result(NamedTuple):
    """The best score, 0 for a silent detector and 100 for a perfect one, and the threshold that brings it."""

    score: float
    threshold: float


def n_probation(n_rows: int) -> int:
    """Rows at the begin of a file that are not judged."""
    return min(int(0.15 * n_rows), 750)


def ground(n_rows: int, windows: Sequence[tuple[int, int]]) -> Ground:
    """The judged rows of a file whose windows are given by their first and last row."""
    worth, window = np.full(n_rows, -1.0), np.full(n_rows, OUTSIDE)
    for number, (first, last) in enumerate(windows):
        end = windows[number + 1][0] if number + 1 < len(windows) else n_rows
        inside, after = np.arange(first, last + 1), np.arange(last + 1, end)
        width = last - first
        worth[inside] = _fading((inside - last - 1) / (width + 1)) / _fading(-1.0)
        worth[after] = _fading((after - last) / width)
        window[inside] = number
    judged = slice(n_probation(n_rows), None)
    return Ground(worth[judged], window[judged], len(windows))


def together(grounds: Sequence[Ground]) -> Ground:
    """Many files judged as one, by one threshold."""
    firsts = np.cumsum([0] + [part.n_windows for part in grounds])
    windows = [np.where(g.window == OUTSIDE, OUTSIDE, g.window + n) for g, n in zip(grounds, firsts[:-1], strict=True)]
    return Ground(np.concatenate([part.worth for part in grounds]), np.concatenate(windows), int(firsts[-1]))


def best(scores: Array, ground: Ground, profile: Profile) -> Result:
    """The best that any one threshold brings; higher scores are more anomalous, -inf is never an alarm."""
    order = np.argsort(-scores, kind="stable")
    scores, change = scores[order], _changes(ground.worth[order], ground.window[order], ground.n_windows, profile)
    gained = np.cumsum(change)
    is_last = np.append(scores[1:] != scores[:-1], True)  # equal scores are alarms together
    gained = np.where(is_last & (scores > -math.inf), gained, -math.inf)
    at = int(np.argmax(gained))
    if gained[at] <= 0:
        return Result(0.0, math.inf)
    return Result(100 * float(gained[at]) / ((1 + profile.miss) * ground.n_windows), float(scores[at]))


def hits(scores: Array, ground: Ground, threshold: float) -> tuple[int, int]:
    """Windows with an alarm in them, and rows outside all windows that are alarms."""
    windows = ground.window[scores >= threshold]
    return len(np.unique(windows[windows != OUTSIDE])), int((windows == OUTSIDE).sum())


def _changes(worth: Array, window: Array, n_windows: int, profile: Profile) -> Array:
    """What each alarm adds to the total, in the order in which the alarms come."""
    change = np.where(window == OUTSIDE, profile.false_alarm * worth, 0.0)
    for number in range(n_windows):
        rows = np.flatnonzero(window == number)
        change[rows] = np.diff(np.maximum.accumulate(np.append(-profile.miss, worth[rows])))
    return change


def _fading(position: Any) -> Any:
    """From 1 well before the end of a window, over 0 at its end, to -1 from three widths after it."""
    return np.where(position > 3, -1.0, 2 / (1 + np.exp(5 * np.minimum(position, 3))) - 1)
