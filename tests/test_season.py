"""What the hour leads to expect, against least squares solved at once; persistence, late sensors, lost time."""

from __future__ import annotations

import numpy as np
import pytest

from scrnn_stream import SCRNN, SCRNNDetector
from scrnn_stream import places as at
from scrnn_stream.channels import N_CALIBRATED, X_ADJUSTED, X_READING
from scrnn_stream.encoding import decode, encode
from scrnn_stream.machines import Machines
from scrnn_stream.season import (
    DAY_S,
    LARGEST_VARIANCE,
    MEMORY_S,
    N_REGRESSORS,
    WEEK_S,
    expectation,
    learn_season,
    regressors,
)
from tests.naive import season, season_regressors
from tests.watching import POLICY

START = 1.7e9
HOUR_S = 3600.0


class Season:
    """The season of D sensors, learned without a machine."""

    def __init__(self, n_sensors: int) -> None:
        self.weights = np.full((N_REGRESSORS, n_sensors), np.nan)
        self.covariance = np.eye(N_REGRESSORS)
        self.f, self.gain = np.zeros(N_REGRESSORS), np.zeros(N_REGRESSORS)

    def learn(self, time: float, x: np.ndarray, dt: float, age: float) -> None:
        regressors(self.f, time, age)
        learn_season(self.weights, self.covariance, self.gain, self.f, x, dt)

    def follow(self, times: np.ndarray, X: np.ndarray) -> Season:
        for t, (time, x) in enumerate(zip(times, X, strict=True)):
            self.learn(time, x, time - times[max(0, t - 1)], time - times[0])
        return self

    def expect(self, time: float, j: int = 0, age: float = 1e9) -> float:
        regressors(self.f, time, age)
        return float(expectation(self.f, self.weights, j))


def hourly(n: int) -> np.ndarray:
    return START + HOUR_S * np.arange(n)


def daily(times: np.ndarray) -> np.ndarray:
    """A day with a morning and an evening, and a quiet Sunday."""
    day, week = 2 * np.pi * times / DAY_S, 2 * np.pi * times / WEEK_S
    return np.asarray(10 + 3 * np.sin(day) + np.cos(2 * day) + np.sin(week))


@pytest.mark.parametrize("age", [0.0, DAY_S - 1, DAY_S, WEEK_S - 1, WEEK_S])
def test_the_regressors_are_their_naive_twin_and_wait_for_a_whole_period(age: float) -> None:
    out = np.zeros(N_REGRESSORS)
    for time in (START, START + 12345.6, 0.0):
        regressors(out, time, age)
        np.testing.assert_allclose(out, season_regressors(time, age), atol=1e-9)
        assert (out[1:] != 0).any() == (age >= DAY_S)


def test_the_weights_are_those_of_least_squares_solved_at_once() -> None:
    rng = np.random.default_rng(1)
    times = START + np.cumsum(rng.uniform(0.2, 1.8, 500)) * HOUR_S
    X = 50 + 5 * rng.normal(size=(500, 2))
    learned = Season(2).follow(times, X)
    F = np.array([season_regressors(time, time - times[0]) for time in times])
    dts = np.diff(times, prepend=times[0])
    for j in range(2):
        np.testing.assert_allclose(learned.weights[:, j], season(F, X[:, j], dts, MEMORY_S), rtol=1e-6, atol=1e-6)


def test_the_daily_round_is_learned_and_a_shift_is_not_followed() -> None:
    times = hourly(28 * 24)
    learned = Season(1).follow(times, daily(times)[:, None])
    ahead = times[-1] + HOUR_S * np.arange(1, 25)
    np.testing.assert_allclose([learned.expect(time) for time in ahead], daily(ahead), atol=0.05)
    learned.follow(ahead, daily(ahead)[:, None] + 20)
    assert learned.expect(ahead[-1]) < daily(ahead)[-1] + 5  # a day of it is a small part of the memory


def test_the_first_reading_is_the_first_expectation_whenever_it_comes() -> None:
    learned = Season(2)
    learned.learn(START, np.array([5.0, np.nan]), 0.0, 0.0)
    assert (learned.expect(START, 0), np.isnan(learned.expect(START, 1))) == (5.0, True)
    for t in range(1, 200):
        learned.learn(START + HOUR_S * t, np.array([5.0, np.nan]), HOUR_S, HOUR_S * t)
    learned.learn(START + 200 * HOUR_S, np.array([5.0, 1e6]), HOUR_S, 200 * HOUR_S)
    assert learned.expect(START, 1) == 1e6


@pytest.mark.parametrize(("scale", "shift"), [(1000.0, 0.0), (1.0, 1e4), (1e-3, -40.0)])
def test_scale_and_shift_do_not_matter(scale: float, shift: float) -> None:
    times = hourly(400)
    X = daily(times) + np.random.default_rng(2).normal(size=400)
    learned = Season(2).follow(times, np.column_stack([X, scale * X + shift]))
    for time in times[::50]:
        assert learned.expect(time, 1) == pytest.approx(scale * learned.expect(time, 0) + shift, rel=1e-9, abs=1e-9)


