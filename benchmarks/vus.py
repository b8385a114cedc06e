"""VUS-PR: the area under precision and recall, averaged over how generously the labelled segments are widened.

Paparrizos et al.[^1] widen each labelled segment on both sides by half a buffer of 0 to 100 records in which the
label fades, so that a detector which is a little early or late is not punished as if it had guessed; recall counts for
the share of segments that were found at all. It needs no threshold, and no point adjustment.

References
----------
[^1]: Paparrizos et al., Volume Under the Surface: A New Accuracy Evaluation Measure for Time-Series Anomaly Detection,
PVLDB 2022.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

LONGEST_BUFFER = 100  # records
N_THRESHOLDS = 250


def vus_pr(labels: Array, scores: Array) -> float:
    """The volume for 0/1 labels and scores, of which higher ones are more anomalous; NaN is no score."""
    labels, scores = labels > 0, np.where(np.isnan(scores), -np.inf, scores)
    places = np.linspace(0, len(scores) - 1, N_THRESHOLDS).astype(int)
    flagged = scores >= np.sort(scores)[::-1][places, None]
    areas = [_area(flagged, labels, widened(labels, buffer)) for buffer in range(LONGEST_BUFFER + 1)]
    return float(np.mean(areas))


def widened(labels: Array, buffer: int) -> Array:
    """Labels that fade with a square root over half a buffer on both sides of each segment."""
    soft = labels.astype(float)
    slope = np.sqrt(1 - np.arange(1, buffer // 2 + 1) / max(1, buffer))
    for segment in segments(labels):
        after, before = slope[: len(labels) - segment.stop], slope[: segment.start][::-1]
        soft[segment.stop : segment.stop + len(after)] += after
        soft[segment.start - len(before) : segment.start] += before
    return np.minimum(soft, 1.0)


def segments(labels: Array) -> list[slice]:
    """The runs of labelled records."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], labels > 0, [0]])))
    return [slice(int(first), int(end)) for first, end in edges.reshape(-1, 2)]


def _area(flagged: Array, labels: Array, soft: Array) -> float:
    """Under precision over recall, (n_thresholds, n_records) flags against widened labels."""
    found = flagged @ soft
    n_wanted = labels.sum() + flagged @ np.where(labels, 0.0, soft) / 2
    share_touched = np.mean([flagged[:, segment].any(axis=1) for segment in segments(soft)], axis=0)
    recall = np.minimum(found / n_wanted, 1.0) * share_touched
    precision = found / flagged.sum(axis=1)
    return float(np.diff(recall, prepend=0.0) @ precision)
