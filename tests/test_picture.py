"""The picture of calm: measures against their naive twins, sensors that are missing, what the others say."""

from __future__ import annotations

import numpy as np
import pytest

from scrnn_stream import picture as pic
from scrnn_stream.channels import LEVEL, N_CHANNELS, N_DISTANCES, RANGE, SENSOR
from scrnn_stream.picture import MOST_DENSE, Picture, absorb
from tests.naive import absorbed, conditional, farthest_outside, hotelling


def learned(n: int, n_sensors: int, seed: int) -> Picture:
    """A picture of sensors with common causes, each with a scale of its own."""
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(max(1, n_sensors // 2), n_sensors)) * rng.uniform(0.1, 50, n_sensors)
    every = np.ones(n_sensors, bool)
    picture = Picture(n_sensors)
    picture.n_changes[:] = n
    for _ in range(n):
        v = rng.normal(size=(N_CHANNELS, len(mixing))) @ mixing + rng.normal(size=(N_CHANNELS, n_sensors))
        picture.learn(v, np.ones(n_sensors), every, every, every, np.ones(N_DISTANCES))
    return picture


# -- learning ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dense", [True, False])
@pytest.mark.parametrize("weight", [1.0, 0.3])
def test_means_and_covariances_are_their_naive_twin(weight: float, dense: bool) -> None:
    rng = np.random.default_rng(4)
    mean, covariance, n = np.zeros(3), np.zeros((3 if dense else 1, 3)), np.zeros(3)
    twin_mean, twin_covariance = np.zeros(3), np.zeros((3, 3))
    for t in range(120):
        v = rng.normal([1, 2, 3], [1, 5, 0.1]) + (1e6 if t == 90 else 0)  # one jump is limited
        present = rng.random(3) < 0.8
        twin_mean, twin_covariance = absorbed(twin_mean, twin_covariance, n, v, present, 50.0, weight, pic.LARGEST_JUMP)
        absorb(mean, covariance, n, v, present, 50.0, weight, dense)
        n[present] += 1
        np.testing.assert_allclose(mean, twin_mean, rtol=1e-10)
        expected = twin_covariance if dense else np.diag(twin_covariance)[None]
        np.testing.assert_allclose(covariance, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("channel", range(N_DISTANCES))
def test_the_precision_is_the_inverse_of_the_correlation(channel: int) -> None:
    picture = learned(1000, 5, seed=7)
    deviation = np.sqrt(np.diag(picture.covariance[channel]))
    correlation = picture.covariance[channel] / np.outer(deviation, deviation)
    ridge = np.linalg.inv(picture.precision[channel]) - correlation
    assert 0 < ridge[0, 0] < 0.1
    np.testing.assert_allclose(ridge, ridge[0, 0] * np.eye(5), atol=1e-6)


# -- measuring --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_sensors", [1, 2, 6, MOST_DENSE + 2])
def test_the_distance_is_its_naive_twin_with_and_without_some_sensors(n_sensors: int) -> None:
    picture = learned(300, n_sensors, seed=n_sensors)
    rng = np.random.default_rng(1)
    for k in range(N_DISTANCES):
        precision = picture.precision[k] if picture.dense else np.eye(n_sensors)
        for share in (1.0, 0.7, 0.7, 0.3):
            v, used = 30 * rng.normal(size=n_sensors), rng.random(n_sensors) < share
            z = (v - picture.mean[k]) / picture.deviation[k]
            expected = pic.scaled_to(hotelling(z, precision, used), used.sum(), n_sensors) if used.any() else np.nan
            assert picture.distance(k, v, used) == pytest.approx(expected, rel=1e-6, nan_ok=True)


def test_a_distance_over_fewer_sensors_is_as_improbable_as_over_all() -> None:
    chi = np.random.default_rng(6).normal(size=(200_000, 12)) ** 2
    few = np.array([pic.scaled_to(t2, 3, 12) for t2 in chi[:, :3].mean(1)[:50_000]])
    for quantile in (0.5, 0.9, 0.99, 0.999):
        assert np.quantile(few, quantile) == pytest.approx(np.quantile(chi.mean(1), quantile), rel=0.06)


@pytest.mark.parametrize("k", [LEVEL, SENSOR])
def test_what_is_expected_is_the_mean_given_the_sensors_that_are_there(k: int) -> None:
    picture = learned(300, 6, seed=3)
    rng = np.random.default_rng(2)
    mean, deviation = picture.mean[LEVEL], picture.deviation[LEVEL]
    covariance = np.linalg.inv(picture.precision[k]) * np.outer(deviation, deviation)
    for _ in range(10):
        v, used = 30 * rng.normal(size=6), rng.random(6) < 0.7
        blame, expected, variance = picture.project(k, v, used)
        for j in range(6):
            others = used & (np.arange(6) != j)
            center, spread = conditional(v, mean, covariance, j, others)
            assert expected[j] == pytest.approx(center, rel=1e-6)
            assert variance[j] == pytest.approx(spread, rel=1e-6)
            assert blame[j] == pytest.approx((v[j] - center) ** 2 / spread if used[j] else 0, rel=1e-6, abs=1e-9)


def test_a_sensor_that_is_clearly_wrong_has_no_say_on_the_others() -> None:
    picture = learned(2000, 6, seed=4)
    rng = np.random.default_rng(5)
    picture.disagreement[:] = 1.0
    v, every = picture.mean[LEVEL] + 0.1 * rng.normal(size=6), np.ones(6, bool)
    calm = picture.explain(SENSOR, v, every).expected
    v[2] += 50 * picture.deviation[LEVEL, 2]
    moved = np.abs(picture.explain(SENSOR, v, every).expected - calm) / picture.deviation[LEVEL]
    naive = np.abs(picture.project(SENSOR, v, every).expected - calm) / picture.deviation[LEVEL]
    assert moved.max() < 0.5 < naive.max()


def test_how_far_outside_is_its_naive_twin() -> None:
    rng = np.random.default_rng(3)
    picture = Picture(4)
    for _ in range(50):
        v, low, used = 3 * rng.normal(size=4), rng.normal(size=4), rng.random(4) < 0.7
        picture.low[0], picture.high[0] = low, low + rng.uniform(-0.2, 2, 4)  # a range that is empty says nothing
        farthest = picture.excess(RANGE, v, used).max()
        assert farthest == pytest.approx(farthest_outside(v, low, picture.high[0], used), rel=1e-12)
