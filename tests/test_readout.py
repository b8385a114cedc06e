"""The readout of a network by least squares: what it expects, what it learns, growth."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from scrnn_stream import SCRNN, readout
from scrnn_stream.places import MOST_DENSE
from tests.naive import forgetful_least_squares


class Reader:
    """One network of D sensors and its readout."""

    def __init__(self, n_sensors: int, lr: float = 3e-4, seed: int = 1) -> None:
        self.network = SCRNN(n_sensors, n_sensors, n_hidden=8, n_context=4, lr=lr, seed=seed)
        self.shape = self.network._shape
        self.readout = np.zeros(readout.n_readout(self.shape))
        readout.doubt(self.readout, self.shape)
        self.scratch = np.zeros(readout.n_scratch(self.shape))
        self.out = np.zeros(n_sensors, np.float32)

    @property
    def row(self) -> tuple[np.ndarray, ...]:
        network = self.network
        return self.out, self.scratch, network._work, self.readout, network._network, network._counts

    def expect(self, x: np.ndarray, step: float = 1.0) -> np.ndarray:
        readout.expect(*self.row, x, step, self.shape, self.network._kind)
        return self.out.copy()

    def learn(self, x: np.ndarray, target: np.ndarray, step: float = 1.0) -> np.ndarray:
        readout.learn(*self.row, x, target, step, self.shape, self.network._kind, self.network._rates)
        return self.out.copy()

    def follow(self, X: np.ndarray) -> np.ndarray:
        """Errors, a row for each but the first."""
        return np.array([target - self.learn(x, target) for x, target in itertools.pairwise(X)])

    @property
    def regressors(self) -> np.ndarray:
        f = np.zeros(readout.n_regressors(self.shape))
        readout.regressors(f, np.zeros(self.shape[0]), self.network._network, self.network._counts, self.shape)
        return f


def driven(n: int, seed: int = 0) -> np.ndarray:
    """A set-point that jumps, and a sensor that follows it with a lag."""
    rng = np.random.default_rng(seed)
    jumps = np.where(rng.random(n) < 0.03, rng.normal(size=n), np.nan)
    jumps[0] = 0.0
    setpoint = jumps[np.maximum.accumulate(np.where(np.isnan(jumps), 0, np.arange(n)))]
    speed = np.zeros(n)
    for t in range(1, n):
        speed[t] = speed[t - 1] + 0.2 * (setpoint[t - 1] - speed[t - 1])
    return np.stack([setpoint, speed + 0.02 * rng.normal(size=n)], axis=1)


def test_what_is_learned_is_what_was_expected() -> None:
    reader, X = Reader(2), driven(200)
    for x, target in itertools.pairwise(X):
        expected = reader.expect(x)
        np.testing.assert_allclose(reader.learn(x, target), expected, atol=1e-5)


def test_the_weights_are_least_squares_over_units_and_last_readings() -> None:
    reader, X, F = Reader(2, lr=1e-12), driven(200), list[np.ndarray]()
    for x, target in itertools.pairwise(X):
        reader.learn(x, target)
        F.append(np.concatenate([reader.network.hidden, reader.network.context, [1.0], x]))
    expected, _ = forgetful_least_squares(np.array(F, float), X[1:], readout.KEEP)
    np.testing.assert_allclose(
        readout.weights_of(reader.readout, reader.shape), expected, atol=3e-3
    )  # units are float32


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_lag_is_foreseen_better_than_by_gradients_and_far_better_than_by_the_last_reading(seed: int) -> None:
    X = driven(3000, seed)
    errors = Reader(2, seed=seed).follow(X)[1000:, 1]
    predictions, _ = SCRNN(2, 2, n_hidden=8, n_context=4, seed=seed).replay(X[:-1], X[1:])
    by_gradients = (X[1:] - predictions)[1000:, 1]
    last = np.diff(X[:, 1])[1000:]
    assert errors.std() < 0.6 * last.std()
    assert errors.std() < 0.9 * by_gradients.std()


def test_missing_readings_teach_the_others() -> None:
    reader, X = Reader(2), driven(500)
    X[100:300, 0] = np.nan
    assert np.isfinite(reader.follow(X)[99:298, 1]).all()
    assert np.isfinite(reader.readout).all()


def test_across_a_gap_the_readout_learns_nothing() -> None:
    reader, X = Reader(2), driven(50)
    reader.follow(X)
    before = reader.readout.copy()
    reader.learn(X[0], X[1], step=7.0)
    np.testing.assert_array_equal(reader.readout, before)


def test_growth_keeps_what_is_expected_of_the_old_sensors() -> None:
    reader, X = Reader(2), driven(300)
    reader.follow(X)
    expected, shape = reader.expect(X[-1]), reader.shape
    reader.network.grow(3, 3)
    reader.shape, reader.out = reader.network._shape, np.zeros(3, np.float32)
    reader.readout = readout.grown(reader.readout, shape, reader.shape)
    reader.scratch = np.zeros(readout.n_scratch(reader.shape))
    grown = reader.expect(np.append(X[-1], np.nan))
    np.testing.assert_allclose(grown, [*expected, 0.0], atol=1e-5)


def test_beyond_the_most_dense_there_is_no_direct_path() -> None:
    reader = Reader(MOST_DENSE + 1)
    assert readout.n_regressors(reader.shape) == 8 + 4 + 1
    X = np.random.default_rng(3).normal(size=(60, MOST_DENSE + 1))
    assert np.isfinite(reader.follow(X)).all()
