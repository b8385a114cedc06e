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

from scrnn_stream import places as at
from scrnn_stream._compile import jit
from scrnn_stream.channels import CLUSTER_LENGTHS, HALF_LIFE, HALF_LIVES, LEVEL, N_CALIBRATED, RANGE
from scrnn_stream.extremes import SMALLEST_P, tail_beyond
from scrnn_stream.places import DELAYS, MEMORY

Array = NDArray[Any]

N_LEAST = 200  # values before a channel is calibrated, at least
N_INDEPENDENT = 15  # cluster lengths before it is: long averages say little new
GAPS = np.array([max(10, round(3 * half_life)) for half_life in HALF_LIVES])  # calm values that end a cluster
N_NEEDED = np.array([max(N_LEAST, round(N_INDEPENDENT * length)) for length in CLUSTER_LENGTHS])
# Records between two values that are kept, once MEMORY of them are: an average repeats itself for its half-life, and
# the longer its values span, the less seems new of what comes once a day or week. `sensor` lags behind in records.
SPACINGS = np.where((HALF_LIVES > 0) & (DELAYS == 0), round(HALF_LIFE), 1)
TAIL_QUANTILE = 0.9
PRIOR_SHAPE = 0.1  # moderately heavy: between an exponential tail (0) and Student's t with 5 degrees of freedom (0.2)
UNCERTAINTY = 0.2  # added to the shape, divided by the root of the number of clusters
PRIOR_WEIGHT = 30  # clusters of excesses that weigh as much as the prior
LEAST, LARGEST = 3, 4  # in what is known of a channel
CREDIBLE_FLOOR = 1.0  # ranges of the values: the scale of an excess that is believed
BELIEF = 0.2  # how much of what a tail says of many sensors beyond that is believed
LOG_CLUSTER_LENGTHS = np.log(CLUSTER_LENGTHS)
BLOCK = 8  # values in one register
LOG_OF_TAIL = math.log(100)  # the tail begins at p = 0.01


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
    place, n = begin % ring.size, end - begin
    n_before_turn = min(n, ring.size - place)
    threshold = ring.dtype.type(u)
    found, last = continue_clusters(ring[place : place + n_before_turn], 0, 0, -gap - 1, threshold, gap)
    return continue_clusters(ring[: n - n_before_turn], n_before_turn, found, last, threshold, gap)[0]


@jit
def continue_clusters(values: Array, start: int, n: int, last: int, u: float, gap: int) -> tuple[int, int]:
    """The n clusters so far and the place of the last excess, after more values that begin at `start`."""
    for first in range(0, values.size, BLOCK):
        block = values[first : first + BLOCK]
        n_above = 0
        if block.size == BLOCK:
            for i in range(BLOCK):  # most blocks hold no excess, and all their values are compared at once
                n_above += block[i] > u
        if n_above > 0 or block.size < BLOCK:
            for i in range(block.size):
                if block[i] > u:
                    n += start + first + i - last > gap
                    last = start + first + i
    return n, last


@jit
def excesses(ring: Array, order: Array) -> tuple[float, float, float, int]:
    """Of the excesses z over the threshold u: u, mean of z, mean of z (1 - rank), and their number."""
    n = order.size
    first = int(TAIL_QUANTILE * (n - 1))
    u = float(ring[order[first]])
    while first < n and ring[order[first]] <= u:
        first += 1
    m = n - first
    mean, weighted = 0.0, 0.0
    if m > 1:
        for k in range(m):
            excess = float(ring[order[first + k]]) - u
            mean += excess
            weighted += excess * (m - 1 - k)
        mean, weighted = mean / m, weighted / (m - 1) / m
    return u, mean, weighted, m


@jit
def fit_tail(tail: Array, order: Array, ring: Array, begin: int, end: int, gap: int) -> None:
    """tail = (u, scale, shape) of the values of the ring from begin to end; `order` holds their places, ascending."""
    u, mean, weighted, m = excesses(ring, order)
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
def n_below(ring: Array, order: Array, n: int, value: float) -> int:
    """How many of the values at the first n places, which are ascending, are less than `value`."""
    low = 0
    while n > 1:  # without a branch to be guessed wrongly
        half = n // 2
        low += half if ring[order[low + half - 1]] < value else 0
        n -= half
    return low + 1 if n == 1 and ring[order[low]] < value else low


