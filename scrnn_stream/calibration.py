"""From a raw statistic to a tail probability: by rank among recent calm values, and by a Pareto tail beyond them.

Tails differ wildly between streams, so each stream and each channel has its own. Beyond the 90% quantile u of the
recent calm values the excess follows a generalised Pareto distribution[^1], P(excess > z) = (1 + shape z / scale)^(-1 /
shape). Shape and scale come from probability-weighted moments[^2]. What is independent in a stream are not values but
*clusters* of excesses: where they are few, the shape is drawn to a prior, and made heavier by what they leave open.

[^1]: Pickands, Statistical inference using extreme order statistics, Annals of Statistics 3, 1975.
[^2]: Hosking, Wallis, Parameter and quantile estimation for the generalized Pareto distribution, 1987.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scrnn_stream import layout as at
from scrnn_stream._kernels import jit
from scrnn_stream.channels import CLUSTER_LENGTHS, HALF_LIVES, N_CHANNELS
from scrnn_stream.layout import DELAYS, MEMORY

Array = NDArray[Any]

N_LEAST = 200  # values before a channel is calibrated, at least
N_INDEPENDENT = 15  # cluster lengths before it is: long averages say little new
GAPS = np.array([max(10, round(3 * half_life)) for half_life in HALF_LIVES])  # calm samples that end a cluster
N_NEEDED = np.array([max(N_LEAST, round(N_INDEPENDENT * length)) for length in CLUSTER_LENGTHS])
TAIL_QUANTILE = 0.9
PRIOR_SHAPE = 0.1  # moderately heavy: between an exponential tail (0) and Student's t with 5 degrees of freedom (0.2)
UNCERTAINTY = 0.2  # added to the shape, divided by the root of the number of clusters
PRIOR_WEIGHT = 30  # clusters of excesses that weigh as much as the prior
SMALLEST_P = 1e-300


@jit
def window_at(n: int, n_needed: int, delay: int) -> tuple[int, int]:
    """Which of the first n values, from begin to before end, a tail is fitted to.

    It lags `delay` values behind, once it is ten times as old: a slow fault must not widen its own tail.
    """
    end = max(n_needed, n - min(delay, n // 10))
    return end - max(n_needed, min(MEMORY, end // 2)), end


@jit
def n_clusters(ring: Array, begin: int, end: int, u: float, gap: int) -> int:
    """Clusters of values above u, in order of time: excesses at most `gap` samples apart are one."""
    n, last, place = 0, begin - gap - 1, begin % ring.size
    for t in range(begin, end):
        if ring[place] > u:
            n += 1 if t - last > gap else 0
            last = t
        place = place + 1 if place + 1 < ring.size else 0
    return n


@jit
def excesses(ordered: Array) -> tuple[float, float, float, int]:
    """Of the excesses z over the threshold u: u, mean of z, mean of z (1 - rank), and their number."""
    n = ordered.size
    first = int(TAIL_QUANTILE * (n - 1))
    u = float(ordered[first])
    while first < n and ordered[first] <= u:
        first += 1
    m = n - first
    mean, weighted = 0.0, 0.0
    if m > 1:
        for k in range(m):
            excess = float(ordered[first + k]) - u
            mean += excess
            weighted += excess * (m - 1 - k)
        mean, weighted = mean / m, weighted / (m - 1) / m
    return u, mean, weighted, m


@jit
def fit_tail(tail: Array, ordered: Array, ring: Array, begin: int, end: int, gap: int) -> None:
    """tail = (u, scale, shape) of the values in the ring from begin to end, which `ordered` holds in ascending order."""
    u, mean, weighted, m = excesses(ordered)
    tail[0] = u
    if m < 5:  # a flat stream: fall back on the size of u itself
        tail[1], tail[2] = max(abs(u), 1e-9), PRIOR_SHAPE
        return
    spread = mean - 2 * weighted
    shape = 2 - mean / spread if spread != 0 else 0.0
    shape = min(max(shape, -0.5), 0.9)
    n = n_clusters(ring, begin, end, u, gap)
    shape = max((n * shape + PRIOR_WEIGHT * PRIOR_SHAPE) / (n + PRIOR_WEIGHT), 1e-3)
    shape = min(0.9, shape + UNCERTAINTY / np.sqrt(1.0 + n))
    tail[1], tail[2] = max(mean * (1 - shape), 1e-12), shape


@jit
def n_below(ordered: Array, n: int, value: float) -> int:
    """How many of the first n values, which are ascending, are less than `value`."""
    low = 0
    while n > 1:  # without a branch to be guessed wrongly
        half = n // 2
        low += half if ordered[low + half - 1] < value else 0
        n -= half
    return low + 1 if n == 1 and ordered[low] < value else low


@jit
def sort(values: Array, n: int) -> None:
    """The first n values in ascending order, for few of them."""
    for i in range(1, n):
        value, place = values[i], i
        while place > 0 and values[place - 1] > value:
            values[place] = values[place - 1]
            place -= 1
        values[place] = value


@jit
def copy_from(out: Array, ring: Array, begin: int, end: int) -> int:
    """out = the values of the ring from begin to end. Returns their number."""
    for t in range(begin, end):
        out[t - begin] = ring[t % ring.size]
    return max(0, end - begin)


@jit
def take_out(ordered: Array, n: int, gone: Array, n_gone: int) -> None:
    """Of the first n values, leave out those of `gone`; both are ascending. The rest moves together."""
    place = -1
    for i in range(n_gone):
        following = place + 1 + n_below(ordered[place + 1 :], n - place - 1, gone[i])
        for t in range(place + 1, following):
            ordered[t - i] = ordered[t]
        place = following
    for t in range(place + 1, n):
        ordered[t - n_gone] = ordered[t]


@jit
def put_in(ordered: Array, n: int, new: Array, n_new: int) -> None:
    """Put the values of `new` among the first n; both are ascending. From the top, as the room is there."""
    end = n
    for i in range(n_new - 1, -1, -1):
        begin = n_below(ordered, end, new[i])
        for t in range(end - 1, begin - 1, -1):
            ordered[t + i + 1] = ordered[t]
        ordered[begin + i] = new[i]
        end = begin


@jit
def refit(numbers: Array, counts: Array, calm: Array, channel: int) -> None:
    """Bring a channel's window up to its newest values, in one pass, and fit its tail to it."""
    ring, window = at.ring_of(calm, channel), at.window_of(calm, channel)
    n, before = counts[at.N_CALM + channel], counts[at.N_FITTED + channel]
    begin, end = window_at(n, N_NEEDED[channel], DELAYS[channel])
    if before == 0:
        order_window(window, ring, begin, end)
    else:
        gone, new = at.moving_of(calm)
        old_begin, old_end = window_at(before, N_NEEDED[channel], DELAYS[channel])
        n_gone = copy_from(gone, ring, old_begin, begin)
        n_new = copy_from(new, ring, old_end, end)
        sort(gone, n_gone)
        sort(new, n_new)
        take_out(window, old_end - old_begin, gone, n_gone)
        put_in(window, old_end - old_begin - n_gone, new, n_new)
    counts[at.N_FITTED + channel] = n
    tail = numbers[at.TAILS + 3 * channel : at.TAILS + 3 * channel + 3]
    fit_tail(tail, window[: end - begin], ring, begin, end, GAPS[channel])


