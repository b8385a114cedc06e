"""The clock, the price of each look, the queue, and a new state adopted; whole records are tested with the detector."""

from __future__ import annotations

import numpy as np
import pytest

from scrnn_stream import places as at
from scrnn_stream.calibration import (
    LOG_CLUSTER_LENGTHS,
    N_NEEDED,
    belief,
    believed,
    cluster_probability,
    learn_value,
    least_credible,
    probability,
    widen,
)
from scrnn_stream.channels import ERROR, LEVEL, N_CALIBRATED, N_CHANNELS, RANGE, VALUE_OF, X_READING
from scrnn_stream.judging import LONGEST_GAP, adopt, learn, look, move_clock, read, see_fast, steps_since, wait
from tests.watching import Watched

GRACE = 50


def clock(times: list[float]) -> np.ndarray:
    numbers = np.zeros(at.TABLE)
    numbers[at.TIME] = np.nan
    for time in times:
        move_clock(numbers, time)
    return numbers


def test_the_usual_interval_is_its_naive_twin() -> None:
    times = np.cumsum(np.random.default_rng(1).uniform(50, 70, 200))
    times[100:] += 9000
    interval = times[1] - times[0]
    for gap in np.diff(times)[1:]:
        interval += 0.02 * (min(gap, 3 * interval) - interval)
    assert clock(times.tolist())[at.INTERVAL] == pytest.approx(interval)


@pytest.mark.parametrize("later", [[], [120.0], [60.0], [np.nan]])
def test_time_that_stands_still_or_is_missing_moves_no_clock(later: list[float]) -> None:
    numbers = clock([0.0, 60.0, 120.0, *later])
    assert (numbers[at.TIME], numbers[at.INTERVAL]) == (120.0, 60.0)


@pytest.mark.parametrize(
    ("time", "steps"),
    [(180.0, 1.0), (209.0, 1.0), (240.0, 2.0), (120.0, 1.0), (0.0, 1.0), (np.nan, 1.0), (1e12, LONGEST_GAP)],
)
def test_a_gap_is_told_in_usual_intervals_and_everything_else_is_one_step(time: float, steps: float) -> None:
    assert steps_since(clock([0.0, 60.0, 120.0]), time) == steps
    assert steps_since(clock([]), time) == steps_since(clock([5.0]), time) == 1.0


def test_what_is_no_reading_is_missing() -> None:
    x = np.zeros(5)
    read(x, np.array([1.0, np.nan, np.inf, -1e101, -1e100, 77.0]))
    np.testing.assert_array_equal(x, [1.0, np.nan, np.nan, np.nan, -1e100])


def test_each_channel_that_looks_raises_the_price() -> None:
    watched = Watched(2)
    numbers, counts, calm, *_ = watched.machine
    head = np.full(at.MEASURED, np.nan)
    statistics = head[at.STATISTICS : at.OF_TAIL]
    statistics[:N_CALIBRATED] = 2.5
    assert look(head, numbers, counts, calm, 2) == (1.0, 1.0)
    np.testing.assert_array_equal(head[:N_CHANNELS], 1.0)
    widen(at.tail_of(numbers, ERROR), 2.0)  # so that 2.5 is news
    for channel in (ERROR, LEVEL):
        for value in np.random.default_rng(1).exponential(size=N_NEEDED[channel]):
            learn_value(numbers, counts, calm, watched.desk[1], channel, value)
    p = [
        cluster_probability(probability(numbers, counts, calm, k, 2.5), LOG_CLUSTER_LENGTHS[k]) for k in (ERROR, LEVEL)
    ]
    assert look(head, numbers, counts, calm, 2) == pytest.approx((2 * min(p), 2 * min(p)))
    np.testing.assert_allclose(head[[ERROR, LEVEL]], p)
    assert (np.delete(head[:N_CHANNELS], [ERROR, LEVEL]) == 1).all()
    statistics[N_CALIBRATED + X_READING] = 1e-4  # its own p; of the tails it is none
    assert look(head, numbers, counts, calm, 2) == pytest.approx((3e-4, 2 * min(p)))
    statistics[[LEVEL, N_CALIBRATED + X_READING]] = np.nan
    assert look(head, numbers, counts, calm, 2) == pytest.approx((p[0], p[0]))


