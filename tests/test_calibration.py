"""Tail probabilities against their naive twin, against distributions that are known, and across a restart."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scrnn_stream import calibration as cal
from scrnn_stream import channels as ch
from scrnn_stream import places as at
from scrnn_stream.calibration import (
    BELIEF,
    DELAYS,
    LOG_CLUSTER_LENGTHS,
    N_NEEDED,
    SPACINGS,
    TAIL_QUANTILE,
    belief,
    believed,
    cluster_probability,
    exchange,
    find,
    fit_tail,
    forget_tails,
    is_due,
    learn_value,
    least_credible,
    n_clusters,
    n_missing,
    order_windows,
    probability,
    sort,
    tail_probability,
    to_probability,
    to_score,
    widen,
    window_at,
)
from scrnn_stream.extremes import SMALLEST_P
from scrnn_stream.places import MEMORY, REFIT_EVERY
from tests.naive import fit_tail as naive_fit
from tests.naive import tail_probability as naive_probability

N_LEAST = int(N_NEEDED[ch.ERROR])
PRIOR = {name: getattr(cal, name) for name in ("TAIL_QUANTILE", "PRIOR_SHAPE", "PRIOR_WEIGHT", "UNCERTAINTY")}


def windows() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    slow = np.convolve(rng.normal(size=1019), np.full(20, 0.05), "valid")
    return {
        "exponential": rng.exponential(size=800),
        "heavy": rng.standard_t(2, size=500),
        "bounded": rng.random(300),
        "clustered": slow,
        "rounded": np.round(rng.normal(size=400), 1),
        "few": rng.exponential(size=200),
    }


class Tails:
    """The calibration of one channel of a machine."""

    def __init__(self, channel: int = ch.ERROR) -> None:
        self.channel = channel
        self.numbers = np.zeros(at.TABLE)
        self.counts = np.zeros(at.N_COUNTS, np.int64)
        forget_tails(self.numbers, self.counts)
        self.calm = np.zeros(at.N_CALM_PLACES, np.float32)
        self.moving = np.zeros(at.N_MOVING, np.float32)

    @property
    def n_missing(self) -> int:
        return n_missing(self.counts, self.channel)

    def learn(self, value: float) -> None:
        learn_value(self.numbers, self.counts, self.calm, self.moving, self.channel, value)

    def probability(self, value: float) -> float:
        if self.n_missing:
            return 1.0
        return probability(self.numbers, self.counts, self.calm, self.channel, value)

    def credible(self, value: float) -> float:
        return least_credible(self.numbers, self.counts, self.channel, value)

    @property
    def fitted(self) -> tuple[int, int]:
        """From which value to before which one the tail was fitted."""
        return window_at(int(self.counts[at.N_FITTED + self.channel]), N_NEEDED[self.channel], DELAYS[self.channel])


def learned(values: np.ndarray, channel: int = ch.ERROR) -> Tails:
    tails = Tails(channel)
    for value in values:
        tails.learn(value)
    return tails


def places(values: np.ndarray) -> np.ndarray:
    """Of the values in ascending order."""
    return np.argsort(values).astype(np.uint16)


def fitted(window: np.ndarray, gap: int) -> np.ndarray:
    tail = np.zeros(3)
    fit_tail(tail, places(window), window, 0, len(window), gap)
    return tail


# -- the window --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channel", [ch.ERROR, ch.SENSOR, ch.LONG_RANGE])
def test_the_window_is_the_sorted_newest_values_after_every_fit(channel: int) -> None:
    values = np.round(np.random.default_rng(6).normal(size=2 * MEMORY + 1500), 2).astype(np.float32)  # with equal ones
    tails, n_checked = Tails(channel), 0
    for t, value in enumerate(values):
        tails.learn(value)
        if tails.counts[at.N_FITTED + channel] == t + 1:
            begin, end = tails.fitted
            order = at.window_of(tails.calm, channel)[: end - begin]
            window = at.ring_of(tails.calm, channel)[order]
            np.testing.assert_array_equal(window, np.sort(values[begin:end]))
            n_checked += 1
    assert n_checked == 1 + (len(values) - N_NEEDED[channel]) // REFIT_EVERY


def test_the_window_lags_behind_once_it_is_old_and_is_the_younger_half_at_first() -> None:
    assert window_at(200, 200, 0) == (0, 200)
    assert window_at(1000, 200, 0) == (500, 1000)
    assert window_at(9000, 200, 0) == (9000 - MEMORY, 9000)
    assert window_at(1000, 200, 300) == (450, 900)
    assert window_at(9000, 200, 300) == (8700 - MEMORY, 8700)


@settings(max_examples=100)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=40), st.data())
def test_places_are_exchanged_and_the_order_kept(values: list[int], data: st.DataObject) -> None:
    """A window within a ring moves on, across its end; equal values are told apart by their places."""
    n = len(values)
    begin, n_old = data.draw(st.integers(0, n - 1)), data.draw(st.integers(0, n))
    n_gone, n_new = data.draw(st.integers(0, n_old)), data.draw(st.integers(0, n - n_old))
    ring = np.array(values, np.float32)
    old = (begin + np.arange(n_old)) % n
    order = old[places(ring[old])].astype(np.uint16)
    out, spots, new = np.zeros(n, np.uint16), np.zeros(n_gone, np.uint16), np.zeros(n_new, np.uint16)
    find(spots, order, ring, begin)
    sort(new, ring, begin + n_old)
    exchange(out, order, ring, spots, new)
    expected = (begin + np.arange(n_gone, n_old + n_new)) % n
    out = out[: len(expected)]
    assert sorted(out) == sorted(expected)
    np.testing.assert_array_equal(ring[out], np.sort(ring[expected]))


def test_clusters_are_counted_in_order_of_time_across_the_end_of_the_ring() -> None:
    ring = np.zeros(10, np.float32)
    ring[[8, 9, 0, 4]] = 1.0  # times 8, 9, 10 and 14
    assert n_clusters(ring, 5, 15, 0.5, 3) == 2
    assert n_clusters(ring, 5, 15, 0.5, 4) == 1
    assert n_clusters(ring, 5, 15, 1.5, 0) == 0


# -- the tail ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gap", [0, 10, 60])
@pytest.mark.parametrize("name", list(windows()))
def test_the_tail_is_its_naive_twin(name: str, gap: int) -> None:
    window = windows()[name]
    np.testing.assert_allclose(fitted(window, gap), naive_fit(window, gap, **PRIOR), rtol=1e-9)


@pytest.mark.parametrize("name", list(windows()))
def test_the_probability_is_its_naive_twin(name: str) -> None:
    ordered = np.sort(windows()[name])
    tail = fitted(ordered, 0)
    for value in np.linspace(ordered[0] - 1, 2 * ordered[-1] + 1, 99):
        expected = naive_probability(value, ordered, *tail, TAIL_QUANTILE)
        assert tail_probability(value, ordered, places(ordered), len(ordered), tail) == pytest.approx(
            expected, rel=1e-9
        )


def test_below_the_tail_the_probability_is_the_rank_exactly() -> None:
    calibration = learned(np.random.default_rng(2).permutation(N_LEAST).astype(float))
    for value in range(0, int(0.85 * N_LEAST), 7):
        assert calibration.probability(value) == (1 + N_LEAST - value) / (N_LEAST + 1)


@pytest.mark.parametrize("name", list(windows()))
def test_a_larger_value_is_never_more_probable(name: str) -> None:
    calibration = learned(windows()[name])
    p = [calibration.probability(value) for value in np.linspace(-20, 200, 3000)]
    assert p == sorted(p, reverse=True)
    assert min(p) >= SMALLEST_P
    assert max(p) <= 1


@settings(max_examples=40)
@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=N_LEAST, max_size=N_LEAST + 50), st.floats(-1e9, 1e9))
def test_the_probability_is_one_whatever_was_learned(values: list[float], value: float) -> None:
    assert SMALLEST_P <= learned(np.array(values)).probability(value) <= 1


@pytest.mark.parametrize("constant", [0.0, 3.5, -2.0])
def test_a_constant_past_makes_the_same_value_probable_and_a_far_one_not(constant: float) -> None:
    calibration = learned(np.full(300, constant))
    assert calibration.probability(constant) > 0.9
    assert calibration.probability(constant + 1000) < 1e-3


@pytest.mark.parametrize("draw", ["exponential", "normal", "standard_t"])
def test_probabilities_mean_what_they_say(draw: str) -> None:
    rng = np.random.default_rng(3)
    sample = (lambda n: rng.standard_t(4, n)) if draw == "standard_t" else (lambda n: getattr(rng, draw)(size=n))
    calibration = learned(sample(2 * MEMORY))
    p = np.array([calibration.probability(value) for value in sample(20_000)])
    assert 0.06 < (p < 0.1).mean() < 0.14
    assert 0.005 < (p < 0.01).mean() < 0.018  # a fit to 2000 values, drawn to a prior: wide margins
    assert 0.0001 < (p < 0.001).mean() < 0.004


def test_what_is_credible_is_one_in_n_within_the_range_and_less_the_farther_beyond_it() -> None:
    n = 1000
    values = np.array([0.0, *np.random.default_rng(5).random(n - 2), 1.0])
    range_, distance = (learned(values, channel) for channel in (ch.RANGE, ch.LEVEL))
    credible = [range_.credible(value) for value in (0.0, 0.5, 1.0, 2.0, 11.0, 1e6)]
    assert credible[:3] == [1 / (n + 1)] * 3
    assert credible[2:] == sorted(credible[2:], reverse=True)
    assert len(set(credible[2:])) == 4
    assert credible[3] == pytest.approx((1 + 0.3 / 1.05) ** (-1 / 0.3) / (n + 1))  # one range beyond 1000 values
    assert distance.credible(4.0) == pytest.approx(credible[3])  # T2 is a square: 4 is one range beyond 1


def test_within_the_range_of_a_fast_channel_nothing_is_news() -> None:
    fast = learned(np.array([0.0, *np.random.default_rng(5).random(998), 1.0]), ch.BIAS)
    widen(at.tail_of(fast.numbers, ch.BIAS), 1.0)
    assert fast.credible(0.5) == fast.credible(1.0) == 1.0
    assert fast.credible(1.001) < 1e-3


def test_a_tail_is_believed_up_to_what_is_credible_and_beyond_it_in_part() -> None:
    assert believed(1e-2, 1e-3, 0.2) == 1e-2
    assert believed(1e-3, 1e-3, 0.2) == 1e-3
    assert believed(1e-13, 1e-3, 0.2) == pytest.approx(1e-5)
    assert believed(1e-13, 1e-3, 0.0) == pytest.approx(1e-3)
    assert 0 < believed(0.0, SMALLEST_P, 0.2) <= SMALLEST_P * (1 + 1e-9)
    assert math.isfinite(math.log(believed(0.0, 1e-3, 0.2)))


def test_what_many_sensors_say_together_for_long_is_believed() -> None:
    assert [belief(channel, 8) > 0 for channel in range(ch.N_CALIBRATED)] == [False] * 3 + [True] * 2 + [False] * 2
    assert belief(ch.LEVEL, 1) == 0
    assert belief(ch.LEVEL, 2) < belief(ch.LEVEL, 100) < BELIEF


def test_recent_values_count_and_old_ones_are_forgotten() -> None:
    rng = np.random.default_rng(4)
    calibration = learned(
        np.concatenate([rng.exponential(size=1000), 100 + rng.exponential(size=2 * MEMORY + REFIT_EVERY)])
    )
    assert calibration.probability(101) > 0.1


def test_nothing_is_improbable_until_enough_values_are_known() -> None:
    calibration = Tails()
    for n in range(N_LEAST):
        assert calibration.n_missing == N_LEAST - n
        assert calibration.probability(1e9) == 1.0
        calibration.learn(float(n % 17))
    assert calibration.n_missing == 0
    assert calibration.probability(1e9) < 1e-3


@pytest.mark.parametrize("channel", [ch.ERROR, ch.SENSOR])
@pytest.mark.parametrize("n", [50, N_LEAST, N_LEAST + REFIT_EVERY - 1, 1117, 2 * MEMORY + 777])
def test_the_windows_follow_from_the_rings(n: int, channel: int) -> None:
    rng = np.random.default_rng(5)
    original, restored = learned(rng.exponential(size=n), channel), Tails(channel)
    restored.numbers[:], restored.counts[:] = original.numbers, original.counts
    restored.calm[: at.WINDOWS] = original.calm[: at.WINDOWS]
    order_windows(restored.counts, restored.calm)
    for value in rng.exponential(size=300):
        assert restored.probability(value) == original.probability(value)
        assert restored.probability(9 * value) == original.probability(9 * value)
        original.learn(value)
        restored.learn(value)


@given(st.floats(SMALLEST_P, 1.0))
def test_score_and_probability_are_inverse_and_the_score_is_below_one(p: float) -> None:
    assert 0 <= to_score(p) < 1
    assert math.log10(to_probability(to_score(p))) == pytest.approx(math.log10(p), rel=1e-9, abs=1e-12)


def test_the_score_says_what_its_docstring_says() -> None:
    assert [to_score(p) for p in (1.0, 1e-3, 1e-6, 1e-12)] == pytest.approx([0, 1 / 2, 2 / 3, 4 / 5])
    assert to_score(0.0) < 1


def test_a_cluster_is_no_more_probable_than_its_record_and_the_bulk_is_nearly_left_alone() -> None:
    p = np.array([1.0, 0.5, 1e-2, 1e-9, 0.0])
    clustered = np.array([cluster_probability(value, np.log(8.0)) for value in p])
    assert clustered[0] == 1.0
    assert (np.diff(clustered) < 0).all()
    np.testing.assert_allclose(clustered[2:], p[2:] / 8)
    np.testing.assert_array_equal([cluster_probability(value, 0.0) for value in p], p)
    np.testing.assert_allclose(np.exp(LOG_CLUSTER_LENGTHS), ch.CLUSTER_LENGTHS)


# -- which values are kept --------------------------------------------------------------------------------------------


def test_errors_and_what_lags_behind_in_records_are_kept_at_every_record_and_averages_at_every_fifth() -> None:
    assert SPACINGS.tolist() == [1, 5, 5, 5, 1, 5, 5]
    assert (SPACINGS[[ch.ERROR, ch.SENSOR]] == 1).all()


def test_a_channel_keeps_each_value_until_its_memory_is_full_and_then_one_in_so_many_records() -> None:
    counts = np.zeros(at.N_COUNTS, np.int64)
    kept = []
    for record in range(1, MEMORY + 101):
        counts[at.N_RECORDS] = record
        if is_due(counts, ch.LEVEL):
            counts[at.N_CALM + ch.LEVEL] += 1
            kept.append(record)
    assert kept == [*range(1, MEMORY + 1), *range(MEMORY + 5, MEMORY + 101, 5)]