def test_missing_readings_are_skipped() -> None:
    times = hourly(400)
    X = np.column_stack([daily(times), daily(times)])
    X[np.random.default_rng(3).random(400) < 0.3, 1] = np.nan
    learned = Season(2).follow(times, X)
    assert np.isfinite(learned.weights).all()
    np.testing.assert_allclose([learned.expect(time, 1) for time in times[-24:]], daily(times[-24:]), atol=0.5)


def test_what_never_moves_does_not_let_the_covariance_grow_without_end() -> None:
    learned = Season(1)
    for _ in range(3000):
        learned.learn(START, np.array([1.0]), DAY_S, 0.0)
    assert learned.covariance.diagonal().max() <= LARGEST_VARIANCE * (1 + 1e-9)
    assert learned.expect(START) == pytest.approx(1.0)


# -- of a machine ------------------------------------------------------------------------------------------------------


def machines(n_sensors: int) -> Machines:
    made = Machines(n_sensors, network(n_sensors), POLICY)
    made.add(1)
    return made


def network(n_sensors: int) -> SCRNN:
    return SCRNN(n_sensors, n_sensors, n_hidden=2, n_context=2, seed=1)


def follow(some: Machines, times: np.ndarray, X: np.ndarray) -> np.ndarray:
    """The scores of the first machine; rows are hourly."""
    scores, ps = np.empty(len(X)), np.empty(len(X))
    some.process(scores, ps, np.column_stack([X, times]), np.zeros(len(X), np.int64), True)
    return scores


def expected(some: Machines, time: float, j: int) -> float:
    f = np.zeros(N_REGRESSORS)
    regressors(f, time, 1e9)
    return float(expectation(f, some.table(0)[at.WEIGHTS :], j))


def noisy(times: np.ndarray, n_sensors: int) -> np.ndarray:
    rng = np.random.default_rng(4)
    return daily(times)[:, None] + 0.3 * rng.normal(size=(len(times), n_sensors))


def test_the_season_survives_a_restart() -> None:
    times = hourly(700)
    X = noisy(times, 2)
    original = machines(2)
    follow(original, times[:600], X[:600])
    twin = Machines.from_state(decode(encode(original.to_state())), POLICY)
    np.testing.assert_array_equal(twin.table(0)[at.WEIGHTS : at.PICTURE], original.table(0)[at.WEIGHTS : at.PICTURE])
    np.testing.assert_array_equal(follow(twin, times[600:], X[600:]), follow(original, times[600:], X[600:]))
    assert encode(twin.to_state()) == encode(original.to_state())


def test_a_sensor_that_joins_learns_its_season_as_fast_as_the_first_and_the_others_keep_theirs() -> None:
    times = hourly(40 * 24)
    X = noisy(times, 2)
    old = machines(1)
    follow(old, times[: 30 * 24], X[: 30 * 24, :1])
    grown = old.grown(2, network(2))
    np.testing.assert_array_equal(grown.table(0)[at.WEIGHTS : at.PICTURE, 0], old.table(0)[at.WEIGHTS : at.PICTURE, 0])
    follow(grown, times[30 * 24 :], X[30 * 24 :])
    ahead = times[-1] + HOUR_S * np.arange(1, 25)
    for j in range(2):
        off = [expected(grown, time, j) for time in ahead] - daily(ahead)
        assert np.abs(off).max() < 1.0


def test_a_reading_of_the_wrong_hour_is_a_new_extreme_of_the_adjusted_ones_alone() -> None:
    detector, times = SCRNNDetector(2, 2, time_key="time", seed=1), START + 600.0 * np.arange(8 * 144)
    for x, time in zip(noisy(times, 1)[:, 0].tolist(), times.tolist(), strict=True):
        detector.learn_one({"load": x, "time": time})
    ahead = times[-1] + 600.0 * np.arange(1, 145)
    quiet, peak = ahead[daily(ahead).argmin()], daily(ahead).max()
    new = detector.assess_one({"load": peak, "time": quiet}).p_channels[N_CALIBRATED:]
    assert new[X_ADJUSTED] < 1e-4
    assert new[X_READING] == 1
    assert detector.assess_one({"load": daily(quiet), "time": quiet}).p_channels[N_CALIBRATED + X_ADJUSTED] == 1


def test_readings_without_time_leave_the_season_as_it_is() -> None:
    some, times = machines(1), hourly(200)
    follow(some, np.full(200, np.nan), noisy(times, 1) + 1000)
    assert np.isnan(some.table(0)[at.WEIGHTS : at.PICTURE]).all()
    np.testing.assert_array_equal(at.season_of(some.numbers[0]), np.eye(N_REGRESSORS))
    follow(some, times, noisy(times, 1) + 1000)
    assert expected(some, times[0], 0) == pytest.approx(1010, abs=5)