def test_beyond_its_values_a_tail_is_believed_by_the_score_in_part_and_by_alerts_in_whole() -> None:
    watched = Watched(2)
    numbers, counts, calm, *_ = watched.machine
    for value in np.random.default_rng(1).exponential(size=N_NEEDED[RANGE]):
        learn_value(numbers, counts, calm, watched.desk[1], RANGE, value)
    head = np.full(at.MEASURED, np.nan)
    for statistic in (30.0, 1e3, 1e6):
        head[at.STATISTICS + RANGE] = statistic
        of_tail = probability(numbers, counts, calm, RANGE, statistic)
        of_tail = cluster_probability(of_tail, LOG_CLUSTER_LENGTHS[RANGE])
        p = believed(of_tail, least_credible(numbers, counts, RANGE, statistic), belief(RANGE, 2))
        assert look(head, numbers, counts, calm, 2) == pytest.approx((p, of_tail))
        assert (head[RANGE], head[at.OF_TAIL + RANGE]) == pytest.approx((p, of_tail))
        assert p > of_tail


def test_a_fast_channel_says_in_the_score_only_what_it_never_said() -> None:
    watched = Watched(2)
    numbers, counts, calm, *_ = watched.machine
    for value in np.random.default_rng(1).exponential(size=N_NEEDED[ERROR]):
        learn_value(numbers, counts, calm, watched.desk[1], ERROR, value)
    counts[at.N_RECORDS] = GRACE
    head = np.full(at.MEASURED, np.nan)
    head[at.STATISTICS + ERROR] = 30.0
    of_tail = probability(numbers, counts, calm, ERROR, 30.0)
    first = look(head, numbers, counts, calm, 2)
    assert of_tail < first[0] < 0.01
    see_fast(numbers, counts, head, GRACE)
    assert look(head, numbers, counts, calm, 2) == pytest.approx((1.0, of_tail))
    head[at.STATISTICS + ERROR] = 60.0
    assert look(head, numbers, counts, calm, 2)[0] < 0.01


def test_measurements_wait_in_their_order_and_an_improbable_record_empties_the_queue() -> None:
    watched = Watched(1)
    counts = watched.machine[1]
    for t in range(70):
        watched.measure(np.array([float(t)]), np.zeros(1))
        watched.desk[0][at.P_OF_TAILS] = 1.0
        learn(np.nan, 10, 500, watched.machine, watched.desk)
    assert (counts[at.N_WAITING], counts[at.N_RECORDS]) == (at.N_QUEUED, 50)
    averages = watched.machine[7][(counts[at.HEAD] + np.arange(at.N_QUEUED)) % at.N_PLACES, VALUE_OF[LEVEL], 0]
    assert (np.diff(averages) > 0).all()  # of a sensor that rises
    assert averages[-1] == watched.row(at.AVERAGE + VALUE_OF[LEVEL])[0]
    watched.desk[0][at.P_OF_TAILS] = 1e-6
    learn(np.nan, 10, 500, watched.machine, watched.desk)
    assert (counts[at.N_WAITING], counts[at.N_IMPROBABLE], counts[at.N_RECORDS]) == (0, 1, 50)


def test_the_queue_holds_what_was_measured() -> None:
    watched = Watched(2)
    _, counts, _, _, _, _, heads, tables = watched.machine
    counts[at.HEAD] = at.N_PLACES - 1  # round the corner
    for t in range(3):
        watched.desk[2][:], watched.desk[3][:] = t, 10 + t
        wait(watched.machine, watched.desk)
    assert counts[at.N_WAITING] == 3
    np.testing.assert_array_equal(heads[[-1, 0, 1], 0], [0, 1, 2])
    np.testing.assert_array_equal(tables[[-1, 0, 1], -1, -1], [10, 11, 12])


def test_a_new_state_is_learned_from_scratch() -> None:
    watched = Watched(2)
    for x in np.random.default_rng(2).normal(size=(80, 2)):
        watched.take(x, x)
    average = watched.row(at.AVERAGE).copy()
    watched.row(at.SCALE_MEAN)[:] = 5.0
    adopt(watched.machine, watched.desk)
    counts = watched.machine[1]
    assert (counts[at.N_REGIMES], counts[at.N_RECORDS], counts[at.N_CALM : at.N_COUNTS].sum()) == (1, 0, 0)
    assert not watched.row(at.SCALE_MEAN).any()
    np.testing.assert_array_equal(watched.row(at.AVERAGE), average)
