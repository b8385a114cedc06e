"""Recursive least squares against least squares solved at once, and what keeps them from running away."""

from __future__ import annotations

import numpy as np

from scrnn_stream.least_squares import correct, correct_all, expectation, take_in
from tests.naive import forgetful_least_squares


def follow(F: np.ndarray, X: np.ndarray, keep: float, largest: float = 1e9) -> tuple[np.ndarray, np.ndarray]:
    """Weights (F, D) and covariance after all rows."""
    weights, covariance = np.zeros((F.shape[1], X.shape[1])), np.eye(F.shape[1])
    gain = np.zeros(F.shape[1])
    for f, x in zip(F, X, strict=True):
        spread = take_in(covariance, gain, f, keep, largest)
        for j in range(x.size):
            correct(weights, gain, spread, x[j] - expectation(f, weights, j), j)
    return weights, covariance


def test_the_weights_are_those_of_least_squares_solved_at_once() -> None:
    rng = np.random.default_rng(1)
    F, X = rng.normal(size=(300, 4)), rng.normal(size=(300, 2))
    weights, covariance = follow(F, X, 0.99)
    expected, expected_covariance = forgetful_least_squares(F, X, 0.99)
    np.testing.assert_allclose(weights, expected, rtol=1e-9)
    np.testing.assert_allclose(covariance, expected_covariance, rtol=1e-9)


def test_a_regressor_that_never_moves_leaves_its_weight_no_more_uncertain_than_allowed() -> None:
    rng = np.random.default_rng(2)
    F = rng.normal(size=(3000, 3)) * np.array([1, 0, 1])
    _, covariance = follow(F, F[:, :1], 0.99, largest=1.0)
    assert 0.99 < covariance[1, 1] <= 1.0
    assert np.linalg.eigvalsh(covariance).min() > 0


def test_rounding_does_not_make_the_covariance_run_away() -> None:
    rng = np.random.default_rng(4)
    F = rng.normal(size=(20_000, 6)).cumsum(axis=1) * 10.0 ** rng.integers(-2, 3, 6)
    weights, covariance = follow(F, F[:, :1], 0.99)  # 200 times the memory: e^200 times the rounding of a record
    np.testing.assert_array_equal(covariance, covariance.T)
    assert np.linalg.eigvalsh(covariance).min() > 0
    np.testing.assert_allclose(weights[:, 0], np.eye(6)[0], atol=1e-6)


def test_what_is_no_covariance_begins_anew_and_the_record_says_nothing() -> None:
    covariance, gain = np.diag([1.0, -5.0]), np.ones(2)
    assert take_in(covariance, gain, np.array([0.0, 1.0]), 0.99, 1e9) == 1.0
    np.testing.assert_array_equal(covariance, np.eye(2))
    np.testing.assert_array_equal(gain, 0.0)


def test_all_columns_at_once_are_each_on_its_own() -> None:
    rng = np.random.default_rng(3)
    gain, errors = rng.normal(size=4), rng.normal(size=3)
    one, all_of_them = np.ones((4, 3)), np.ones((4, 3))
    correct_all(all_of_them, gain, 1.5, errors)
    for j in range(3):
        correct(one, gain, 1.5, errors[j], j)
    np.testing.assert_allclose(all_of_them, one, rtol=1e-12)
