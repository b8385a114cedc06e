"""The detector with parts of its evidence taken away: what the channels said in one run, and what some say alone.

What is learned in that run goes by all channels: a part that is taken away says nothing, but it has helped to protect.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.contender import Reading
from scrnn_stream import SCRNNDetector
from scrnn_stream import places as at
from scrnn_stream.anomaly import GRACE_PERIOD
from scrnn_stream.calibration import N_NEEDED
from scrnn_stream.channels import CALIBRATED, CHANNELS, N_CALIBRATED
from scrnn_stream.extremes import SMALLEST_P
from scrnn_stream.judging import KEEP_EVIDENCE, PROTECTION_P

Array = NDArray[Any]

ERRORS = ("error", "bias", "spread", "new_error", "new_spread")  # all that looks at the network's forecast
SLOW = ("level", "sensor", "range", "long_range")
SEASON = ("new_adjusted", "new_average_adjusted", "new_long_adjusted")
EXTREMES = CHANNELS[N_CALIBRATED:]


class Evidence(NamedTuple):
    """What a detector said of each record before learning it, a row each."""

    p: Array  # (n, N_CHANNELS)
    statistics: Array  # (n, N_CHANNELS)
    is_looking: Array  # (n, N_CHANNELS): the channel had something to say
    p_of_tail: Array  # (n, N_CALIBRATED)
    is_calm: Array  # (n): probable enough to enter the picture of calm
    regime: Array  # (n): how many new states were adopted before; averages of evidence begin anew with each


def gathered(detector: SCRNNDetector, xs: Iterable[Reading]) -> Evidence:
    """The evidence of one run from the first record on."""
    xs = list(xs)
    heads, n_calm = np.zeros((len(xs), at.MEASURED)), np.zeros((len(xs), N_CALIBRATED))
    p_of_tails, regime = np.ones(len(xs)), np.zeros(len(xs), int)
    for row, x in enumerate(xs):
        assessed = detector.assess_one(x)
        heads[row], p_of_tails[row] = assessed.numbers[at.HEADER : at.HEADER + at.MEASURED], assessed.p_of_tails
        n_calm[row] = detector._machine.counts[0, at.N_CALM : at.N_CALM + N_CALIBRATED]  # no assessment tells them
        regime[row] = detector.n_regimes
        detector.learn_assessed(assessed, x)
    p, statistics, p_of_tail = np.split(heads, [at.STATISTICS, at.OF_TAIL], axis=1)
    is_looking = np.isfinite(statistics)
    is_looking[:, :N_CALIBRATED] &= n_calm >= N_NEEDED
    return Evidence(p, statistics, is_looking, p_of_tail, p_of_tails >= PROTECTION_P, regime)


def combined(p: Array, is_looking: Array) -> Array:
    """The least p of each record, with the price of each look."""
    n = np.maximum(1, is_looking.sum(axis=1))
    least: Array = np.minimum(1.0, n * np.where(is_looking, p, 1.0).min(axis=1))
    return least


def decades(p: Array) -> Array:
    """-log10 p: a scale with a zero."""
    return np.maximum(0.0, -np.log10(np.maximum(p, SMALLEST_P)))


def lasting(scores: Array, regime: Array) -> Array:
    """A record counts no less than the average of the last ones, which begins anew with each regime."""
    averages, average, last = np.empty(len(scores)), 0.0, 0
    for row, (score, number) in enumerate(zip(scores.tolist(), regime.tolist(), strict=True)):
        average = KEEP_EVIDENCE * (average if number == last else 0.0) + (1 - KEEP_EVIDENCE) * score
        averages[row], last = average, number
    return np.maximum(scores, averages)


# -- parts ------------------------------------------------------------------------------------------------------------


def alone(evidence: Evidence, names: Iterable[str]) -> Array:
    """The scores by these channels, each record on its own."""
    places = [CHANNELS.index(name) for name in names]
    return decades(combined(evidence.p[:, places], evidence.is_looking[:, places]))


def left(evidence: Evidence, names: Iterable[str]) -> Array:
    """The scores by these channels."""
    return lasting(alone(evidence, names), evidence.regime)


def without(*names: str) -> tuple[str, ...]:
    return tuple(name for name in CHANNELS if name not in names)


def as_the_tails_say(evidence: Evidence) -> Array:
    """The scores if all that a fitted tail says were believed."""
    p = np.concatenate([evidence.p_of_tail, evidence.p[:, N_CALIBRATED:]], axis=1)
    return lasting(decades(combined(p, evidence.is_looking)), evidence.regime)


def uncalibrated(evidence: Evidence) -> Array:
    """The largest statistic in multiples of what it was on average while calm, as far as was known by then."""
    sizes = np.abs(evidence.statistics[:, : len(CALIBRATED)])  # inside a range it is negative
    is_learned = evidence.is_calm[:, None] & np.isfinite(sizes)
    is_learned[:GRACE_PERIOD] = False
    n = _before(is_learned.astype(float))
    usual = _before(np.where(is_learned, sizes, 0.0)) / np.maximum(n, 1)
    is_judged = (n >= GRACE_PERIOD) & (usual > 0) & np.isfinite(sizes)
    ratios = evidence.statistics[:, : len(CALIBRATED)] / np.where(is_judged, usual, math.inf)
    largest: Array = np.max(ratios, axis=1, initial=0.0, where=is_judged)
    return largest


def _before(values: Array) -> Array:
    """Sums over all rows before each."""
    return np.cumsum(values, axis=0) - values


Part = Callable[[Evidence], Array]

PARTS: dict[str, Part] = {
    "as shipped": lambda evidence: left(evidence, CHANNELS),
    "error only": lambda evidence: left(evidence, ERRORS),
    "slow only": lambda evidence: left(evidence, SLOW),
    "new extremes only": lambda evidence: left(evidence, EXTREMES),
    "no network at all": lambda evidence: left(evidence, without(*ERRORS)),
    "no slow evidence": lambda evidence: left(evidence, without(*SLOW)),
    "no new extremes": lambda evidence: left(evidence, CALIBRATED),
    "no season": lambda evidence: left(evidence, without(*SEASON)),
    "no averages": lambda evidence: alone(evidence, CHANNELS),
    "no bound on belief": as_the_tails_say,
    "no calibration": uncalibrated,
}
