"""Onsets: the rows where a detector says something new."""

from __future__ import annotations

import math
from collections import deque
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

N_REST = 100  # records
STEP = 1.2  # an alarm is repeated within that time if it has become worse by a fifth


def onsets(scores: Array, n_rest: int = N_REST, step: float = STEP) -> Array:
    """The scores above 0 that exceed every onset of the `n_rest` records before by a fifth; -inf for the others.

    Only the past is used. NaN is no score.
    """
    kept = np.full(len(scores), -math.inf)
    recent: deque[int] = deque()  # the places of the last onsets, whose scores rise
    for row, score in enumerate(scores.tolist()):
        while recent and recent[0] < row - n_rest:
            recent.popleft()
        if score > 0 and not (recent and score <= step * kept[recent[-1]]):
            kept[row] = score
            recent.append(row)
    return kept
