"""How the picture of calm learns: means and covariances against their naive twin, precisions, newcomers."""

from __future__ import annotations

import numpy as np
import pytest

from scrnn_stream import places as at
from scrnn_stream.absorbing import LARGEST_JUMP, N_SENSOR_KNOWN, absorb, learn_disagreement, note_change, refresh
from scrnn_stream.channels import LEVEL, N_DISTANCES, N_VALUES
from tests.naive import absorbed
from tests.test_picture import learned
from tests.watching import Watched


@pytest.mark.parametrize("dense", [True, False])
@pytest.mark.parametrize("weight", [1.0, 0.3])
def test_means_and_covariances_are_their_naive_twin(weight: float, dense: bool) -> None:
    rng = np.random.default_rng(4)
    mean, covariance, n = np.zeros(3), np.zeros((3 if dense else 1, 3)), np.zeros(3)
    twin_mean, twin_covariance = np.zeros(3), np.zeros((3, 3))
    for t in range(120):
        v = rng.normal([1, 2, 3], [1, 5, 0.1]) + (1e6 if t == 90 else 0)  # one jump is limited
        present = rng.random(3) < 0.8
        twin_mean, twin_covariance = absorbed(twin_mean, twin_covariance, n, v, present, 50.0, weight, LARGEST_JUMP)
        absorb(mean, covariance, np.zeros(3), np.zeros(3), n, v, present.astype(float), 50.0, weight)
        n[present] += 1
        np.testing.assert_allclose(mean, twin_mean, rtol=1e-10)
        expected = twin_covariance if dense else np.diag(twin_covariance)[None]
        np.testing.assert_allclose(covariance, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("channel", range(N_DISTANCES))
def test_the_precision_is_the_inverse_of_the_correlation(channel: int) -> None:
    watched = learned(1000, 5, seed=7)
    deviation = np.sqrt(np.diag(watched.covariance[channel]))
    correlation = watched.covariance[channel] / np.outer(deviation, deviation)
    ridge = np.linalg.inv(watched.precision[channel]) - correlation
    assert 0 < ridge[0, 0] < 0.1
    np.testing.assert_allclose(ridge, ridge[0, 0] * np.eye(5), atol=1e-6)


def test_an_unknown_sensor_has_no_part_in_the_precision_of_the_others() -> None:
    watched = learned(100, 4, seed=8)
    watched.row(at.N_CHANGES)[2] = 0
    refresh(watched.machine, watched.desk)
    np.testing.assert_array_equal(watched.row(at.KNOWN), [1, 1, 0, 1])
    assert not np.delete(watched.precision[:, 2], 2, axis=1).any()
    assert (watched.precision[:, 2, 2] > 0).all()


def test_a_sensor_that_is_gone_counts_as_what_the_others_expect_and_as_uncertain() -> None:
    watched = learned(300, 4, seed=9)
    mean, variance = watched.row(at.MEAN + LEVEL).copy(), watched.covariance[LEVEL, 1, 1]
    measured = np.ones((at.N_MEASURED, 4))
    measured[:N_VALUES] = watched.row(at.MEAN + LEVEL)
    measured[at.USED, 1] = measured[at.PRESENT, 1] = 0.0
    measured[:N_VALUES, 1] = np.nan
    watched.learn_measured(measured)
    np.testing.assert_allclose(watched.row(at.MEAN + LEVEL), mean, rtol=1e-6)
    assert 0.9 * variance < watched.covariance[LEVEL, 1, 1] < 1.1 * variance
    assert np.isfinite(watched.covariance).all()


def test_a_constant_that_begins_to_move_is_a_newcomer() -> None:
    table, counts = np.zeros((at.N_LINES, 2)), np.zeros(at.N_COUNTS, np.int64)
    table[at.N_LEARNED], table[at.N_CHANGES], counts[at.N_RECORDS] = N_SENSOR_KNOWN + 1, [1, 2], 700
    for j in range(2):
        note_change(table, counts, j)
    np.testing.assert_array_equal(table[at.N_LEARNED], [0, N_SENSOR_KNOWN + 1])
    np.testing.assert_array_equal(table[at.JOINED_AT], [700, 0])
    np.testing.assert_array_equal(table[at.N_CHANGES], [2, 3])


def test_the_usual_disagreement_is_a_running_mean_that_no_single_one_ruins() -> None:
    table = np.zeros((at.N_LINES, 1))
    values = np.random.default_rng(1).exponential(size=2000)
    for value in values:
        learn_disagreement(table, value, 1.0, 0)
    assert table[at.DISAGREEMENT, 0] == pytest.approx(1.0, rel=0.2)
    before = table[at.DISAGREEMENT, 0]
    learn_disagreement(table, 1e20, 1.0, 0)
    assert before < table[at.DISAGREEMENT, 0] < before * (1 + LARGEST_JUMP**2 * 3 / 2000)


def test_ranges_grow_by_settled_averages_alone() -> None:
    watched = Watched(2)
    watched.row(at.N_AVERAGED)[:] = [100, 5]
    for value in (3.0, -1.0):
        watched.learn(np.full((N_VALUES, 2), value))
    np.testing.assert_array_equal(watched.row(at.LOW, 2), [[-1.0, np.inf]] * 2)
    np.testing.assert_array_equal(watched.row(at.HIGH, 2), [[3.0, -np.inf]] * 2)
