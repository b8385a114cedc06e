"""New extremes against their naive twin; what has happened is not new, and neither unit nor origin matters."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scrnn_stream import SCRNNDetector
from scrnn_stream import extremes as ex
from scrnn_stream import places as at
from scrnn_stream.channels import N_CALIBRATED, N_EXTREMES, X_CHANGE, X_READING
from scrnn_stream.extremes import N_LEAST, SOMETHING, least_probable, see_nothing, tail_beyond, take_in
from scrnn_stream.judging import PROTECTION_P, forget
from tests.naive import new_extremes
from tests.watching import Watched

CONSTANTS = {name: getattr(ex, name) for name in ("N_LEAST", "FLOOR", "UNCERTAIN", "SHAPE", "NOTHING", "SOMETHING")}


class Seen:
    """What was seen of values (N_EXTREMES, D), the same of each kind."""

    def __init__(self, n_sensors: int) -> None:
        self.values = np.zeros((N_EXTREMES, n_sensors))
        self.extremes = np.zeros((at.N_OF_EXTREME, N_EXTREMES, n_sensors))
        see_nothing(self.extremes)

    def take(self, rows: np.ndarray) -> None:
        for row in rows:
            self.values[:] = row
            take_in(self.extremes, self.values)

    def p(self, row: np.ndarray | list[float], kind: int = X_READING) -> float:
        self.values[:] = row
        return float(least_probable(self.values, self.extremes, kind))


def seen(rows: np.ndarray) -> Seen:
    some = Seen(rows.shape[1])
    some.take(rows)
    return some


def normal(n: int, n_sensors: int = 1, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, n_sensors))


def test_the_probability_is_its_naive_twin_with_missing_and_late_sensors() -> None:
    rng = np.random.default_rng(2)
    rows = rng.standard_t(2, (600, 3)) * [1, 100, 0.01]
    rows[rng.random(rows.shape) < 0.1] = np.nan
    rows[:300, 2] = np.nan
    some, told = Seen(3), []
    for t, row in enumerate(rows):
        told.append(some.p(row, kind=t % N_EXTREMES))
        np.testing.assert_allclose(told[-1], new_extremes(rows[:t], row, **CONSTANTS), rtol=1e-9)
        some.take(row[None])
    assert np.nanmin(told) < 10**-SOMETHING
    assert np.isnan(told[:N_LEAST]).all()


def test_the_last_of_many_is_the_largest_as_often_as_theory_says() -> None:
    n, largest = 200, 0
    rows = normal(n + 1, 4000, seed=3)
    some = Seen(4000)
    some.extremes[at.N_SEEN] = n
    some.extremes[at.SEEN_LOW], some.extremes[at.SEEN_HIGH] = rows[:-1].min(0), rows[:-1].max(0)
    for j in range(4000):
        p = ex.probability_of(np.tile(rows[-1], (N_EXTREMES, 1)), some.extremes, X_READING, j)
        largest += p < 1
        assert p == 1 or p < 2 / (n + 1)
    assert largest / 4000 == pytest.approx(2 / (n + 1), rel=0.5)  # to either side; 40 are due


def test_what_has_happened_once_is_not_new_and_a_little_more_is_nothing() -> None:
    some = seen(normal(500))
    assert some.p([20.0]) < 1e-5
    some.take(np.array([[20.0]]))
    assert some.p([20.0]) == some.p([19.0]) == some.p([20.01]) == 1.0
    assert some.p([-20.0]) < 10**-SOMETHING  # of the other end nothing was learned


def test_farther_outside_is_less_probable_and_both_ends_count_alike() -> None:
    rows = normal(500)
    some = seen(np.concatenate([rows, -rows]))
    p = [some.p([by]) for by in np.linspace(3, 1e6, 50)]
    assert p == sorted(p, reverse=True)
    np.testing.assert_allclose([some.p([-by]) for by in (5.0, 50.0)], [some.p([by]) for by in (5.0, 50.0)], rtol=1e-12)


def test_each_sensor_that_is_judged_raises_the_price() -> None:
    rows = normal(500, 4)
    rows[:, 1:] = rows[:, :1]
    alone = seen(rows[:, :1]).p([9.0])
    assert seen(rows).p([9.0, 0, 0, 0]) == pytest.approx(4 * alone)
    assert seen(rows).p([9.0, 0, 0, np.nan]) == pytest.approx(3 * alone)  # one that is missing is not looked at
    rows[N_LEAST:, 2] = np.nan
    rows[0, 2] = np.nan
    assert seen(rows).p([9.0, 0, 1e6, 0]) == pytest.approx(3 * alone)  # nor one of which too little is known


@settings(max_examples=50)
@given(st.floats(-6, 6), st.floats(-1e3, 1e3), st.integers(0, 99))
def test_scale_and_shift_do_not_matter(log_scale: float, shift: float, seed: int) -> None:
    rows, scale = normal(N_LEAST + 50, 2, seed), 10**log_scale
    x = 8 * normal(1, 2, seed + 100)[0]
    moved = seen(scale * (rows + shift)).p(scale * (x + shift))
    assert moved == pytest.approx(seen(rows).p(x), rel=1e-6)


def test_missing_values_are_skipped() -> None:
    rows = normal(2 * N_LEAST)
    with_gaps = np.full((4 * N_LEAST, 1), np.nan)
    with_gaps[::2] = rows
    one, other = seen(rows), seen(with_gaps)
    np.testing.assert_array_equal(one.extremes, other.extremes)
    assert np.isnan(one.p([np.nan]))
    assert np.isnan(one.p([np.inf]))


def test_a_range_without_width_says_nothing() -> None:
    assert seen(np.full((500, 1), 7.0)).p([8.0]) == 1.0
    assert tail_beyond(8.0, 7.0, 7.0, 500.0, 1.0) == tail_beyond(5.0, np.inf, -np.inf, 500.0, 1.0) == 1.0


# -- of a machine ------------------------------------------------------------------------------------------------------


def test_a_glitch_is_no_measure_of_later_changes() -> None:
    watched = Watched(1)
    for x in normal(300, seed=4):
        watched.take(x, np.zeros(1))
    calm = at.extremes_of(watched.machine[0], 1)[at.SEEN_HIGH, X_CHANGE, 0]
    watched.advance(np.array([1e12]), np.zeros(1))
    for x in normal(5, seed=5):
        watched.advance(x, np.zeros(1))
    assert at.extremes_of(watched.machine[0], 1)[at.SEEN_HIGH, X_CHANGE, 0] < 100 * calm


def test_an_improbable_record_enters_the_range_and_a_state_that_is_learned_anew_keeps_it() -> None:
    detector = SCRNNDetector(2, 2, seed=1)
    for x in normal(600, seed=6)[:, 0].tolist():
        detector.learn_one({"a": x})
    wild = detector.assess_one({"a": 50.0})
    assert wild.p_channels[N_CALIBRATED + X_READING] < 10**-SOMETHING
    assert wild.p_of_tails < PROTECTION_P
    detector.learn_one({"a": 50.0})
    assert detector.assess_one({"a": 50.0}).p_channels[N_CALIBRATED + X_READING] == 1
    extremes = at.extremes_of(detector._machine.numbers[0], 1)
    before = extremes.copy()
    forget(detector._machine.machine(0), detector._machine._desk())
    np.testing.assert_array_equal(extremes, before)
