"""How well scores rank the faulty rows of a file, and how well alerts cover them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

from benchmarks.vus import vus_pr

Array = NDArray[Any]


class Ranking(NamedTuple):
    """What scores are worth at every threshold."""

    vus_pr: float
    average_precision: float
    roc_auc: float


def ranking(faulty: Array, scores: Array) -> Ranking:
    """Of one file; NaN is no score and ranks last."""
    lowest = np.min(scores, initial=0.0, where=np.isfinite(scores)) - 1.0
    ranked = np.where(np.isnan(scores), lowest, scores)
    average_precision = average_precision_score(faulty, ranked)
    return Ranking(vus_pr(faulty, scores), float(average_precision), float(roc_auc_score(faulty, ranked)))


class Tally(NamedTuple):
    """Rows under an alert and not, faulty and normal, as SKAB's own leaderboard counts them: row by row, all files."""

    n_found: int
    n_missed: int
    n_false: int
    n_quiet: int

    @property
    def f1(self) -> float:
        return 2 * self.n_found / max(1, 2 * self.n_found + self.n_false + self.n_missed)

    @property
    def false_alarm_rate(self) -> float:
        """The share of normal rows that lie under an alert."""
        return self.n_false / max(1, self.n_false + self.n_quiet)

    @property
    def missed_alarm_rate(self) -> float:
        """The share of faulty rows that lie under none."""
        return self.n_missed / max(1, self.n_found + self.n_missed)

    def plus(self, other: Tally) -> Tally:
        return Tally(*(a + b for a, b in zip(self, other, strict=True)))


def tally(faulty: Array, alert: Array) -> Tally:
    """Of one file."""
    pairs = ((alert, faulty), (~alert, faulty), (alert, ~faulty), (~alert, ~faulty))
    return Tally(*(int((a & b).sum()) for a, b in pairs))
