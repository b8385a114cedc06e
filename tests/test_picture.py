"""The picture of calm: measures against their naive twins, sensors that are missing, what the others say."""

from __future__ import annotations

import numpy as np
import pytest

from scrnn_stream import picture as pic
from scrnn_stream import places as at
from scrnn_stream.channels import LEVEL, N_DISTANCES, N_VALUES, SENSOR
from scrnn_stream.places import MOST_DENSE
from tests.naive import conditional, farthest_outside, hotelling
from tests.watching import Watched


def learned(n: int, n_sensors: int, seed: int) -> Watched:
    """A picture of sensors with common causes, each with a scale of its own."""
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(max(1, n_sensors // 2), n_sensors)) * rng.uniform(0.1, 50, n_sensors)
    watched = Watched(n_sensors)
    watched.row(at.N_CHANGES)[:] = n
    for _ in range(n):
        watched.learn(rng.normal(size=(N_VALUES, len(mixing))) @ mixing + rng.normal(size=(N_VALUES, n_sensors)))
    return watched


def location(watched: Watched, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation of the values of a channel."""
    return watched.row(at.MEAN + k), watched.row(at.DEVIATION + k)


# -- measuring --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_sensors", [1, 2, 6, MOST_DENSE + 2])
def test_the_distance_is_its_naive_twin_with_and_without_some_sensors(n_sensors: int) -> None:
    watched = learned(300, n_sensors, seed=n_sensors)
    rng = np.random.default_rng(1)
    for k in range(N_DISTANCES):
        precision = watched.precision[k] if n_sensors <= MOST_DENSE else np.eye(n_sensors)
        mean, deviation = location(watched, k)
        for share in (1.0, 0.7, 0.7, 0.3):
            v, used = 30 * rng.normal(size=n_sensors), rng.random(n_sensors) < share
            z = (v - mean) / deviation
            expected = pic.scaled_to(hotelling(z, precision, used), used.sum(), n_sensors) if used.any() else np.nan
            assert watched.distance(k, v, used) == pytest.approx(expected, rel=1e-6, nan_ok=True)


def test_a_distance_over_fewer_sensors_is_as_improbable_as_over_all() -> None:
    chi = np.random.default_rng(6).normal(size=(200_000, 12)) ** 2
    few = np.array([pic.scaled_to(t2, 3, 12) for t2 in chi[:, :3].mean(1)[:50_000]])
    for quantile in (0.5, 0.9, 0.99, 0.999):
        assert np.quantile(few, quantile) == pytest.approx(np.quantile(chi.mean(1), quantile), rel=0.06)


@pytest.mark.parametrize("k", [LEVEL, SENSOR])
def test_what_is_expected_is_the_mean_given_the_sensors_that_are_there(k: int) -> None:
    watched = learned(300, 6, seed=3)
    rng = np.random.default_rng(2)
    mean, deviation = location(watched, LEVEL)
    covariance = np.linalg.inv(watched.precision[k]) * np.outer(deviation, deviation)
    for _ in range(10):
        v, used = 30 * rng.normal(size=6), rng.random(6) < 0.7
        blame, expected, variance = watched.project(k, v, used)
        for j in range(6):
            others = used & (np.arange(6) != j)
            center, spread = conditional(v, mean, covariance, j, others)
            assert expected[j] == pytest.approx(center, rel=1e-6)
            assert variance[j] == pytest.approx(spread, rel=1e-6)
            assert blame[j] == pytest.approx((v[j] - center) ** 2 / spread if used[j] else 0, rel=1e-6, abs=1e-9)


def test_a_sensor_that_is_clearly_wrong_has_no_say_on_the_others() -> None:
    watched = learned(2000, 6, seed=4)
    rng = np.random.default_rng(5)
    watched.row(at.DISAGREEMENT)[:] = 1.0
    mean, deviation = location(watched, LEVEL)
    v, every = mean + 0.1 * rng.normal(size=6), np.ones(6, bool)
    calm = watched.explain(SENSOR, v, every)[1]
    v[2] += 50 * deviation[2]
    moved = np.abs(watched.explain(SENSOR, v, every)[1] - calm) / deviation
    naive = np.abs(watched.project(SENSOR, v, every)[1] - calm) / deviation
    assert moved.max() < 0.5 < naive.max()


def test_how_far_outside_is_its_naive_twin() -> None:
    rng = np.random.default_rng(3)
    for _ in range(50):
        v, low, used = 3 * rng.normal(size=4), rng.normal(size=4), rng.random(4) < 0.7
        high, each = low + rng.uniform(-0.2, 2, 4), np.zeros(4)  # a range that is empty says nothing
        farthest = pic.excess(each, low, high, v, used.astype(float))
        assert farthest == each.max() == pytest.approx(farthest_outside(v, low, high, used), rel=1e-12)


@pytest.mark.parametrize(("x", "counts_as"), [(4.0, 4.0), (1e9, 1 + 200.0), (-1e9, 1 - 200.0), (np.nan, np.nan)])
def test_a_wild_reading_counts_as_a_hundred_deviations_once_those_are_known(x: float, counts_as: float) -> None:
    table = np.zeros((at.N_LINES, 1))
    table[at.MEAN + LEVEL], table[at.DEVIATION + LEVEL], table[at.N_LEARNED] = 1.0, 2.0, 20
    np.testing.assert_equal(pic.limited(x, table, 4.0, 0), counts_as)
    table[at.N_LEARNED] = 19
    np.testing.assert_equal(pic.limited(x, table, 4.0, 0), x)