@jit
def find(spots: Array, order: Array, ring: Array, gone: int) -> None:
    """Where in `order` the places of the ring from `gone` on stand, ascending. Equal values stand in no order."""
    for t in range(spots.size):
        place = (gone + t) % ring.size
        spot = n_below(ring, order, order.size, ring[place])
        while order[spot] != place:
            spot += 1
        i = t
        while i > 0 and spots[i - 1] > spot:
            spots[i] = spots[i - 1]
            i -= 1
        spots[i] = spot


@jit
def sort(places: Array, ring: Array, new: int) -> None:
    """The places of the ring from `new` on, in ascending order of their values."""
    for t in range(places.size):
        place, i = (new + t) % ring.size, t
        while i > 0 and ring[places[i - 1]] > ring[place]:
            places[i] = places[i - 1]
            i -= 1
        places[i] = place


@jit
def exchange(out: Array, order: Array, ring: Array, spots: Array, new: Array) -> None:
    """out = `order` without what stands at `spots` and with the places `new`, in one pass; all are ascending."""
    here, to, n_gone, n_new = 0, 0, 0, 0
    joins = n_below(ring, order, order.size, ring[new[0]]) if new.size > 0 else 0
    while n_gone < spots.size or n_new < new.size:
        leaves = n_new == new.size or (n_gone < spots.size and spots[n_gone] < joins)
        n = int((spots[n_gone] if leaves else joins) - here)
        here, to = here + n, to + move(out[to:], order[here:], n)
        if leaves:
            here, n_gone = here + 1, n_gone + 1
        else:
            out[to] = new[n_new]
            to, n_new = to + 1, n_new + 1
            if n_new < new.size:
                joins = n_below(ring, order, order.size, ring[new[n_new]])
    move(out[to:], order[here:], order.size - here)


@jit
def move(out: Array, places: Array, n: int) -> int:
    """Copy the first n. Returns n."""
    for i in range(n):
        out[i] = places[i]
    return n


@jit
def refit(numbers: Array, counts: Array, calm: Array, moving: Array, channel: int) -> None:
    """Bring a channel's window up to its newest values, and fit its tail to it. `moving` is scratch space."""
    ring, window = at.ring_of(calm, channel), at.window_of(calm, channel)
    n, before = counts[at.N_CALM + channel], counts[at.N_FITTED + channel]
    begin, end = window_at(n, N_NEEDED[channel], DELAYS[channel])
    if before == 0:
        order_window(window, ring, begin, end)
    else:
        old_begin, old_end = window_at(before, N_NEEDED[channel], DELAYS[channel])
        room, order = moving.view(np.uint16), window[: old_end - old_begin]
        gone, new = room[MEMORY:][: begin - old_begin], room[MEMORY + at.REFIT_EVERY :][: end - old_end]
        find(gone, order, ring, old_begin)
        sort(new, ring, old_end)
        exchange(room, order, ring, gone, new)
        move(window, room, end - begin)
    counts[at.N_FITTED + channel] = n
    tail = at.tail_of(numbers, channel)
    fit_tail(tail, window[: end - begin], ring, begin, end, GAPS[channel])


@jit
def order_window(window: Array, ring: Array, begin: int, end: int) -> None:
    """window = the places of the ring from begin to end in ascending order of their values."""
    places = (begin + np.arange(end - begin)) % ring.size
    order = np.argsort(ring[places])
    for i in range(order.size):
        window[i] = places[order[i]]


@jit
def order_windows(counts: Array, calm: Array) -> None:
    """The windows of all channels from their rings, as after their last fits."""
    for channel in range(N_CALIBRATED):
        if counts[at.N_FITTED + channel] > 0:
            begin, end = window_at(counts[at.N_FITTED + channel], N_NEEDED[channel], DELAYS[channel])
            order_window(at.window_of(calm, channel), at.ring_of(calm, channel), begin, end)


@jit
def forget_tails(numbers: Array, counts: Array) -> None:
    """No channel has values yet."""
    counts[at.N_CALM : at.N_COUNTS] = 0
    for channel in range(N_CALIBRATED):
        tail = at.tail_of(numbers, channel)
        tail[LEAST], tail[LARGEST] = np.inf, -np.inf


