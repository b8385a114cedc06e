"""Alerts of any detector by one rule, at the same rate of false ones.

A record over the threshold begins an alert if none of the REST records before it was over it. The threshold of a
detector is the least one, from the top, at which it raises no more alerts than allowed on streams that are calm.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

REST = 30  # records


def onsets(scores: Array, threshold: float, rest: int = REST) -> list[int]:
    """Rows at which an alert begins."""
    over = np.flatnonzero(scores > threshold)
    begins: list[int] = over[np.diff(over, prepend=-rest - 1) > rest].tolist()
    return begins


def threshold_of(calm: Sequence[Array], n_allowed: int) -> float:
    """The threshold at which the scores of calm streams raise at most that many alerts; -inf if they never raise more.

    The largest scores are let in one by one, equal ones together, until they are too many alerts.
    """
    rows = np.concatenate(_rows([len(scores) for scores in calm]))
    scores, inside, n_alerts = np.concatenate(calm), list[int](), 0
    order = np.argsort(-scores, kind="stable")
    for place, i in enumerate(order):
        n_alerts += _alerts_more(inside, int(rows[i]))
        is_last_of_equals = place + 1 == len(order) or scores[order[place + 1]] < scores[i]
        if is_last_of_equals and n_alerts > n_allowed:
            return float(scores[i])
    return -math.inf


def _rows(lengths: Sequence[int]) -> list[NDArray[np.int64]]:
    """Rows of the streams one after the other, so far apart that no alert of one holds into the next."""
    starts = np.cumsum([0, *(length + REST for length in lengths[:-1])])
    return [start + np.arange(length) for start, length in zip(starts, lengths, strict=True)]


def _alerts_more(inside: list[int], row: int) -> int:
    """Put a row among those over the threshold; how many alerts that makes more: one, none, or one fewer."""
    place = bisect.bisect(inside, row)
    before = inside[place - 1] if place > 0 else -math.inf
    after = inside[place] if place < len(inside) else math.inf
    inside.insert(place, row)
    return int(row - before > REST) + int(after - row > REST) - int(after - before > REST)
