"""Onsets: the rows where a detector says something new."""

from __future__ import annotations

import math
from collections import deque
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def rises(scores: Array, n_rest: int = 50) -> Array:
    """The scores that exceed every score of the `n_rest` records before them; -inf, no alarm, for the others.

    Ranks alone matter. Only the past is used. NaN is no score.
    """
    known = np.where(np.isnan(scores), -math.inf, scores)
    padded = np.concatenate([np.full(n_rest, -math.inf), known[:-1]])
    before = np.lib.stride_tricks.sliding_window_view(padded, n_rest).max(axis=1)
    return np.where(known > before, known, -math.inf)


def onsets(scores: Array, n_rest: int = 100, step: float = 1.2) -> Array:
    """The scores above 0 that exceed by a fifth every score kept in the `n_rest` records before; -inf for the others.

    An alarm is repeated only if it has become clearly worse; that asks for scores on a scale with a zero.
    """
    kept = np.full(len(scores), -math.inf)
    recent: deque[int] = deque()  # the places of those kept last, whose scores rise
    for row, score in enumerate(scores.tolist()):
        while recent and recent[0] < row - n_rest:
            recent.popleft()
        if score > 0 and not (recent and score <= step * kept[recent[-1]]):
            kept[row] = score
            recent.append(row)
    return kept