@jit
def widen(tail: Array, value: float) -> None:
    """The range of a channel's values takes one in."""
    tail[LEAST], tail[LARGEST] = min(tail[LEAST], value), max(tail[LARGEST], value)


@jit
def is_due(counts: Array, channel: int) -> bool:
    """True of each of the first MEMORY calm values of a channel, and later of one in so many records."""
    return bool(counts[at.N_CALM + channel] < MEMORY or counts[at.N_RECORDS] % SPACINGS[channel] == 0)


@jit
def learn_value(numbers: Array, counts: Array, calm: Array, moving: Array, channel: int, value: float) -> None:
    """Take a calm value in; fit the channel's tail anew every so often."""
    ring, n, tail = at.ring_of(calm, channel), counts[at.N_CALM + channel], at.tail_of(numbers, channel)
    ring[n % ring.size] = value
    if channel >= LEVEL:
        widen(tail, value)
    counts[at.N_CALM + channel] = n + 1
    if n + 1 >= N_NEEDED[channel] and n + 1 - counts[at.N_FITTED + channel] >= at.REFIT_EVERY:
        refit(numbers, counts, calm, moving, channel)


@jit
def tail_probability(value: float, ring: Array, order: Array, n: int, tail: Array) -> float:
    """P(a calm value >= value), by rank below the threshold u and by the Pareto tail (u, scale, shape) above it."""
    if value > tail[0]:
        p = (1 - TAIL_QUANTILE) * (1 + tail[2] * (value - tail[0]) / tail[1]) ** (-1 / tail[2])
        return float(max(p, SMALLEST_P))
    return (1.0 + n - n_below(ring, order, n, value)) / (n + 1)


@jit
def n_missing(counts: Array, channel: int) -> int:
    """Values still needed before a channel is calibrated."""
    return max(0, int(N_NEEDED[channel] - counts[at.N_CALM + channel]))


@jit
def probability(numbers: Array, counts: Array, calm: Array, channel: int, value: float) -> float:
    """Tail probability of a value in a channel that is calibrated."""
    begin, end = window_at(counts[at.N_FITTED + channel], N_NEEDED[channel], DELAYS[channel])
    kept = float(np.float32(value))  # as the ring keeps it
    ring, order = at.ring_of(calm, channel), at.window_of(calm, channel)
    return tail_probability(kept, ring, order, end - begin, at.tail_of(numbers, channel))


@jit
def least_credible(numbers: Array, counts: Array, channel: int, value: float) -> float:
    """The least p that n values bear out: 1 / (n + 1) within their range, and less the farther beyond it.

    However well a tail fits, what it says far beyond its values is a guess. T2 is a square: its root is a distance. A
    fast channel has news to tell or nothing: 1 within the range of all values, calm or not.
    """
    tail, n = at.tail_of(numbers, channel), counts[at.N_CALM + channel]
    low, high = tail[LEAST], tail[LARGEST]
    if channel < RANGE:
        value, low, high = math.sqrt(max(value, 0.0)), math.sqrt(max(low, 0.0)), math.sqrt(max(high, 0.0))
    if channel < LEVEL and value <= high:
        return 1.0
    return float(tail_beyond(value, low, high, n, CREDIBLE_FLOOR) / (n + 1))


@jit
def belief(channel: int, n_sensors: int) -> float:
    """How much of what a tail says beyond the credible is believed: only what many sensors say together, for long."""
    return BELIEF * (1 - 1 / n_sensors) if LEVEL <= channel < RANGE else 0.0


@jit
def believed(p: float, credible: float, share: float) -> float:
    """The p of a tail, or if it dares to say more than is credible, that share of the way there, in decades."""
    return p if p >= credible else float(credible ** (1 - share) * max(p, SMALLEST_P) ** share)


@jit
def cluster_probability(p: float, log_length: float) -> float:
    """Probability that a *cluster* of values this improbable begins at a record.

    An average that is far out stays there for about its time constant, so that many records share one event: the
    extremal index[^1] is 1 / length. The whole division applies from p = 0.01 down: the bulk has no clusters.

    [^1]: Leadbetter, Extremes and local dependence in stationary sequences, 1983.
    """
    in_tail = min(1.0, -math.log(max(p, SMALLEST_P)) / LOG_OF_TAIL)
    return p * math.exp(-in_tail * log_length)


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
