"""Errors by what is to be expected of them: given the others' errors, given movement, and limited."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from scrnn_stream import places as at
from scrnn_stream.surprise import (
    LARGEST_SURPRISE,
    N_KNOWN,
    forget_errors,
    given_others,
    judge_errors,
    learn_sizes,
    move,
)

D = 3


class Judge:
    """What `judging` does with errors, without a machine."""

    def __init__(self, n_sensors: int = D) -> None:
        self.table = np.zeros((at.N_LINES, n_sensors))
        self.precision = np.zeros((n_sensors, n_sensors))
        forget_errors(self.precision)
        self.scratch, self.measured = np.zeros((at.N_SCRATCH, n_sensors)), np.zeros((at.N_JUDGED, n_sensors))

    def judge(self, z: np.ndarray, e: np.ndarray) -> np.ndarray:
        self.scratch[at.RAW], self.scratch[at.SCALED_X] = e, z
        judge_errors(self.measured, self.table, self.precision, self.scratch)
        return self.scratch[at.ERRORS].copy()

    def learn(self, z: np.ndarray, e: np.ndarray) -> np.ndarray:
        v = self.judge(z, e)
        move(self.table, self.scratch)
        learn_sizes(self.table, self.precision, self.measured[at.RESIDUAL], self.scratch)
        self.table[at.PREVIOUS] = z
        self.table[at.N_LEARNED] += 1
        return v


def moving(n: int, seed: int = 0) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Readings that rest and are driven in turn, every hundred records; then errors are ten times as large."""
    rng, z = np.random.default_rng(seed), np.zeros(D)
    for t in range(n):
        is_driven = t // 100 % 2 == 1
        z = z + is_driven * rng.choice((-1.0, 1.0), D)
        yield z, rng.normal(size=D) * (1.0 if is_driven else 0.1)


def test_the_error_of_a_sensor_is_less_what_those_of_the_others_lead_to_expect() -> None:
    rng, judge = np.random.default_rng(1), Judge()
    E = rng.normal(size=(3000, 1)) * [1.0, 2.0, -1.0] + 0.1 * rng.normal(size=(3000, D))
    for e in E:
        judge.learn(np.zeros(D), e)
    r = np.zeros(D)
    given_others(r, E[-1], judge.precision)
    for j in range(D):
        others = np.delete(E, j, axis=1)[-2000:]
        weights, *_ = np.linalg.lstsq(others, E[-2000:, j], rcond=None)
        assert abs(r[j] - (E[-1, j] - others[-1] @ weights)) < 0.02


def test_a_missing_error_is_none_and_leaves_the_others_theirs() -> None:
    r = np.zeros(D)
    given_others(r, np.array([1.0, np.nan, 2.0]), np.eye(D))
    np.testing.assert_array_equal(r, [1.0, np.nan, 2.0])


def test_errors_are_as_large_driven_as_at_rest_once_it_is_known_what_movement_does() -> None:
    judge = Judge()
    v = np.array([judge.learn(z, e) for z, e in moving(6000)])[3000:]
    is_driven = np.arange(3000) // 100 % 2 == 1
    settled = np.arange(3000) % 100 >= 20
    at_rest, when_driven = np.abs(v[~is_driven & settled]).mean(), np.abs(v[is_driven & settled]).mean()
    assert 0.5 < when_driven / at_rest < 2


def test_until_sizes_are_known_an_error_counts_as_it_is() -> None:
    judge = Judge()
    for z, e in list(moving(N_KNOWN)):
        judge.learn(z, e)
        assert (judge.measured[at.RATIO] == 1).all()


def test_one_error_counts_as_so_many_usual_ones_at_most() -> None:
    judge = Judge()
    for z, e in moving(1000):
        judge.learn(z, e)
    usual = judge.table[at.SIZES]
    v = judge.judge(judge.table[at.PREVIOUS], np.array([1e6, 1e5, 0.0]))
    np.testing.assert_allclose(v[0], LARGEST_SURPRISE * usual[0])
    assert 0 < v[1] < 0.2 * LARGEST_SURPRISE * usual[1]


def test_judging_changes_nothing_that_is_kept() -> None:
    judge = Judge()
    for z, e in moving(100):
        judge.learn(z, e)
    before = judge.table.copy(), judge.precision.copy()
    judge.judge(np.full(D, 5.0), np.ones(D))
    np.testing.assert_array_equal(judge.table, before[0])
    np.testing.assert_array_equal(judge.precision, before[1])


def test_many_sensors_have_no_correlations() -> None:
    judge = Judge(at.MOST_DENSE + 1)
    judge.precision = np.ones((1, at.MOST_DENSE + 1))
    e = np.linspace(-1, 1, at.MOST_DENSE + 1)
    np.testing.assert_array_equal(judge.judge(np.zeros_like(e), e), e)
