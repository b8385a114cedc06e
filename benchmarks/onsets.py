"""Onsets: the rows where a detector says something new."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

N_REST = 50  # records


def onsets(scores: Array, n_rest: int = N_REST) -> Array:
    """The scores that exceed every score of the `n_rest` records before them; -inf, no alarm, for the others.

    Only the past is used. NaN is no score.
    """
    known = np.where(np.isnan(scores), -math.inf, scores)
    padded = np.concatenate([np.full(n_rest, -math.inf), known[:-1]])
    before = np.lib.stride_tricks.sliding_window_view(padded, n_rest).max(axis=1)
    return np.where(known > before, known, -math.inf)