@jit
def order_window(window: Array, ring: Array, begin: int, end: int) -> None:
    """window = the values of the ring from begin to end in ascending order."""
    n = copy_from(window, ring, begin, end)
    window[:n].sort()


@jit
def order_windows(counts: Array, calm: Array) -> None:
    """The windows of all channels from their rings, as after their last fits."""
    for channel in range(N_CHANNELS):
        if counts[at.N_FITTED + channel] > 0:
            begin, end = window_at(counts[at.N_FITTED + channel], N_NEEDED[channel], DELAYS[channel])
            order_window(at.window_of(calm, channel), at.ring_of(calm, channel), begin, end)


@jit
def learn_value(numbers: Array, counts: Array, calm: Array, channel: int, value: float) -> None:
    """Take a calm value in; fit the channel's tail anew every so often."""
    ring, n = at.ring_of(calm, channel), counts[at.N_CALM + channel]
    ring[n % ring.size] = value
    counts[at.N_CALM + channel] = n + 1
    if n + 1 >= N_NEEDED[channel] and n + 1 - counts[at.N_FITTED + channel] >= at.REFIT_EVERY:
        refit(numbers, counts, calm, channel)


@jit
def tail_probability(value: float, ordered: Array, n: int, tail: Array) -> float:
    """P(a calm value >= value), by rank below the threshold u and by the Pareto tail (u, scale, shape) above it."""
    if value > tail[0]:
        p = (1 - TAIL_QUANTILE) * (1 + tail[2] * (value - tail[0]) / tail[1]) ** (-1 / tail[2])
        return float(max(p, SMALLEST_P))
    return (1.0 + n - n_below(ordered, n, value)) / (n + 1)


@jit
def n_missing(counts: Array, channel: int) -> int:
    """Values still needed before a channel is calibrated."""
    return max(0, N_NEEDED[channel] - counts[at.N_CALM + channel])


@jit
def probability(numbers: Array, counts: Array, calm: Array, channel: int, value: float) -> float:
    """Tail probability of a value in a channel that is calibrated."""
    begin, end = window_at(counts[at.N_FITTED + channel], N_NEEDED[channel], DELAYS[channel])
    kept = float(np.float32(value))  # as the ring keeps it
    tail = numbers[at.TAILS + 3 * channel : at.TAILS + 3 * channel + 3]
    return tail_probability(kept, at.window_of(calm, channel), end - begin, tail)


@jit
def cluster_probability(p: float, cluster_length: float) -> float:
    """Probability that a *cluster* of values this improbable begins at a record.

    An average that is far out stays there for about its time constant, so that many records share one event: the
    extremal index[^1] is 1 / cluster_length. The whole division applies from p = 0.01 down: the bulk has no clusters.

    [^1]: Leadbetter, Extremes and local dependence in stationary sequences, 1983.
    """
    in_tail = min(1.0, -math.log10(max(p, SMALLEST_P)) / 2)
    return float(p / cluster_length**in_tail)


@jit
def to_score(p: float) -> float:
    """Anomaly score in [0, 1) of a tail probability: d / (3 + d), where d = -log10 p counts the zeros.

    0.5 is one calm sample in a thousand, 2/3 one in a million, 0.8 one in 10^12: the same on every stream.
    """
    decades = max(0.0, -math.log10(max(p, SMALLEST_P)))
    return decades / (3.0 + decades)


def to_probability(score: float) -> float:
    """The tail probability behind a score; the inverse of :func:`to_score`."""
    return float(10 ** (-3.0 * score / (1.0 - score)))
